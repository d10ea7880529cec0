"""Pictures of runs, laws and forecasts as SVG: plain arrays in, a `Figure` of a report out.

Matplotlib is used by its objects, never by pyplot, and is imported inside the functions. Text stays
text, and powers of ten are written with superscript letters, so that a picture reads well in any
font and a label from data is never taken for a formula.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scalefit.core.numbers import human, shown
from scalefit.core.observations import Array, BoolArray, IntArray
from scalefit.core.records import dataclass
from scalefit.tables.reports.base import Figure
from scalefit.tables.reports.svg import cleaned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure as Canvas

Size = Literal["one-column", "two-columns"]
_INCHES: Mapping[Size, float] = {"one-column": 4.2, "two-columns": 7.2}

_INK, _SOFT, _GRID, _RANGE = "#1f2430", "#5a6270", "#e6e8eb", "#eceff2"
_RUN = "#6b7480"
# Okabe and Ito's colours without yellow, told apart with any kind of colour vision; ink first.
_COLOURS = (_INK, "#d55e00", "#0072b2", "#cc79a7", "#009e73", "#e69f00", "#56b4e9")
# Any as key: matplotlib types its settings as a list of literals that grows.
_STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": "#9aa1ab",
    "axes.linewidth": 0.8,
    "axes.labelcolor": _INK,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "xtick.color": "#9aa1ab",
    "ytick.color": "#9aa1ab",
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "scalefit",
}
# What a page or a viewer sets text in; the metrics of DejaVu are wider than all of these.
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_WORDS = {
    "N": "Model parameters N",
    "D": "Training tokens D",
    "C": "Training compute C, FLOP",
    "L": "Loss L, nats per token",
}
_LABEL_GROUND = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75}
_MOST_POINTS = 3_000
_CROWD = 500
_MANY_FORECASTS = 20
_MOST_TICKS = 7
_LONGEST_LABEL = 44


@dataclass(frozen=True, eq=False)
class Points:
    """Runs as a picture shows them.

    Attributes:
        scale: Horizontal place of each run, shape (n,), such as compute in FLOP.
        loss: Loss of each run, shape (n,).
        size: Model parameters N, shape (n,), to colour by; None for one colour.
        held_out: Which runs were not fitted, shape (n,); None if all were.
    """

    scale: Array
    loss: Array
    size: Array | None = None
    held_out: BoolArray | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """A fitted law along a line.

    Attributes:
        label: Its name.
        scale: Where it was computed, shape (m,), rising.
        loss: Its loss there, shape (m,).
        low: Lower end of the interval, shape (m,); NaN or None where there is none.
        high: Upper end of the interval, shape (m,).
    """

    label: str
    scale: Array
    loss: Array
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True, eq=False)
class Surface:
    """Loss over a grid of model size and data.

    Attributes:
        N: Model parameters, shape (columns,), rising.
        D: Training tokens, shape (rows,), rising.
        loss: Shape (rows, columns).
    """

    N: Array
    D: Array
    loss: Array


@dataclass(frozen=True, eq=False)
class Frontier:
    """The best model size and data for each compute.

    Attributes:
        C: Compute, shape (m,), rising.
        N: Best parameters, shape (m,).
        D: Best tokens, shape (m,).
    """

    C: Array
    N: Array
    D: Array


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best model for one budget.

    Attributes:
        budget: Compute, FLOP.
        N: Best parameters.
        D: Best tokens.
        N_low: Lower end of the interval of N; NaN if there is none.
        N_high: Upper end of the interval of N.
        line_N: Parameters along the line of equal compute, shape (k,), rising.
        line_D: Tokens along it, shape (k,).
    """

    budget: float
    N: float
    D: float
    N_low: float
    N_high: float
    line_N: Array
    line_D: Array


