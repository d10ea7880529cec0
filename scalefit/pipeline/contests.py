"""`compare --tests`: tests between the laws of a comparison, in words and as a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.inference import doubts
from scalefit.inference.certificate import USABLE
from scalefit.inference.contests import Contest, Guard, Nested, contest, guard, nested_test
from scalefit.inference.fitting import Fit
from scalefit.pipeline import documents
from scalefit.pipeline.steps import Compared
from scalefit.tables.reports import Section

_MANY = 10
_LEVEL = 0.05
_UNDECIDED = "undecided"


@dataclass(frozen=True)
class Tested:
    """Every test of a comparison.

    Attributes:
        nested: Laws against their special cases.
        contests: The first law against each law that it neither holds nor is held by.
        guarded: The best of all against the simplest; None for a single law.
        lead: The first law.
    """

    nested: tuple[Nested, ...]
    contests: tuple[Contest, ...]
    guarded: Guard | None
    lead: str = ""


def all_tests(compared: Compared, *, replicates: int = 199, seed: int = 0) -> Tested:
    """The tests between laws that have a minimum and are curves of their own."""
    fits = _curves(compared)
    names = list(fits)
    nested = tuple(
        nested_test(fits[simple], fits[general], replicates=replicates, seed=seed)
        for general, simple in _pairs(fits)
    )
    first = fits[names[0]] if names else None
    contests = tuple(
        contest(first, fits[name])
        for name in names[1:]
        if first and name not in first.law.holds and first.law.name not in fits[name].law.holds
    )
    guarded = guard(list(fits.values()), seed=seed) if len(fits) > 1 else None
    return Tested(nested, contests, guarded, names[0] if names else "")


def caution(compared: Compared, seed: int = 0) -> tuple[Note, ...]:
    """With more than ten laws, how likely chance alone makes the best of them as good."""
    fits = list(_curves(compared).values())
    return _many(guard(fits, seed=seed)) if len(fits) > _MANY else ()


def _curves(compared: Compared) -> dict[str, Fit]:
    """Fits by law that have a minimum and are curves of their own, best first."""
    laws = compared.comparison.laws
    return {r.fit.law.name: r.fit for r in laws if r.fit.status in USABLE and not r.same_as}


def _pairs(fits: Mapping[str, Fit]) -> list[tuple[str, str]]:
    """Each law with its next special cases; the first law with all of them, and they with it."""
    first = next(iter(fits), "")
    found = []
    for general, fit in fits.items():
        held = [name for name in fit.law.holds if name in fits]
        between = {name for other in held for name in fits[other].law.holds}
        found += [
            (general, simple)
            for simple in held
            if simple not in between or first in (general, simple)
        ]
    return found


def conclusion(found: Tested) -> str:
    """What the tests say of the first law against every other one, in a sentence; may be empty."""
    better = {
        one.simple if one.general == found.lead else one.general: _decided(one)
        for one in found.nested
        if found.lead in (one.simple, one.general)
    }
    better |= {one.second: one.verdict for one in found.contests}
    words = [
        f"{found.lead} is better than {names}"
        for names in (", ".join(n for n, v in better.items() if v == found.lead),)
        if names
    ]
    words += [f"{rival} is better than {found.lead}" for rival, v in better.items() if v == rival]
    open_ = ", ".join(rival for rival, v in better.items() if v == _UNDECIDED)
    if open_:
        words.append(f"undecided between {found.lead} and {open_}")
    one = found.guarded
    if one is not None and one.laws > 1 and one.p_value > _LEVEL:
        words.append(
            f"allowing for the choice among {one.laws}, {one.best} is not shown to beat "
            f"{one.reference} (p = {_p(one.p_value)})"
        )
    return "; ".join(words)


def _decided(one: Nested) -> str:
    return one.general if one.p_value <= _LEVEL else _UNDECIDED


def section(found: Tested) -> Section:
    """Tests as one table."""
    rows = [
        (
            f"{one.general} over its special case {one.simple}",
            f"2 x gain {one.ratio:.1f}",
            _least_p(one),
            _decided(one),
        )
        for one in found.nested
    ]
    rows += [
        (
            f"{one.first} against {one.second}",
            f"z = {one.z:+.1f}; better in {one.wins} of {one.runs}",
            f"{_p(one.vuong)}, {_p(one.clarke)}",
            one.verdict,
        )
        for one in found.contests
    ]
    if found.guarded is not None:
        one = found.guarded
        rows.append(
            (
                f"best of {one.laws} against {one.reference}",
                f"best is {one.best}",
                _p(one.p_value),
                one.best if one.p_value <= _LEVEL else _UNDECIDED,
            )
        )
    return Section(
        name="tests",
        heading="Tests between laws, by independent run",
        lead=(f"By these tests: {conclusion(found)}.",) if conclusion(found) else (),
        header=("question", "seen", "p", "verdict"),
        rows=tuple(rows),
        footer=(
            "Special cases: likelihood ratio, p from refits to runs simulated from the special "
            "case. Others: Vuong's test with Schwarz's correction and Clarke's sign test; decided "
            "only if both agree at 5 %. Best of many: the largest gain against what choosing the "
            "largest explains.",
        ),
    )


def _many(one: Guard) -> tuple[Note, ...]:
    return (
        doubts.MANY_LAWS.note(
            f"{one.laws + 1} laws compared; the winner's margin over {one.reference} is expected "
            f"by chance with probability {one.p_value:.2g}"
        ),
    )


def _least_p(one: Nested) -> str:
    """A p value that is the least so many replicates can show is a bound."""
    least = one.p_value * (1 + one.replicates) < 1.5
    return f"≤ {_p(one.p_value)}" if least else _p(one.p_value)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else "< 0.001"


def document(found: Tested) -> dict[str, Any]:
    """Tests as plain objects."""
    return {
        "conclusion": conclusion(found),
        "nested": [_plain(one) for one in found.nested],
        "contests": [_plain(one) for one in found.contests],
        "guard": _plain(found.guarded) if found.guarded else None,
    }


def _plain(one: Nested | Contest | Guard) -> dict[str, Any]:
    return {k: documents.number(v) if isinstance(v, float) else v for k, v in asdict(one).items()}
