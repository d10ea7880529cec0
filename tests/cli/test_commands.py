"""The commands as a person or a script meets them: a process, its output, its exit code."""

import csv
import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
RUNS = "data/chinchilla-subset/runs.csv"


def scalefit(*arguments, stdin=None, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "scalefit", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, input=stdin, check=False, timeout=120,
    )  # fmt: skip


def document(*arguments, **settings):
    done = scalefit(*arguments, "--json", **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_constant=lambda text: pytest.fail(f"{text} in JSON"))


@pytest.fixture(scope="module")
def fitted():
    return document("fit", RUNS, "--law", "chinchilla")


def test_fit_prints_the_promised_keys(fitted):
    assert fitted["schema"] == "scalefit.fit/1"
    assert fitted["seed"] == 0
    runs = fitted["runs"]
    assert (runs["rows_read"], runs["rows_used"], runs["clusters"]) == (234, 234, 234)
    assert runs["columns"] == {"N": "params", "D": "tokens", "C": "flops", "L": "loss"}
    assert runs["excluded"] == []
    (fit,) = fitted["fits"]
    assert fit["law"] == "chinchilla"
    assert fit["status"] == "converged"
    assert fit["objective"]["name"] == "t"
    assert fit["objective"]["nu"] == 4
    assert set(fit["parameters"]) == {"E", "A", "alpha", "B", "beta"}
    for parameter in fit["parameters"].values():
        assert parameter["low"] < parameter["value"] < parameter["high"]
        assert parameter["se"] > 0
        assert parameter["at_bound"] is False
    assert fit["interval"]["method"] == "jackknife-t"
    assert fit["interval"]["level"] == 0.95
    assert fit["interval"]["df"] == 233
    assert fit["interval"]["clusters"] == 234
    assert fit["certificate"]["score"] < 1e-4
    assert fit["certificate"]["agree"] >= 3
    assert fit["derived"]["a"]["low"] < fit["derived"]["a"]["value"]
    assert 0 < fit["sigma"] < 0.02


def test_keys_are_sorted_and_the_document_is_one_line_of_standard_output(fitted):
    done = scalefit("fit", RUNS, "--json")
    keys = list(json.loads(done.stdout))
    assert keys == sorted(keys)
    assert json.loads(done.stdout) == fitted
    assert done.stderr == ""


def test_fix_and_bound_hold_what_they_name():
    fit = document("fit", RUNS, "--fix", "E=1.7", "--bound", "alpha=0.4:0.6")["fits"][0]
    assert fit["parameters"]["E"]["value"] == 1.7
    assert fit["parameters"]["E"]["low"] is None
    assert 0.4 <= fit["parameters"]["alpha"]["value"] <= 0.6


def test_a_bound_that_binds_is_reported_as_a_bound():
    fit = document("fit", RUNS, "--bound", "alpha=0.5:0.6")["fits"][0]
    assert fit["status"] == "at-bound"
    assert fit["parameters"]["alpha"]["at_bound"] is True
    assert fit["parameters"]["alpha"]["low"] is None
    assert "at-bound" in [note["code"] for note in fit["notes"]]


@pytest.mark.parametrize("objective", ["t:4", "gaussian", "huber:1e-3", "huber:auto", "mse"])
def test_every_objective_converges(objective):
    fit = document("fit", RUNS, "--objective", objective)["fits"][0]
    assert fit["status"] == "converged"
    assert fit["objective"]["name"] == objective.split(":")[0]


def test_predict_nests_its_intervals_and_marks_extrapolation():
    told = document("predict", RUNS, "--at", "N=1B,D=20B", "--at", "N=70B,D=1.4T")
    assert told["schema"] == "scalefit.predict/1"
    near, far = told["rows"]
    assert near["at"] == {"N": 1e9, "D": 2e10}
    for row in (near, far):
        assert row["headline"]["low"] <= row["new_run"]["low"] <= row["exact_law"]["low"]
        assert row["exact_law"]["low"] < row["loss"]["value"] < row["exact_law"]["high"]
        assert row["exact_law"]["high"] <= row["new_run"]["high"] <= row["headline"]["high"]
    assert (near["decades"], near["trust"], near["inside"]) == (0, "inside", True)
    assert far["trust"] == "speculative"
    largest = 1.2572e22  # of the flops column
    assert math.isclose(far["decades"], math.log10(6 * 70e9 * 1.4e12 / largest), abs_tol=0.02)
    assert far["headline"]["high"] > far["new_run"]["high"]
    assert told["tau"]["source"] == "estimated"
    assert told["tau"]["forecasts"] >= 3