@dataclass(frozen=True, eq=False)
class Residuals:
    """How far each run lies from the law.

    Attributes:
        percent: (measured - fitted) / fitted in %, shape (n,).
        row: Number of each row in the source, shape (n,).
        sigma: Standard deviation of the residuals in %; NaN if unknown.
    """

    percent: Array
    row: IntArray
    sigma: float


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What one law foretold from the small runs, and how wrong it was.

    Attributes:
        label: Name of the law.
        decades: Distance beyond the cut in powers of ten of the scale, shape (k,).
        error: Measured less foretold in % of the loss, shape (k,).
        low: Lower end of the forecast interval in the same unit, shape (k,); NaN or None if none.
        high: Upper end of it, shape (k,).
    """

    label: str
    decades: Array
    error: Array
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True, eq=False)
class Estimate:
    """One parameter of one law with its interval.

    Attributes:
        law: Name of the law; one colour each.
        parameter: Name of the parameter; one row each.
        value: Estimate.
        low: Lower end of the interval; NaN if there is none.
        high: Upper end of the interval.
    """

    law: str
    parameter: str
    value: float
    low: float
    high: float


def loss_against_scale(
    runs: Points,
    curves: Sequence[Curve],
    *,
    fitted: tuple[float, float] | None,
    scale: str = "C",
    level: float = 0.95,
    loss: str = "L",
    name: str = "loss-against-compute",
    caption: str = "",
    size: Size = "two-columns",
) -> Figure:
    """Runs, laws and their intervals along one scale, with the fitted range shaded.

    Args:
        runs: Points to draw.
        curves: Laws to draw over them, solid in the fitted range and dashed beyond.
        fitted: Smallest and largest scale that was fitted; None leaves out the shade.
        scale: Role of the horizontal axis, or its words.
        level: Level of the intervals.
        loss: Role of the vertical axis, or its words.
        name: File stem of the figure.
        caption: What to see; made from the facts if empty.
        size: Width of the picture.
    """
    drawn, left_out = _thinned(runs)
    if not caption:
        caption = f"{_words(loss).split(',')[0]} against {_lower(_words(scale))}"
        caption += (
            f", with {level:.0%} intervals." if any(_banded(c) is not None for c in curves) else "."
        )
        if fitted is not None:
            caption += (
                " The shaded part is the range of the runs that were fitted; dashed curves beyond"
                " it are extrapolation."
            )
    with _styled():
        canvas = _canvas(size, 0.60)
        axes = canvas.add_subplot()
        if fitted is not None:
            axes.axvspan(*fitted, color=_RANGE, zorder=0, label="range of the fitted runs")
        for curve, colour in zip(curves, _cycle(_COLOURS), strict=False):
            _draw_curve(axes, curve, colour, fitted, level)
        coloured = _draw_runs(axes, drawn)
        ends = [c.scale for c in curves] + [runs.scale]
        _log_axis(axes, "x", *_span(*ends), scale)
        _loss_axis(axes, runs, curves, loss)
        if coloured is not None and runs.size is not None:
            _colour_scale(canvas, axes, coloured, runs.size)
        _legend(canvas, axes)
        return _finished(canvas, name, caption + _left_out_words(left_out))


def contours(
    surface: Surface,
    runs: tuple[Array, Array],
    *,
    frontier: Frontier | None = None,
    optima: Sequence[Optimum] = (),
    largest: float = math.inf,
    level: float = 0.95,
    loss: str = "L",
    name: str = "contours",
    caption: str = "",
    size: Size = "two-columns",
) -> Figure:
    """Loss over model size and data, with the runs, the efficient frontier and the budgets.

    Args:
        surface: The law on a grid; the grid sets the limits of the picture.
        runs: N and D of the runs, each shape (n,).
        frontier: Best N and D along compute, dashed where compute exceeds `largest`.
        optima: Budgets to mark, each with its line of equal compute.
        largest: Largest compute among the fitted runs.
        level: Level of the intervals.
        loss: Role of the surface, or its words.
        name: File stem of the figure.
        caption: What to see; made from the facts if empty.
        size: Width of the picture.
    """
    drawn, left_out = _thinned(Points(runs[0], runs[1]))
    if not caption:
        caption = (
            "Loss over model size and training data. Dots are the runs; the coloured line is the"
            " efficient frontier, dashed beyond the largest run that was fitted."
        )
        if optima:
            caption += (
                " Diamonds mark the best model for each budget on its line of equal compute; the"
                f" thick part of the line is the {level:.0%} interval."
            )
    with _styled():
        canvas = _canvas(size, 0.68)
        axes = canvas.add_subplot()
        axes.grid(visible=False)
        # Limits come first: labels of contours are placed by the shape of the axes.
        _log_axis(axes, "x", *_span(surface.N), "N", margin=0.0)
        _log_axis(axes, "y", *_span(surface.D), "D", margin=0.0)
        _draw_surface(canvas, axes, surface, loss)
        for optimum in optima:
            axes.plot(optimum.line_N, optimum.line_D, color=_SOFT, lw=0.9, zorder=3)
        axes.plot(
            drawn.scale,
            drawn.loss,
            ls="none",
            marker="o",
            ms=4.2 if drawn.scale.size < _CROWD else 2.5,
            mfc=_INK,
            mec="white",
            mew=0.6,
            zorder=4,
            label="runs",
        )
        if frontier is not None:
            _split_line(axes, frontier, largest)
        for optimum in optima:
            _draw_optimum(axes, optimum)
        _legend(canvas, axes)
        return _finished(canvas, name, caption + _left_out_words(left_out))


def residuals(
    found: Residuals,
    against: Mapping[str, Array],
    *,
    labelled: int = 5,
    name: str = "residuals",
    caption: str = "",
    size: Size = "two-columns",
) -> Figure:
    """Residuals in % of the loss against one or two inputs, the largest named by their row.

    Args:
        found: Residuals of the runs.
        against: Role to its values, shape (n,); one panel each.
        labelled: How many rows are named in each panel.
        name: File stem of the figure.
        caption: What to see; made from the facts if empty.
        size: Width of the picture.
    """
    if not caption:
        caption = (
            "Measured loss less fitted loss, in % of the fitted loss. The band spans two standard"
            " deviations either way; numbers are rows of the source. A trend or a bend means that"
            " the law does not fit."
        )
    finite = found.percent[np.isfinite(found.percent)]
    left_out = 0
    with _styled():
        canvas = _canvas(size, 0.44 if len(against) > 1 else 0.55)
        panels = canvas.subplots(1, max(len(against), 1), sharey=True, squeeze=False)[0]
        top = 1.2 * max(np.abs(finite).max(initial=0.0), _finite_or(2 * found.sigma, 0.0), 1e-3)
        for axes, (role, values) in zip(panels, against.items(), strict=False):
            if math.isfinite(found.sigma):
                axes.axhspan(-2 * found.sigma, 2 * found.sigma, color=_RANGE, zorder=0)
            axes.axhline(0, color=_SOFT, lw=1, zorder=1)
            drawn, left_out = _thinned(Points(values, found.percent), positive_loss=False)
            axes.plot(
                drawn.scale,
                drawn.loss,
                ls="none",
                marker="o",
                ms=4.2 if drawn.scale.size < _CROWD else 2.5,
                mfc="#0072b2",
                mec="white",
                mew=0.5,
                zorder=2,
            )
            _log_axis(axes, "x", *_span(values), role, most=5 if len(against) > 1 else _MOST_TICKS)
            axes.set_ylim(-top, top)
            _label_rows(axes, values, found, labelled)
        panels[0].set_ylabel("Residual, % of the loss")
        return _finished(canvas, name, caption + _left_out_words(left_out))


def forecasts(
    series: Sequence[Forecasts],
    *,
    level: float = 0.95,
    name: str = "forecasts",
    caption: str = "",
    size: Size = "two-columns",
) -> Figure:
    """Error of forecasts against how far beyond the cut they reach, one series for each law.

    Args:
        series: Forecasts of each law; distances may repeat.
        level: Level of the intervals.
        name: File stem of the figure.
        caption: What to see; made from the facts if empty.
        size: Width of the picture.
    """
    if not caption:
        caption = (
            "Each law was fitted to the runs below a cut and asked for those above it. A point is"
            f" one error, actual less forecast, a bar its {level:.0%} interval; at the zero line"
            " the forecast was right."
        )
    with _styled():
        canvas = _canvas(size, 0.56)
        axes = canvas.add_subplot()
        axes.axhline(0, color=_SOFT, lw=1, zorder=1)
        markers = _cycle("osD^vP")
        for one, colour, marker in zip(series, _cycle(_COLOURS), markers, strict=False):
            _draw_forecasts(axes, one, colour, marker)
        errors = [one.error for one in series]
        bounds = [end for one in series for end in (one.low, one.high) if end is not None]
        axes.set_ylim(*_around_zero(errors, bounds))
        axes.set_xlabel("Decades beyond the cut")
        axes.set_ylabel("Forecast error, % of the loss")
        reach = [one.decades[np.isfinite(one.decades)] for one in series]
        axes.set_xlim(0, 1.06 * max((r.max(initial=0.0) for r in reach), default=0.0) or 1.0)
        _legend(canvas, axes)
        return _finished(canvas, name, caption)


def parameters(
    estimates: Sequence[Estimate],
    *,
    level: float = 0.95,
    name: str = "exponents",
    caption: str = "",
    size: Size = "two-columns",
) -> Figure:
    """Estimates of several laws side by side, each a dot with its interval.

    Args:
        estimates: In reading order; rows follow the first appearance of each parameter.
        level: Level of the intervals.
        name: File stem of the figure.
        caption: What to see; made from the facts if empty.
        size: Width of the picture.
    """
    caption = caption or f"Exponents of each law with their {level:.0%} intervals."
    names = list(dict.fromkeys(one.parameter for one in estimates))
    laws = list(dict.fromkeys(one.law for one in estimates))
    colours = dict(zip(laws, _cycle(_COLOURS), strict=False))
    markers = dict(zip(laws, _cycle("osD^vP"), strict=False))
    step = 0.7 / max(len(laws), 1)
    with _styled():
        canvas = _canvas(size, 0.14 + 0.055 * max(len(names), 1) * max(1.0, len(laws) / 2))
        axes = canvas.add_subplot()
        axes.grid(visible=False, axis="y")
        for law in laws:
            shift = (laws.index(law) - (len(laws) - 1) / 2) * step
            own = [one for one in estimates if one.law == law]
            place = [names.index(one.parameter) + shift for one in own]
            for one, y in zip(own, place, strict=True):
                if math.isfinite(one.low) and math.isfinite(one.high):
                    axes.plot([one.low, one.high], [y, y], color=colours[law], lw=1.6, zorder=2)
            axes.plot(
                [one.value for one in own],
                place,
                ls="none",
                marker=markers[law],
                ms=6,
                mfc=colours[law],
                mec="white",
                mew=0.8,
                label=_short(law),
                zorder=3,
            )
        axes.set_yticks(range(len(names)), [_short(n) for n in names])
        axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("Estimate")
        _legend(canvas, axes)
        return _finished(canvas, name, caption)


@contextmanager
def _styled() -> Iterator[None]:
    """The style of the house, and quiet about letters that the measuring font lacks."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's fonts draw the text, so a letter that is missing here is seen there.
        warnings.filterwarnings("ignore", message=".*Glyph .* missing from")
        warnings.filterwarnings("ignore", message=".*does not support .* natively")
        yield


