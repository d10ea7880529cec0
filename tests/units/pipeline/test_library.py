"""The verbs in a notebook: what is handed over is checked, shown briefly, and travels."""

import copy
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import scalefit
from scalefit.core.errors import InputError, ScalefitError, UnknownName
from scalefit.laws import LAWS
from scalefit.laws.text import parse_law
from scalefit.pipeline import lawfiles, steps
from scalefit.pipeline.arguments import in_python
from scalefit.tables.readers.base import CellError

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
        (lambda r, f: scalefit.report(r, "folder", at=POINT), "at must be a list of points"),
        (lambda r, f: scalefit.read(None), "NoneType is no table"),
        (lambda r, f: scalefit.read(COLUMNS, columns=["N"]), "columns may not be of type list"),
        (lambda r, f: scalefit.read(COLUMNS, where=len), "where may not be"),
        (lambda r, f: scalefit.read(COLUMNS, keep="loss"), "keep may not be of type str"),
        (lambda r, f: scalefit.read({"N": [1, 2], "D": [1]}), "cannot be read"),
        (lambda r, f: scalefit.read(COLUMNS, smooth="2"), "smooth is '2'"),
        (lambda r, f: scalefit.fit(r, "chinchilla", jobs="2"), "jobs is '2'"),
        (lambda r, f: scalefit.fit(r, "chinchilla", jobs=0), "jobs is 0"),
        (lambda r, f: scalefit.fit(r, "power", x=3), "x is of type int"),
        (lambda r, f: scalefit.fit(r, "chinchilla", solver=None), "solver is None"),
        (lambda r, f: scalefit.fit(r, "chinchilla", x="N"), "there is no input to choose"),
        (lambda r, f: scalefit.compare(r, 3), "one law cannot be compared"),
        (lambda r, f: scalefit.compare(r, ["chinchilla"] * 2), "chinchilla is named twice"),
        (lambda r, f: scalefit.compare(r, [("power", "N", 1), "kaplan"]), "of type tuple"),
        (lambda r, f: scalefit.compare(r, [("power", 1), "kaplan"]), "x is of type int"),
        (lambda r, f: scalefit.predict(f, POINT | {"N": True}), "N is True"),
        (lambda r, f: scalefit.predict(f, POINT | {"N": 1e9 + 1j}), "must be numbers"),
        (lambda r, f: scalefit.predict(f, POINT | {"N": 10**400}), "must be numbers"),
        (lambda r, f: scalefit.report(r, None), "the folder is None"),
        (lambda r, f: scalefit.report(r, "folder", at=[3]), "at must be a list of points"),
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
    said = scalefit.predict(fitted, {"N": [2e10] * 9, "D": 4e11})
    assert repr(said).startswith("Prediction(9 points: 2.")
    split = scalefit.allocate(fitted, [1e21])
    assert repr(split).startswith("Allocation(1e21 FLOP: N* 1.84B, D* 90.5B, inside)")
    # The split in closed form (Hoffmann et al. 2022, eq. 4).
    _, a, alpha, b, beta = fitted.fit.theta
    best = (alpha * a / (beta * b)) ** (1 / (alpha + beta)) * (1e21 / 6) ** (beta / (alpha + beta))
    assert best == pytest.approx(1.84e9, rel=0.003)
    assert max(len(repr(one)) for one in (runs, fitted, ranked, said, split)) < 160
    # What is withheld on paper is not shown here either.
    assert repr(scalefit.predict(fitted, {"N": 1e20, "D": 4e20})) == "Prediction(1 point: refused)"
    assert repr(scalefit.allocate(fitted, 1e40)) == "Allocation(1e40 FLOP: refused)"


@pytest.mark.parametrize("error", [
    UnknownName("law", "chinchila", ["chinchilla"]), CellError("a cell", "mend it", "loss"),
    InputError("a slip", "write it so"),
])  # fmt: skip
def test_errors_travel_to_other_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


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


X = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
LOSSES = [3.0, 2.8, 2.65, 2.5, 2.4, 2.31, 2.24, 2.2]
CURVE = {"x": X, "L": LOSSES}


def bare(**columns):
    return scalefit.read({**({} if "N" in columns else CURVE), "L": LOSSES, **columns})


WRONG = {
    "law of N and D without them": lambda: scalefit.fit(bare(), "chinchilla"),
    "no axis": lambda: scalefit.fit(
        scalefit.read({"size mb": X, "tok seen": X, "L": LOSSES}), "power-floor"
    ),
    "two axes": lambda: scalefit.fit(bare(N=X, D=X[::-1]), "power-floor"),
    "start outside": lambda: scalefit.fit(
        bare(), "power-floor", fix={"E": 5.0}, bound={"E": (0.0, 2.0)}
    ),
    "loss below zero": lambda: scalefit.fit(bare(L=[-1.0, *LOSSES[1:]]), "power"),
    "where": lambda: scalefit.read(CURVE, where="L = 3"),
    "where of nothing": lambda: scalefit.read(CURVE, where="L > 300"),
    "column": lambda: scalefit.read(CURVE, columns={"L": "los"}),
    "cell": lambda: scalefit.read({"x": X, "L": ["n/a", *map(str, LOSSES[1:])]}),
    "runs unknown": lambda: scalefit.read(CURVE, last=True),
    "point": lambda: scalefit.predict(scalefit.fit(bare(), "power"), {}),
    "unusable": lambda: scalefit.predict(
        scalefit.fit(bare(L=[3.0, 3.1, 2.9, 3.05, 3.0], x=X[:5]), "broken-power"),
        {"x": 3.0},
    ),
    "split": lambda: scalefit.allocate(scalefit.fit(bare(), "power"), 1e20),
    "one law": lambda: scalefit.compare(bare(), ["power"]),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=list(WRONG))
def test_errors_of_the_library_speak_of_arguments_and_not_of_flags(call):
    with pytest.raises(ScalefitError) as caught:
        call()
    assert "--" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("typed", "python"),
    [
        ("hold it with --fix alpha=0.3", "hold it with fix={'alpha': 0.3}"),
        ("write --bound g=0.1:0.9.", "write bound={'g': (0.1, 0.9)}."),
        (
            "--where '`run name` != \"a, b\"' or --last",
            "where='`run name` != \"a, b\"' or last=True",
        ),
        ("did you mean --col L=loss?", "did you mean columns={'L': 'loss'}?"),
        ("such as --at N=VALUE,D=VALUE", "such as {'N': VALUE, 'D': VALUE}"),
        ("use --col N=a --col 'D=b c'", "use columns={'N': 'a', 'D': 'b c'}"),
        ("leave --solver at scalefit", "leave solver at scalefit"),
        ("scalefit compare RUNS --law a ranks", "scalefit compare RUNS --law a ranks"),
        ("--where 'an open quote", "where 'an open quote"),
        ("two dashes -- and a range 3--4", "two dashes -- and a range 3--4"),
    ],
)
def test_flags_become_arguments(typed, python):
    assert in_python(typed) == python


def test_the_same_error_speaks_of_flags_on_the_command_line():
    with pytest.raises(InputError) as caught:
        steps.compare(bare(), ["power"])
    assert "--law NAME" in caught.value.hint


def test_verbs_are_found_under_their_own_name_by_other_processes():
    assert pickle.loads(pickle.dumps(scalefit.fit)) is scalefit.fit
    assert scalefit.fit.__doc__ == steps.fit.__doc__
    assert inspect.signature(scalefit.fit) == inspect.signature(steps.fit)
