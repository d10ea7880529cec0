"""Readers that other packages bring, under the entry-point group `scalefit.readers`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scalefit.core.errors import InputError, UnknownName
from scalefit.core.numbers import shown
from scalefit.tables.readers.base import READERS, Reader

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "scalefit.readers"


def named(name: str) -> Reader:
    """The reader of that name: one of ours, else one that a package brings.

    Raises:
        UnknownName: there is none.
        InputError: it cannot be loaded.
    """
    if name in READERS:
        return READERS.get(name)
    from importlib.metadata import entry_points

    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise UnknownName("reader", name, (*READERS.names(), *points))
    return _loaded(points[name])


def brought() -> Iterator[Reader]:
    """Every reader that other packages bring, by name; each is loaded as its turn comes.

    Raises:
        InputError: one cannot be loaded.
    """
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        yield _loaded(point)


def _loaded(point: EntryPoint) -> Reader:
    try:
        reader = point.load()
    # A package of others may fail in any way; the user must learn which.
    except Exception as error:
        told = f"the reader {shown(point.name)!r} ({shown(point.value)}) cannot be loaded"
        raise InputError(f"{told}: {shown(str(error))}", "uninstall or mend it") from error
    found: Reader = reader() if isinstance(reader, type) else reader
    lacking = [part for part in ("name", "suffixes", "sniff", "open") if not hasattr(found, part)]
    if lacking:
        told = f"the reader {shown(point.name)!r} ({shown(point.value)}) has no {lacking[0]}"
        raise InputError(told, "see scalefit.tables.readers.base.Reader")
    return found