def _canvas(size: Size, aspect: float) -> Canvas:
    """An empty picture with its SVG canvas; `aspect` is height over width."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    width = _INCHES[size]
    canvas = Canvas(figsize=(width, max(width * aspect, 1.6)), layout="constrained")
    FigureCanvasSVG(canvas)
    return canvas


def _finished(canvas: Canvas, name: str, caption: str) -> Figure:
    """The picture as a noun: no date, no program, ids of its own."""
    from io import StringIO

    text = StringIO()
    canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = cleaned(text.getvalue(), name).replace("'DejaVu Sans'", _FONTS)
    return Figure(name=name, caption=caption, svg=svg)


def _draw_curve(
    axes: Axes, curve: Curve, colour: str, fitted: tuple[float, float] | None, level: float
) -> None:
    """One law with its band, solid where runs were fitted and dashed elsewhere."""
    if not curve.scale.size:
        return
    label = _short(curve.label)
    known = _banded(curve)
    if known is not None and curve.low is not None and curve.high is not None:
        label += f" with {level:.0%} interval"
        axes.fill_between(
            curve.scale,
            np.where(known, curve.low, np.nan),
            np.where(known, curve.high, np.nan),
            where=known.tolist(),
            color=colour,
            alpha=0.16,
            lw=0,
            zorder=1,
        )
    low, high = fitted or (-math.inf, math.inf)
    inside = (curve.scale >= low) & (curve.scale <= high)
    if not inside.any():
        inside[:] = True
    # One point on either side is shared, so that no gap shows where the dashes begin.
    first, last = np.flatnonzero(inside)[[0, -1]]
    axes.plot(
        curve.scale[first : last + 1], curve.loss[first : last + 1], color=colour, label=label
    )
    for part in (slice(0, first + 1), slice(last, None)):
        if curve.scale[part].size > 1:
            axes.plot(curve.scale[part], curve.loss[part], color=colour, ls=(0, (3.5, 2)))


def _banded(curve: Curve) -> BoolArray | None:
    """Where a curve has an interval, shape (m,); None if nowhere."""
    if curve.low is None or curve.high is None:
        return None
    known = np.isfinite(curve.low) & np.isfinite(curve.high)
    return known if known.any() else None


def _draw_runs(axes: Axes, runs: Points) -> PathCollection | None:
    """Runs as dots, held-out ones as open diamonds; the coloured dots if there are any."""
    from matplotlib.colors import LogNorm

    held = runs.held_out if runs.held_out is not None else np.zeros(runs.scale.size, dtype=bool)
    crowd = runs.scale.size >= _CROWD
    look: dict[str, Any] = {
        "s": 7.0 if crowd else 22.0,
        "edgecolors": "none" if crowd else "white",
        "linewidths": 0.5,
        "alpha": 0.6 if crowd else 1.0,
        # A crowd would hide the curves, a few dots are hidden by them.
        "zorder": 1.5 if crowd else 3,
        "label": "runs",
    }
    coloured = None
    low, high = _span(runs.size) if runs.size is not None else (1.0, 1.0)
    if runs.size is not None and high > low:
        coloured = axes.scatter(
            runs.scale[~held],
            runs.loss[~held],
            c=runs.size[~held],
            cmap=_size_colours(),
            norm=LogNorm(low, high),
            plotnonfinite=True,
            **look,
        )
    elif runs.scale.size:
        axes.scatter(runs.scale[~held], runs.loss[~held], c=_RUN, **look)
    if held.any():
        axes.scatter(
            runs.scale[held],
            runs.loss[held],
            s=1.4 * look["s"],
            marker="D",
            facecolors="white",
            edgecolors=_INK,
            linewidths=1.1,
            zorder=4,
            label="held-out runs",
        )
    return coloured


def _size_colours() -> Any:
    """Viridis without the yellow end, which is too pale on white."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    # From 50 colours on, matplotlib makes the bar of a colour scale an image.
    return ListedColormap(mpl.colormaps["viridis"](np.linspace(0.0, 0.86, 48))).with_extremes(
        bad=_RUN
    )