def test_a_target_beyond_the_span_of_the_data_is_refused_unless_one_knows():
    done = scalefit("predict", RUNS, "--at", "N=1e14,D=1e16", "--json")
    assert done.returncode == 3
    row = json.loads(done.stdout)["rows"][0]
    assert row["loss"]["value"] is None
    assert [n["code"] for n in row["notes"]] == ["too-far"]
    assert document("predict", RUNS, "--at", "N=1e14,D=1e16", "--i-know")["rows"][0]["loss"][
        "value"
    ]


def test_optimum_spends_the_budget_and_its_loss_is_the_least():
    best = document("optimum", RUNS, "--budget", "1e21", "--budget", "1e22")
    assert best["schema"] == "scalefit.optimum/1"
    assert math.isclose(best["exponents"]["N"]["value"] + best["exponents"]["D"]["value"], 1)
    for row in best["rows"]:
        n, d = row["N"]["value"], row["D"]["value"]
        assert math.isclose(6 * n * d, row["budget"], rel_tol=1e-9)
        assert math.isclose(row["tokens_per_parameter"]["value"], d / n, rel_tol=1e-9)
        assert row["N"]["low"] < n < row["N"]["high"]
        low, high = row["near_optimal"]["N"]
        assert low < n < high
        around = [f"N={n * f!r},D={d / f!r}" for f in (0.9, 1.0, 1.1)]
        losses = document("predict", RUNS, *[v for a in around for v in ("--at", a)])["rows"]
        below, at, above = (r["loss"]["value"] for r in losses)
        assert at < min(below, above)
        assert math.isclose(at, row["loss"]["value"], rel_tol=1e-12)


def test_compare_ranks_every_law_that_suits_the_columns():
    ranked = document("compare", RUNS)
    assert ranked["schema"] == "scalefit.compare/1"
    names = {law["law"] for law in ranked["laws"]}
    assert names == {"chinchilla", "chinchilla-tied", "coupled", "kaplan"}
    assert math.isclose(sum(law["weight"] for law in ranked["laws"]), 1)
    for law in ranked["laws"]:
        assert {gate["gate"] for gate in law["gates"]} >= {"enough-data", "converged"}
        assert law["extrapolation"]["forecasts"] >= 3
    assert ranked["laws"][0]["delta"] == 0
    assert ranked["verdict"]


def test_laws_that_the_runs_cannot_separate_are_said_to_be_so():
    # Three decades of a pure power law: a floor of zero explains it as well as no floor.
    rng = np.random.default_rng(3)
    x = np.geomspace(1e3, 1e6, 20)
    y = 5 * x**-0.2 * np.exp(0.01 * rng.standard_normal(x.size))
    text = "x,y\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    ranked = document("compare", "-", "--law", "power", "--law", "power-floor", stdin=text)
    assert "cannot tell apart" in ranked["verdict"]
    assert "laws-undecided" in [note["code"] for note in ranked["notes"]]


def test_a_bare_curve_needs_no_mapping():
    rows = "".join(f"{10**k},{1 + 3 * 10 ** (-0.3 * k)!r}\n" for k in range(3, 12))
    fit = document("fit", "-", "--law", "power-floor", stdin="x,y\n" + rows)["fits"][0]
    assert math.isclose(fit["parameters"]["E"]["value"], 1, rel_tol=1e-8)
    assert math.isclose(fit["parameters"]["A"]["value"], 3, rel_tol=1e-7)
    assert math.isclose(fit["parameters"]["alpha"]["value"], 0.3, rel_tol=1e-8)


def test_a_law_of_one_input_asks_which_when_several_would_do():
    done = scalefit("fit", RUNS, "--law", "power")
    assert done.returncode == 2
    assert "--x C" in done.stderr
    assert document("fit", RUNS, "--law", "power", "--x", "C")["fits"][0]["inputs"] == {"x": "C"}


def test_runs_on_one_line_get_a_fit_but_no_best_split():
    rows = "".join(
        f"{n!r},{20 * n!r},{1.7 + 400 * n**-0.34 + 410 * (20 * n) ** -0.28!r}\n"
        for n in np.geomspace(1e7, 1e10, 25).tolist()
    )
    done = scalefit("optimum", "-", "--budget", "1e21", stdin="N,D,loss\n" + rows)
    assert done.returncode == 3
    assert "one line" in done.stderr or "not-identified" in done.stderr
    assert done.stdout == ""


