"""Comma, semicolon or tab separated text: Arrow where all is well, a careful scan where not."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from scalefit.core.digests import sha256
from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import LONGEST_CELL, shown
from scalefit.core.observations import IntArray
from scalefit.core.records import dataclass
from scalefit.tables.arrays import column_of, flags, floats
from scalefit.tables.doubts import NAMELESS_COLUMN, SEPARATOR_GUESSED, SPACED_HEADER
from scalefit.tables.readers.base import READERS, CellError, Loaded, Source
from scalefit.tables.readers.cells import human_note, is_human, number
from scalefit.tables.readers.json import looks_like

LONGEST_FIELD = 64 * 1024
LONGEST_NAME = 1024
MOST_COLUMNS = 200_000
_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# The line by which Excel is told, and tells, how cells are separated.
_SEP_LINE = rb'(?i)(?:\xef\xbb\xbf)?"?sep=([,;|\t])"?[,;]*\r?\n'
_NONE = np.zeros(0, np.int64)
_COMMENT = "take the comment lines out: grep -v '^#' FILE > CLEAN.csv"


@dataclass(frozen=True)
class _Survey:
    """What one pass over the bytes tells before anything is parsed."""

    longest_line: int
    lines: int
    quotes: int
    sha256: str


@dataclass(frozen=True)
class _Header:
    """Column names, how cells are separated, and how many lines the header takes.

    Attributes:
        cells: Every name in its place, without spaces round it; some may be empty.
    """

    cells: tuple[str, ...]
    separator: str
    lines: int
    notes: tuple[Note, ...] = ()


class _Column:
    """A column of numbers that is filled batch by batch.

    Attributes:
        values: Of the final size; filled up to where the last batch ended.
        lax: Places where Arrow may have rounded to zero, or taken an odd spelling of NaN.
    """

    def __init__(self, rows: int) -> None:
        """Make room for so many rows."""
        self.values = np.empty(rows)
        self.lax: list[IntArray] = []

    def take(self, cells: Any, at: int) -> bool:
        """Put a batch in its place; False where it is infinite, or more than there is room for."""
        values = floats(pa.chunked_array([cells]))
        if at + values.size > self.values.size:
            return False
        self.values[at : at + values.size] = values
        if not values.size or (values.min() > 0 and values.max() < np.inf):
            return True
        if np.isinf(values).any():
            return False
        odd = (values == 0) | np.isnan(values)
        if odd.any():
            if cells.null_count:
                odd &= ~flags(pa.chunked_array([cells.is_null()]))
            self.lax += [np.flatnonzero(odd) + at] if odd.any() else []
        return True


@dataclass(frozen=True)
class OpenedCsv:
    """A CSV file whose header has been read."""

    source: Source
    survey: _Survey
    header: _Header

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that have one."""
        return tuple(name for name in self.header.cells if name)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Doubts about separator and header."""
        return self.header.notes

    def sha256(self) -> str:
        """Hash of the bytes that were surveyed, if they are still those.

        Raises:
            InputError: the file changed since it was opened.
        """
        self.source.refuse_change()
        return self.survey.sha256 if self.source.packed is None else self.source.sha256()

    def load(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str] = ()
    ) -> Loaded:
        """The named columns, by Arrow if nothing is odd, else by a scan that judges each cell.

        Raises:
            CellError: a cell of `numbers` is no number.
            InputError: a row is too short or long, a quote is not closed, a field is too long.
        """
        notes: tuple[Note, ...] = ()
        table = self._fast(numbers, texts, na)
        if table is None:
            table, notes = self._slow(numbers, texts, na)
        return Loaded(table, notes, self._place, self._cell)

    def _fast(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str]
    ) -> pa.Table | None:
        """The columns as Arrow reads them, or None where its answer is not to be trusted."""
        if self.survey.longest_line > LONGEST_FIELD or self.survey.quotes % 2:
            return None
        if not numbers and not texts:
            # Arrow takes an empty list of columns for all of them.
            return None
        types: dict[str, pa.DataType] = dict.fromkeys(numbers, pa.float64())
        types |= dict.fromkeys(texts, pa.string())
        rows = self.survey.lines - self.header.lines
        columns = {name: _Column(max(rows, 0)) for name in numbers}
        words: dict[str, list[Any]] = {name: [] for name in texts}
        seen = 0
        try:
            # Batch by batch into arrays of the final size, so that nothing is held twice.
            for batch in self._arrow(types, ("", *na)):
                for name, cells in zip(types, batch.columns, strict=True):
                    if name in words:
                        words[name].append(cells)
                    elif not columns[name].take(cells, seen):
                        return None
                seen += batch.num_rows
            # A quoted line end is rare, and a quote that swallows rows looks just like it.
            if (self.survey.quotes and rows != seen) or not self._trusted(columns, na):
                return None
        except pa.ArrowException:
            return None
        filled: dict[str, Any] = {n: column_of(c.values[:seen]) for n, c in columns.items()}
        return pa.table(
            filled | {name: pa.chunked_array(parts, pa.string()) for name, parts in words.items()}
        )

    def _arrow(self, types: dict[str, pa.DataType], nulls: Sequence[str]) -> Any:
        places = {name: str(i) for i, name in enumerate(self.header.cells)}
        chosen = [places[name] for name in types]
        given: Any = self.source.for_arrow()
        return arrow_csv.open_csv(
            given,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=max(1024**2, 4 * self.survey.longest_line),
                skip_rows=self.header.lines,
                # Names as they stand may be empty or hold spaces; places are always unique.
                column_names=[str(i) for i in range(len(self.header.cells))],
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.header.separator, newlines_in_values=self.survey.quotes > 0
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=chosen,
                column_types={places[name]: kind for name, kind in types.items()},
                null_values=list(nulls),
                # The survey has looked at every byte.
                check_utf8=False,
                strings_can_be_null=False,
            ),
        )

    def _trusted(self, columns: Mapping[str, _Column], na: Collection[str]) -> bool:
        """Whether our own rule takes the cells on which Arrow is lax, or which may be too long."""
        wide = self.survey.longest_line > LONGEST_CELL
        again = [name for name, column in columns.items() if wide or column.lax]
        if not again:
            return True
        import pyarrow.compute as pc

        places = {name: np.concatenate([_NONE, *columns[name].lax]) for name in again}
        # With no null values every cell comes back as it was written.
        seen = 0
        for batch in self._arrow(dict.fromkeys(again, pa.string()), []):
            for name, texts in zip(again, batch.columns, strict=True):
                if wide and (pc.max(pc.utf8_length(texts)).as_py() or 0) > LONGEST_CELL:
                    return False
                low, high = np.searchsorted(places[name], [seen, seen + len(texts)])
                odd = texts.take(pa.array((places[name][low:high] - seen).tolist(), pa.int64()))
                if not all(_harmless(cell, na) for cell in pc.unique(odd).to_pylist()):
                    return False
            seen += batch.num_rows
        return True

    def _slow(
        self, numbers: Sequence[str], texts: Sequence[str], na: Collection[str]
    ) -> tuple[pa.Table, tuple[Note, ...]]:
        places = {name: i for i, name in enumerate(self.header.cells)}
        values: dict[str, list[float]] = {name: [] for name in numbers}
        words: dict[str, list[str]] = {name: [] for name in texts}
        readable: Counter[str] = Counter()
        examples: dict[str, tuple[str, float]] = {}
        for row, (line, cells) in enumerate(self._rows(), start=1):
            for name in numbers:
                cell = cells[places[name]]
                try:
                    value = number(cell, na)
                except InputError as error:
                    raise self._cell_error(line, row, cells, name, error) from None
                values[name].append(value)
                if is_human(cell):
                    readable[name] += 1
                    examples.setdefault(name, (cell, value))
            for name in texts:
                words[name].append(cells[places[name]])
        table = pa.table(
            {name: column_of(np.array(column, np.float64)) for name, column in values.items()}
            | {name: pa.array(column, pa.string()) for name, column in words.items()}
        )
        return table, tuple(human_note(n, *examples[n], count) for n, count in readable.items())

    def _cell_error(
        self, line: int, row: int, cells: Sequence[str], name: str, error: InputError
    ) -> InputError:
        if cells[0].lstrip().startswith("#"):
            return InputError(f"{self.source.name}, line {line} is a comment", _COMMENT)
        if tuple(cell.strip() for cell in cells) == self.header.cells:
            told = f"{self.source.name}, line {line} (row {row}) is the header once more"
            return InputError(told, "take that line out")
        place = f"{self.source.name}, line {line} (row {row}), column {shown(name)!r}"
        hint = error.hint
        if self.header.separator == ";" and "decimal point" in hint:
            # So spreadsheets write where the comma is for decimals: one command mends it all.
            hint = f"{hint}, and commas between cells: tr ',;' '.,' < FILE > CLEAN.csv"
        return CellError(f"{place}: {error}", hint, name)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of each data row; blank lines are passed over."""
        width = len(self.header.cells)
        for line, cells in _records(self.source, self.header.separator, self.header.lines):
            if len(cells) != width:
                raise InputError(*self._misshapen(line, cells, width))
            yield line, cells

    def _misshapen(self, line: int, cells: Sequence[str], width: int) -> tuple[str, str]:
        if cells[0].lstrip().startswith("#"):
            return f"{self.source.name}, line {line} is a comment", _COMMENT
        message = f"{self.source.name}, line {line} has {len(cells)} cells, the header has {width}"
        if len(cells) > width:
            if not any(cells[width:]):
                return message, "take the empty cells off the end of the line"
            return message, "a cell that holds the separator needs double quotes round it"
        return message, "fill the row up; a missing value is an empty cell between separators"

    def _place(self, row: int) -> str:
        line = next(line for i, (line, _) in enumerate(self._rows(), start=1) if i == row)
        return f"line {line} (row {row})"

    def _cell(self, row: int, column: str) -> str:
        place = self.header.cells.index(column)
        return next(cells[place] for i, (_, cells) in enumerate(self._rows(), start=1) if i == row)


