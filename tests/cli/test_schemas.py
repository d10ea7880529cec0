"""Every document that a command prints is what its schema promises."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from scalefit.core.errors import UnknownName
from scalefit.pipeline.schemas import names, schema_of

ROOT = Path(__file__).parents[2]
RUNS = "data/chinchilla-subset/runs.csv"
CURVES = "data/learning-curves/runs.csv"
CURVED = ("--col", "x=seen_examples")
CURVE = "power-floor"
TWO = ("--law", CURVE, "--law", "power")
COMMANDS = {
    "fit": [("fit", RUNS, "--law", "chinchilla", "--law", "coupled")],
    "groups": [("fit", CURVES, "--by", "task_id", *CURVED, "--law", CURVE)],
    "predict": [
        ("predict", RUNS, "--at", "N=7B,D=140B"),
        ("predict", RUNS, "--at", "N=7B,D=140B", "--at", "N=7e15,D=1e18"),
    ],
    "optimum": [("optimum", RUNS, "--budget", "1e21", "--budget", "1e32")],
    "compare": [("compare", RUNS, "--law", "chinchilla", "--law", "kaplan")],
    "holdout": [
        ("compare", CURVES, *CURVED, "--holdout", "split=test", *TWO),
        ("compare", CURVES, *CURVED, "--holdout", "split=test", "--by", "task_id", *TWO),
    ],
    "rollout": [("rollout", RUNS, "--where", "flops < 1e20", "--law", "chinchilla")],
    "check": [("check", RUNS), ("check", RUNS, "--where", "N > 1e9")],
    "report": [("report", RUNS, "-o", "{}/report")],
    "columns": [("columns", RUNS)],
    "ingest": [("ingest", RUNS, "-o", "{}/runs.parquet")],
    "laws": [("laws", "list"), ("laws", "show", "chinchilla")],
    "lawtest": [("laws", "test", "power")],
    "explain": [("explain", "at-bound")],
}
CASES = [(name, command) for name, commands in COMMANDS.items() for command in commands]


def test_every_document_is_tried():
    assert set(COMMANDS) == set(names())


@pytest.mark.parametrize("name", names())
def test_every_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize(("name", "command"), CASES, ids=[f"{n}-{c[-1][:20]}" for n, c in CASES])
def test_what_is_printed_is_what_the_schema_says(name, command, tmp_path):
    arguments = [part.replace("{}", str(tmp_path)) for part in command]
    done = subprocess.run(
        [sys.executable, "-m", "scalefit", *arguments, "--json"],
        capture_output=True, cwd=ROOT, check=True,
    )  # fmt: skip
    jsonschema.validate(json.loads(done.stdout), schema_of(name))


def test_a_document_that_lacks_a_promised_key_is_found():
    wrong = {"schema": "scalefit.explain/1", "code": "x", "severity": "note", "trigger": "t"}
    with pytest.raises(jsonschema.ValidationError, match="meaning"):
        jsonschema.validate(wrong, schema_of("explain"))


def test_the_schema_is_printed_and_a_wrong_name_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "scalefit", "schema", "fit"],
        capture_output=True, cwd=ROOT, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == schema_of("fit")
    with pytest.raises(UnknownName, match="no document is called 'fits'"):
        schema_of("fits")