def test_a_saved_fit_stands_where_runs_stand(tmp_path):
    scalefit("fit", RUNS, "-o", tmp_path / "fit.json")
    saved = document("optimum", tmp_path / "fit.json", "--budget", "1e22")
    fresh = document("optimum", RUNS, "--budget", "1e22")
    for key in ("N", "D", "loss"):
        for end in ("value", "low", "high"):
            assert math.isclose(
                saved["rows"][0][key][end], fresh["rows"][0][key][end], rel_tol=1e-6
            )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{}", "schema"),
        ('{"schema": "scalefit.fit/99", "saved": []}', "scalefit.fit/99"),
        ('{"schema": "scalefit.fit/1"}', "runs and refits"),
        ('{"schema": "scalefit.fit/1", "saved": [{}], "fits": [{}], "runs": {}}', "damaged"),
        ('{"schema": NaN}', "NaN"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_file_that_is_no_saved_fit_is_refused_in_one_line(tmp_path, text, word):
    path = tmp_path / "fit.json"
    path.write_text(text)
    done = scalefit("predict", path, "--at", "N=1B,D=20B")
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_folder_holds_the_whole_story(tmp_path):
    done = scalefit("report", RUNS, "-o", tmp_path / "out", "--budget", "1e22")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "out" / "report.html") in done.stderr
    expected = {
        "report.html", "report.md", "parameters.parquet", "predictions.parquet", "optimum.json",
        "comparison.json", "fit.json", "figures", "manifest.json",
    }  # fmt: skip
    assert expected <= {path.name for path in (tmp_path / "out").iterdir()}
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") >= 3
    table = pq.read_table(tmp_path / "out" / "parameters.parquet")
    assert table.column("parameter").to_pylist()[:5] == ["E", "A", "alpha", "B", "beta"]
    assert json.loads((tmp_path / "out" / "fit.json").read_text())["schema"] == "scalefit.fit/1"
    again = scalefit("report", RUNS, "-o", tmp_path / "again", "--budget", "1e22")
    assert again.returncode == 0
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            other = tmp_path / "again" / path.relative_to(tmp_path / "out")
            assert other.read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("suffix", ["csv", "parquet", "md", "html", "json"])