@dataclass(frozen=True)
class Csv:
    """CSV and TSV, in UTF-8, with a header."""

    name: str = "csv"
    suffixes: tuple[str, ...] = (".csv", ".tsv", ".tab", ".txt")

    def sniff(self, head: bytes) -> bool:
        """Never sure: any text might be one."""
        return False

    def open(self, source: Source) -> OpenedCsv:
        """Check the bytes and read the header.

        Raises:
            InputError: not UTF-8 text, JSON, no header, a name twice or too long.
        """
        if looks_like(source.head()):
            raise InputError(
                f"{source.name} is JSON, not CSV", "let its name end in .jsonl, or in .json"
            )
        survey = _survey(source)
        return OpenedCsv(source, survey, _header(source))


CSV = READERS.add(Csv())


def _harmless(cell: str, na: Collection[str]) -> bool:
    """Whether a cell is a number or stands for a missing one."""
    # A word is told without the search for what its writer should have written.
    if cell.isalpha() and cell not in na and cell.lower() != "nan":
        return False
    try:
        number(cell, na)
    except InputError:
        return False
    return True


def _survey(source: Source) -> _Survey:
    """One pass over the bytes.

    Raises:
        InputError: UTF-16, a NUL byte, or bytes that are not UTF-8.
    """
    head = source.head()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head.count(0) > len(head) / 4:
        raise InputError(
            f"{source.name} is text in UTF-16, not UTF-8",
            "convert it: iconv -f UTF-16 -t UTF-8 FILE > CLEAN.csv",
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    digest = sha256(source.stamp[0])
    longest = quotes = ends = blank = 0
    line_start, seen, last = 0, 0, -2
    for chunk in source.chunks():
        _refuse_bytes(source, chunk, decoder, seen)
        digest.update(chunk)
        # To look whether there is one is far quicker than to count none.
        quotes += chunk.count(b'"') if b'"' in chunk else 0
        data = np.frombuffer(chunk, np.uint8)
        ends_here = data == 10
        if b"\r" in chunk:
            ends_here |= data == 13
        breaks = np.flatnonzero(ends_here) + seen
        if breaks.size:
            gaps = np.diff(breaks, prepend=line_start - 1)
            longest = max(longest, int(gaps.max()) - 1)
            line_start = int(breaks[-1]) + 1
            ends += breaks.size
            # "\r\n" ends one line, "\n\n" leaves a blank one: neither starts a row.
            blank += int(np.count_nonzero(np.diff(breaks, prepend=last) == 1))
            last = int(breaks[-1])
        seen += len(chunk)
    longest = max(longest, seen - line_start)
    rows = ends - blank + (line_start < seen)
    return _Survey(longest, rows, quotes, digest.hexdigest())


def _refuse_bytes(
    source: Source, chunk: bytes, decoder: codecs.IncrementalDecoder, seen: int
) -> None:
    wrong, what, hint = -1, "", ""
    if b"\0" in chunk:
        wrong, what = seen + chunk.index(b"\0"), "holds a NUL byte"
        hint = "the file is damaged or not text; export it again"
    pending = len(decoder.getstate()[0])
    try:
        # Pure ASCII needs no decoder, unless a letter was cut at the end of the last chunk.
        if pending or not chunk.isascii():
            decoder.decode(chunk)
    except UnicodeDecodeError as error:
        at = seen - pending + error.start
        if wrong < 0 or at < wrong:
            wrong, what = at, f"holds a byte that is not UTF-8 (0x{error.object[error.start]:02x})"
            hint = "convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE > CLEAN.csv"
    if wrong >= 0:
        raise InputError(f"{source.name}, line {_line_of(source, wrong)} {what}", hint)


def _line_of(source: Source, offset: int) -> int:
    """Number of the line in which the byte at `offset` stands."""
    line, seen = 1, 0
    for chunk in source.chunks():
        part = chunk[: max(0, offset - seen)]
        line += part.count(b"\n") or part.count(b"\r")
        seen += len(chunk)
    return line


def _text(source: Source) -> io.TextIOWrapper:
    raw = io.BytesIO(source.data) if source.data is not None else None
    if raw is None:
        assert source.path is not None
        return source.path.open(encoding="utf-8-sig", newline="")
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _records(source: Source, separator: str, skip: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Line on which each record starts, counted from 1, and its cells; no blank lines.

    Raises:
        InputError: an unclosed quote, text after a closing quote, or a field over 64 KiB.
    """
    with _text(source) as text:
        for _ in range(skip):
            text.readline()
        records = csv.reader(text, delimiter=separator, strict=True)
        start = skip + 1
        try:
            for cells in records:
                if any(len(cell) > LONGEST_FIELD for cell in cells):
                    raise csv.Error("field larger than field limit")
                if any(cell.strip() for cell in cells) or len(cells) > 1:
                    yield start, cells
                start = skip + records.line_num + 1
        except csv.Error as error:
            raise InputError(*_torn(source, start, str(error))) from None
        except UnicodeDecodeError:
            raise InputError(f"{source.name} is not UTF-8", "convert it with iconv") from None


def _torn(source: Source, line: int, error: str) -> tuple[str, str]:
    place = f"{source.name}, line {line}"
    if "limit" in error:
        hint = "look for a quote that is opened and not closed"
        return f"{place} holds a field longer than 64 KiB", hint
    if "unexpected end" in error:
        return f"{place} opens a double quote that is never closed", 'close it, or write "" for "'
    return f"{place} has text after a closing double quote", 'write "" for a quote inside a cell'


def _header(source: Source) -> _Header:
    """The first line that is not blank.

    Raises:
        InputError: there is none, or it is no header.
    """
    separator, skip, notes = _separator(source)
    records = _records(source, separator, skip)
    line, cells = next(records, (0, []))
    if not cells:
        raise InputError(f"{source.name} holds only blank lines", "give a table with a header")
    names = tuple(cell.strip() for cell in cells)
    _refuse_names(source.name, line, names)
    _refuse_title(source, line, names)
    spaced = [shown(raw) for raw, name in zip(cells, names, strict=True) if raw != name]
    if spaced:
        notes += (SPACED_HEADER.note(f"spaces round column names were taken off: {spaced[:5]}"),)
    if "" in names:
        places = [i for i, name in enumerate(names, start=1) if not name]
        notes += (NAMELESS_COLUMN.note(f"column {places[0]} has no name and is not read"),)
    inside = sum(cell.count("\n") or cell.count("\r") for cell in cells)
    return _Header(names, separator, line + inside, notes)


def _refuse_names(source: str, line: int, names: tuple[str, ...]) -> None:
    place = f"{source}, line {line}"
    if names[0].startswith("#"):
        hint = "take the # off the header, or take comment lines out: grep -v '^#' FILE > CLEAN.csv"
        raise InputError(f"{place} begins with '#', a comment", hint)
    if len(names) > MOST_COLUMNS:
        raise InputError(f"{place} has {len(names)} columns, over {MOST_COLUMNS}", "drop some")
    if any(len(name) > LONGEST_NAME for name in names):
        raise InputError(f"{place} holds a column name over {LONGEST_NAME} letters", "shorten it")
    named = [name for name in names if name]
    if not named:
        raise InputError(f"{place} holds no column name", "give a header as first line")
    numeric = sum(_harmless(name, ()) for name in named)
    if 2 * numeric >= len(named):
        raise InputError(
            f"{place} should be the header but holds numbers, such as '{shown(named[-1])}'",
            "put a line with column names first, such as N,D,L",
        )
    name, count = Counter(named).most_common(1)[0]
    if count > 1:
        raise InputError(f"{place}: {count} columns are called {shown(name)!r}", "rename them")


def _refuse_title(source: Source, line: int, names: tuple[str, ...]) -> None:
    """Refuse a first line that is no header: a title, a Markdown table, or words between spaces.

    Raises:
        InputError: it is one; the hint says how to make a table of the file.
    """
    place = f"{source.name}, line {line}"
    ends_empty = len(names) > 2 and not (names[0] or names[-1])
    if ends_empty and any("|" in text for text in _lines_of(source, line, 1)):
        raise InputError(f"{source.name} is a table in Markdown", "write it as CSV")
    if any(names[1:]) or len(names) == 2:
        return
    for at, text in enumerate(_lines_of(source, line + 1), start=line + 1):
        width = max(text.count(sign) for sign in _WORDS) + 1
        if len(names) == 1 and width == 1 and len(text.split()) == len(names[0].split()) > 1:
            hint = "separate them by commas: tr -s ' ' , < FILE > CLEAN.csv"
            raise InputError(f"{place}: cells seem to be separated by spaces", hint)
        if width > max(2, len(names) - 1) and any(map(str.isalpha, text)):
            raise InputError(
                f"{place} should be the header but is a single cell",
                f"take the lines above the header out: tail -n +{at} FILE > CLEAN.csv",
            )


def _lines_of(source: Source, first: int, most: int = 5) -> list[str]:
    """Some lines of the head, from line `first` on."""
    text = source.head().decode("utf-8-sig", "replace")
    return re.split(r"\r\n|\n|\r", text)[first - 1 :][:most]


def _separator(source: Source) -> tuple[str, int, tuple[Note, ...]]:
    """The sign between cells, judged by the header alone, and lines that stand above it.

    Raises:
        InputError: two signs would both split it.
    """
    if source.suffix in (".tsv", ".tab"):
        return "\t", 0, ()
    if stated := re.match(_SEP_LINE, source.head()):
        sign = stated[1].decode()
        told = f"cells are separated by {_WORDS[sign]}, as line 1 says"
        return sign, 1, (SEPARATOR_GUESSED.note(told),)
    counts = {sign: _width(source, sign) for sign in _WORDS}
    split = [sign for sign, width in counts.items() if width > 1]
    if len(split) > 1 and max(counts, key=counts.__getitem__) != ",":
        what = " and ".join(_WORDS[sign] for sign in split)
        raise InputError(
            f"{source.name}, line 1: the header holds {what}, so the separator is not clear",
            "separate the cells by commas, and quote cells that hold one",
        )
    if not split or "," in split:
        return ",", 0, ()
    seen = f"cells are separated by {_WORDS[split[0]]}, as in the header"
    return split[0], 0, (SEPARATOR_GUESSED.note(seen),)


def _width(source: Source, separator: str) -> int:
    try:
        return len(next(_records(source, separator), (0, []))[1])
    except InputError:
        # The reading proper raises it again, with the separator that is chosen.
        return 0
