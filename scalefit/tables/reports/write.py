"""Reports to disk: whole files or none, never through a link."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from scalefit.core.errors import InputError, OutputError
from scalefit.core.numbers import shown
from scalefit.tables.reports.base import FORMATS, Report, format_for
from scalefit.tables.reports.json import document_text
from scalefit.tables.reports.parquet import table_bytes

try:
    import fcntl

    def _flock(descriptor: int, *, wait: bool) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    _lock: Callable[..., None] | None = _flock
except ImportError:
    _lock = None

_PART = re.compile(r"\.scalefit-[0-9a-f]{16}\.part")
_YOUNG = 60.0
_FIGURES = "figures"
_LONGEST_NAME = 200
_HINTS = {
    errno.ENOENT: "make the folder first, or choose another with -o",
    errno.ENOTDIR: "a part of the path is a file; choose another with -o",
    errno.EISDIR: "that is a folder; add a file name",
    errno.EACCES: "choose a folder that you may write to with -o",
    errno.EPERM: "choose a folder that you may write to with -o",
    errno.EROFS: "the disk is read-only; choose another folder with -o",
    errno.ENOSPC: "the disk is full; free some space and run it again",
    errno.EDQUOT: "your quota is used up; free some space and run it again",
    errno.ELOOP: "a link leads elsewhere; remove it or choose another folder with -o",
}


def write(report: Report, path: Path) -> Path:
    """Write a report in the format that the suffix asks for; the file is whole or untouched.

    Args:
        report: What to write.
        path: File in an existing folder; a link there is replaced, not followed.

    Returns:
        The path.

    Raises:
        UnknownName: no format has that suffix.
        InputError: the format needs a table and the report has none.
        OutputError: the file could not be written; what was there before still is.
    """
    data = format_for(path).render(report)
    sweep(path.parent)
    put(path, data)
    return path


def write_folder(report: Report, folder: Path, extra: Mapping[str, bytes]) -> Path:
    """Write the whole story: the page, the text, the tables, the pictures and what else is given.

    The folder gets `report.html`, `report.md`, `SECTION.parquet` for each section with a table,
    `figures/NAME.svg` and `manifest.json`, which comes last and so marks a folder as complete.

    Args:
        report: What to write.
        folder: Made if it is not there.
        extra: File name to its bytes; wins over a file of the same name from the list above.

    Returns:
        The folder.

    Raises:
        InputError: a name is no plain file name, or two files would share one.
        OutputError: a file could not be written.
    """
    figures = _unique(
        (f"{figure.name}.svg", f"{figure.svg}\n".encode())
        for section in report.sections
        for figure in section.figures
    )
    files = _unique(
        (f"{section.name}.parquet", table_bytes(section.table))
        for section in report.sections
        if section.table is not None
    )
    files |= {name: FORMATS.get(kind).render(report) for name, kind in _STORY.items()}
    files |= {checked_name(name): data for name, data in extra.items()}
    manifest = None
    if report.manifest is not None:
        manifest = document_text(report.manifest, indent=2).encode("ascii") + b"\n"
    manifest = files.pop("manifest.json", manifest)

    make_folder(folder)
    sweep(folder)
    if figures:
        make_folder(folder / _FIGURES, follow=False)
        sweep(folder / _FIGURES)
    for name, data in figures.items():
        put(folder / _FIGURES / name, data)
    for name, data in files.items():
        put(folder / name, data)
    if manifest is not None:
        put(folder / "manifest.json", manifest)
    return folder


_STORY = {"report.html": "html", "report.md": "markdown"}


def _unique(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Files by checked name.

    Raises:
        InputError: two files would share a name, or a name is not a plain one.
    """
    found: dict[str, bytes] = {}
    for name, data in files:
        if checked_name(name) in found:
            raise InputError(f"two files of the report would be called {shown(name)}")
        found[name] = data
    return found


def checked_name(name: str) -> str:
    """`name` if it is a plain file name that stays in its folder on every system.

    Raises:
        InputError: it is empty, hidden, too long, or holds a separator or a control character.
    """
    plain = 0 < len(name.encode("utf-8", "replace")) <= _LONGEST_NAME and name.isprintable()
    if not plain or name.startswith(".") or any(c in '/\\:*?"<>|' for c in name):
        raise InputError(
            f"{shown(name)!r} is no plain file name", "use letters, digits, - and one suffix"
        )
    return name


