"""`compare --holdout`: every law and their average, scored on rows that no fit has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.config import Settings
from scalefit.core.errors import FitError, InputError
from scalefit.core.numbers import counted, per_cent, shown
from scalefit.core.observations import Array
from scalefit.core.records import dataclass, replace
from scalefit.core.sorting import median
from scalefit.inference.prediction import Prediction
from scalefit.pipeline import averages, documents, steps
from scalefit.tables.arrays import floats
from scalefit.tables.reports import Report, Section
from scalefit.tables.runs import RunTable, labels, taken

AUTO = "auto"
_TIE = 1.0001  # of the best error: a tie
_FEWEST = 4


@dataclass(frozen=True)
class Scored:
    """One law on the held-out rows of one group.

    Attributes:
        law: Its name, or `auto`.
        error: Root mean square log error; nan where it could not be fitted.
        mean: Mean log error, actual less predicted.
        inside: Held-out rows inside the headline interval; nan without intervals.
        trusting: The same for the interval of one new run if the law were exactly right.
        width: Median half-width of the headline, relative to the loss.
        remark: What was wrong, or how auto is made up.
    """

    law: str
    error: float
    mean: float = float("nan")
    inside: float = float("nan")
    trusting: float = float("nan")
    width: float = float("nan")
    remark: str = ""


@dataclass(frozen=True)
class Group:
    """One group: how many rows were fitted and held out, and the scores of every law."""

    name: str
    fitted: int
    held: int
    scores: tuple[Scored, ...]

    def error(self, law: str) -> float:
        """Root mean square log error of a law; nan where there is none."""
        return next((s.error for s in self.scores if s.law == law), float("nan"))


@dataclass(frozen=True)
class Held:
    """What is held out: rows whose column has that value."""

    column: str
    value: str


def parse_held(text: str) -> Held:
    """`Training=0` as a column and a value.

    Raises:
        InputError: it is not COLUMN=VALUE.
    """
    column, equals, value = text.partition("=")
    if not (equals and column.strip() and value.strip()):
        raise InputError(f"--holdout {shown(text)!r} is not COLUMN=VALUE", "such as split=test")
    return Held(column.strip(), value.strip())


def groups_of(table: RunTable, by: str, held: Held) -> list[tuple[str, RunTable, RunTable]]:
    """Each group with its rows to fit and its rows held out.

    Raises:
        InputError: no row is held out, or none is left to fit.
    """
    out = np.array([_same(label, held.value) for label in labels(table, held.column)])
    if not out.any():
        seen = ", ".join(shown(v, 20) for v in sorted(set(labels(table, held.column)))[:6])
        raise InputError(
            f"no row has {shown(held.column)} = {shown(held.value)}", f"values seen: {seen}"
        )
    names = np.array(labels(table, by)) if by else np.full(table.rows, table.source)
    found = []
    for name in dict.fromkeys(names.tolist()):
        of = names == name
        found.append((str(name), taken(table, of & ~out), taken(table, of & out)))
    sound = [g for g in found if g[1].rows >= _FEWEST and g[2].rows]
    if not sound:
        raise InputError("no group has both rows to fit and rows held out", "check --holdout")
    return sound


def _same(label: str, value: str) -> bool:
    if label.strip() == value:
        return True
    try:
        return float(label) == float(value)
    except ValueError:
        return False


def score_group(settings: Settings, name: str, fitted: RunTable, held: RunTable) -> Group:
    """Fit every law to the rows of a group and score it on the rows held out."""
    law = steps.first_law(settings.fit.named, fitted, settings.fit.x)
    roles = steps.roles_for(law, fitted, settings.fit.x)
    points = {role: floats(held.table.column(role)) for role in roles.values()}
    loss = floats(held.table.column("L"))
    averaged, scores = None, []
    try:
        averaged = averages.average(settings, fitted, points, force=True, every=True)
        for member in averaged.every:
            said = steps.predict(member, points, allow_unconverged=True, i_know=True)
            scores.append(_scored(member.law.name, said, loss, member.status))
        said = averages.predict(averaged, points, i_know=True)
        words = ", ".join(f"{100 * w:.0f} % {n}" for n, w in said.average)
        if averaged.forced:
            words = f"no law is adequate; {words}"
        scores.append(_scored(AUTO, said, loss, words))
        scores += [
            Scored(law, float("nan"), remark=why) for law, why in averaged.compared.unfitted.items()
        ]
    except (FitError, InputError) as error:
        scores.append(Scored(AUTO, float("nan"), remark=str(error)))
    return Group(name, fitted.rows, held.rows, tuple(scores))


def _scored(law: str, said: Prediction, loss: Array, remark: str) -> Scored:
    with np.errstate(divide="ignore", invalid="ignore"):
        miss = np.log(loss) - np.log(said.band.loss)
        half = np.log(said.band.headline.high / said.band.headline.low) / 2
    return Scored(
        law,
        float(np.sqrt(np.mean(miss**2))),
        float(np.mean(miss)),
        _inside(said.band.headline, loss),
        _inside(said.band.new_run, loss),
        float(median(half)),
        remark,
    )


def _inside(found: Any, loss: Array) -> float:
    if not np.isfinite(found.low).all():
        return float("nan")
    return float(((found.low <= loss) & (loss <= found.high)).sum())


@dataclass(frozen=True)
class Standing:
    """One law over all groups.

    Attributes:
        law: Its name, or `auto`.
        groups: Groups in which it has a score.
        median: Of its errors.
        mean: Of its errors.
        best: Groups in which no other law has a smaller error, ties counted for all.
        far: Groups in which its error is more than twice that of the best law there.
        beyond: Groups in which it is more than twice that of the fixed law of least mean error.
        against: Groups in which it is no worse than the fixed law of least median error.
        coverage: Share of the held-out rows inside its headline intervals.
        trusting: The same for intervals that trust the law.
        width: Median over groups of its headlines' half-width.
    """

    law: str
    groups: int
    median: float
    mean: float
    best: int
    far: int
    beyond: int
    against: int
    coverage: float
    trusting: float
    width: float


def standings(groups: Sequence[Group]) -> tuple[Standing, ...]:
    """Every law over all groups; `auto` first, then by median error."""
    laws = dict.fromkeys(s.law for g in groups for s in g.scores)
    error = {law: np.array([g.error(law) for g in groups]) for law in laws}
    fixed = [law for law in laws if law != AUTO]
    whole = [law for law in fixed if np.isfinite(error[law]).mean() >= 0.9] or fixed
    if not fixed:
        return ()
    least = np.fmin.reduce([error[law] for law in fixed])
    by_mean = min(whole, key=lambda law: float(np.nanmean(error[law])))
    by_median = min(whole, key=lambda law: float(np.nanmedian(error[law])))
    found = []
    for law in laws:
        own = error[law]
        some = np.isfinite(own)
        if not some.any():
            continue
        mine = [(g, s) for g in groups for s in g.scores if s.law == law]
        with np.errstate(invalid="ignore"):
            found.append(
                Standing(
                    law=law,
                    groups=int(some.sum()),
                    median=float(median(own[some])),
                    mean=float(np.mean(own[some])),
                    best=int((own <= _TIE * np.fmin(least, own)).sum()),
                    far=int((own > 2 * least).sum()),
                    beyond=int((own > 2 * error[by_mean]).sum()),
                    against=int((own <= _TIE * error[by_median]).sum()),
                    coverage=_share([(s.inside, g.held) for g, s in mine]),
                    trusting=_share([(s.trusting, g.held) for g, s in mine]),
                    width=float(np.nanmedian([s.width for _, s in mine]))
                    if np.isfinite([s.width for _, s in mine]).any()
                    else float("nan"),
                )
            )
    return tuple(sorted(found, key=lambda s: (s.law != AUTO, s.median)))


def _share(parts: Sequence[tuple[float, int]]) -> float:
    known = [(inside, held) for inside, held in parts if np.isfinite(inside)]
    total = sum(held for _, held in known)
    return sum(inside for inside, _ in known) / total if total else float("nan")


def report(
    settings: Settings, table: RunTable, by: str, held: Held, manifest: dict[str, Any]
) -> Report:
    """The tables of every law over all groups, and of every group."""
    parts = groups_of(table, by, held)
    groups = _over(settings, parts)
    found = standings(groups)
    if not found:
        reason = groups[0].scores[0].remark if groups and groups[0].scores else "no law"
        raise InputError(f"no group could be scored: {reason}", "check --law, --x and --holdout")
    sections = (_standing_section(found, groups, held), *((_group_section(groups),) if by else ()))
    document = {
        **documents.header("scalefit.holdout/1", table, None, settings.seed),
        "by": by or None,
        "holdout": {"column": held.column, "value": held.value},
        "level": settings.uncertainty.level,
        "laws": [_plain(s) for s in found],
        "groups": [
            {
                "group": g.name,
                "fitted": g.fitted,
                "held_out": g.held,
                "scores": [_plain(s) for s in g.scores],
            }
            for g in groups
        ],
    }
    title = f"scalefit compare: {len(groups)} group{'s' * (len(groups) > 1)} held out"
    return Report(title, sections, document, manifest=manifest)


def _over(settings: Settings, parts: list[tuple[str, RunTable, RunTable]]) -> list[Group]:
    if settings.jobs <= 1 or len(parts) == 1:
        return [score_group(settings, *part) for part in parts]
    from joblib import Parallel, delayed, parallel_config

    alone = replace(settings, jobs=1)
    with parallel_config(backend="loky", inner_max_num_threads=1):
        return list(
            Parallel(n_jobs=settings.jobs)(delayed(score_group)(alone, *part) for part in parts)
        )


def _plain(found: Scored | Standing) -> dict[str, Any]:
    return {
        key: documents.number(value) if isinstance(value, float) else value
        for key, value in found.__dict__.items()
    }


def _standing_section(found: Sequence[Standing], groups: Sequence[Group], held: Held) -> Section:
    rows = tuple(
        (
            s.law,
            f"{s.median:.4f}",
            f"{s.mean:.4f}",
            str(s.best),
            str(s.far),
            str(s.beyond),
            str(s.against),
            _percent(s.coverage),
            f"±{per_cent(s.width)}" if np.isfinite(s.width) else "–",
        )
        for s in found
    )
    total = sum(g.held for g in groups)
    fixed = [s for s in found if s.law != AUTO and s.groups >= 0.9 * len(groups)] or list(found)
    by_mean, by_median = (
        min(fixed, key=lambda s: s.mean).law, min(fixed, key=lambda s: s.median).law,
    )  # fmt: skip
    return Section(
        name="holdout",
        heading=f"{counted(len(groups), 'group')}, {counted(total, 'row')} with {held.column} = "
        f"{held.value} held out",
        header=(
            "law", "median", "mean", "best", "far", "beyond", "against", "covered", "width",
        ),
        rows=rows,
        numeric=frozenset(range(1, 9)),
        table=pa.table({key: [getattr(s, key) for s in found] for key in Standing.__annotations__}),
        footer=(
            "Errors are root mean square log errors of the held-out rows of a group; median and "
            "mean are over groups. Best: groups in which no fixed law does better. Far: more than "
            "twice the fixed law that turned out best in that very group. Beyond: more than twice "
            f"{by_mean}, the fixed law of least mean error. Against: no worse than {by_median}, "
            "the fixed law of least median error. Covered: rows inside the headline interval; "
            "width: its median half-width.",
            *(
                f"{s.law} has no score in {counted(len(groups) - s.groups, 'group')}."
                for s in found
                if s.groups < len(groups)
            ),
        ),
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "–"


def _group_section(groups: Sequence[Group]) -> Section:
    rows = []
    for g in groups:
        fixed = [s for s in g.scores if s.law != AUTO and np.isfinite(s.error)]
        best = min(fixed, key=lambda s: s.error) if fixed else None
        own = next((s for s in g.scores if s.law == AUTO), None)
        rows.append(
            (
                g.name,
                str(g.fitted),
                str(g.held),
                f"{best.error:.4f} {best.law}" if best else "–",
                f"{own.error:.4f}" if own and np.isfinite(own.error) else "refused",
                _percent(own.inside / g.held) if own else "–",
                own.remark if own else "",
            )
        )
    columns = {
        "group": [g.name for g in groups for _ in g.scores],
        "law": [s.law for g in groups for s in g.scores],
        "fitted": [g.fitted for g in groups for _ in g.scores],
        "held_out": [g.held for g in groups for _ in g.scores],
        "error": [documents.number(s.error) for g in groups for s in g.scores],
        "mean_error": [documents.number(s.mean) for g in groups for s in g.scores],
        "inside": [documents.number(s.inside) for g in groups for s in g.scores],
        "remark": [s.remark for g in groups for s in g.scores],
    }
    return Section(
        name="groups",
        heading="Each group",
        header=("group", "fitted", "held out", "best fixed law", "auto", "covered", "auto is"),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 4, 5}),
        table=pa.table(columns),
    )