def test_results_are_written_in_the_format_of_the_suffix(tmp_path, suffix):
    path = tmp_path / f"best.{suffix}"
    done = scalefit("optimum", RUNS, "--budget", "1e22", "-o", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    n = document("optimum", RUNS, "--budget", "1e22")["rows"][0]["N"]["value"]
    if suffix == "csv":
        assert float(next(csv.DictReader(path.read_text().splitlines()))["N"]) == n
    elif suffix == "parquet":
        assert pq.read_table(path).column("N").to_pylist() == [n]
        assert pq.read_schema(path).field("N").metadata[b"unit"] == b"parameters"
    else:
        assert path.stat().st_size > 500


def test_bootstrap_gives_the_same_bytes_for_any_number_of_jobs():
    common = ("fit", RUNS, "--interval", "bootstrap", "--draws", "1100", "--json")
    one, two = scalefit(*common, "--jobs", "1"), scalefit(*common, "--jobs", "2")
    assert one.returncode == two.returncode == 0
    assert one.stdout == two.stdout


def test_another_seed_gives_other_draws():
    common = ("fit", RUNS, "--interval", "bootstrap", "--draws", "100")
    first, second = (document(*common, "--seed", s)["fits"][0]["parameters"] for s in (1, 2))
    assert first["alpha"]["value"] == second["alpha"]["value"]
    assert first["alpha"]["low"] != second["alpha"]["low"]


def test_the_order_of_rows_changes_no_number(fitted):
    head, *rows = (ROOT / RUNS).read_text().splitlines()
    turned = document("fit", "-", stdin="\n".join([head, *reversed(rows)]) + "\n")
    assert unnumbered(turned["fits"]) == unnumbered(fitted["fits"])


def unnumbered(part):
    """A document without the numbers of rows, which do change with their order."""
    if isinstance(part, dict):
        return {k: unnumbered(v) for k, v in part.items() if k not in ("row", "rows")}
    if isinstance(part, list):
        return [unnumbered(v) for v in part]
    return re.sub(r"rows? [\d, ]+", "rows ", part) if isinstance(part, str) else part


def test_a_config_says_what_flags_would_and_flags_win():
    best = document("optimum", "--config", "configs/chinchilla.toml")
    assert [row["budget"] for row in best["rows"]] == [1e21, 1e22, 5.76e23]
    one = document("optimum", "--config", "configs/chinchilla.toml", "--budget", "2e21")
    assert [row["budget"] for row in one["rows"]] == [2e21]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_config_runs(path):
    names = [law["law"] for law in document("compare", "--config", path)["laws"]] if (
        "compare" in path.read_text()
    ) else [fit["law"] for fit in document("fit", "--config", path)["fits"]]  # fmt: skip
    assert names


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[fit]\nlawz = []\n", "laws"),
        ("[fit]\nlaws = 3\n", "list"),
        ("seed = 'x'\n", "whole number"),
        ("[uncertainty]\nlevel = nan\n", "finite"),
        ("[fit]\nobjective = { name = 'huber', nu = 3 }\n", "nu"),
        ("seed = 1\nseed = 2\n", "no TOML"),
        ("a" + ".a" * 5000 + " = 1\n", "dots"),
        ("x = " + "[" * 6000, "no TOML"),
        ("#" * 70_000, "64 KiB"),
    ],
)
def test_a_wrong_config_is_one_clear_line(tmp_path, text, word):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    done = scalefit("fit", RUNS, "--config", path)
    assert done.returncode == 2
    assert word in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("fit", "missing.csv"), "missing.csv"),
        (("fit", RUNS, "--law", "chinchila"), "chinchilla"),
        (("fit", RUNS, "--objective", "hubert"), "huber"),
        (("fit", RUNS, "--objective", "huber:x"), "not a number"),
        (("fit", RUNS, "--interval", "jacknife"), "jackknife"),
        (("fit", RUNS, "--fix", "gamma=1"), "gamma"),
        (("fit", RUNS, "--law", "power", "--law", "power", "--x", "C"), "twice"),
        (("fit", RUNS, "--objective", "huber:1e300"), "delta"),
        (("fit", RUNS, "-o", "result.xyz"), "xyz"),
        (("optimum", RUNS, "--budget", "1e21", "--waste", "0"), "waste"),
        (("fit", RUNS, "--fix", "E"), "NAME=VALUE"),
        (("fit", RUNS, "--bound", "alpha=2:1"), "not below"),
        (("fit", RUNS, "--level", "1.5"), "level"),
        (("compare", RUNS, "--level", "95"), "level"),
        (("fit", RUNS, "--fix", "alpha=100"), "alpha"),
        (("fit", RUNS, "--bound", "alpha=5:9"), "alpha"),
        (("fit", RUNS, "--interval", "bootstrap", "--draws", "3"), "draws"),
        (("fit", RUNS, "--col", "N=parms"), "params"),
        (("fit", RUNS, "--where", "lss < 3"), "loss"),
        (("fit", RUNS, "--where", "__import__('os')"), "where"),
        (("fit", "https://example.org/runs.csv"), "example.org"),
        (("predict", RUNS), "--at"),
        (("predict", RUNS, "--at", "N=7B"), "D"),
        (("predict", RUNS, "--at", "N=7B,D=many"), "many"),
        (("predict", RUNS, "--at", "N=-1,D=1e9"), "positive"),
        (("optimum", RUNS), "--budget"),
        (("optimum", RUNS, "--budget", "lots"), "lots"),
        (("optimum", RUNS, "--law", "power", "--x", "C", "--budget", "1e21"), "N and D"),
        (("compare", RUNS, "--law", "chinchilla"), "two or more"),
        (("explain", "at-bond"), "at-bound"),
        (("laws", "show", "kapplan"), "kaplan"),
    ],
)
def test_a_mistake_gets_at_most_three_lines_and_exit_code_2(arguments, word):
    done = scalefit(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert word in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_output_can_be_written_is_exit_code_4(tmp_path):
    done = scalefit("fit", RUNS, "-o", tmp_path / "no" / "such" / "fit.json")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", [("fit", "--strict=lack-of-fits"), ("check", "--fail-on", "oops")])
def test_a_gate_that_is_no_code_is_refused_before_anything_is_written(flag, tmp_path):
    command, *gate = flag
    done = scalefit(command, RUNS, *gate, "-o", tmp_path / "out.json")
    assert done.returncode == 2
    assert "no note code is called" in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_check_fails_only_on_what_it_was_told_to_fail_on():
    assert scalefit("check", RUNS).returncode == 0
    assert scalefit("check", RUNS, "--fail-on", "warning").returncode == 0
    assert scalefit("check", RUNS, "--fail-on", "size-undefined").returncode == 1
    assert scalefit("check", RUNS, "--fail-on", "no-such-code").returncode == 2


def test_check_lists_findings_and_the_mapping_as_json():
    found = document("check", RUNS)
    assert found["columns"]["N"] == "params"
    assert {"code", "severity", "message"} == set(found["findings"][0])


def test_every_note_that_a_command_prints_can_be_explained():
    told = document("predict", RUNS, "--at", "N=70B,D=1.4T")
    codes = {note["code"] for row in told["rows"] for note in row["notes"]}
    codes |= {note["code"] for note in document("check", RUNS)["findings"]}
    assert codes
    for code in codes:
        assert scalefit("explain", code).returncode == 0


def test_excluded_rows_are_counted_with_their_reason():
    text = "N,D,loss\n" + "".join(
        f"{10**k},{2 * 10 ** (k + 1)},{5 - k / 3}\n" for k in range(6, 10)
    )
    rows = "".join(f"{3 * 10**k},{10 ** (k + 1)},{4.9 - k / 3}\n" for k in range(6, 10))
    done = document("fit", "-", "--law", "power", "--x", "N", stdin=text + "1e8,1e9,\n" + rows)
    runs = done["runs"]
    assert runs["rows_read"] == 9
    assert runs["rows_used"] == 8
    assert runs["excluded"][0]["row"] == 5
    assert "loss" in runs["excluded"][0]["reason"]


def some_rows(count, spread=0.003):
    """Runs of a known law, as CSV text; the first ones are the same for every count."""
    rng = np.random.default_rng(7)
    text = "N,D,loss\n"
    for _ in range(count):
        n, d, noise = 10 ** rng.uniform(7, 10), 10 ** rng.uniform(9, 12), rng.standard_normal()
        loss = (1.7 + 400 * n**-0.34 + 410 * d**-0.28) * math.exp(spread * noise)
        text += f"{n!r},{d!r},{loss!r}\n"
    return text


def test_a_row_more_than_parameters_is_fitted_by_the_normal_likelihood_without_intervals():
    fit = document("fit", "-", "--law", "chinchilla", stdin=some_rows(6))["fits"][0]
    codes = {note["code"] for note in fit["notes"]}
    assert {"t-unbounded", "few-degrees-of-freedom", "too-few-runs"} <= codes
    assert fit["objective"]["name"] == "gaussian"
    assert {p["low"] for p in fit["parameters"].values()} == {None}
    plenty = document("fit", "-", "--law", "chinchilla", stdin=some_rows(12))["fits"][0]
    assert plenty["objective"]["name"] == "t"
    assert plenty["parameters"]["alpha"]["low"] is not None


def test_rows_that_stand_twice_are_warned_of_by_the_fit_itself():
    text = some_rows(20)
    doubled = text + text.split("\n", 1)[1]
    runs = document("fit", "-", stdin=doubled)["runs"]
    assert "duplicate-rows" in [note["code"] for note in runs["notes"]]
    assert "duplicate-rows" not in [
        note["code"] for note in document("fit", "-", stdin=text)["runs"]["notes"]
    ]


def test_what_rests_on_a_bound_has_no_interval():
    fit = document("fit", RUNS, "--bound", "alpha=0.5:0.6")["fits"][0]
    assert fit["derived"]["a"]["value"] is not None
    assert fit["derived"]["a"]["low"] is None
    assert document("fit", RUNS, "--fix", "E=1.7")["fits"][0]["derived"]["a"]["low"] is not None


def test_an_interrupt_ends_with_130_and_no_traceback():
    running = subprocess.Popen(
        [sys.executable, "-m", "scalefit", "fit", RUNS, "--interval", "bootstrap", "--draws",
         "2000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    time.sleep(3)
    running.send_signal(signal.SIGINT)
    out, words = running.communicate(timeout=20)
    assert running.returncode == 130
    assert out == ""
    assert "Traceback" not in words


def test_a_pipe_that_closes_early_leaves_no_traceback():
    command = f"{sys.executable} -m scalefit fit {RUNS} | head -n 1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.startswith("scalefit fit")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_budgets_in_one_word_are_asked_for_one_by_one():
    done = scalefit("optimum", RUNS, "--budget", "1e21,1e22")
    assert done.returncode == 2
    assert "give each its own --budget" in done.stderr
