"""The breaks of compared laws: where, how sure, and whether the runs ask for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scalefit.core.numbers import counted, human
from scalefit.inference.breaks import Break, breaks_of, objections
from scalefit.inference.certificate import USABLE
from scalefit.inference.comparison import Ranked
from scalefit.pipeline import documents
from scalefit.pipeline.steps import Compared
from scalefit.tables.reports import Section


def section_and_document(compared: Compared) -> tuple[Section, list[dict[str, Any]]] | None:
    """Every break of every law that has a minimum; None where no law has breaks."""
    ranked = compared.comparison.laws
    broken = [r for r in ranked if r.fit.law.breaks and r.fit.status in USABLE]
    if not broken:
        return None
    fits = [r.fit for r in ranked]
    against = {r.fit.law.name: objections(r.fit, fits) for r in broken}
    rows: list[tuple[str, ...]] = []
    found: list[dict[str, Any]] = []
    for one in broken:
        law = one.fit.law.name
        verdict = "; ".join((*against[law], *_failed(one))) or "supported"
        breaks = breaks_of(one.fit)
        rows += [
            (law if k == 0 else "", *_cells(each), verdict if k == 0 else "")
            for k, each in enumerate(breaks)
        ]
        found.append(
            {
                "law": law,
                "supported": not against[law] and one.adequate,
                "objections": [*against[law], *_failed(one)],
                "breaks": [
                    {
                        "position": documents.number(b.position),
                        "se_log": documents.number(b.se),
                        "scales_below": b.scales[0],
                        "scales_above": b.scales[1],
                        "inside": b.inside,
                        "late": b.late,
                    }
                    for b in breaks
                ],
            }
        )
    words = _count([r for r in ranked if not against.get(r.fit.law.name, ())])
    return (
        Section(
            name="breaks",
            heading="Breaks",
            lead=(words,),
            header=("law", "at", "95 %", "scales below, above", "asked for by the runs?"),
            rows=tuple(rows),
            numeric=frozenset({1}),
            footer=(
                "A break is asked for if four scales lie on either side, its place is fixed inside "
                "the runs, AICc falls by more than 6, and scales that were left out are foretold "
                "better than with one break fewer; it is supported if its law meets every gate.",
            ),
        ),
        found,
    )


def _cells(one: Break) -> tuple[str, str, str]:
    """Where a break lies, how sure that is, and the scales on its sides."""
    sure = math.isfinite(one.se) and one.se < math.log(1e3)
    reach = math.exp(1.96 * one.se) if sure else math.nan
    return (
        human(one.position),
        f"{human(one.position / reach)} to {human(one.position * reach)}" if sure else "anywhere",
        f"{one.scales[0]}, {one.scales[1]}",
    )


def _failed(one: Ranked) -> tuple[str, ...]:
    gates = [verdict.gate for verdict in one.gates if not verdict.passed]
    return (f"the law fails {', '.join(gates)}",) if gates else ()


def _count(unopposed: Sequence[Ranked]) -> str:
    """How many breaks the runs support: the most of any law that meets every gate.

    Args:
        unopposed: Laws to whose breaks, if they have any, nothing is objected.
    """
    sound = [len(one.fit.law.breaks) for one in unopposed if one.adequate]
    words = "No law meets every gate, so the runs support no number of breaks."
    if sound:
        words = f"The runs support {counted(max(sound), 'break')}."
    for one in unopposed:
        breaks = len(one.fit.law.breaks)
        if not one.adequate and breaks > max(sound, default=0):
            words += f" {one.fit.law.name}, with {breaks}, is asked for, but {_failed(one)[0]}."
    return words
