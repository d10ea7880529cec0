"""The breaks of compared laws: where, how sure, and whether the runs ask for them."""

from __future__ import annotations

import math
from typing import Any

from scalefit.core.numbers import human
from scalefit.inference.breaks import breaks_of, objections
from scalefit.inference.certificate import USABLE
from scalefit.pipeline import documents
from scalefit.pipeline.steps import Compared
from scalefit.tables.reports import Section


def section_and_document(compared: Compared) -> tuple[Section, list[dict[str, Any]]] | None:
    """Every break of every law that has a minimum; None where no law has breaks."""
    fits = [r.fit for r in compared.comparison.laws]
    broken = [fit for fit in fits if fit.law.breaks and fit.status in USABLE]
    if not broken:
        return None
    rows: list[tuple[str, ...]] = []
    found: list[dict[str, Any]] = []
    supported = 0
    for fit in broken:
        against = objections(fit, fits)
        if not against:
            supported = max(supported, len(fit.law.breaks))
        for k, one in enumerate(breaks_of(fit)):
            sure = math.isfinite(one.se) and one.se < math.log(1e3)
            reach = math.exp(1.96 * one.se) if sure else math.nan
            rows.append(
                (
                    fit.law.name if k == 0 else "",
                    human(one.position),
                    f"{human(one.position / reach)} to {human(one.position * reach)}"
                    if sure
                    else "anywhere",
                    f"{one.scales[0]}, {one.scales[1]}",
                    ("; ".join(against) or "supported") if k == 0 else "",
                )
            )
        found.append(
            {
                "law": fit.law.name,
                "supported": not against,
                "objections": list(against),
                "breaks": [
                    {
                        "position": documents.number(b.position),
                        "se_log": documents.number(b.se),
                        "scales_below": b.scales[0],
                        "scales_above": b.scales[1],
                        "inside": b.inside,
                        "late": b.late,
                    }
                    for b in breaks_of(fit)
                ],
            }
        )
    words = f"The runs support {supported} break{'s' * (supported != 1)}."
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
                "better than with one break fewer.",
            ),
        ),
        found,
    )
