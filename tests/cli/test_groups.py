"""`fit --by`: every group as if it were alone, in any number of processes, kept when stopped."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scalefit.config import FitSettings, LawChoice, RunsSettings, Settings
from scalefit.pipeline import commands, groups, steps

LAWS = ("power-floor", "power")


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Twelve curves, of which one has two rows."""
    random = np.random.default_rng(3)
    lines = ["curve,x,loss"]
    for k in range(12):
        x = np.geomspace(1e3, 1e7, 2 if k == 7 else 14)
        loss = (0.5 + 0.1 * k + 9 * x**-0.3) * np.exp(0.01 * random.standard_normal(x.size))
        lines += [f"c{k},{a!r},{b!r}" for a, b in zip(x.tolist(), loss.tolist(), strict=True)]
    path = tmp_path_factory.mktemp("groups") / "curves.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def settings(path, jobs=1):
    laws = tuple(LawChoice(name) for name in LAWS)
    return Settings(runs=RunsSettings(path=str(path)), fit=FitSettings(laws=laws), jobs=jobs)


def test_a_group_is_fitted_as_if_it_were_alone(curves):
    told = []
    outcome = commands.fit_groups(settings(curves), "curve", lambda *at: told.append(at))
    assert told == [(k, 12) for k in range(1, 13)]
    rows = outcome.report.sections[0].table.to_pylist()
    for name in ("c0", "c11"):
        alone = steps.read(str(curves), where=f"curve == '{name}'")
        for law in LAWS:
            estimate = steps.fit(alone, law)
            own = {r["parameter"]: r for r in rows if (r["group"], r["law"]) == (name, law)}
            assert list(own) == list(estimate.law.names)
            for k, parameter in enumerate(estimate.law.names):
                assert own[parameter]["value"] == estimate.fit.theta[k]
                assert own[parameter]["low"] == estimate.parameters[parameter].low[0]
                assert own[parameter]["status"] == estimate.status


def test_a_group_that_cannot_be_fitted_says_why_and_stops_no_other(curves):
    outcome = commands.fit_groups(settings(curves), "curve", lambda *at: None)
    assert outcome.exit_code == 0
    fits = {g["group"]: g["fits"] for g in outcome.report.document["groups"]}
    assert fits["c7"][0]["status"] == "refused"
    assert "only 2 runs" in fits["c7"][0]["reason"]
    assert all(fit["status"] == "converged" for fit in fits["c8"])


def test_processes_change_no_byte(curves, tmp_path):
    files = []
    for jobs in (1, 2):
        outcome = commands.fit_groups(settings(curves, jobs), "curve", lambda *at: None)
        files.append(commands.write_outcome(outcome, tmp_path / f"{jobs}.parquet").read_bytes())
    assert files[0] == files[1]


def test_how_many_go_together_changes_no_byte(curves, tmp_path, monkeypatch):
    files, shares = [], []
    for size in (1, 10_000, 1 << 30):
        monkeypatch.setattr(groups, "_TOGETHER", size)
        task = groups.Task(settings(curves), settings(curves).fit.named)
        tables = dict.fromkeys(range(12), steps.read(str(curves), where="curve == 'c0'"))
        shares.append([len(share) for share in task.shares(tables, 1)])
        outcome = commands.fit_groups(settings(curves), "curve", lambda *at: None)
        files.append(commands.write_outcome(outcome, tmp_path / f"{size}.parquet").read_bytes())
    assert shares[0] == [1] * 12
    assert 1 < len(shares[1]) < 12
    assert len(set(shares[1][:-1])) == 1  # all but the last are as large
    assert shares[2] == [12]
    assert files[0] == files[1] == files[2]
    # No process waits long for the last.
    assert [len(share) for share in task.shares(tables, 2)] == [2] * 6


def test_what_no_group_has_is_one_error():
    done = subprocess.run(
        [sys.executable, "-m", "scalefit", "fit", "data/learning-curves/runs.csv",
         "--by", "task_id", "--law", "power"],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "in every group: no column plays N, D, C or x" in done.stderr


STOPPED = """
import signal
from contextlib import contextmanager

from scalefit.cli import main, progress


@contextmanager
def watching(what):
    yield lambda done, of: done == 5 and signal.raise_signal(signal.SIGINT)


progress.watching = watching
main()
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished(curves, tmp_path, jobs):
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, "fit", str(curves), "--by", "curve", "--law",
         "power-floor", "--jobs", jobs, "-o", str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    document = json.loads(out.read_text())
    assert (document["finished"], len(document["groups"]), document["of"]) == (5, 5, 12)
    assert [group["group"] for group in document["groups"]] == ["c0", "c1", "c2", "c3", "c4"]
    assert "stopped after 5 of 12 groups" in done.stderr