def _colour_scale(canvas: Canvas, axes: Axes, coloured: PathCollection, size: Array) -> None:
    """A bar that says which colour is which model size."""
    from matplotlib.ticker import FixedLocator, NullLocator

    bar = canvas.colorbar(coloured, ax=axes, pad=0.02, aspect=28, fraction=0.06)
    ticks = _log_ticks(*_span(size), most=5)
    bar.ax.yaxis.set_major_locator(FixedLocator(ticks))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.set_yticks(ticks, [_tick_words(t, "N") for t in ticks])
    bar.ax.grid(visible=False)
    bar.set_label(_WORDS["N"])
    # The colour of the edge closes the seams that viewers show between neighbours.
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")
    bar.outline.set_visible(False)


def _draw_surface(canvas: Canvas, axes: Axes, surface: Surface, loss: str) -> None:
    """Filled contours with lines, denser toward low loss, where laws are flat."""
    import matplotlib as mpl
    from matplotlib.colors import BoundaryNorm, ListedColormap

    finite = surface.loss[np.isfinite(surface.loss)]
    low, high = finite.min(initial=math.inf), finite.max(initial=-math.inf)
    if not low < high or min(surface.loss.shape) < 2:
        return
    levels = low + (high - low) * np.linspace(0, 1, 13) ** 1.8
    digits = max(1, min(9, math.ceil(-math.log10((levels[1] - low) / 2))))
    unit = 10.0**-digits
    levels[1:-1] = levels[1:-1].round(digits)
    levels[[0, -1]] = math.floor(low / unit) * unit, math.ceil(high / unit) * unit
    colours = ListedColormap(mpl.colormaps["Blues"](np.linspace(0.62, 0.04, 12)))
    norm = BoundaryNorm(levels.tolist(), 12)
    masked = np.ma.masked_invalid(surface.loss)
    filled = axes.contourf(
        surface.N, surface.D, masked, levels=levels, cmap=colours, norm=norm, zorder=0
    )
    # The colour of the edge closes the seams that viewers show between neighbours.
    filled.set_edgecolor("face")
    filled.set_linewidth(0.4)
    axes.contour(
        surface.N, surface.D, masked, levels=levels[1:-1], colors="white", linewidths=0.7, zorder=1
    )
    bar = canvas.colorbar(filled, ax=axes, pad=0.02, aspect=28, fraction=0.06)
    bar.minorticks_off()
    bar.set_ticks(levels[::2].tolist(), labels=[f"{v:.{digits}f}" for v in levels[::2]])
    bar.ax.grid(visible=False)
    bar.set_label(_words(loss))
    bar.outline.set_visible(False)


