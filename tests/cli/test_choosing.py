"""Choosing between laws at the door: auto, hold-outs, roll-outs, rankings."""

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scalefit.laws import LAWS

DATA = Path(__file__).parents[2] / "data"
CHINCHILLA = DATA / "chinchilla-subset" / "runs.csv"
CURVES = DATA / "learning-curves" / "runs.csv"
CURVE = ("--x", "x", "--col", "x=seen_examples")
INET = ("--where", 'task_id == "IC|inet_5|BiT/101/3" and split == "train"')
TWO = ("--law", "power-floor", "--law", "shifted-power-floor")


@cache
def scalefit(*arguments, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "scalefit", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done


def document(*arguments):
    return json.loads(scalefit(*arguments, "--json").stdout)


def test_auto_at_a_budget_averages_the_laws_of_that_one_input():
    found = document("predict", CHINCHILLA, "--law", "auto", "--x", "C", "--at", "C=1e21")
    assert {one["law"] for one in found["average"]} <= {
        law.name for law in LAWS if law.inputs == ("x",)
    }
    both = document("predict", CHINCHILLA, "--law", "auto", "--x", "C", "--at", "N=1e9,D=2e10")
    assert {one["law"] for one in both["average"]} <= {
        law.name for law in LAWS if "N" in law.inputs
    }


def test_auto_names_the_input_that_a_point_lacks():
    for laws in ((), ("--law", "chinchilla", "--law", "coupled")):
        done = scalefit("predict", CHINCHILLA, "--law", "auto", *laws, "--at", "N=7B", check=False)
        assert done.returncode == 2
        assert "the point lacks D" in done.stderr


def test_an_input_without_a_law_takes_the_law_of_one_input_that_stands_for_curves():
    found = document("predict", CHINCHILLA, "--x", "C", "--at", "C=1e21")
    assert (found["law"], found["rows"][0]["at"]) == ("power-floor", {"C": 1e21})


def test_auto_predicts_and_says_what_it_is_made_of():
    found = document("predict", CHINCHILLA, "--law", "auto", "--at", "N=7B,D=1.4T")
    assert found["law"] == "auto"
    assert sum(one["weight"] for one in found["average"]) == pytest.approx(1)
    row = found["rows"][0]
    assert row["headline"]["low"] < row["new_run"]["low"] < row["exact_law"]["low"]
    assert row["exact_law"]["low"] < row["loss"]["value"] < row["exact_law"]["high"]
    assert "averaged-laws" in {note["code"] for note in row["notes"]}
    lead = found["fit"]["law"]
    alone = document("predict", CHINCHILLA, "--law", lead, "--at", "N=7B,D=1.4T")["rows"][0]
    assert row["headline"]["high"] > alone["headline"]["high"] * 0.99


def test_auto_of_named_laws_averages_those():
    found = document(
        "predict", CURVES, *CURVE, *INET, "--law", "auto", *TWO, "--at", "x=1e8", "--i-know"
    )
    assert {one["law"] for one in found["average"]} <= {"power-floor", "shifted-power-floor"}


def test_auto_finds_the_best_split():
    found = document("optimum", CHINCHILLA, "--law", "auto", "--budget", "1e22")
    row = found["rows"][0]
    assert row["N"]["value"] * row["D"]["value"] == pytest.approx(1e22 / 6, rel=1e-6)
    assert row["N"]["low"] < row["N"]["value"] < row["N"]["high"]
    assert row["near_optimal"]["N"][0] < row["N"]["value"]


def test_auto_is_no_law_to_fit():
    done = scalefit("fit", CHINCHILLA, "--law", "auto", check=False)
    assert done.returncode == 2
    assert "average" in done.stderr


def test_auto_refuses_where_no_law_is_adequate(tmp_path):
    runs = tmp_path / "few.csv"
    runs.write_text("x,y\n" + "".join(f"{10**k},{3 - 0.3 * k}\n" for k in range(4)))
    done = scalefit("predict", runs, "--law", "auto", "--at", "x=1e5", check=False)
    assert done.returncode in (2, 3)
    assert "no law" in done.stderr


def test_a_comparison_counts_laws_tried_and_gives_every_gate_a_reason():
    found = document("compare", CHINCHILLA)
    assert found["laws_tried"] == len(found["laws"]) >= 4
    for law in found["laws"]:
        assert all(gate["detail"] for gate in law["gates"])
        assert {gate["gate"] for gate in law["gates"]} >= {"monotone", "residual-structure"}
        assert law["leave_one_out"]
        assert law["extrapolation"]["by_distance"]
        assert law["extrapolation"]["crps"] > 0
    assert sum(law["weight"] for law in found["laws"]) == pytest.approx(1)
    assert 0 < found["independent_share"] <= 1


def test_two_names_of_one_curve_are_counted_once(tmp_path):
    scalefit("laws", "list")
    subprocess.run(
        [sys.executable, "-m", "scalefit", "laws", "new", "mine"], cwd=tmp_path, check=True,
        capture_output=True,
    )  # fmt: skip
    found = document("compare", CHINCHILLA, "--law", "chinchilla", "--law", tmp_path / "mine.toml")
    mine = next(law for law in found["laws"] if law["law"] == "mine")
    assert mine["same_as"] == "chinchilla"
    assert mine["weight"] == 0
    assert "counted once" in found["verdict"]


def test_ranking_by_extrapolation_takes_the_simplest_of_the_best_forecasters():
    found = document("compare", CHINCHILLA, "--rank", "extrapolation")
    assert found["rank"] == "extrapolation"
    good = [law for law in found["laws"] if law["adequate"]]
    assert len(good[0]["parameters"]) == min(len(law["parameters"]) for law in good)
    assert scalefit("compare", CHINCHILLA, "--rank", "luck", check=False).returncode == 2


def test_a_hold_out_scores_every_law_on_rows_it_never_saw():
    found = document(
        "compare", CURVES, *CURVE, "--by", "task_id", "--holdout", "split=test", *TWO
    )  # fmt: skip
    assert len(found["groups"]) == 5
    assert {one["law"] for one in found["laws"]} == {"auto", "power-floor", "shifted-power-floor"}
    name = "IC|inet_5|BiT/101/3"
    group = next(one for one in found["groups"] if one["group"] == name)
    fitted = document("fit", CURVES, *CURVE, *INET, "--law", "power-floor")["fits"][0]["parameters"]
    e, a, alpha = (fitted[k]["value"] for k in ("E", "A", "alpha"))
    squares = []
    for line in CURVES.read_text().splitlines()[1:]:
        cells = line.split(",")
        if cells[0] == name and cells[-1] == "test":
            x, y = float(cells[-3]), float(cells[-2])
            squares.append((math.log(y) - math.log(e + a * x**-alpha)) ** 2)
    assert len(squares) == group["held_out"]
    by_hand = math.sqrt(sum(squares) / len(squares))
    score = next(one for one in group["scores"] if one["law"] == "power-floor")
    assert score["error"] == pytest.approx(by_hand, rel=1e-6)


def test_groups_need_rows_to_score_on():
    assert scalefit("compare", CURVES, *CURVE, "--by", "task_id", check=False).returncode == 2
    wrong = scalefit("compare", CURVES, *CURVE, "--holdout", "split=nope", check=False)
    assert wrong.returncode == 2
    assert "values seen: test, train" in wrong.stderr
    assert scalefit("compare", CURVES, *CURVE, "--holdout", "split", check=False).returncode == 2


def test_a_roll_out_goes_back_to_every_earlier_stage():
    found = document("rollout", CHINCHILLA, "--law", "chinchilla-tied")
    stages = [stage for stage in found["stages"] if not stage["refusal"]]
    assert len(stages) >= 5
    for stage in stages:
        assert all(one["scale"] > stage["cut"] for one in stage["forecasts"])
        assert stage["runs"] + len(stage["forecasts"]) == 234
    whole = found["coverage"][0]
    assert whole["distance"] == "all"
    hits = [one["inside"] for stage in stages for one in stage["forecasts"]]
    assert whole["covered"] == pytest.approx(sum(hits) / len(hits))
    assert whole["covered"] > whole["covered_if_law_right"]


def test_a_roll_out_needs_budgets(tmp_path):
    runs = tmp_path / "two.csv"
    runs.write_text("x,y\n" + "10,3\n100,2.5\n" * 5)
    done = scalefit("rollout", runs, check=False)
    assert done.returncode == 2
    assert "at least three" in done.stderr


def test_a_column_of_groups_is_left_out_group_by_group(tmp_path):
    runs = tmp_path / "families.csv"
    rows = [
        (name, x, (1.5 + 8 * x**-0.3) * (1.02 if name == "c" else 1) * (1 + 0.001 * (x % 3 - 1)))
        for name in "abcd"
        for x in (1000, 3001, 9002, 27000, 81001, 243002)
    ]
    runs.write_text("family,x,y\n" + "".join(f"{n},{x},{y!r}\n" for n, x, y in rows))
    found = document("compare", runs, "--law", "power-floor", "--law", "power")
    told = {law["law"]: law["leave_one_group_out"] for law in found["laws"]}
    assert sum(part["forecasts"] for part in told["power-floor"]) == 4
    page = scalefit("compare", runs, "--law", "power-floor", "--law", "power")
    assert "Leaving each group out" in page.stdout
