"""How far a long command has come, on standard error and only where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def hear() -> None:
    """Print what long work says of its progress, where standard error is a terminal."""
    if not sys.stderr.isatty():
        return
    import logging  # here, since only folders are walked

    log = logging.getLogger("scalefit")
    if not log.handlers:
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)


@contextmanager
def watching(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to be told how many of how many are finished; a bar if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), Remaining(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