def _split_line(axes: Axes, frontier: Frontier, largest: float) -> None:
    """The efficient frontier, dashed beyond the data."""
    inside = np.less_equal(frontier.C, largest)
    edge = int(inside.sum())
    colour = _COLOURS[1]
    if edge:
        axes.plot(
            frontier.N[:edge],
            frontier.D[:edge],
            color=colour,
            lw=2.2,
            zorder=5,
            label="efficient frontier",
        )
    if edge < frontier.C.size:
        start = max(edge - 1, 0)
        axes.plot(
            frontier.N[start:],
            frontier.D[start:],
            color=colour,
            lw=2.2,
            ls=(0, (3, 2)),
            zorder=5,
            label="beyond the data",
        )


def _draw_optimum(axes: Axes, optimum: Optimum) -> None:
    """The best model of one budget, its interval along the line of equal compute, its budget."""
    if math.isfinite(optimum.N_low) and math.isfinite(optimum.N_high):
        between = np.geomspace(optimum.N_low, optimum.N_high, 32)
        tokens = np.exp(np.interp(np.log(between), np.log(optimum.line_N), np.log(optimum.line_D)))
        axes.plot(between, tokens, color=_INK, lw=3.4, alpha=0.75, zorder=6)
    axes.plot(
        [optimum.N],
        [optimum.D],
        marker="D",
        ms=6.5,
        mfc="white",
        mec=_COLOURS[1],
        mew=1.6,
        ls="none",
        zorder=7,
    )
    axes.annotate(
        f"{_power_words(optimum.budget)} FLOP",
        (optimum.N, optimum.D),
        (9, 5),
        textcoords="offset points",
        fontsize=8.5,
        va="bottom",
        annotation_clip=True,
        bbox=_LABEL_GROUND,
        zorder=8,
    )


