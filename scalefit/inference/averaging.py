"""One answer from several laws: weighted means whose variance holds the choice of law.

Source: Buckland, Burnham & Augustin 1997, Biometrics 53(2); variance as within + between, Burnham
& Anderson 2002, section 4.3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array
from scalefit.core.records import replace
from scalefit.core.tails import t_quantile
from scalefit.inference.allocation import Allocation
from scalefit.inference.forecasts import LawError
from scalefit.inference.prediction import Band, Prediction, Trust, least
from scalefit.inference.uncertainty import Interval

Average = tuple[tuple[str, float], ...]


def average_predictions(
    parts: Sequence[Prediction], names: Sequence[str], weight: Array, cover: Sequence[str] = ()
) -> Prediction:
    """The predictions of several laws at the same points as one.

    Args:
        parts: One prediction per law.
        names: Names of the laws.
        weight: Their weights, summing to one.
        cover: Laws whose headline intervals the averaged one must hold, where rankings disagree.
    """
    first = parts[0]
    bands = [part.band for part in parts]
    held = [band for band, name in zip(bands, names, strict=True) if name in cover]
    return replace(
        first,
        band=_band(bands, weight, _reach(parts, weight), held),
        decades=_decades(parts),
        trust=_trust(parts),
        notes=_joined([part.notes for part in parts]),
        law_error=_law_error([part.law_error for part in parts], weight),
        average=tuple(zip(names, (float(w) for w in weight), strict=True)),
    )


def average_allocations(
    parts: Sequence[Allocation], names: Sequence[str], weight: Array, cover: Sequence[str] = ()
) -> Allocation:
    """The best settings that several laws give for the same budgets as one; arguments as above."""
    first, reach = parts[0], _reach(parts, weight)
    held = [part for part, name in zip(parts, names, strict=True) if name in cover]

    def mean(of: Callable[[Allocation], Interval], *, log: bool) -> Interval:
        one = _interval([of(part) for part in parts], weight, reach, log=log)
        return _holding(one, [of(part) for part in held])

    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.exp(sum(w * np.log(p.near) for w, p in zip(weight, parts, strict=True)))
    return replace(
        first,
        N=mean(lambda p: p.N, log=True),
        D=mean(lambda p: p.D, log=True),
        ratio=mean(lambda p: p.ratio, log=True),
        N_headline=mean(lambda p: p.N_headline, log=True),
        D_headline=mean(lambda p: p.D_headline, log=True),
        ratio_headline=mean(lambda p: p.ratio_headline, log=True),
        band=_band([p.band for p in parts], weight, reach, [p.band for p in held]),
        near=np.asarray(near),
        exponent_N=mean(lambda p: p.exponent_N, log=False),
        exponent_D=mean(lambda p: p.exponent_D, log=False),
        decades=_decades(parts),
        trust=_trust(parts),
        notes=_joined([part.notes for part in parts]),
        unbracketed=np.max([p.unbracketed for p in parts], axis=0),
        law_error=_law_error([part.law_error for part in parts], weight),
        split_error=_law_error([part.split_error for part in parts], weight),
        average=tuple(zip(names, (float(w) for w in weight), strict=True)),
    )


def swollen_prediction(part: Prediction, factor: float) -> Prediction:
    """With the parameters' share of every half-width multiplied: rows that are worth fewer runs."""
    return replace(part, band=_swollen_band(part.band, factor))


def swollen_allocation(part: Allocation, factor: float) -> Allocation:
    """The same for best settings."""
    return replace(
        part,
        N=_swollen(part.N, part.N, factor, log=True),
        D=_swollen(part.D, part.D, factor, log=True),
        ratio=_swollen(part.ratio, part.ratio, factor, log=True),
        N_headline=_swollen(part.N_headline, part.N, factor, log=True),
        D_headline=_swollen(part.D_headline, part.D, factor, log=True),
        ratio_headline=_swollen(part.ratio_headline, part.ratio, factor, log=True),
        exponent_N=_swollen(part.exponent_N, part.exponent_N, factor, log=False),
        exponent_D=_swollen(part.exponent_D, part.exponent_D, factor, log=False),
        band=_swollen_band(part.band, factor),
    )


