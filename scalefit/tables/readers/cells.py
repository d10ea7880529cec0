"""One cell of text to one number, or the reason why it is none."""

from __future__ import annotations

import math
import re
from collections.abc import Container

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import LONGEST_CELL, human, parse_human, parse_plain, shown
from scalefit.tables.doubts import HUMAN_NUMBERS

_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_HUMAN = rf"(?a:({_PLAIN.pattern})\s*[kKMBGT])"
_SUFFIXES = ("k", "K", "M", "B", "G", "T")
_NAN = re.compile(r"[+-]?nan", re.IGNORECASE | re.ASCII)
_SPACES = " \t\r\n\f\v"
_SMALLEST_NORMAL = 2.2250738585072014e-308

# What people write instead of a number, and what to write instead of that. First match wins.
_HINTS = (
    (r"(?i:[+-]?inf(inity)?)", "a run that diverged has no loss: leave the cell blank"),
    (r"(?i:na|n/a|#n/a|null|none|nil|-+|\?|\.|missing)", "leave the cell blank or say --na {}"),
    (r"[+-]?\d{1,3}([,'’ \u00a0\u2009\u202f]\d{3})+(\.\d*)?", "leave out the thousands marks"),
    (r"#[A-Z/0]+[!?]?", "an error of the spreadsheet: mend it there, or leave the cell blank"),
    (r"[+-]?\d+,\d+([eE].*)?", "write the decimal point as '.'"),
    (r"[+-]?\d+(_\d+)+.*", "leave out the underscores"),
    (r"0[xX][0-9a-fA-F]+", "write it in decimal"),
    (r"[+-]?[\d.]+[dD][+-]?\d+", "write the exponent with e"),
    (r"[$€£¥].*|.*[$€£¥]", "leave out the currency sign"),
    (r".*%", "write the fraction, such as 0.25 for 25 %"),
    (r"\d{4}-\d\d?-\d\d?.*|\d\d?[/.]\d\d?[/.]\d{2,4}.*", "dates are not numbers"),
    (
        r"(?i:\d\d?[-. ]*(jan|feb|mar|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*.*)",
        "a spreadsheet took the number for a date: format the column as numbers and mend it",
    ),
    (r"(?i:true|false|yes|no)", "truth values are not numbers; map another column with --col"),
    (r"[+-]?[\d.]+\s*[mbgt]", "size suffixes are capitals: K, M, B and T"),
    (r"(?i:[+-]?[\d.]+(e[+-]?\d+)?\s*[a-z/ ]+)", "leave out the unit and write the number alone"),
    (r".*\d[ij]\)?", "complex numbers are not numbers here"),
)


def number(text: str, na: Container[str] = ()) -> float:
    """The number a cell spells; NaN for a blank, `nan` or a word of `na`.

    Plain decimals are correctly rounded; `7B`, `70M`, `0.1T` and the like are taken too.

    >>> number(" 2.8 "), number("7B"), number("")
    (2.8, 7000000000.0, nan)

    Raises:
        InputError: anything else, with a hint what to write.
    """
    stripped = text.strip()
    if not stripped or stripped in na or _NAN.fullmatch(stripped):
        return math.nan
    if len(stripped) > LONGEST_CELL:
        raise InputError(
            f"{shown(stripped, 20)!r} has {len(stripped)} letters, more than {LONGEST_CELL}",
            "write the number with at most 17 digits",
        )
    if stripped != text.strip(_SPACES):
        # Control characters and odd spaces count as blank to Python, and to few other programs.
        raise InputError(
            f"'{shown(text)}' is not a number", "take the odd space or control character out"
        )
    if is_human(stripped):
        return parse_human(stripped)
    try:
        return parse_plain(stripped)
    except InputError as error:
        wrong = str(error).replace(shown(stripped), f"'{shown(stripped)}'", 1)
        raise InputError(wrong, _hint(stripped)) from None


def is_human(text: str) -> bool:
    """Whether `text` is a number with a size suffix: `7B`, but not `7` or `7 apples`."""
    return text.rstrip().endswith(_SUFFIXES) and bool(re.fullmatch(_HUMAN, text.strip()))


def is_subnormal(value: float) -> bool:
    """Whether a double holds `value` with fewer digits than usual."""
    return 0 < abs(value) < _SMALLEST_NORMAL


def human_note(column: str, example: str, value: float, count: int) -> Note:
    """The note that numbers with suffixes were read, with one example."""
    return HUMAN_NUMBERS.note(
        f"column {shown(column)!r}: a size suffix in {count} cell{'s' if count > 1 else ''},"
        f" such as '{shown(example)}', read as {value:.17g} ({human(value)})"
    )


def _hint(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return "express the column in another unit"
    if any(c.isdigit() and not c.isascii() for c in text):
        return "write the digits 0 to 9 of ASCII"
    for pattern, hint in _HINTS:
        if re.fullmatch(pattern, text):
            return hint.format(f"'{shown(text)}'")
    return f"write a number, or say --na '{shown(text, 40)}' if it stands for a missing one"
