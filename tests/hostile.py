"""Bad and hostile input: writes every file that a reader should survive, with what must come of it.

`python tests/hostile.py FOLDER` writes the files there, to be looked at or given to other programs.

Outcomes: `E` a clean error (exit 2 or 3, at most three lines, nothing written), `W` accepted with a
note or warning, `A` accepted without one about the shape. Numbers are those of the list of 118
cases that the project keeps; some have several files.
"""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import math
import os
import pickle
import random
import shutil
import sqlite3
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tracker_writers import wandb_log


@dataclass(frozen=True)
class Case:
    """One file and what must come of it.

    Attributes:
        number: In the list of 118.
        name: Of the file, which is also the argument; a case of settings has a fixed table.
        outcome: `E`, `W` or `A`; two letters where both will do.
        make: Writes the file; gets its path.
        told: What the message or the notes must hold, in this order.
        arguments: The command, with `{}` for the file.
        slow: Whether it is large.
    """

    number: int
    name: str
    outcome: str
    make: Callable[[Path], None]
    told: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ("check", "{}", "--json")
    slow: bool = False


CASES: list[Case] = []
CANARY = "canary-was-run"
HEADER = "run,N,D,loss"
ROWS = [
    f"r{i},{n:.6g},{d:.6g},{1.7 + 400 * n**-0.34 + 410 * d**-0.28:.5f}"
    for i, (n, d) in enumerate(
        ((n, d) for n in np.geomspace(1e8, 1e10, 6) for d in np.geomspace(1e9, 3e11, 6)), start=1
    )
]
GOOD = "\n".join([HEADER, *ROWS]) + "\n"
N_COLUMN, D_COLUMN, LOSS_COLUMN = 1, 2, 3


def case(number, name, outcome, content, *told, arguments=None, slow=False):
    """Add a case; `content` is bytes, text, or a function that gets the path and writes it."""

    def write(path):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    make = content if callable(content) else write
    extra = {} if arguments is None else {"arguments": tuple(arguments)}
    CASES.append(Case(number, f"{number:03}-{name}", outcome, make, told, slow=slow, **extra))


def with_rows(*rows):
    return GOOD + "".join(row + "\n" for row in rows)


def with_cell(cell, column=LOSS_COLUMN, row=20):
    """The good table with one cell changed; the line of row k is k + 1."""
    rows = [line.split(",") for line in ROWS]
    rows[row - 1][column] = cell
    return "\n".join([HEADER, *(",".join(cells) for cells in rows)]) + "\n"


def as_runs(N, D, loss, **others):
    names = ["N", "D", "loss", *others]
    columns = [N, D, loss, *others.values()]
    rows = zip(*columns, strict=True)
    return ",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def surface(N, D):
    return 1.7 + 400 * np.asarray(N) ** -0.34 + 410 * np.asarray(D) ** -0.28


LINE_21 = ("line 21 (row 20)", "column 'loss'")

# Shape of the file

case(1, "mark.csv", "A", b"\xef\xbb\xbf" + GOOD.encode())
case(2, "crlf.csv", "A", GOOD.replace("\n", "\r\n"))
case(3, "cr.csv", "AE", GOOD.replace("\n", "\r"))
case(4, "mixed-ends.csv", "A", GOOD.replace("\n", "\r\n", 9))
case(5, "no-last-end.csv", "A", GOOD[:-1])
case(6, "blank-lines.csv", "A", "\n\n" + GOOD.replace("\n", "\n\n", 12) + "\n   \n")
case(6, "blank-lines-beyond-the-head.csv", "W", "\n" * 70_000 + GOOD.replace("\n", ",\n"),
     "nameless-column")  # fmt: skip
case(6, "blank-lines-then-empty-names.csv", "E", "\n" * 70_000 + ",N,D,\n,1,2,\n", "role L")
case(7, "empty-last-column.csv", "W", GOOD.replace("\n", ",\n"), "nameless-column")
case(8, "short-row.csv", "E", with_rows("r99,1e8,2e9"), "line 38", "3 cells")
case(
    8, "short-row-middle.csv", "E", with_cell("", 0).replace(",,", ",", 1)[:400] + "\nr,1\n", "line"
)
case(9, "long-row.csv", "E", with_rows("r99,1e8,2e9,3,4"), "line 38", "5 cells")
case(9, "long-empty-row.csv", "E", with_rows("r99,1e8,2e9,3,,"), "line 38")
case(10, "quoted-comma.csv", "A", GOOD.replace("r7,", '"r,7",'))
case(10, "doubled-quote.csv", "A", GOOD.replace("r7,", '"r""7",'))
case(10, "quoted-numbers.csv", "A", GOOD.replace("1e+08", '"1e+08"'))
case(11, "quoted-newline.csv", "A", GOOD.replace("r7,", '"r\n7",'))
case(11, "quoted-newline-then-bad.csv", "E", with_cell("bad").replace("r7,", '"r\n7",'),
     "line 22 (row 20)")  # fmt: skip
