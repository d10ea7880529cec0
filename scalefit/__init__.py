"""Fit neural scaling laws, say how sure one may be, and refuse what the data cannot support.

>>> import scalefit
>>> sorted(scalefit.__all__)
['__version__', 'allocate', 'compare', 'fit', 'predict', 'read', 'report']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalefit.pipeline.commands import report_of as report
    from scalefit.pipeline.steps import allocate, compare, fit, predict, read

__version__ = "0.1.0"
__all__ = ["__version__", "allocate", "compare", "fit", "predict", "read", "report"]
_VERBS = {
    "read": "steps", "fit": "steps", "compare": "steps", "predict": "steps", "allocate": "steps",
    "report": "commands",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Verbs are imported on first use, so that `import scalefit` costs nothing."""
    if name not in _VERBS:
        raise AttributeError(f"module 'scalefit' has no attribute {name!r}")
    module = import_module(f"scalefit.pipeline.{_VERBS[name]}")
    arguments = import_module("scalefit.pipeline.arguments")
    verb = arguments.spoken(getattr(module, "report_of" if name == "report" else name))
    # Found again under this name by other processes, and by us without a detour.
    verb.__module__, verb.__name__, verb.__qualname__ = __name__, name, name
    globals()[name] = verb
    return verb