def _label_rows(axes: Axes, values: Array, found: Residuals, labelled: int) -> None:
    """Name the rows farthest from the law, each where no other name stands."""
    usable = np.flatnonzero(np.isfinite(found.percent) & np.isfinite(values) & (values > 0))
    order = usable[np.argsort(-np.abs(found.percent[usable]), kind="stable")][:labelled]
    left, right = np.log10(axes.get_xlim())
    top = axes.get_ylim()[1]
    taken: list[tuple[float, float]] = []
    for place in order:
        x = (math.log10(values[place]) - left) / (right - left)
        y = found.percent[place] / top
        side = -1 if x > 0.72 else 1
        # Rough boxes in shares of the axes: exact ones would need the text to be drawn first.
        lift = 0.0
        for _ in range(6):
            if all(abs(x + side * 0.1 - a) > 0.22 or abs(y + lift - b) > 0.11 for a, b in taken):
                break
            lift += 0.12 if y < 0 else -0.12
        taken.append((x + side * 0.1, y + lift))
        axes.annotate(
            f"row {found.row[place]}",
            (values[place], found.percent[place]),
            (side * 6, lift * 70),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=8,
            color=_INK,
            bbox=_LABEL_GROUND,
            arrowprops={"arrowstyle": "-", "color": _SOFT, "lw": 0.6} if lift else None,
            zorder=4,
        )