def _swollen_band(band: Band, factor: float) -> Band:
    parts = band.share * band.headline.se**2
    parts[0] *= factor**2
    return Band(
        loss=band.loss,
        exact=_swollen(band.exact, band.exact, factor, log=True),
        new_run=_swollen(band.new_run, band.exact, factor, log=True),
        headline=_swollen(band.headline, band.exact, factor, log=True),
        share=parts / np.maximum(parts.sum(axis=0), 1e-300),
    )


def _swollen(whole: Interval, inner: Interval, factor: float, *, log: bool) -> Interval:
    """An interval whose inner part grows by the factor; the rest of its variance stays."""
    more = factor**2 - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high, deep, tall = (
            np.log(v) if log else v
            for v in (whole.value, whole.low, whole.high, inner.low, inner.high)
        )
    down = np.sqrt((value - low) ** 2 + more * (value - deep) ** 2)
    up = np.sqrt((high - value) ** 2 + more * (tall - value) ** 2)
    se = np.sqrt(whole.se**2 + more * inner.se**2)
    ends = (value - down, value + up)
    lowest, highest = (np.exp(v) if log else v for v in ends)
    return Interval(whole.value, se, lowest, highest)


def _reach(parts: Sequence[Prediction | Allocation], weight: Array) -> float:
    quantiles = [t_quantile((1 + part.level) / 2, part.df) for part in parts]
    return float(weight @ np.array(quantiles))


def _band(bands: Sequence[Band], weight: Array, reach: float, held: Sequence[Band]) -> Band:
    exact = _interval([b.exact for b in bands], weight, reach, log=True)
    headline = _interval([b.headline for b in bands], weight, reach, log=True)
    return Band(
        loss=exact.value,
        exact=exact,
        new_run=_interval([b.new_run for b in bands], weight, reach, log=True),
        headline=_holding(headline, [b.headline for b in held]),
        share=_share(bands, weight),
    )


def _share(bands: Sequence[Band], weight: Array) -> Array:
    """Parts of the headline variance; what laws differ by counts as law error."""
    within = np.stack([w * b.share * b.headline.se**2 for w, b in zip(weight, bands, strict=True)])
    parts = within.sum(axis=0)
    log = np.log(np.stack([b.loss for b in bands]))
    middle = weight @ log
    parts[2] += weight @ (log - middle) ** 2
    return np.asarray(parts / np.maximum(parts.sum(axis=0), 1e-300))


def _interval(parts: Sequence[Interval], weight: Array, reach: float, *, log: bool) -> Interval:
    """Weighted mean, with variance within and between; each part's own ends keep their skew.

    The half-width on a side is that of the parts' own half-widths and the spread of their values,
    added as variances.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (
            np.stack([np.log(getattr(p, end)) if log else getattr(p, end) for p in parts])
            for end in ("value", "low", "high")
        )
    middle = weight @ value
    between = weight @ (value - middle) ** 2
    down = np.sqrt(weight @ (value - low) ** 2 + reach**2 * between)
    up = np.sqrt(weight @ (high - value) ** 2 + reach**2 * between)
    se = np.sqrt(weight @ np.stack([p.se for p in parts]) ** 2 + between)
    ends = (middle, middle - down, middle + up)
    found, lowest, highest = (np.exp(v) if log else v for v in ends)
    return Interval(found, se, lowest, highest)


def _holding(one: Interval, held: Sequence[Interval]) -> Interval:
    """The interval widened to hold others."""
    low = np.min([one.low, *(h.low for h in held)], axis=0)
    high = np.max([one.high, *(h.high for h in held)], axis=0)
    return replace(one, low=low, high=high)


def _law_error(errors: Sequence[LawError], weight: Array) -> LawError:
    """Root mean square rate; estimated only if every part's is."""
    tau = float(np.sqrt(weight @ np.array([e.tau for e in errors]) ** 2))
    lead = errors[int(np.argmax(weight))]
    return replace(lead, tau=tau)


def _decades(parts: Sequence[Prediction | Allocation]) -> Array:
    """The farthest of the laws: their best settings of one budget differ, and so their inputs."""
    return np.asarray(np.max([part.decades for part in parts], axis=0))


def _trust(parts: Sequence[Prediction | Allocation]) -> tuple[Trust, ...]:
    return tuple(least(words) for words in zip(*(part.trust for part in parts), strict=True))


def _joined(parts: Sequence[tuple[tuple[Note, ...], ...]]) -> tuple[tuple[Note, ...], ...]:
    return tuple(
        tuple(dict.fromkeys(note for notes in row for note in notes))
        for row in zip(*parts, strict=True)
    )
