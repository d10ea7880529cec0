"""Numbers as people write them: `7B`, `1.4T`, `3e21`."""

from __future__ import annotations

import math
import re

from scalefit.core.errors import InputError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# K and the rest are decimal here: nobody counts parameters in powers of 1024.
_SUFFIXES = {
    "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12,
    "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24,
}  # fmt: skip
LONGEST_CELL = 400
_MOST_SHARES = 10.0


def parse_plain(text: str) -> float:
    """The decimal number `text` spells, correctly rounded; nothing else is accepted.

    No unit, thousands mark, underscore, hexadecimal, word or infinity passes, and a number too
    large or too small for a double is refused, not rounded to infinity or zero.

    >>> parse_plain(" .27e1 ")
    2.7
    >>> parse_plain("1e400")
    Traceback (most recent call last):
    scalefit.core.errors.InputError: 1e400 is too large for a double

    Raises:
        InputError: `text` is not such a number.
    """
    stripped = text.strip()
    if len(stripped) > LONGEST_CELL or not _NUMBER.fullmatch(stripped):
        raise InputError(f"{shown(text)} is not a number")
    value = float(stripped)
    if math.isinf(value):
        raise InputError(f"{shown(stripped)} is too large for a double")
    mantissa = re.split("[eE]", stripped)[0]
    if value == 0 and any(c in "123456789" for c in mantissa):
        raise InputError(f"{shown(stripped)} is too small for a double")
    return value


def parse_human(text: str) -> float:
    """The number `text` spells, with an optional size suffix and unit FLOP, tokens or params.

    >>> parse_human("7B"), parse_human("1.4T"), parse_human("3ZFLOP"), parse_human("1e22")
    (7000000000.0, 1400000000000.0, 3e+21, 1e+22)

    Raises:
        InputError: `text` is not such a number.
    """
    bare = re.sub(r"(?i)\s*(flops?|tokens?|params?|parameters?)$", "", text.strip())
    if bare and bare[-1] in _SUFFIXES and not bare[-1].isdigit():
        number, factor = bare[:-1], _SUFFIXES[bare[-1]]
        try:
            value = parse_plain(number) * factor
        except InputError:
            raise InputError(f"{shown(text)} is not a number", _WANTED) from None
        if math.isinf(value):
            raise InputError(f"{shown(text)} is too large for a double")
        return value
    try:
        return parse_plain(bare)
    except InputError as error:
        raise InputError(str(error).replace(shown(bare), shown(text)), _WANTED) from None


_WANTED = "write a number such as 7B, 1.4T, 3e21 or 3ZFLOP"


def shown(text: str, longest: int = 80) -> str:
    r"""`text` made safe for one line of a message: control and direction marks as codes, cut.

    >>> shown("7\x1b[31mB")
    '7\\x1b[31mB'
    """
    safe = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"


def human(value: float, digits: int = 3) -> str:
    """`value` as people read it: 73.2B, 1.4T, 0.347; exponents beyond a quadrillion.

    >>> human(73.19e9), human(0.34731), human(5.76e23), human(1234.0)
    ('73.2B', '0.347', '5.76e23', '1,234')
    >>> human(999.99e6), human(9.999e14)
    ('1B', '1e15')
    """
    if not math.isfinite(value):
        return "none" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    # What rounds to a billion is one: 1B, and not 1000M.
    size = float(f"{abs(value):.{digits - 1}e}")
    for suffix, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if factor <= size < 1e15:
            scaled = f"{value / factor:.{digits}g}"
            if "e" not in scaled:
                return scaled + suffix
            return f"{value / factor:.0f}{suffix}"
    if size >= 1e15 or 0 < size < 1e-4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        trimmed = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{trimmed}e{int(exponent)}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def apart(*values: float) -> tuple[str, ...]:
    """`values` as `human` writes them, with as many digits, up to six, as show that they differ.

    >>> apart(1.6943, 1.6938), apart(0.37, 0.61)
    (('1.6943', '1.6938'), ('0.37', '0.61'))
    """
    for digits in range(3, 6):
        words = tuple(human(value, digits) for value in values)
        if len(set(words)) > 1 or len(set(values)) == 1:
            return words
    return tuple(human(value, 6) for value in values)


def per_cent(share: float, sign: str = "") -> str:
    """A share in per cent, in two digits or whole; beyond ten times it is as good as boundless.

    >>> per_cent(0.01234), per_cent(-0.02, "+"), per_cent(2.34), per_cent(1e137)
    ('1.2 %', '-2 %', '234 %', '>1000 %')
    """
    if abs(share) > _MOST_SHARES:
        return f"{'-' if share < 0 else ''}>{100 * _MOST_SHARES:.0f} %"
    form = ".0f" if abs(share) >= 1 else ".2g"
    return f"{100 * share:{sign}{form}} %"


def counted(count: int, thing: str) -> str:
    """How many there are of a thing.

    >>> counted(1, "row"), counted(3, "row")
    ('1 row', '3 rows')
    """
    return f"{count} {thing}{'' if count == 1 else 's'}"


def decades_of(distance: float) -> str:
    """So many decades in two digits.

    >>> decades_of(1.0), decades_of(1.66), decades_of(0.97)
    ('1 decade', '1.7 decades', '0.97 decades')
    """
    count = f"{distance:.2g}"
    return f"{count} decade{'' if count == '1' else 's'}"


def as_precise_as(value: float, se: float, extra: int = 2) -> str:
    """`value` with as many digits as its standard error supports plus `extra`.

    >>> as_precise_as(0.347310123, 0.0152)
    '0.3473'
    """
    if not (math.isfinite(value) and math.isfinite(se) and se > 0):
        return human(value, 5)
    decimals = min(max(extra - math.floor(math.log10(se)), 0), 12)
    if abs(value) >= 1e6:
        digits = max(2, min(17, extra + 1 + math.floor(math.log10(abs(value) / se))))
        return human(value, digits)
    return f"{value:,.{decimals}f}" if abs(value) >= 1000 else f"{value:.{decimals}f}"