def _draw_forecasts(axes: Axes, one: Forecasts, colour: str, marker: str) -> None:
    """One law's errors, each with its interval; forecasts from different cuts are not joined."""
    if one.low is not None and one.high is not None:
        known = np.isfinite(one.low) & np.isfinite(one.high)
        axes.vlines(
            one.decades[known],
            one.low[known],
            one.high[known],
            color=colour,
            alpha=0.45 if one.decades.size < _MANY_FORECASTS else 0.25,
            lw=1.2,
            zorder=2,
        )
    axes.plot(
        one.decades,
        one.error,
        color=colour,
        ls="none",
        marker=marker,
        ms=5.5 if one.decades.size < _MANY_FORECASTS else 4.2,
        mec="white",
        mew=0.7,
        label=_short(one.label),
        zorder=3,
    )


def _loss_axis(axes: Axes, runs: Points, curves: Sequence[Curve], loss: str) -> None:
    """Vertical axis that holds runs and curves; a band may leave it. Log if the loss spans much."""
    everything = [runs.loss, *(curve.loss for curve in curves)]
    low, high = _span(*everything)
    bands = [end for c in curves for end in (c.low, c.high) if end is not None]
    if bands:
        wide_low, wide_high = _span(*bands, *everything)
        room = (high / low) ** 0.5
        low, high = max(wide_low, low / room), min(wide_high, high * room)
    if high / low > 4:
        _log_axis(axes, "y", low, high, loss)
        return
    from matplotlib.ticker import MaxNLocator

    margin = 0.06 * (high - low) or 0.1 * high
    axes.set_ylim(low - margin, high + margin)
    axes.yaxis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 2.5, 5, 10]))
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.set_ylabel(_words(loss))


def _log_axis(
    axes: Axes,
    which: Literal["x", "y"],
    low: float,
    high: float,
    role: str,
    *,
    margin: float = 0.03,
    most: int = _MOST_TICKS,
) -> None:
    """A logarithmic axis with few ticks in words that people read."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    if low == high:
        low, high = low / 2, high * 2
    room = (high / low) ** margin
    low, high = low / room, high * room
    axis = axes.xaxis if which == "x" else axes.yaxis
    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xlabel(_words(role))
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_ylabel(_words(role))
    ticks = _log_ticks(low, high, most)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_ticks(ticks, labels=[_tick_words(tick, role) for tick in ticks])


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values within [low, high], at most about `most`, evenly spread on a log scale.

    >>> _log_ticks(3e18, 2e22, 7)
    [1e+19, 1e+20, 1e+21, 1e+22]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        ticks = [float(f"{m}e{k}") for k in range(first, last + 1) for m in mantissas]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 4 or (len(ticks) >= 3 and mantissas != (1.0,)):
            return ticks[:: math.ceil(len(ticks) / most)]
    # Less than a decade: even steps read better than powers.
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    for factor in (1, 2, 5, 10):
        start = math.ceil(low / (step * factor))
        even = [float(f"{k * step * factor:.12g}") for k in range(start, start + 40)]
        even = [tick for tick in even if tick <= high]
        if len(even) <= most:
            return even
    return [low, high]


def _tick_words(value: float, role: str) -> str:
    """A tick as people write it: 300M for counts, 10²⁰ for compute, 2.5 for losses.

    >>> _tick_words(3e8, "N"), _tick_words(1e20, "C"), _tick_words(3e20, "C"), _tick_words(2.5, "L")
    ('300M', '10²⁰', '3×10²⁰', '2.5')
    """
    if role in ("N", "D") and 1 <= value < 1e15:
        return human(value, 4)
    if 1e-3 <= value < 1e5:
        return f"{value:.6g}"
    return _power_words(value)


def _power_words(value: float) -> str:
    """A number as a power of ten in superscript letters."""
    mantissa, exponent = f"{value:.2e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    front = mantissa.rstrip("0").rstrip(".")
    return f"10{raised}" if front == "1" else f"{front}×10{raised}"


def _legend(canvas: Canvas, axes: Axes) -> None:
    """A legend above the axes, where it can hide nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    width = float(canvas.get_size_inches()[0])
    # About 0.075 inch a letter and half an inch for the sample beside it.
    columns = max(1, int(width / (0.55 + 0.075 * max(map(len, labels)))))
    rows = math.ceil(len(labels) / min(columns, len(labels)))
    canvas.set_size_inches(width, float(canvas.get_size_inches()[1]) + 0.2 * rows)
    canvas.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=min(columns, len(labels)),
        columnspacing=1.4,
    )


