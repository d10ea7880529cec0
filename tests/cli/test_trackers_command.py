"""A hundred runs that three trackers logged, fitted by one command line."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tracker_writers import mlflow_runs, tensorboard_log, wandb_log

LOGS = Path(__file__).parents[1] / "fixtures" / "trackers"
TRUTH = {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}


def loss(n, d):
    return TRUTH["E"] + TRUTH["A"] * n ** -TRUTH["alpha"] + TRUTH["B"] * d ** -TRUTH["beta"]


def histories():
    """A hundred runs: name, settings, and rows at a tenth, a half and the end of training."""
    dice = np.random.default_rng(7)
    for place in range(100):
        n = int(10 ** dice.uniform(7, 9.5))
        d = n * 10 ** dice.uniform(0.5, 2.2)
        noise = dice.normal(0, 1e-3, 3)
        rows = [
            {
                "_step": int(1000 * part),
                "val/loss": loss(n, d * part) * math.exp(noise[i]) + (0.3 if part < 1 else 0),
                "train/loss": loss(n, d * part),
                "tokens": d * part,
            }
            for i, part in enumerate((0.1, 0.5, 1.0))
        ]
        yield f"run-{place:03d}", {"n_params": n, "lr": 3e-4}, rows


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("mixed")
    runs = list(histories())
    for name, config, rows in runs[:40]:
        folder = tmp_path / "wandb" / f"offline-run-{name}"
        folder.mkdir(parents=True)
        (folder / f"run-{name}.wandb").write_bytes(wandb_log(name, config, rows))
    for name, config, rows in runs[40:70]:
        folder = tmp_path / "tb" / name
        folder.mkdir(parents=True)
        (folder / "events.out.tfevents.1.host").write_bytes(tensorboard_log(config, rows))
    mlflow_runs(tmp_path / "mlflow.db", LOGS / "mlflow-database" / "mlflow.db", runs[70:])
    (tmp_path / "notes.txt").write_text("not a log")
    (tmp_path / "plot.png").write_bytes(b"\x89PNG\r\n")
    return tmp_path


def scalefit(*words):
    return subprocess.run(
        [sys.executable, "-m", "scalefit", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_hundred_mixed_runs_are_fitted_by_one_command_line(mixed):
    done = scalefit("fit", mixed, "--law", "chinchilla", "--col", "L=val/loss", "--last", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["runs"]["rows_read"], document["runs"]["rows_used"]) == (300, 100)
    assert document["runs"]["clusters"] == 100
    assert document["runs"]["columns"]["N"] == "n_params"
    assert document["runs"]["columns"]["D"] == "tokens"
    (fit,) = document["fits"]
    assert fit["status"] == "converged"
    for name, true in TRUTH.items():
        estimate = fit["parameters"][name]
        assert estimate["low"] < true < estimate["high"], name
    assert fit["parameters"]["alpha"]["value"] == pytest.approx(TRUTH["alpha"], rel=0.03)
    assert fit["parameters"]["E"]["value"] == pytest.approx(TRUTH["E"], rel=0.02)


def test_the_choice_between_losses_is_left_to_the_user_with_the_flag_to_type(mixed):
    done = scalefit("fit", mixed, "--law", "chinchilla", "--last")
    assert done.returncode == 2
    assert "2 columns could be L" in done.stderr
    assert "--col L=val/loss" in done.stderr


def test_one_log_is_a_table_too(mixed):
    done = scalefit("fit", mixed / "mlflow.db", "--col", "L=val/loss", "--last", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"]["rows_used"] == 30


def test_a_folder_without_a_log_is_one_line_and_no_traceback(tmp_path):
    done = scalefit("fit", tmp_path, "--law", "chinchilla")
    assert done.returncode == 2
    assert "without a log" in done.stderr
    assert "Traceback" not in done.stderr
