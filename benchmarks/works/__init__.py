"""Each work is a function from a plan to a block of the table."""