def _span(*values: Array) -> tuple[float, float]:
    """Smallest and largest positive finite value; (1, 10) if there is none."""
    pooled = np.concatenate([np.ravel(v) for v in values]) if values else np.empty(0)
    pooled = pooled[np.isfinite(pooled) & (pooled > 0)]
    return (float(pooled.min()), float(pooled.max())) if pooled.size else (1.0, 10.0)


def _around_zero(values: Sequence[Array], bounds: Sequence[Array]) -> tuple[float, float]:
    """Limits that hold every value and zero, and bounds unless they reach absurdly far."""
    inner = np.concatenate([*values, np.zeros(1)])
    inner = inner[np.isfinite(inner)]
    outer = np.concatenate([inner, *bounds])
    outer = outer[np.isfinite(outer)]
    reach = 3 * max(np.abs(inner).max(), 0.1)
    low, high = max(outer.min(), -reach), min(outer.max(), reach)
    margin = 0.06 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _thinned(runs: Points, *, positive_loss: bool = True) -> tuple[Points, int]:
    """The runs that can be drawn, at most 3,000 of them, and how many were left out for that.

    Every k-th along the scale stays, so that the shape of the cloud does.
    """
    usable = np.isfinite(runs.scale) & np.isfinite(runs.loss) & (runs.scale > 0)
    if positive_loss:
        usable &= runs.loss > 0
    places = np.flatnonzero(usable)
    kept = places
    if places.size > _MOST_POINTS:
        order = places[np.lexsort((runs.loss[places], runs.scale[places]))]
        kept = np.sort(order[np.linspace(0, order.size - 1, _MOST_POINTS).round().astype(int)])
    return (
        Points(
            runs.scale[kept],
            runs.loss[kept],
            None if runs.size is None else runs.size[kept],
            None if runs.held_out is None else runs.held_out[kept],
        ),
        int(places.size - kept.size),
    )


def _left_out_words(count: int) -> str:
    """A sentence on the runs that are not drawn; empty if all are."""
    return (
        f" For clarity {count:,} of the runs, evenly along the axis, are not drawn."
        if count
        else ""
    )


def _words(role: str) -> str:
    """What an axis is called."""
    return _WORDS.get(role, _short(role))


def _lower(words: str) -> str:
    """Words for the middle of a sentence, without the unit."""
    bare = words.split(",")[0]
    return bare[:1].lower() + bare[1:] if len(bare) > 1 else bare


def _short(text: str) -> str:
    """A label that leaves room for the picture."""
    return shown(text, _LONGEST_LABEL)


def _finite_or(value: float, other: float) -> float:
    """`value` if it is a number."""
    return value if math.isfinite(value) else other


def _cycle(values: Sequence[str]) -> Iterator[str]:
    """Values without end."""
    while True:
        yield from values
