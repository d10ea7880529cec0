"""The verbs in a notebook: what is handed over is checked, shown briefly, and travels."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import scalefit
from scalefit.core.errors import InputError
from scalefit.laws import LAWS
from scalefit.laws.text import parse_law
from scalefit.pipeline import lawfiles

N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 2e11, 5)))
NOISE = np.exp(0.003 * np.random.default_rng(3).standard_normal(N.size))
COLUMNS = {"N": N, "D": D, "loss": (1.7 + 400 * N**-0.34 + 410 * D**-0.28) * NOISE}
POINT = {"N": 2e10, "D": 4e11}


@pytest.fixture(scope="module")
def runs():
    return scalefit.read(pa.table(COLUMNS))


@pytest.fixture(scope="module")
def fitted(runs):
    return scalefit.fit(runs, "chinchilla")


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        (lambda r, f: scalefit.fit("runs.csv", "chinchilla"), "the runs are of type str"),
        (lambda r, f: scalefit.fit("chinchilla", r), "the runs are of type str"),
        (lambda r, f: scalefit.fit(r, None), "the law is None"),
        (lambda r, f: scalefit.fit(r, ["chinchilla"]), "the law is of type list"),
        (lambda r, f: scalefit.fit(r, "auto"), "auto is an average"),
        (lambda r, f: scalefit.fit(r, "chinchilla", objective=3), "the objective is of type int"),
        (lambda r, f: scalefit.fit(r, "chinchilla", interval=None), "the interval is None"),
        (lambda r, f: scalefit.fit(r, "chinchilla", level="0.9"), "level is '0.9'"),
        (lambda r, f: scalefit.fit(r, "chinchilla", cluster=None), "the cluster is None"),
        (lambda r, f: scalefit.fit(r, "chinchilla", seed="a"), "seed is 'a'"),
        (lambda r, f: scalefit.fit(r, "chinchilla", interval="bootstrap", draws=99.5), "draws is"),
        (lambda r, f: scalefit.fit(r, "chinchilla", fix=["alpha"]), "fix is of type list"),
        (lambda r, f: scalefit.fit(r, "chinchilla", fix={"alpha": "x"}), "fix of alpha is 'x'"),
        (lambda r, f: scalefit.fit(r, "chinchilla", bound={"alpha": 0.5}), "must be two numbers"),
        (lambda r, f: scalefit.compare("runs.csv"), "the runs are of type str"),
        (lambda r, f: scalefit.compare(r, "chinchilla"), "one law cannot be compared"),
        (lambda r, f: scalefit.predict(r, POINT), "the fit is of type RunTable"),
        (lambda r, f: scalefit.predict(f, [POINT]), "the points are of type list"),
        (lambda r, f: scalefit.predict(f, POINT | {"N": "seven"}), "seven is not a number"),
        (lambda r, f: scalefit.predict(f, {"N": [1e9, 2e9, 3e9], "D": [1e10, 2e10]}), "3 of N"),
        (lambda r, f: scalefit.predict(f, {"N": [], "D": []}), "N holds no number"),
        (lambda r, f: scalefit.predict(f, {"N": [[1e9]], "D": [[1e10]]}), "N has shape"),
        (lambda r, f: scalefit.allocate(r, 1e21), "the fit is of type RunTable"),
        (lambda r, f: scalefit.allocate(f, {"a": 1}), "budgets is"),
        (lambda r, f: scalefit.allocate(f, 1e21, waste=2), "waste is 2"),
        (lambda r, f: scalefit.report("runs.csv", "folder"), "the runs are of type str"),
        (lambda r, f: scalefit.report(r, "folder", at=POINT), "at is one point"),
        (lambda r, f: scalefit.read(None), "NoneType is no table"),
        (lambda r, f: scalefit.read(COLUMNS, columns=["N"]), "columns may not be of type list"),
        (lambda r, f: scalefit.read(COLUMNS, where=len), "where may not be"),
        (lambda r, f: scalefit.read(COLUMNS, keep="loss"), "keep may not be of type str"),
        (lambda r, f: scalefit.read({"N": [1, 2], "D": [1]}), "cannot be read"),
    ],
)  # fmt: skip
def test_a_slip_is_told_in_words(runs, fitted, verb, told):
    with pytest.raises(InputError) as caught:
        verb(runs, fitted)
    assert told in str(caught.value)


def test_columns_and_rows_by_name_are_tables():
    whole = scalefit.read(pa.table(COLUMNS))
    cells = np.stack(list(COLUMNS.values()), axis=1).tolist()
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in cells]
    for given in (COLUMNS, {k: v.tolist() for k, v in COLUMNS.items()}, rows):
        assert scalefit.read(given).table.equals(whole.table)


def test_points_are_numbers_or_words_and_one_stands_for_all(fitted):
    both = scalefit.predict(fitted, {"N": ["10B", "20B"], "D": 2e11})
    assert both.points["N"].tolist() == [1e10, 2e10]
    assert both.points["D"].tolist() == [2e11, 2e11]
    one = scalefit.predict(fitted, {"N": "20B", "D": "200B"})
    assert one.band.loss[0] == both.band.loss[1]
    assert scalefit.allocate(fitted, "1ZFLOP").budget.tolist() == [1e21]


def test_what_is_shown_fits_a_line_or_two(runs, fitted):
    assert repr(runs) == "RunTable(30 rows of memory: N, D, L, C)"
    assert repr(fitted).startswith("Estimate(chinchilla, converged, 30 rows: E=1.")
    ranked = scalefit.compare(runs, ["chinchilla", "kaplan"])
    assert repr(ranked) == f"Compared({ranked.comparison.verdict})"
    assert max(len(repr(one)) for one in (runs, fitted, ranked)) < 160


def test_a_fit_travels_to_other_processes(fitted):
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        away = pool.submit(scalefit.predict, fitted, POINT).result()
    assert away.band.loss.tolist() == scalefit.predict(fitted, POINT).band.loss.tolist()
    assert copy.deepcopy(fitted).law is fitted.law


def test_laws_travel_by_name_or_as_their_text(tmp_path, monkeypatch):
    for law in LAWS:
        assert pickle.loads(pickle.dumps(law)) is law
    monkeypatch.chdir(tmp_path)
    own = parse_law(Path(lawfiles.new("my-law")).read_text())
    again = pickle.loads(pickle.dumps(own))
    assert (again.name, again.text) == (own.name, own.text)