def require_place(out: Path, inputs: Iterable[str | Path | None], *, folder: bool) -> None:
    """Nothing, if output may go to `out` as things stand: told before the work and not after it.

    Args:
        out: The file or the folder to be written.
        inputs: What is read; names of no file, and None, are passed over.
        folder: Whether a folder is to be written there and not a file.

    Raises:
        InputError: the output would take the place of an input, or a file has no suffix.
        UnknownName: no format has the suffix of a file.
        OutputError: nothing can be written there.
    """
    if not folder:
        format_for(out)
    try:
        if not folder and out.is_dir() and not out.is_symlink():
            raise _refused(errno.EISDIR)
        # A folder is made with its parents; a file stands in a folder that is there.
        place = out if folder else out.parent
        while folder and not _stands(place) and place != place.parent:
            place = place.parent
        if not _stands(place):
            raise _refused(errno.ENOENT)
        if not place.is_dir():
            raise _refused(errno.ENOTDIR)
        if not os.access(place, os.W_OK | os.X_OK):
            raise _refused(errno.EACCES)
    except OSError as error:
        raise _refusal(out, error) from error
    for path in (Path(given) for given in inputs if given):
        _refuse_overwriting(out, path)


def _stands(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _refuse_overwriting(out: Path, path: Path) -> None:
    """Refuse to write over what is read, as a report in the folder of its runs might.

    Raises:
        InputError: the output is an input, or a folder whose files may be.
    """
    made = {suffix for known in FORMATS for suffix in known.suffixes} - {".csv"}
    with suppress(OSError, ValueError):  # what cannot be looked at is not there to be lost
        inside = out.is_dir() and path.parent.samefile(out) and path.suffix.lower() in made
        if path.exists() and out.exists() and (path.samefile(out) or inside):
            raise InputError(
                f"{shown(str(path))} is read, and the output would take its place",
                "choose another folder" if inside else "choose another name",
            )


def make_folder(folder: Path, *, follow: bool = True) -> None:
    """Make a folder unless it is there.

    Args:
        folder: Its path; parents are made too.
        follow: Whether a link to a folder will do: true for the folder that the user named, false
            for one inside it, where a link may have been planted.

    Raises:
        OutputError: it could not be made, or is a link that must not be followed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not follow and folder.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    except OSError as error:
        raise _refusal(folder, error) from error


def put(path: Path, data: bytes) -> None:
    """Write `data` to a new file beside `path` and rename it into place, both made durable.

    Raises:
        OutputError: it could not be written; `path` is as it was and nothing new is left.
    """
    part = path.with_name(f".scalefit-{secrets.token_hex(8)}.part")
    try:
        # Open until it has its name, so that its lock tells others that it is being written.
        with _created(part, data):
            try:
                # The rename takes the place of a link at `path`; it never goes through it.
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)
    except OSError as error:
        raise _refusal(path, error) from error


def sweep(folder: Path) -> None:
    """Take away what a killed run left half-written in a folder.

    A file of ours that nobody holds a lock on and that is over a minute old is nobody's any more.
    Where the system has no such locks, or the folder may not be listed, nothing is done.
    """
    if _lock is None:
        return
    with suppress(OSError):
        for entry in os.scandir(folder):
            if _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _unlink_if_stale(Path(entry.path))


def _unlink_if_stale(part: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(part, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            # A file that was just made may not have its lock yet.
            young = time.time() - os.fstat(descriptor).st_mtime < _YOUNG
            if not young and _lock is not None:
                _lock(descriptor, wait=False)
                part.unlink()
        finally:
            os.close(descriptor)


def _created(part: Path, data: bytes) -> BinaryIO:
    """A new file with these bytes, on the disk and not just on its way; none if that fails."""
    # O_EXCL refuses whatever stands there already, so a planted link is never opened.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(part, flags, 0o666), "wb")
    try:
        if _lock is not None:
            # Some network file systems have no locks; the age of the file must do there.
            with suppress(OSError):
                _lock(file.fileno(), wait=True)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        file.close()
        raise
    return file


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, where the system lets folders be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(path: Path, error: OSError) -> OutputError:
    """The error that names the path and says what may help."""
    why = error.strerror or type(error).__name__
    return OutputError(
        f"{shown(str(path), 400)} could not be written: {why}", _HINTS.get(error.errno or 0, "")
    )