case(12, "unclosed-quote.csv", "E", GOOD.replace("r20,", '"r20,'), "line 21", "quote")
case(12, "unclosed-quote-at-end.csv", "E", GOOD + '"r99,1,2,3', "line 38", "quote")
case(12, "two-unclosed.csv", "E", GOOD.replace("r5,", '"r5,').replace("r20,", '"r20,'), "line 6")
case(13, "decimal-commas.csv", "E", "N;D;loss\n1e8;2e9;3,21\n1e9;2e9;2,9\n",
     "line 2", "3,21", "tr ',;'")  # fmt: skip
case(14, "tabs.tsv", "A", GOOD.replace(",", "\t"))
# The list asks for an error; the separator is taken and told instead, which helps more.
case(15, "tabs.csv", "W", GOOD.replace(",", "\t"), "separator-guessed")
case(15, "bars.csv", "W", GOOD.replace(",", "|"), "separator-guessed", "bars")
case(15, "sep-line.csv", "W", "sep=;\r\n" + GOOD.replace(",", ";"), "separator-guessed", "line 1")
case(15, "sep-line-then-bad.csv", "E", "sep=;\r\n" + with_cell("bad").replace(",", ";"),
     "line 22 (row 20)")  # fmt: skip
case(15, "spaces.csv", "E", GOOD.replace(",", " "), "line 1", "spaces", "tr -s")
case(15, "markdown.csv", "E", "| N | D | loss |\n|---|---|---|\n| 1e8 | 1e9 | 3 |\n", "Markdown")
case(16, "header-only.csv", "E", HEADER + "\n", "header and no rows")
case(16, "header-no-end.csv", "E", HEADER, "header and no rows")
case(17, "empty.csv", "E", "", "is empty")
case(18, "newlines.csv", "E", "\n\r\n\n\n", "blank lines")
case(19, "no-header.csv", "E", "\n".join(ROWS) + "\n", "line 1", "header")
case(19, "title.csv", "E", "Runs of 2026,,,\n,,,\n" + GOOD, "line 1", "tail -n +3")
case(19, "bare-title.csv", "E", "Runs of 2026\n\n" + GOOD, "line 1", "tail -n +3")
case(19, "header-again.csv", "E", GOOD + GOOD, "line 38 (row 37)", "header once more")
case(20, "column-twice.csv", "E", "N,D,N,loss\n1e8,1e9,2e8,3\n", "'N'")
case(20, "loss-twice.csv", "E", "N,D,loss,loss\n1e8,1e9,3,3\n", "'loss'")
case(21, "spaced-names.csv", "W", GOOD.replace(HEADER, " run , N ,D, loss"), "spaced-header")
case(22, "other-case.csv", "E", "n,d,LOSS\n1e8,1e9,3\n2e8,1e9,2\n", "--col",
     arguments=("fit", "{}", "--law", "chinchilla"))  # fmt: skip
