"""Folders of Parquet files, partitioned or not, as one table."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from scalefit.core.digests import sha256
from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.records import dataclass
from scalefit.tables.doubts import COLUMN_NOT_EVERYWHERE
from scalefit.tables.readers.base import FOLDERS, Loaded, open_source
from scalefit.tables.readers.parquet import OpenedParquet, Parquet
from scalefit.tables.readers.typed import Typed, refuse_names

MOST_FILES = 100_000
_PARQUET = Parquet()
# What Hive writes for a key that is missing.
_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class OpenedDataset:
    """A folder of Parquet files whose footers have been read.

    Attributes:
        title: The folder as the user wrote it.
        files: Path below the folder, its keys (`budget=1e19` gives budget), and the opened file.
        names: Columns of any file, then the keys.
    """

    title: str
    files: tuple[tuple[str, dict[str, str], OpenedParquet], ...]
    names: tuple[str, ...]

    @property
    def notes(self) -> tuple[Note, ...]:
        """Which columns some of the files lack."""
        lacking = [
            f"{shown(name, 40)!r} ({sum(name not in {*k, *f.names} for _, k, f in self.files)})"
            for name in self.names
            if any(name not in {*keys, *file.names} for _, keys, file in self.files)
        ]
        if not lacking:
            return ()
        told = f"of {len(self.files)} files some lack a column: {', '.join(lacking[:8])}"
        return (COLUMN_NOT_EVERYWHERE.note(f"{told}; its cells there are blank"),)

    def sha256(self) -> str:
        """Hash of the paths and the hashes of all files."""
        digest = sha256(100 * len(self.files))
        for path, _, file in self.files:
            digest.update(f"{path}\n{file.sha256()}\n".encode("utf-8", "surrogateescape"))
        return str(digest.hexdigest())

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """The named columns of all files, one below the other.

        Raises:
            CellError: a cell of `numbers` is no number.
            InputError: a file is damaged.
        """
        parts = [self._part(k, numbers, texts, na) for k in range(len(self.files))]
        ends = [0]
        for part in parts:
            ends.append(ends[-1] + part.table.num_rows)

        def within(row: int) -> tuple[int, int]:
            part = next(k for k in range(len(parts)) if row <= ends[k + 1])
            return part, row - ends[part]

        def place(row: int) -> str:
            part, inner = within(row)
            return f"{shown(self.files[part][0])}, row {inner} (row {row})"

        def cell(row: int, column: str) -> str:
            part, inner = within(row)
            return parts[part].cell(inner, column)

        table = pa.concat_tables([p.table for p in parts], promote_options="default")
        notes = dict.fromkeys(note for part in parts for note in part.notes)
        return Loaded(table, tuple(notes), place, cell)

    def _part(
        self, k: int, numbers: Sequence[str], texts: Sequence[str], na: Collection[str]
    ) -> Loaded:
        path, keys, file = self.files[k]
        wanted = [*numbers, *texts]
        found = file.table([name for name in wanted if name in file.names] or file.names[:1])
        columns: dict[str, Any] = {}
        for name in wanted:
            if name in keys:
                columns[name] = pa.repeat(pa.scalar(keys[name], pa.string()), found.num_rows)
            elif name in file.names:
                columns[name] = found.column(name)
            else:
                columns[name] = pa.nulls(found.num_rows)
        title = f"{self.title}, {shown(path)}"
        return Typed(title, pa.table(columns)).load(numbers, texts, na)


@dataclass(frozen=True)
class Dataset:
    """A folder of Parquet files; folders called `key=value` give a column each."""

    name: str = "parquet-dataset"

    def claims(self, folder: Path) -> bool:
        """Whether there is a Parquet file in it, and no other visible file."""
        found = False
        for path in _visible(folder):
            # The first other file decides: a folder may hold the whole disk.
            if path.suffix.lower() not in _PARQUET.suffixes:
                return False
            found = True
        return found

    def open(self, folder: Path) -> OpenedDataset:
        """Read the footers.

        Raises:
            InputError: a file is damaged, or a key is a column of the file too.
        """
        title = shown(str(folder), 200)
        files = []
        names: dict[str, None] = {}
        for path in sorted(_visible(folder)):
            below = path.relative_to(folder)
            keys = _keys(below.parts[:-1])
            opened = _PARQUET.open(open_source(path))
            refuse_names(f"{title}, {shown(str(below))}", [*opened.names, *keys])
            names.update(dict.fromkeys([*opened.names, *keys]))
            files.append((below.as_posix(), keys, opened))
        return OpenedDataset(title, tuple(files), tuple(names))


DATASET = FOLDERS.add(Dataset())


def _visible(folder: Path) -> Iterator[Path]:
    """Files below a folder, no link among them; names that begin with . or _ are not data.

    Raises:
        InputError: there are too many.
    """
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in files:
            path = Path(place, name)
            # A link may lead out of the folder or in a circle.
            if name.startswith((".", "_")) or path.is_symlink():
                continue
            yield path
            count += 1
            if count > MOST_FILES:
                raise InputError(
                    f"{shown(str(folder))} holds over {MOST_FILES} files", "give fewer"
                )


def _keys(parts: Sequence[str]) -> dict[str, str]:
    pairs = [part.partition("=") for part in parts if "=" in part]
    return {unquote(k): "" if value == _NULL else unquote(value) for k, _, value in pairs}
