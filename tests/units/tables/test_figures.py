"""Every picture is valid, reproducible, of one piece, and stands extremes."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from scalefit.tables.figures import (
    Curve,
    Estimate,
    Forecasts,
    Frontier,
    Optimum,
    Points,
    Residuals,
    Surface,
    contours,
    forecasts,
    loss_against_scale,
    parameters,
    residuals,
)
from scalefit.tables.reports import FORMATS, Report, Section
from scalefit.tables.reports.svg import cleaned

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a$b$ <b>&"x"</b> \x1b \u202e \\frac{1}{0} 日本 _x^2'


def cloud(n, low=1e18, high=1e22):
    rng = np.random.default_rng(0)
    scale = np.geomspace(low, high, n)
    return scale, 1.7 + 40 * scale**-0.08 * np.exp(rng.normal(0, 0.01, n))


def curve(label="power", low=1e17, high=1e24, half=0.05):
    grid = np.geomspace(low, high, 50)
    loss = 1.7 + 40 * grid**-0.08
    return Curve(label, grid, loss, loss - half, loss + half)


def law(n=40, *, label="chinchilla", low=1e18, high=1e22, half=0.05, size=None, held=None):
    scale, loss = cloud(n, low, high)
    drawn = Points(scale, loss, size, held)
    return loss_against_scale(drawn, [curve(label, low, high * 100, half)], fitted=(low, high))


def surface(n=40, budgets=(1e21, 1e24), interval=2.0):
    N, D = np.geomspace(1e7, 1e12, 40), np.geomspace(1e9, 1e14, 40)
    rng = np.random.default_rng(0)
    C = np.geomspace(1e18, 1e25, 30)
    return contours(
        Surface(N, D, 1.69 + 406 * N[None] ** -0.34 + 411 * D[:, None] ** -0.28),
        (10 ** rng.uniform(8, 10, n), 10 ** rng.uniform(9, 11, n)),
        frontier=Frontier(C, np.sqrt(C / 120), np.sqrt(C * 20 / 6)),
        optima=[
            Optimum(c, n_, c / 6 / n_, n_ / interval, n_ * interval, N, c / 6 / N)
            for c in budgets
            for n_ in [math.sqrt(c / 120)]
        ],
        largest=1e22,
    )


def misses(n=40, labelled=5):
    rng = np.random.default_rng(0)
    found = Residuals(rng.normal(0, 0.4, n), np.arange(1, n + 1), 0.4)
    scale = np.geomspace(1e18, 1e22, n)
    return residuals(found, {"C": scale, "N": np.sqrt(scale)}, labelled=labelled)


def foretold(label="kaplan"):
    far, error = np.array([0.3, 1.0, 2.0]), np.array([0.1, -0.5, -2.0])
    return forecasts(
        [Forecasts(label, far, error, error - 1, error + 1), Forecasts("b", far[[0, 0]], far[:2])]
    )


def dots(law_name="chinchilla"):
    return parameters(
        [
            Estimate(law_name, "alpha", 0.34, 0.31, 0.38),
            Estimate("b", "beta", 0.3, math.nan, math.nan),
        ]
    )


MAKERS = [law, surface, misses, foretold, dots]


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def make(request):
    return request.param


def texts(figure):
    return [e.text or "" for e in ElementTree.fromstring(figure.svg).iter(f"{SVG}text")]


def marks(figure):
    return figure.svg.count("<use ")


def test_a_picture_is_one_valid_svg_element_with_a_caption(make):
    figure = make()
    assert ElementTree.fromstring(figure.svg).tag == f"{SVG}svg"
    assert figure.svg.startswith("<svg")
    assert figure.caption


def test_a_picture_has_the_same_bytes_each_time(make):
    assert make() == make()


def test_a_picture_depends_on_no_date_program_or_outside_address(make):
    svg = make().svg
    assert set(re.findall(r"https?://[^\s\"'<>]+", svg)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"(?i)matplotlib|metadata|<image|<style|20\d\d-\d\d", svg)


def test_ids_are_unique_and_every_reference_has_its_target(make):
    svg = make().svg
    ids = re.findall(r'\bid="([^"]+)"', svg)
    wanted = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
    assert len(ids) == len(set(ids))
    assert {a or b for a, b in wanted} == set(ids)


def test_the_same_picture_twice_in_a_page_makes_no_ids_clash(make):
    figure = make()
    told = Report("t", (Section("a", "A", figures=(figure, figure)),), {})
    ids = re.findall(rb'\bid="([^"]+)"', FORMATS.get("html").render(told))
    assert len(ids) == len(set(ids))


def test_no_text_or_mark_leaves_the_picture(make):
    root = ElementTree.fromstring(make().svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    for text in root.iter(f"{SVG}text"):
        x, y = (float(text.get(k, "nan")) for k in "xy")
        if math.isnan(x):
            x, y = map(
                float, re.search(r"translate\(([-\d.]+) ([-\d.]+)", str(text.attrib)).groups()
            )
        assert 0 <= x <= width
        assert 0 <= y <= height


@pytest.mark.parametrize("make_with", [lambda t: law(label=t), foretold, dots])
def test_a_hostile_label_is_shown_letter_by_letter(make_with):
    joined = "\n".join(texts(make_with(HOSTILE)))
    assert 'a$b$ <b>&"x"</b> \\x1b \\u202e' in joined


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(0, 1e18, 1e22), (1, 1e20, 1e20), (2, 1e20, 1.1e20), (3, 1e-6, 1e6), (10_000, 1e10, 1e22)],
)
def test_few_many_near_and_far_runs_are_drawn_with_ticks_that_can_be_read(n, low, high):
    figure = law(n, low=low, high=high)
    ElementTree.fromstring(figure.svg)
    ticks = [
        t for t in texts(figure) if re.fullmatch(r"[\d.,]+[MBT]?|([\d.]+×)?10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", t)
    ]
    assert 4 <= len(ticks) <= 18
    assert len(figure.svg) < 600_000


def test_losses_over_twelve_decades_get_a_log_axis():
    scale = np.geomspace(1, 1e12, 50)
    figure = loss_against_scale(Points(scale, 1 / scale), [], fitted=None)
    assert {"10⁻¹²", "1"} <= set(texts(figure)) or {"10⁻¹⁰", "10⁻⁸"} <= set(texts(figure))


@pytest.mark.parametrize("half", [math.nan, math.inf, 1e9])
def test_an_interval_that_is_missing_or_absurd_leaves_the_curve_in_sight(half):
    loss_ticks = [float(t) for t in texts(law(half=half)) if re.fullmatch(r"\d\.\d+", t)]
    assert len(loss_ticks) >= 3
    assert max(loss_ticks) < 20


def test_a_missing_interval_is_not_promised_in_words():
    assert any("interval" in t for t in texts(law()))
    assert "intervals" in law().caption
    missing = law(half=math.nan)
    assert not any("interval" in words for words in (*texts(missing), missing.caption))


def test_rows_that_cannot_be_drawn_are_passed_over():
    scale = np.array([1e18, 1e19, math.nan, -1.0, 1e20, 0.0])
    loss = np.array([3.0, math.nan, 2.5, 2.5, math.inf, 2.0])
    figure = loss_against_scale(Points(scale, loss, scale), [], fitted=None)
    ElementTree.fromstring(figure.svg)
    assert "nan" not in figure.svg.lower()


def test_runs_of_unknown_size_are_still_drawn():
    size = np.geomspace(1e8, 1e9, 40)
    some = size.copy()
    some[:5] = math.nan
    assert marks(law(size=some)) == marks(law(size=size))


def test_the_size_of_models_gets_a_bar_of_colours_with_its_ticks():
    coloured = law(size=np.geomspace(1e8, 1e10, 40))
    assert "Model parameters N" in texts(coloured)
    assert {"100M", "1B", "10B"} <= set(texts(coloured))
    fills = set(re.findall(r"fill: (#[0-9a-f]{6})", coloured.svg))
    bar = re.findall(r'clip-path="[^"]+" style="fill: #', coloured.svg)
    assert len(fills) > 40
    assert len(bar) > 40


def test_the_fitted_range_is_shaded_and_what_lies_beyond_is_dashed():
    scale, loss = cloud(20)
    shaded = loss_against_scale(Points(scale, loss), [curve()], fitted=(1e18, 1e22))
    bare = loss_against_scale(Points(scale, loss), [curve()], fitted=None)
    assert "range of the fitted runs" in texts(shaded)
    assert "stroke-dasharray" in shaded.svg
    assert "range of the fitted runs" not in texts(bare)
    assert "stroke-dasharray" not in bare.svg


def test_held_out_runs_are_marked_and_named():
    held = np.arange(40) > 35
    assert "held-out runs" in texts(law(held=held))
    assert "held-out runs" not in texts(law(held=None))


def test_runs_left_out_of_a_crowded_picture_are_counted_in_its_caption():
    assert "7,000 of the runs" in law(10_000).caption
    assert "not drawn" not in law(3_000).caption


def test_the_rows_farthest_from_the_law_are_named():
    percent = np.zeros(30)
    percent[[3, 17]] = [5.0, -7.0]
    scale = np.geomspace(1e18, 1e22, 30)
    figure = residuals(Residuals(percent, np.arange(101, 131), 1.0), {"C": scale}, labelled=2)
    assert [t for t in texts(figure) if t.startswith("row")] == ["row 118", "row 104"]


@pytest.mark.parametrize("sigma", [math.nan, 0.0])
def test_residuals_that_are_all_zero_or_missing_are_drawn(sigma):
    for percent in (np.zeros(3), np.full(3, math.nan), np.empty(0)):
        scale = np.geomspace(1e18, 1e20, percent.size)
        residuals(Residuals(percent, np.arange(percent.size), sigma), {"C": scale})


def test_budgets_are_marked_and_the_frontier_is_dashed_beyond_the_data():
    figure = surface()
    assert {"10²¹ FLOP", "10²⁴ FLOP", "beyond the data"} <= set(texts(figure))
    assert "stroke-dasharray" in figure.svg


@pytest.mark.parametrize("n", [0, 1, 10_000])
def test_a_surface_takes_any_number_of_runs_and_no_interval(n):
    assert len(surface(n, interval=math.nan).svg) < 900_000


@pytest.mark.parametrize("loss", [np.full((3, 3), 2.0), np.full((3, 3), math.nan)])
def test_a_flat_or_missing_surface_is_left_blank(loss):
    axis = np.geomspace(1e8, 1e10, 3)
    figure = contours(Surface(axis, axis, loss), (axis, axis))
    assert "Model parameters N" in texts(figure)


def test_no_forecast_and_no_estimate_still_make_a_picture():
    for figure in (forecasts([]), parameters([])):
        ElementTree.fromstring(figure.svg)


def test_a_picture_leaves_the_settings_of_matplotlib_as_they_were():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    law()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "live",
    [
        "<script>alert(1)</script>", "<style>*{fill:red}</style>", "<foreignObject/>",
        '<image href="https://evil.example/x"/>', '<a href="javascript:alert(1)"/>',
        '<rect onclick="alert(1)"/>', '<rect style="fill:url(https://evil.example)"/>',
        '<rect style="fill:u\\72l(https://evil.example)"/>', '<use href="https://evil.example#a"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>', "<!-- alert(1) -->",
    ],
)  # fmt: skip
def test_what_is_live_in_a_picture_is_dropped(live):
    svg = cleaned(f'<svg xmlns="http://www.w3.org/2000/svg">{live}<text>kept</text></svg>', "a")
    assert "kept" in svg
    assert not re.search(r"(?i)alert|evil|onclick|<style|foreign|<image", svg)


@pytest.mark.parametrize("text", ["", "words", "<html/>", "<svg>", "<svg>&bomb;</svg>"])
def test_what_is_no_picture_is_refused(text):
    with pytest.raises(ValueError, match="not an SVG picture"):
        cleaned(text, "a")