case(23, "utf16-le.csv", "E", GOOD.encode("utf-16"), "UTF-16", "iconv")
case(23, "utf16-be.csv", "E", b"\xfe\xff" + GOOD.encode("utf-16-be"), "UTF-16")
case(23, "utf32.csv", "E", GOOD.encode("utf-32"), "UTF-16")
case(24, "utf16-bare.csv", "E", GOOD.encode("utf-16-le"), "UTF-16")
case(25, "latin-1.csv", "E", GOOD.encode() + b"caf\xe9,1e8,2e9,3\n", "line 38", "0xe9")
case(25, "cut-letter.csv", "E", GOOD.encode() + b"caf\xc3,1e8,2e9,3\n", "line 38")
case(25, "surrogate.csv", "E", GOOD.encode() + b"\xed\xa0\x80,1e8,2e9,3\n", "line 38")
case(26, "nul.csv", "E", GOOD.encode() + b"a\0b,1e8,2e9,3\n", "line 38", "NUL")
case(26, "nul-in-header.csv", "E", b"N,D,loss,x\0\n1e8,1e9,3,4\n", "line 1", "NUL")
case(27, "picture.csv", "E", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG")
case(27, "jpeg.csv", "E", b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG")
case(27, "document.csv", "E", b"%PDF-1.7\n%\xe2\xe3", "PDF")
case(27, "program.csv", "E", b"\x7fELF\x02\x01\x01\0", "ELF")
case(27, "page.csv", "E", "<!DOCTYPE html><html></html>", "web page")
case(27, "database.csv", "E", b"SQLite format 3\0" + bytes(100), "SQLite")
case(27, "workbook.xlsx", "E", b"PK\x03\x04" + bytes(60), "zip")
case(27, "noise.csv", "E", random.Random(0).randbytes(4096))
case(28, "comment-first.csv", "E", "# made by hand\n" + GOOD, "line 1", "grep")
case(28, "comment-later.csv", "E", GOOD + "# and more\n" + ROWS[0] + "\n", "line 38", "comment")
case(28, "comment-with-cells.csv", "E", GOOD + "# a,b,c,d\n", "line 38", "comment")
case(29, "json-lines.csv", "E", '{"N": 1e8, "loss": 3}\n{"N": 2e8, "loss": 2}\n', "JSON")
case(29, "json-list.csv", "E", '[{"N": 1e8, "loss": 3}]', "JSON")
case(30, "long-field.csv", "E", with_rows("x" * 8 * 2**20 + ",1e8,2e9,3"), "line 38", "64 KiB")
case(30, "long-quoted-field.csv", "E", with_rows('"' + "x" * 8 * 2**20 + '",1e8,2e9,3'), "line 38")
case(30, "long-name.csv", "E", GOOD.replace(HEADER, HEADER + "," + "n" * 1025), "1024")


def many_columns(path):
    names = ",".join(f"c{i}" for i in range(100_000))
    row = ",".join(["1"] * 100_000)
    path.write_text(f"{names},N,loss\n{row},1e8,3\n{row},2e8,2\n")


def many_rows(path):
    with path.open("w") as file:
        file.write("N,D,loss\n")
        two = "123456789.5,2.5e9,3.1415926535897931\n987654321.5,7.5e9,2.7182818284\n"
        for _ in range(100):
            file.write(two * 50_000)


# A hundred thousand columns are read; that two runs are no curve is said of them as of any.
case(31, "many-columns.csv", "W", many_columns, "few-scales", slow=True)
case(32, "many-rows.csv", "W", many_rows, "duplicate-rows", slow=True)
case(33, "late-bad-cell.csv", "E",
     lambda path: path.write_text("N,loss\n" + "1e8,2.5\n" * 150_000 + "1e8,bad\n"),
     "line 150002 (row 150001)", "'bad'")  # fmt: skip

# Packed


def spoiled(data, at, value):
    wrong = bytearray(data)
    wrong[at] ^= value
    return bytes(wrong)


def zipped(names):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return sink.getvalue()


def members(path, pack, piece, times):
    """A header and then one piece many times over, each a member of its own."""
    one = pack(piece)
    with path.open("wb") as file:
        file.write(pack(b"N,loss\n"))
        for _ in range(times):
            file.write(one)


def zstandard(data):
    return pa.Codec("zstd").compress(data, asbytes=True)


PACKED = gzip.compress(GOOD.encode(), mtime=0)
PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard}
for suffix, pack in PACKERS.items():
    whole = pack(GOOD.encode())
    case(34, f"runs.csv{suffix}", "A", whole)
    case(35, f"packed{suffix.replace('.', '-')}.csv", "E", whole, "is packed with")
    case(36, f"cut.csv{suffix}", "E", whole[: len(whole) // 2], "cannot be unpacked")
    case(36, f"cut-a-little.csv{suffix}", "E", whole[:-3], "cannot be unpacked")
    case(38, f"two-members.csv{suffix}", "A",
         pack(GOOD[:300].encode()) + pack(GOOD[300:].encode()))  # fmt: skip
    case(39, f"tail.csv{suffix}", "E", whole + b"and more", "cannot be unpacked")
case(35, "not-packed.csv.gz", "E", GOOD, "is not packed with gzip")
case(37, "wrong-crc.csv.gz", "E", spoiled(PACKED, -5, 1), "CRC")
case(37, "wrong-length.csv.gz", "E", spoiled(PACKED, -1, 1), "cannot be unpacked")
case(37, "wrong-check.csv.bz2", "E", spoiled(bz2.compress(GOOD.encode()), -4, 16), "unpacked")
case(37, "wrong-check.csv.xz", "E", spoiled(lzma.compress(GOOD.encode()), -40, 16), "unpacked")
case(40, "one-field-256-mib.csv.gz", "E", lambda path: path.write_bytes(
    gzip.compress(b"N,loss,x\n1e8,3," + b"x" * 2**28, compresslevel=1)), slow=True)  # fmt: skip
case(40, "one-field-8-gib.csv.gz", "E",
     lambda path: members(path, gzip.compress, b"x" * 2**26, 128), "bomb", slow=True)  # fmt: skip
case(41, "rows-without-end.csv.gz", "E",
     lambda path: members(path, gzip.compress, b"1e8,3\n" * 2**19, 24), "bomb")  # fmt: skip
case(41, "rows-without-end.csv.zst", "E",
     lambda path: members(path, zstandard, b"1e8,3\n" * 2**19, 24), "bomb")  # fmt: skip
case(42, "runs.zip", "E", zipped({"runs.csv": GOOD}), "zip", "unzip")
case(42, "zip.csv", "E", zipped({"runs.csv": GOOD}), "zip")
case(43, "slip.zip", "E", zipped({f"../{CANARY}": GOOD}), "zip")
case(44, "nested.zip", "E", zipped({"a.zip": zipped({"b.csv": GOOD})}), "zip")

# Numbers

for cell, name, told in (
    ('"1,234,567"', "thousands", "1,234,567"), ("1_000", "underscore", "1_000"),
    ("\uff11\uff12", "full-width", "ASCII"), ("\u0663", "arabic", "ASCII"),
    ("0x1F", "hexadecimal", "0x1F"),
    ("1.5D+00", "fortran", "exponent"), ("$5", "dollar", "currency"), ("25%", "percent", "25%"),
    ("inf", "inf", "blank"), ("-Infinity", "infinity", "blank"), ("1e400", "1e400", "too large"),
    ("-1e400", "minus-1e400", "too large"), ("1e-400", "1e-400", "too small"),
    ("word", "word", "'word'"),
    ("true", "truth", "truth"), ("2024-01-31", "date", "dates"), ("31/01/2024", "date-2", "dates"),
    ("1+2j", "complex", "complex"), ("9" * 5000, "5000-digits", "digits"),
    ("1 234 567", "thousands-2", "thousands"), ("1'234'567", "thousands-3", "thousands"),
    ("03.Feb", "date-3", "date"), ("#REF!", "sheet-error", "spreadsheet"),
    ("1.2.3", "two-points", "1.2.3"), ("--3", "two-signs", "--3"), ("3e", "half-exponent", "3e"),
    ("nan(1)", "nan-payload", "nan(1)"), ("\x1b[31m3", "coloured", "\\x1b"),
    ("\u202e3", "reversed", "\\u202e"), ("3\u200b", "zero-width", "\\u200b"),
    ("\u22123", "minus-sign", "number"), ("1e5 tokens", "with-unit", "unit"),
    ("0", "zero-loss", "must be positive"), ("-3", "negative-loss", "must be positive"),
    ("-0.0", "minus-zero", "must be positive"),
):  # fmt: skip
    number = {
        "thousands": 45, "thousands-2": 45, "thousands-3": 45, "date-3": 72,
        "underscore": 49, "full-width": 50, "arabic": 50, "hexadecimal": 51,
        "fortran": 52, "dollar": 53, "percent": 54, "inf": 56, "infinity": 56, "1e400": 66,
        "minus-1e400": 66, "1e-400": 67, "truth": 71, "date": 72, "date-2": 72, "complex": 73,
        "5000-digits": 69, "with-unit": 47, "zero-loss": 58, "negative-loss": 59, "minus-zero": 58,
    }.get(name, 70)  # fmt: skip
    case(number, f"{name}.csv", "E", with_cell(cell), *LINE_21, told)
for word in ("NA", "null", "None", "-", "?", "#N/A", "n/a", ".", "missing", "NULL"):
    slug = f"{word.encode().hex()}.csv"
    case(63, f"word-{slug}", "E", with_cell(word), *LINE_21, "--na")
    case(63, f"named-{slug}", "W", with_cell(word), "missing-cells",
         arguments=("check", "{}", "--json", "--na", word))  # fmt: skip
for text in ("7B", "70M", "0.1T", "1.5K", "2G"):
    case(46, f"size-{text}.csv", "W", with_cell(text, N_COLUMN), "human-numbers", f"'{text}'")
case(46, "lower-case-b.csv", "E", with_cell("7b", N_COLUMN), "line 21", "capitals")
case(47, "flops.csv", "E", GOOD.replace(HEADER, "run,N,C,loss").replace("1e+09", "1.5e21 FLOPs"),
     "line", "column 'C'", "unit")  # fmt: skip
case(48, "two-units.csv", "W", with_cell("0.7", N_COLUMN), "magnitude-gap")
for text in ("NaN", "nan", "-NAN", "", "   "):
    number = 62 if not text.strip() else 55
    case(number, f"missing-{text.encode().hex() or 'empty'}.csv", "W", with_cell(text),
         "missing-cells", "row 20")  # fmt: skip
case(57, "every-loss-nan.csv", "E", "N,D,loss\n" + "1e8,1e9,nan\n2e8,2e9,NaN\n" * 9, "all 18")
case(57, "every-loss-blank.csv", "E", "N,D,loss\n" + "1e8,1e9,\n2e8,2e9,\n" * 9, "all 18")
for column, name in ((N_COLUMN, "N"), (D_COLUMN, "D")):
    case(60, f"zero-{name}.csv", "E", with_cell("0", column), f"column '{name}'", "positive")
    case(61, f"negative-{name}.csv", "E", with_cell("-5", column), f"column '{name}'", "positive")
    case(55, f"nan-{name}.csv", "W", with_cell("nan", column), "missing-cells")
case(64, "many-digits.csv", "A",
     with_cell(f"{float(ROWS[19].split(',')[D_COLUMN]):.0f}." + "0" * 25, D_COLUMN))  # fmt: skip
case(64, "integer-over-64-bits.csv", "W", with_cell("12345678901234567890123", D_COLUMN))
case(65, "2-to-53-plus-1.csv", "W", with_cell("9007199254740993", D_COLUMN))
case(68, "subnormal.csv", "W", with_cell("1e-310"), "subnormal")
SOUND = ROWS[19].split(",")[LOSS_COLUMN]
for text in (f"+{SOUND}", f" {SOUND} ", f".{SOUND.replace('.', '')}e1", f"{SOUND}E0", f"00{SOUND}"):
    case(75, f"plain-{text.encode().hex()}.csv", "A", with_cell(text))

case(74, "forty-decimals.csv", "A", with_cell(SOUND + "0" * 39 + "1"))

# Meaning

NS = np.repeat(np.geomspace(1e8, 1e10, 6), 6)
DS = np.tile(np.geomspace(1e9, 3e11, 6), 6)
NOISE = np.random.default_rng(0).standard_normal(36)
FIT = ("fit", "{}", "--law", "chinchilla", "--json")
case(76, "one-row.csv", "E", "N,D,loss\n1e8,1e9,3\n", "one row", arguments=FIT)
case(77, "four-rows.csv", "E", "\n".join([HEADER, *ROWS[::10]]) + "\n", "4", "5", arguments=FIT)
case(78, "five-rows.csv", "WE", as_runs(NS[::7][:5], DS[::7][:5], surface(NS, DS)[::7][:5]),
     arguments=FIT)  # fmt: skip
case(79, "rows-twice.csv", "W", with_rows(ROWS[3], ROWS[4]), "duplicate-rows", "row")
case(80, "all-rows-equal.csv", "E", "N,D,loss\n" + "1e8,1e9,3\n" * 20, "equal", arguments=FIT)
case(81, "seeds.csv", "A", as_runs(np.tile(NS, 2), np.tile(DS, 2),
     np.concatenate([surface(NS, DS), surface(NS, DS) * (1 + 0.003 * NOISE)]),
     seed=[1] * 36 + [2] * 36))  # fmt: skip
case(82, "one-name-many-sizes.csv", "W", GOOD.replace("r1,", "r36,"), "run-of-many-sizes")
case(83, "constant-size.csv", "E", as_runs([1e8] * 12, np.geomspace(1e9, 1e11, 12),
     surface(1e8, np.geomspace(1e9, 1e11, 12))), "N is", arguments=FIT)  # fmt: skip
case(84, "constant-loss.csv", "W", as_runs(NS, DS, [3] * 36), "loss-constant")
case(85, "tied.csv", "W", as_runs(NS[::6], 20 * NS[::6], surface(NS[::6], 20 * NS[::6])),
     "size-tied-to-data")  # fmt: skip
LOUD = surface(NS, DS) * (1 + 0.003 * NOISE)
LOUD[16] *= 1.4
case(86, "outlier.csv", "W", as_runs(NS, DS, LOUD), "outlying-loss", "row 17")
case(87, "loss-grows.csv", "W", as_runs(NS, DS, 9 / surface(NS, DS)), "loss-rises")
case(88, "shuffled.csv", "A", "\n".join([HEADER, *random.Random(1).sample(ROWS, len(ROWS))]) + "\n")
case(89, "not-6nd.csv", "W", as_runs(NS, DS, surface(NS, DS), C=9 * NS * DS), "compute-not-6nd")
case(90, "trajectories.csv", "W", as_runs(
    np.repeat([1e8, 1e9, 1e10], 20), np.tile(np.geomspace(1e8, 1e10, 20), 3),
    surface(np.repeat([1e8, 1e9, 1e10], 20), np.tile(np.geomspace(1e8, 1e10, 20), 3)),
    run=[f"r{i // 20}" for i in range(60)]), "checkpoints")  # fmt: skip
for name, weights in (
    ("negative", [-1.0] + [1.0] * 35), ("all-zero", [0.0] * 36), ("missing", ["nan"] + [1.0] * 35),
):  # fmt: skip
    case(91, f"weights-{name}.csv", "E", as_runs(NS, DS, surface(NS, DS), weight=weights),
         "weight", arguments=FIT)  # fmt: skip
case(92, "no-signal.csv", "W", as_runs(NS, DS, 3 + 0.1 * NOISE), "no-signal")
case(93, "no-noise.csv", "A", as_runs(NS, DS, surface(NS, DS)), '"status":"converged"',
     arguments=FIT)  # fmt: skip

# Names

NAMES = {
    94: ("=1+1", "=cmd|' /C calc'!A0", "+SUM(A1)", "@x", "-1.5"),
    95: ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "&lt;b&gt;"),
    96: ("$\\\\input{/etc/passwd}$", "[a](javascript:alert(1))", "![](http://a.b/c)", "`x`|y|"),
    97: ("\x1b[31mred", "\x1b]0;title\x07", "\x07bell", "\x9b31m"),
    98: ("[/]", "[bold]x", "[link=http://a.b]y[/link]"),
    99: ("\u202eabc", "a\u200bb", "\ufeffrun", "\u2066x"),
    100: ("../../etc/passwd", "a/b", "; rm -rf /", "$(touch x)", "n" * 300, "CON"),
}
for number, names in NAMES.items():
    for k, name in enumerate(names, start=1):
        quoted = '"' + name.replace('"', '""') + '"'
        case(number, f"run-name-{k}.csv", "A", GOOD.replace("r7,", quoted + ","))
        case(
            number,
            f"group-name-{k}.csv",
            "A",
            "group," + GOOD.replace("\n", f"\n{quoted},")[: -len(quoted) - 1],
        )
for k, name in enumerate(
    ("__import__('os')", "loss; drop table", "<b>x</b>", "\x1b[2J", "a\u202eb", "=1", "N_ ", "{0}"),
    start=1,
):
    quoted = '"' + name + '"'
    rows = "".join(f"{row},1\n" for row in ROWS)
    case(101, f"column-name-{k}.csv", "AW", f"{HEADER},{quoted}\n{rows}")


def many_groups(path):
    sizes = np.geomspace(1e8, 1e10, 12_000)
    path.write_text(as_runs(sizes, 30 * sizes[::-1], surface(sizes, 30 * sizes[::-1]),
                            group=[f"g{i}" for i in range(12_000)]))  # fmt: skip


case(102, "many-groups.csv", "AW", many_groups)

# Law text and settings: texts go where text is parsed, into --where and the config

ATTACKS = {
    103: (
        f"__import__('os').system('touch {CANARY}')", "().__class__.__bases__[0].__subclasses__()",
        "(lambda: 1)() == 1", "[x for x in (1,)] == N", "f'{N}' == '1'", "open('/etc/passwd')",
        "getattr(N, 'x')", "N.__class__ == 1", "np.load('x') == N", "exec('1')", "N if D else loss",
        "(N := 3) == 3", "N[0] == 1", "{1: 2} == N", "lambda: N", "yield N", "await N",
    ),
    104: ("9**9**9**9 > N", "'x'*10**9 == N", "range(10**12) == N", "N == 1e999"),
    105: (
        "(" * 5000 + "N" + ")" * 5000 + " > 1", "N > 1 or " * 40_000 + "N > 1", "not " * 900 + "N",
    ),
    106: ("M > 3", "(N > 1", "> 3", "N >", "\u039d > 1", "N = 3", "", "N > 'a"),
}  # fmt: skip
for number, texts in ATTACKS.items():
    for k, text in enumerate(texts, start=1):
        # A command line holds no text so long; the config does, up to its own limit.
        body = f"[runs]\npath = 'table.csv'\nwhere = {json.dumps(text)}\n"
        outcome = "A" if not text else "E"
        case(number, f"where-{k}.toml", outcome, body, arguments=("check", "--config", "{}"))
SETTINGS = {
    "yaml-tag": (107, "!!python/object/apply:os.system ['touch x']\n"),
    "yaml": (107, "seed: 1\nruns:\n  path: table.csv\n"),
    "yaml-aliases": (108, "a: &a [1]\nb: [*a, *a]\n"),
    "depth": (109, "x = " + "[" * 6000 + "]" * 6000 + "\n"),
    "dotted": (109, "a" + ".a" * 16_000 + " = 1\n"),
    "large": (109, "# " + "x" * 70_000 + "\n"),
    "misspelt": (110, "[fit]\nobjektive = 'mse'\n"),
    "misspelt-section": (110, "[uncertanty]\nlevel = .9\n"),
    "wrong-type": (111, "seed = 'one'\n"),
    "nan": (111, "[uncertainty]\nlevel = nan\n"),
    "negative-draws": (111, "[uncertainty]\nname = 'bootstrap'\ndraws = -5\n"),
    "too-many-draws": (111, "[uncertainty]\nname = 'bootstrap'\ndraws = 1000000000000\n"),
    "bad-level": (111, "[uncertainty]\nlevel = 1.5\n"),
    "key-twice": (112, "seed = 1\nseed = 2\n"),
    "not-utf-8": (112, b"seed = 1 # \xff\n"),
    "bounds-swapped": (114, "[fit]\nlaws = ['chinchilla']\nbound = { alpha = [0.9, 0.1] }\n"),
}  # fmt: skip
for name, (number, body) in SETTINGS.items():
    command = ("fit", "table.csv", "--config", "{}")
    case(number, f"{name}.toml", "E", body, arguments=command)
for k, count in enumerate(("-5", "0", "1000000000000"), start=1):
    case(111, f"draws-{k}.csv", "E", GOOD, "draws", arguments=(*FIT, "--draws", count))
for k, address in enumerate(
    ("http://a.b/c.csv", "https://a.b/c.csv", "s3://a/b.csv", "file:///etc/passwd", "gs://a/b",
     "hf://datasets/a/b", "\\\\\\\\host\\\\share\\\\c.csv", "ftp://a.b/c"), start=1,
):  # fmt: skip
    body = f'[runs]\npath = "{address}"\n'
    case(113, f"address-{k}.toml", "E", body, arguments=("check", "--config", "{}"))
case(112, "key-twice.jsonl", "E", '{"N": 1, "N": 2, "loss": 3}\n', "line 1", "'N' twice")
case(112, "infinity.jsonl", "E", '{"N": 1e8, "loss": Infinity}\n{"N": 2, "loss": 2}\n', "line 1")

# Arrow, saved fits, paths

TABLE = pa.table({"N": NS, "D": DS, "loss": surface(NS, DS), "run": [f"r{i}" for i in range(36)]})


def parquet_bytes(table, **settings):
    sink = io.BytesIO()
    pq.write_table(table, sink, **settings)
    return sink.getvalue()


def arrow_bytes(table, **settings):
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, **settings) as writer:
        writer.write_table(table)
    return sink.getvalue()


def bad_offsets():
    data = arrow_bytes(pa.table({"run": ["a", "b"], "N": [1.0, 2.0], "loss": [3.0, 2.0]}))
    good, bad = (struct.pack("<3i", 0, 1, end) for end in (2, 999_999_999))
    assert data.count(good) == 1
    return data.replace(good, bad)


def pickled_type(write):
    facts = {"ARROW:extension:name": "arrow.py_extension_type",
             "ARROW:extension:metadata": evil_pickle().decode("latin-1")}  # fmt: skip
    first = TABLE.schema.field(0).with_metadata(facts)
    return write(TABLE.cast(pa.schema([first, *list(TABLE.schema)[1:]])))


class Evil:
    """Touches the canary when it is unpickled."""

    def __reduce__(self):
        return (exec, (f"open({CANARY!r}, 'w').close()",))


def evil_pickle(protocol=4):
    return pickle.dumps(Evil(), protocol)


for kind, data in (("parquet", parquet_bytes(TABLE)), ("arrow", arrow_bytes(TABLE))):
    case(115, f"sound.{kind}", "A", data)
    for k, share in enumerate((0.1, 0.5, 0.9, 0.999), start=1):
        case(115, f"cut-{k}.{kind}", "E", data[: int(share * len(data))], "cannot be read")
    case(115, f"noise.{kind}", "E", data[:8] + random.Random(2).randbytes(3000) + data[-8:])
    case(115, f"magic-only.{kind}", "E", data[:8])
    case(115, f"empty.{kind}", "E", b"", "is empty")
    case(115, f"text.{kind}", "E", GOOD, "cannot be read")
    write = parquet_bytes if kind == "parquet" else arrow_bytes
    case(115, f"pickled-type.{kind}", "E", pickled_type(write), "not Arrow's own")
    case(
        115, f"list.{kind}", "E", write(pa.table({"N": [[1.0], [2.0]], "loss": [3.0, 2.0]})), "list"
    )
    case(115, f"name-twice.{kind}", "E",
         write(pa.table([[1.0, 2.0], [3.0, 2.0]], names=["N", "N"])), "two columns")  # fmt: skip
    case(115, f"infinite.{kind}", "E",
         write(pa.table({"N": [1.0, math.inf], "loss": [3.0, 2.0]})), "row 2")  # fmt: skip
    case(115, f"no-rows.{kind}", "E", write(TABLE.slice(0, 0)), "no rows")
    case(115, f"truth.{kind}", "E", write(pa.table({"N": [True, False], "loss": [3.0, 2.0]})))
case(115, "bad-offsets.arrow", "E", bad_offsets(), "cannot be read")
LONG_FOOTER = parquet_bytes(TABLE)[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"
case(115, "footer-of-2-gib.parquet", "E", LONG_FOOTER, "cannot be read")
ONES = {"N": pa.repeat(1.0, 10**7), "loss": pa.repeat(1.0, 10**7)}
case(115, "bomb.parquet", "E", lambda path: pq.write_table(pa.table(ONES), path), "bomb")
case(115, "bomb.arrow", "E", lambda path: path.write_bytes(arrow_bytes(
    pa.table({"N": np.ones(10**7), "loss": np.ones(10**7)}),
    options=pa.ipc.IpcWriteOptions(compression="zstd"))), "bomb")  # fmt: skip
case(115, "feather-1.feather", "E", b"FEA1" + bytes(64), "version 1")
for protocol in (2, 4, 5):
    case(116, f"pickle-{protocol}.csv", "E", evil_pickle(protocol))
case(116, "pickle.pkl", "E", evil_pickle(), "pickle")
case(116, "pickle.json", "E", evil_pickle())
case(116, "dill.json", "E", json.dumps({"__class__": "dill", "value": evil_pickle().hex()}))
case(
    116, "object.npy", "E", b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O'}" + evil_pickle(), "numpy"
)
case(116, "torch.pt", "E", zipped({"archive/data.pkl": evil_pickle()}), "zip")
case(116, "record-of-2-to-60.csv", "E", struct.pack("<Q", 2**60) + b"\0" * 64)
SAVED = {
    "from-the-future": {"schema": "scalefit.fit/99", "fits": []},
    "without-version": {"fits": [{"law": "chinchilla"}]},
    "text-for-a-number": {
        "fits": [{"law": "chinchilla", "theta": ["x"]}], "schema": "scalefit.fit/1"
    },
    "law-of-dots": {"fits": [{"law": "../.."}], "schema": "scalefit.fit/1", "runs": {}},
    "empty": {},
}  # fmt: skip
for name, document in SAVED.items():
    command = ("predict", "{}", "--at", "N=1e9,D=1e10")
    case(116, f"saved-{name}.json", "E", json.dumps(document), arguments=command)
case(116, "saved-nan.json", "E", '{"fits": [{"law": NaN}], "schema": "scalefit.fit/1"}',
     arguments=("predict", "{}", "--at", "N=1e9,D=1e10"))  # fmt: skip

# Databases and logs that another program writes and goes on writing: they are left as they are.

REGISTRY = Path(__file__).parent / "fixtures" / "trackers" / "mlflow-database" / "mlflow.db"


def registry(*statements):
    """Writes a tracker's database after a change that the tracker never made."""

    def write(path):
        shutil.copyfile(REGISTRY, path)
        with contextlib.closing(sqlite3.connect(path)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    return write


def scribbled(data, seed):
    """Bytes with noise in every page but the first."""
    noise, page = random.Random(seed), int.from_bytes(data[16:18], "big")
    pages = [data[at : at + page] for at in range(page, len(data), page)]
    return data[:page] + b"".join(noise.randbytes(40) + one[40:] for one in pages)


TRACKED = ("check", "{}", "--json", "--last", "--col", "L=val/loss")
SOUND_DATABASE = REGISTRY.read_bytes()
case(117, "sound.db", "AW", SOUND_DATABASE, arguments=TRACKED)
for k, share in enumerate((0.3, 0.6, 0.9), start=1):
    case(117, f"cut-{k}.db", "E", SOUND_DATABASE[: int(share * len(SOUND_DATABASE))], "SQLite",
         arguments=TRACKED)  # fmt: skip
case(117, "scribbled.db", "E", scribbled(SOUND_DATABASE, 3), "SQLite", arguments=TRACKED)
case(117, "from-the-future.db", "E", registry("ALTER TABLE metrics RENAME COLUMN value TO v2"),
     "has no column 'value'", arguments=TRACKED)  # fmt: skip
case(117, "of-another-program.db", "E", lambda path: other_database(path), "SQLite database")
case(117, "with-a-trigger.db", "AW", registry(
    "CREATE TRIGGER t AFTER INSERT ON metrics BEGIN DELETE FROM metrics; END",
    f"CREATE VIEW v AS SELECT writefile('{CANARY}', 'x')"), arguments=TRACKED)  # fmt: skip
case(117, "a-view-for-a-table.db", "E", registry(
    "ALTER TABLE metrics RENAME TO m", "CREATE VIEW metrics AS SELECT * FROM m"),
    "SQLite", arguments=TRACKED)  # fmt: skip
WRITTEN = wandb_log(
    "a", {"n_params": 1e8},
    [{"_step": k, "val/loss": 3 + 1 / (k + 1), "tokens": 1e9 * (k + 1)} for k in range(20)],
)  # fmt: skip
case(117, "torn-tail.wandb", "W", WRITTEN[:-9], "log-damaged")


def other_database(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmarks (address TEXT)")
        database.commit()


case(118, "folder", "E", lambda path: path.mkdir(), "is a folder")
case(118, "pipe", "E", os.mkfifo, "not a regular file")
case(118, "loop", "E", lambda path: path.symlink_to(path), "cannot be opened")
case(118, "link-to-zero", "E", lambda path: path.symlink_to("/dev/zero"), "not a regular file")
case(118, "missing.csv", "E", lambda path: None, "there is no file")
for k, name in enumerate(
    ("\u00f6 b", "-dash", "new\nline", "quo'te", "semi;colon", "(br)"), start=1
):
    CASES.append(Case(118, f"{name}-{k}.csv", "A", lambda path: path.write_text(GOOD) and None, (),
                      ("check", "{}", "--json")))  # fmt: skip


def write_all(folder, *, slow=False):
    """Write every file into a folder with the table that settings refer to; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.csv").write_text(GOOD)
    made = [one for one in CASES if slow or not one.slow]
    for one in made:
        one.make(folder / one.name)
    return made


if __name__ == "__main__":
    made = write_all(Path(sys.argv[1]), slow=True)
    sys.stdout.write(f"{len(made)} files of {len({one.number for one in made})} cases\n")
