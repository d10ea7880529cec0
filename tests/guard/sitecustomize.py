"""Python imports this in every process that a test starts, as the folder stands on its path."""

import nonetwork  # noqa: F401  (its import is its work)
