"""A folder to the logs in it, whatever wrote them; one file to the log that it is."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from scalefit.core.errors import InputError
from scalefit.core.numbers import counted, shown
from scalefit.tables.doubts import LOG_UNREAD
from scalefit.tables.readers.base import Source, open_source
from scalefit.tables.trackers.base import TRACKERS, Log, Tracker
from scalefit.tables.trackers.frame import Frame, OpenedLogs

MOST_ENTRIES = 1_000_000
DEEPEST = 64
TOLD_EVERY = 20_000  # files: some seconds
_LOG = logging.getLogger(__name__)
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".arrow", ".feather")


def claimant(source: Source) -> Tracker | None:
    """The tracker whose log this file is, or None."""
    return next((tracker for tracker in TRACKERS if tracker.claims(source)), None)


def open_log(source: Source, tracker: Tracker) -> OpenedLogs:
    """The runs of one file.

    Raises:
        InputError: it cannot be read, or holds no metric.
    """
    parent = source.path.resolve().parent.name if source.path else ""
    log, frame = Log(source, parent or source.name), Frame()
    for run in tracker.read(log):
        frame.add(tracker.name, source.name, run)
    return frame.opened(source.name, _digest(log.hashes(), source.path))


def open_folder(folder: Path, title: str) -> OpenedLogs:
    """The runs of every log below a folder, in the order of the paths.

    A log that cannot be read is left out with a warning, as long as another one can.

    Raises:
        InputError: there is no log, none can be read, or the folder is too large or may not be
            read.
    """
    frame, hashes = Frame(), dict[str, str]()
    seen, failed, tables = 0, list[InputError](), list[Path]()
    for count, path in enumerate(_files(folder, title), start=1):
        if count % TOLD_EVERY == 0:
            _LOG.info("%s: looked at %s files, found %s", title, f"{count:,}", counted(seen, "log"))
        source = _unread(path)
        tracker = claimant(source) if source else None
        if tracker is None:
            tables += [path] if path.suffix.lower() in _TABLES else []
            continue
        seen += 1
        within = path.relative_to(folder)
        place = within.parent.as_posix() if within.parent.parts else folder.resolve().name
        try:
            log = Log(open_source(path), place)
            runs = list(tracker.read(log))
            hashes |= log.hashes()
        except InputError as error:
            failed.append(error)
            frame.notes.append(LOG_UNREAD.note(f"{error}; the log is left out"))
            continue
        for run in runs:
            frame.add(tracker.name, within.as_posix(), run)
    if not seen:
        raise InputError(f"{title} is a folder without a log", _instead(tables))
    if len(failed) == seen:
        raise failed[0]
    return frame.opened(title, _digest(hashes, folder))


def _instead(tables: Sequence[Path]) -> str:
    """What to give in place of a folder that holds no log but perhaps tables."""
    if not tables:
        return f"give a table, or a folder with logs of {', '.join(TRACKERS.names())}"
    first = shown(str(tables[0]), 200)
    if len(tables) == 1:
        return f"give the table in it: {first}"
    return f"give a table in it, such as {first}, or join them with scalefit ingest FILE... -o FILE"


def _digest(hashes: Mapping[str, str], root: Path | None) -> str:
    """The hash of one file, or of the list of hashes and relative paths of several."""
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = [f"{digest}  {os.path.relpath(path, root)}\n" for path, digest in hashes.items()]
    return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def _files(folder: Path, title: str) -> Iterator[Path]:
    """Regular files below a folder, in a stable order; each real file and folder once.

    Links to folders come after everything else, so that a run is named by its own folder, and a
    link back to a folder that was visited ends there.
    """
    visited: set[tuple[int, int]] = set()
    links: list[tuple[Path, int]] = []
    stack = [(folder, 0)]
    left = MOST_ENTRIES
    while stack or links:
        at, depth = stack.pop() if stack else links.pop(0)
        if depth > DEEPEST or not _first(at, visited):
            continue
        found = _listed_in(at, left, title, must=at == folder)
        left -= len(found)
        deeper: list[tuple[Path, int]] = []
        for path in found:
            if _is_folder(path):
                (links if path.is_symlink() else deeper).append((path, depth + 1))
            elif _is_file(path) and _first(path, visited):
                yield path
        stack += reversed(deeper)


def _listed_in(folder: Path, most: int, title: str, *, must: bool) -> list[Path]:
    """What a folder holds, by name; nothing if it may not be read and need not be.

    Raises:
        InputError: it holds more than `most`, or must be read and may not.
    """
    try:
        found = list(islice(folder.iterdir(), most + 1))
    except OSError as error:
        if not must:
            return []
        hint = "check its permissions"
        raise InputError(f"{title} cannot be read: {error.strerror}", hint) from None
    if len(found) > most:
        raise InputError(
            f"{title} holds more than {MOST_ENTRIES} files", "give a folder nearer to the logs"
        )
    return sorted(found)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _first(path: Path, visited: set[tuple[int, int]]) -> bool:
    """Whether the file or folder behind `path` was not seen before."""
    try:
        status = path.stat()
    except OSError:
        return False
    key = (status.st_dev, status.st_ino)
    fresh = key not in visited
    visited.add(key)
    return fresh


def _is_folder(path: Path) -> bool:
    """Whether there is a folder at `path`; False for any path that cannot even be asked."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _unread(path: Path) -> Source | None:
    """A source for a file that is only looked at so far; None if it may not even be that."""
    try:
        status = path.stat()
        with path.open("rb"):
            pass
    except (OSError, ValueError):
        return None
    return Source(
        shown(path.name, 200), path.suffix.lower(), path, None, (status.st_size, status.st_mtime_ns)
    )
