"""What a column's name says of its unit: `params (M)`, `tokens_B`, `train_zflops`, `loss_bits`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.records import dataclass


@dataclass(frozen=True, eq=False)
class LossUnit:
    """A unit in which losses are reported.

    Attributes:
        name: Of the values once they are read.
        turn: From the column to that unit.
        scale: What a small error of the column is multiplied by, given the column.
        words: What is said of it; empty where nothing needs saying.
    """

    name: str
    turn: Callable[[Array], Array]
    scale: Callable[[Array], Array | float]
    words: str = ""


_NATS = "nats per token"
NATS = LossUnit(_NATS, lambda loss: loss, lambda _: 1.0)
BITS = LossUnit(
    _NATS,
    lambda loss: loss * math.log(2),
    lambda _: math.log(2),
    "is in bits per token; it is multiplied by ln 2 to give nats",
)
PERPLEXITY = LossUnit(
    _NATS,
    np.log,
    # The error of a logarithm is the relative error of what it is taken of.
    lambda loss: 1 / loss,
    "is a perplexity; its logarithm is used as loss in nats",
)
PER_BYTE = LossUnit(
    "bits per byte", NATS.turn, NATS.scale, "is kept in bits per byte, not nats per token"
)
PER_LETTER = LossUnit(
    "bits per character", NATS.turn, NATS.scale, "is kept in bits per character, not nats per token"
)
KEPT = (PER_BYTE, PER_LETTER)
# Pieces of a name that say the unit of a loss; the first that fits counts.
_LOSS_UNITS: tuple[tuple[str, LossUnit], ...] = (
    (r"log_(ppl|perplexity)|nats?(_per_token|_token)?", NATS),
    (r"bpb|bits_(per_)?byte", PER_BYTE),
    (r"bpc|bits_(per_)?char(acter)?", PER_LETTER),
    (r"bits?(_per_token|_token)?", BITS),
    (r"ppl|perplexity", PERPLEXITY),
)
_PIECES = ("nat", "bit", "bpb", "bpc", "ppl", "perplexity")  # one of them stands in each of those
_SCALES: Mapping[str, float] = {
    word: factor
    for words, factor in (
        ("k thousand thousands", 1e3), ("m mn million millions", 1e6),
        ("b bn g billion billions", 1e9), ("t tn trillion trillions", 1e12),
    )
    for word in words.split()
}  # fmt: skip
_FLOP_PREFIXES: Mapping[str, float] = {
    prefix: factor
    for short, long, factor in (
        ("k", "kilo", 1e3), ("m", "mega", 1e6), ("g", "giga", 1e9), ("t", "tera", 1e12),
        ("p", "peta", 1e15), ("e", "exa", 1e18), ("z", "zetta", 1e21), ("y", "yotta", 1e24),
    )
    for prefix in (short, long)
}  # fmt: skip
_FLOP = rf"(?i)(?<![a-z])({'|'.join(_FLOP_PREFIXES)})(flop/?s?|flos)(?![a-z])"
_DAYS = r"(?i)[_\s-]?(pf|petaflops?|petaflop/s)[_\s/-]*s?[_\s-]*days?"
_PF_DAY = 1e15 * 86_400
_TEN = r"(?:x\s*)?(?:1[eE]\+?(\d{1,2})|10\^(\d{1,2})|10\*\*(\d{1,2}))"
_NOUN = r"(?i)\s*(params?|parameters|tokens?|flops?|flos)\s*$"
_INSIDE = r"(.*?)[\s_]*[(\[]\s*(?:in\s+)?([^()\[\]]+?)\s*[)\]]\s*$"
_AFTER = (
    r"(.*?)(?:[_\s./-]+in)?[_\s./-]+"
    r"((?:thousand|million|billion|trillion)s?|[bmt]n|[KMBGT]|[kmbt]|1[eE]\d{1,2}|10\^\d{1,2})$"
)
_JOINED = r"(.*[a-z])([KMBT])$"


def split(name: str) -> tuple[str, float]:
    """The name without the unit that it states, and what its values are multiplied by.

    >>> split("Model Size (B)"), split("tokens_in_billions"), split("FLOPs (1E21)")
    (('Model Size', 1000000000.0), ('tokens', 1000000000.0), ('FLOPs', 1e+21))
    >>> split("total petaflops"), split("compute_pf_days")[1], split("loss")
    (('total flops', 1000000000000000.0), 8.64e+19, ('loss', 1.0))
    """
    # Most names say nothing of a unit, which letters tell without a pattern.
    letters = name.lower()
    days = re.search(_DAYS, name) if "day" in letters else None
    if days:
        return (name[: days.start()] + name[days.end() :]).strip(" _()[]-") or "flops", _PF_DAY
    base, factor = name, 1.0
    inside = _inside(base)
    if inside:
        stated = _scale(inside[2])
        if stated is not None:
            base, factor = inside[1], stated
    else:
        after = re.fullmatch(_AFTER, base) or re.fullmatch(_JOINED, base)
        stated = _scale(after[2]) if after else None
        if after and stated is not None:
            base, factor = after[1], stated
    prefixed = re.search(_FLOP, base) if "flo" in letters else None
    if prefixed:
        factor *= _FLOP_PREFIXES[prefixed[1].lower()]
        base = f"{base[: prefixed.start()]}flops{base[prefixed.end() :]}"
    return base, factor


def loss_unit(name: str) -> LossUnit:
    """The unit of a loss by the name of its column; nats per token where it says nothing.

    >>> loss_unit("val_bpb").name, loss_unit("loss (bits)").words[:21]
    ('bits per byte', 'is in bits per token;')
    """
    found = _loss_unit(name)
    return found[1] if found else NATS


def without_loss_unit(name: str) -> str:
    """The name of a loss without its unit: `val_loss_bits` and `val loss (nats)` lose theirs.

    >>> without_loss_unit("eval/loss (bits/byte)"), without_loss_unit("ppl")
    ('eval/loss', 'ppl')
    """
    if not _loss_unit(name):
        return name
    inside = _inside(name)
    if inside and _loss_unit(inside[2]):
        return inside[1]
    words = "|".join(pattern for pattern, _ in _LOSS_UNITS)
    after = re.fullmatch(rf"(?i)(.*loss|.*nll|.*entropy)[_\s./-]+({words})", name)
    return after[1] if after else name


def is_rate(name: str) -> bool:
    """Whether a name counts something per time or per device, not in all."""
    return bool(re.search(r"(?i)(per[_\s]|/s\b|(?<!flo)ps\b|_s$|throughput/(tflop|mfu)|mfu)", name))


def _inside(name: str) -> re.Match[str] | None:
    """A name and what stands in brackets behind it."""
    return re.fullmatch(_INSIDE, name) if name.rstrip().endswith((")", "]")) else None


def _loss_unit(name: str) -> tuple[str, LossUnit] | None:
    letters = name.casefold()
    if not any(piece in letters for piece in _PIECES):
        return None
    plain = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    for pattern, unit in _LOSS_UNITS:
        if re.search(rf"(?:^|_)(?:{pattern})(?:_|$)", plain):
            return pattern, unit
    return None


def _scale(text: str) -> float | None:
    """The factor that a piece of a name states; None where it states none."""
    bare = re.sub(_NOUN, "", text).strip()
    if not bare:
        return 1.0
    ten = re.fullmatch(_TEN, bare)
    if ten:
        return 10.0 ** int(next(part for part in ten.groups() if part))
    prefixed = re.fullmatch(_FLOP, text.strip())
    if prefixed:
        return _FLOP_PREFIXES[prefixed[1].lower()]
    return _SCALES.get(bare.lower())
