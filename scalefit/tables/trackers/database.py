"""SQLite databases of trackers: opened to be read, never written, never run.

A database may be damaged or hostile. It is opened as immutable, so neither lock nor journal is
touched; where a journal stands beside it, a copy of both is opened instead, so that what was
written last is there and the tracker's own files stay as they are. Only real tables are read,
no views; the schema may call no function, an authoriser allows nothing but reading, and the work
is bounded.

Source: sqlite.org/security.html and sqlite.org/uri.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scalefit.core.errors import InputError
from scalefit.core.numbers import shown
from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import Log, whole

# Only a log that is a database pays for the import.
if TYPE_CHECKING:
    import sqlite3

MAGIC = b"SQLite format 3\0"
_LARGEST_CELL = 64 * 1024**2
# Steps of SQLite's machine between two looks, and how many looks a query may take.
_STEPS, _LOOKS = 10_000_000, 2_000
_JOURNALS = ("-wal", "-journal")


class Database:
    """An open database of which whole tables can be read."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        """Wrap a connection that is safe already."""
        self._connection = connection
        self._name = name
        self._looks = 0
        connection.set_progress_handler(self._look, _STEPS)

    def tables(self) -> set[str]:
        """Names of the real tables; views and virtual tables are none.

        Raises:
            InputError: the database is damaged.
        """
        asked = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        return {
            str(name)
            for name, sql in self._rows(asked)
            if str(sql or "").lstrip()[:13].upper().split() == ["CREATE", "TABLE"]
        }

    def columns(self, table: str) -> set[str]:
        """Names of the columns of a table.

        Raises:
            InputError: the database is damaged.
        """
        return {str(row[1]) for row in self._rows(f"PRAGMA table_info({_quoted(table)})")}

    def rows(self, table: str, columns: Sequence[str], order: str = "rowid") -> Iterator[Any]:
        """The named columns of every row, in the order in which the rows were written.

        Raises:
            InputError: there is no such table or column, or the database is damaged.
        """
        if table not in self.tables():
            raise InputError(f"{self._name} has no table {shown(table)!r}", "it is of another kind")
        lacking = sorted(set(columns) - self.columns(table))
        if lacking:
            raise InputError(
                f"{self._name}, table {table!r} has no column {lacking[0]!r}",
                "it was written by a version that scalefit does not know; export it as CSV",
            )
        listed = ", ".join(map(_quoted, columns))
        yield from self._rows(f"SELECT {listed} FROM {_quoted(table)} ORDER BY {order}")

    def _rows(self, asked: str) -> Iterator[Any]:
        import sqlite3

        try:
            with closing(self._connection.execute(asked)) as found:
                yield from found
        except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
            raise InputError(
                f"{self._name} cannot be read as SQLite: {error}",
                "the file is damaged; copy it again",
            ) from None

    def _look(self) -> bool:
        self._looks += 1
        return self._looks > _LOOKS


@contextmanager
def opened(log: Log) -> Iterator[Database]:
    """The database of a log, for reading; closed at the end.

    Raises:
        InputError: it is on standard input and too large, or is no database.
    """
    import sqlite3

    with ExitStack() as stack:
        try:
            path = _safe_path(log, stack)
            connection = stack.enter_context(closing(_connected(path, path != log.source.path)))
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                f"{log.source.name} cannot be opened as SQLite: {error}", "check the file"
            ) from None
        yield Database(connection, log.source.name)


def has_tables(source: Source, *names: str) -> bool:
    """Whether a file is a database whose schema names these tables, judged by its first bytes.

    The schema begins on the first page; a long one goes on elsewhere, so the file is opened where
    the first bytes do not tell.
    """
    if not source.head().startswith(MAGIC):
        return False
    try:
        with opened(Log(source, "")) as database:
            return set(names) <= database.tables()
    except InputError:
        return False


def _safe_path(log: Log, stack: ExitStack) -> Path:
    """Where the database can be opened: its own path, or a copy with its journals."""
    import shutil
    import tempfile

    path = log.source.path
    journals = [j for suffix in _JOURNALS if (j := _journal(path, suffix))]
    if path is not None and not journals:
        return path
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scalefit-")))
    copy = folder / "copy.db"
    copy.write_bytes(whole(log.source)) if path is None else shutil.copyfile(path, copy)
    for journal in journals:
        shutil.copyfile(journal, f"{copy}{journal.name[journal.name.rindex('-') :]}")
    return copy


def _journal(path: Path | None, suffix: str) -> Path | None:
    """A journal beside the database that holds anything."""
    if path is None:
        return None
    beside = path.with_name(path.name + suffix)
    return beside if beside.is_file() and beside.stat().st_size else None


def _connected(path: Path, ours: bool) -> sqlite3.Connection:
    """A connection that can only read; `ours` says that the file is a copy with its journals."""
    import sqlite3

    mode = "mode=rw" if ours else "mode=ro&immutable=1"
    uri = f"file:{quote(str(path.resolve()))}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
    # Pages are read one by one, so the file's size bounds the memory.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_CELL)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA query_only = ON")
    connection.set_authorizer(_allowed)
    return connection


def _allowed(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Reading columns and asking for the columns of a table; nothing else."""
    import sqlite3

    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first == "table_info":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
