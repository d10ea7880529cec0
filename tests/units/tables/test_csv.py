import gzip
import random

import numpy as np
import pytest

from scalefit.core.errors import InputError
from scalefit.tables import read
from scalefit.tables.arrays import floats

HEADER = "run,params,tokens,loss\n"
ROWS = "".join(f"r{i},{i}e6,{2 * i}e9,{4 - i / 10}\n" for i in range(1, 16))
GOOD = HEADER + ROWS


@pytest.fixture
def file(tmp_path):
    def write(content, name="runs.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def with_cell(cell):
    """The cell stands in line 17, row 16, column loss."""
    return GOOD + f"odd,1e7,3e9,{cell}\nlast,2e7,4e9,2.4\n"


ACCEPTED = {
    "a mark at the start": b"\xef\xbb\xbf" + GOOD.encode(),
    "CRLF": GOOD.replace("\n", "\r\n"),
    "CR alone": GOOD.replace("\n", "\r"),
    "mixed line ends": HEADER + ROWS.replace("\n", "\r\n", 4),
    "no line end at the end": GOOD[:-1],
    "blank lines": "\n" + HEADER + "\n" + ROWS.replace("\n", "\n\n", 3) + "   \n\n",
    "quoted commas": GOOD.replace("r3", '"r,3"'),
    "doubled quotes": GOOD.replace("r3", '"r""3"'),
    "quoted line ends": GOOD.replace("r3", '"r\n3"'),
    "spaces round numbers": GOOD.replace(",3e6", ", 3e6 "),
    "a plus sign": GOOD.replace(",3e6", ",+3e6"),
    "a bare point": GOOD.replace(",3e6", ",.3e7"),
    "more than sixty-four bits": GOOD.replace(
        ",3e6", ",3000000.0000000000000000000000000000000000"
    ),
}


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_harmless_shapes_change_nothing(file, content):
    runs = read(file(content))
    np.testing.assert_array_equal(floats(runs.table.column("N")), np.arange(1, 16) * 1e6)
    assert runs.rows_read == 15
    assert not runs.notes


def test_a_tsv_is_split_at_tabs(file):
    assert read(file(GOOD.replace(",", "\t"), "runs.tsv")).rows == 15


@pytest.mark.parametrize("sign", [";", "\t"])
def test_another_separator_in_a_csv_is_taken_and_told(file, sign):
    runs = read(file(GOOD.replace(",", sign)))
    assert runs.rows == 15
    assert [note.code for note in runs.notes] == ["separator-guessed"]


def test_spaces_round_names_are_told(file):
    runs = read(file(GOOD.replace(",params,", " , params ,")))
    assert runs.columns["N"] == "params"
    assert [note.code for note in runs.notes] == ["spaced-header"]


def test_a_nameless_column_is_told(file):
    runs = read(file(GOOD.replace("\n", ",\n")))
    assert [note.code for note in runs.notes] == ["nameless-column"]
    assert runs.rows == 15


BAD_SHAPES = {
    "short row": (GOOD + "odd,1e7\n", "line 17 has 2 cells, the header has 4"),
    "long row": (GOOD + "odd,1,2,3,\n", "line 17 has 5 cells, the header has 4"),
    "unclosed quote": (GOOD + '"odd,1e7,3e9,2\n' + ROWS, "line 17 opens a double quote"),
    "unclosed quote at the end": ('N,L,run\n1,3,a\n2,2,"b', "line 3 opens a double quote"),
    "two unclosed quotes": (HEADER + '"o,1,2,3\n' + ROWS + '"p,1,2,3\n' + ROWS, "line 2 "),
    "decimal commas": ("N;D;L\n1e6;2e7;3,21\n", "line 2 (row 1), column 'L': '3,21'"),
    "mixed separators": ("N;D;L,a\n1;2;3,4\n", "commas and semicolons"),
    "header only": (HEADER, "header and no rows"),
    "nothing": ("", "is empty"),
    "blank lines only": ("\n\r\n\n", "only blank lines"),
    "no header": (ROWS, "line 1 should be the header"),
    "column twice": ("N,D,N,L\n1,2,3,4\n", "line 1: 2 columns are called 'N'"),
    "UTF-16 with mark": (GOOD.encode("utf-16"), "UTF-16"),
    "UTF-16 without mark": (GOOD.encode("utf-16-le"), "UTF-16"),
    "Latin-1": (
        GOOD.encode() + b"caf\xe9,1,2,3\n",
        "line 17 holds a byte that is not UTF-8 (0xe9)",
    ),
    "NUL": (GOOD.encode() + b"a\0b,1,2,3\n", "line 17 holds a NUL byte"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
    "PDF": (b"%PDF-1.7\n", "PDF"),
    "ELF": (b"\x7fELF\2\1\1\0", "ELF"),
    "gzip": (gzip.compress(GOOD.encode()), "gzip"),
    "zip": (b"PK\x03\x04\0\0", "zip"),
    "JSON lines": ('{"N": 1}\n{"N": 2}\n', "JSON"),
    "comment first": ("# made by hand\n" + GOOD, "line 1 begins with '#'"),
    "comment later": (GOOD + "# and more\n" + ROWS, "line 17 is a comment"),
    "comment with cells": (GOOD + "# a,b,c,d\n", "line 17 is a comment"),
    "long field": (GOOD + "x" * 70_000 + ",1,2,3\n", "line 17 holds a field longer than 64 KiB"),
    "long quoted field": (GOOD + f'"{"x" * 9_000_000}",1,2,3\n', "line 17 holds a field longer"),
    "long name": (HEADER[:-1] + "," + "n" * 1025 + "\n", "over 1024 letters"),
}


@pytest.mark.parametrize(("content", "told"), BAD_SHAPES.values(), ids=BAD_SHAPES.keys())
def test_bad_shapes_are_refused_with_their_place(file, content, told):
    with pytest.raises(InputError) as caught:
        read(file(content))
    assert told in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert caught.value.hint


BAD_CELLS = {
    '"1,234,567"': ("1,234,567", "thousands"),
    "1.5e21 FLOPs": ("1.5e21 FLOPs", "unit"),
    "1_000": ("1_000", "underscores"),
    "１２": ("１２", "ASCII"),
    "0x1F": ("0x1F", "decimal"),
    "1.5D+09": ("1.5D+09", "exponent with e"),
    "$5": ("$5", "currency"),
    "25%": ("25%", "fraction"),
    "inf": ("inf", "blank"),
    "-Infinity": ("-Infinity", "blank"),
    "0": ("0", "--where 'loss > 0'"),
    "-3": ("-3", "--where 'loss > 0'"),
    "NA": ("NA", "--na 'NA'"),
    "null": ("null", "--na"),
    "None": ("None", "--na"),
    "-": ("-", "--na"),
    "?": ("?", "--na"),
    "#N/A": ("#N/A", "--na"),
    "1e400": ("1e400", "unit"),
    "1e-400": ("1e-400", "unit"),
    "nan(1)": ("nan(1)", "number"),
    "word": ("word", "number"),
    "true": ("true", "truth"),
    "2024-01-31": ("2024-01-31", "dates"),
    "1+2j": ("1+2j", "complex"),
    "7b": ("7b", "capitals"),
    "\x1b[31m9": ("\\x1b[31m9", "number"),
    "9" * 401: ("9999999", "17 digits"),
    "0." + "3" * 400: ("0.33333", "17 digits"),
}


@pytest.mark.parametrize("cell", BAD_CELLS, ids=lambda cell: cell[:14])
def test_bad_cells_are_refused_with_line_row_column_value_and_hint(file, cell):
    shown, hint = BAD_CELLS[cell]
    with pytest.raises(InputError) as caught:
        read(file(with_cell(cell)))
    assert "runs.csv, line 17 (row 16), column 'loss': '" + shown in str(caught.value)
    assert hint in caught.value.hint


def test_a_bad_cell_after_a_quoted_line_end_has_the_right_line(file):
    content = GOOD.replace("r3", '"r\n\n3"') + "odd,1e7,3e9,-1\n"
    with pytest.raises(InputError, match=r"line 19 \(row 16\)"):
        read(file(content))


def test_a_bad_cell_far_down_has_the_right_line(file):
    content = "N,L\n" + "1000000,2.5\n" * 200_000 + "1000000,bad\n"
    with pytest.raises(InputError, match=r"line 200002 \(row 200001\), column 'L': 'bad'"):
        read(file(content))


@pytest.mark.parametrize(
    ("cell", "value"), [("7B", 7e9), ("70M", 70e6), ("0.1T", 1e11), ("1.5K", 1500.0), ("2G", 2e9)]
)
def test_sizes_with_a_suffix_are_read_and_shown(file, cell, value):
    runs = read(file(GOOD + f"odd,{cell},3e9,2\n"))
    assert floats(runs.table.column("N"))[15] == value
    (note,) = runs.notes
    assert note.code == "human-numbers"
    assert cell in note.message
    assert f"{value:.0f}" in note.message


@pytest.mark.parametrize("cell", ["", "  ", "nan", "NaN", "-NAN"])
def test_blank_and_nan_cells_leave_their_row_out_and_say_so(file, cell):
    runs = read(file(with_cell(cell)))
    assert (runs.rows_read, runs.rows) == (17, 16)
    (left,) = runs.excluded
    assert left.row == 16
    assert "'loss'" in left.reason
    assert [note.code for note in runs.notes] == ["missing-cells"]
    assert "row 16" in runs.notes[0].message


def test_a_column_of_blanks_only_is_refused(file):
    with pytest.raises(InputError, match="all 2 cells"):
        read(file("N,L\n1,\n2,nan\n"))


def test_a_subnormal_is_read_and_told(file):
    runs = read(file(with_cell("1e-310")))
    assert floats(runs.table.column("L"))[15] == 1e-310
    assert [note.code for note in runs.notes] == ["subnormal"]


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=str
)
def test_decimals_are_rounded_as_python_rounds_them(file, count):
    draw = random.Random(0)
    texts = [f"{draw.randrange(10**25)}.{draw.randrange(10**20)}e{draw.randint(-300, 270)}"
             for _ in range(count)]  # fmt: skip
    values = floats(read(file("x\n" + "\n".join(texts) + "\n")).table.column("x"))
    assert values.tolist() == [float(text) for text in texts]


def test_zeros_are_told_from_numbers_rounded_to_zero(file):
    fine = read(file("N,L,step\n1,2,0\n2,1,0.0e5\n"))
    np.testing.assert_array_equal(floats(fine.table.column("step")), [0, 0])
    with pytest.raises(InputError, match="'1e-400' is too small"):
        read(file("N,L,s\n1,2,0\n2,1,1e-400\n"), columns={"step": "s"})


def test_a_hundred_thousand_columns_are_read(file):
    names = ",".join(f"c{i}" for i in range(100_000))
    row = ",".join(["1"] * 100_000)
    runs = read(file(f"{names},N,L\n{row},1e6,3\n{row},2e6,2\n"))
    assert runs.rows == 2
