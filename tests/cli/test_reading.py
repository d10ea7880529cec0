"""Commands about the runs themselves, as a person or a script meets them."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from scalefit.config import load
from scalefit.tables import read
from scalefit.tables.arrays import floats

ROOT = Path(__file__).parents[2]
RUNS = "data/chinchilla-subset/runs.csv"


def scalefit(*arguments, cwd=ROOT, code=0, stdin=None):
    done = subprocess.run(
        [sys.executable, "-m", "scalefit", *map(str, arguments)],
        capture_output=True, cwd=cwd, check=False, timeout=120, input=stdin,
    )  # fmt: skip
    assert done.returncode == code, done.stderr.decode()
    return done


HISTORY = "run,step,params,tokens,loss\n" + "".join(
    f"{run},{step},{size},{step}e7,{loss}\n"
    for run, size, losses in (
        ("a", "1e6", (4.0, 3.8, 3.6, 3.5, 3.4, 3.3)),
        ("b", "2e6", (3.9, 3.7, 3.5, 3.4, 3.3, 5.0)),
        ("c", "4e6", (3.8, 3.6, 3.4, 3.2, 3.1, "")),
        ("d", "8e6", (3.7, 3.5, 3.3, 3.1, 3.0, 2.9)),
    )
    for step, loss in enumerate(losses, start=1)
)


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    return path


def test_columns_prints_toml_that_maps_the_runs_when_pasted(tmp_path):
    text = scalefit("columns", RUNS).stdout.decode()
    parsed = tomllib.loads(text)
    assert parsed["runs"]["columns"] == {
        "N": "params", "D": "tokens", "C": "flops", "L": "loss",
    }  # fmt: skip
    config = tmp_path / "config.toml"
    config.write_text(text)
    assert load(config).runs.columns == parsed["runs"]["columns"]


def test_columns_survives_any_name(tmp_path):
    names = ['lo"ss', "a\\b", "tokens\x1b[0m", "ü\x7f"]
    path = tmp_path / "runs.csv"
    path.write_text(",".join('"' + n.replace('"', '""') + '"' for n in names) + ",N\n1,2,3,4,5\n")
    text = scalefit(
        "columns", path, "--col", f"L={names[0]}", "--col", f"U={names[3]}"
    ).stdout.decode()
    assert tomllib.loads(text)["runs"]["columns"] == {"L": names[0], "U": names[3], "N": "N"}
    assert "\x1b" not in text


def test_columns_needs_no_sound_cells(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,L\nbad,worse\n")
    assert b'N = "N"' in scalefit("columns", path).stdout


def test_an_ambiguous_mapping_says_what_to_type(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,train_loss,val_loss\n1,2,3\n")
    told = scalefit("columns", path, code=2).stderr.decode()
    assert "choose one: --col L=val_loss" in told


def test_check_lists_what_is_left_out_with_reasons(history):
    document = json.loads(scalefit("check", history, "--drop-diverged", "--last", "--json").stdout)
    excluded = document["runs"]["excluded"]
    assert len(excluded) == 22
    assert document["runs"]["rows_read"] == 24
    reasons = {e["row"]: e["reason"] for e in excluded}
    assert reasons[12] == "run 'b' diverged: 5 at its end, 3.3 at its lowest"
    assert reasons[13] == "run 'c' diverged: no loss at its end, 3.1 at its lowest"
    assert reasons[18] == "column 'loss' is blank or NaN"
    assert reasons[1] == "not the last row of run 'a'"
    assert "runs-diverged" in {n["code"] for n in document["runs"]["notes"]}


def test_smoothing_averages_within_a_run_and_is_told(history):
    plain, calm = (read(history, where="run == 'a'", smooth=k) for k in (0, 3))
    loss = floats(plain.table.column("L"))
    expected = [loss[max(0, i - 2) : i + 1].mean() for i in range(6)]
    np.testing.assert_allclose(floats(calm.table.column("L")), expected)
    assert "loss-smoothed" in {note.code for note in calm.notes}
    assert plain.rows == calm.rows


def test_a_window_of_one_row_is_refused(history):
    assert b"must be 2 rows or more" in scalefit("check", history, "--smooth", "1", code=2).stderr


def test_what_is_ingested_reads_as_before(tmp_path, history):
    out = tmp_path / "runs.parquet"
    scalefit("ingest", history, "--drop-diverged", "-o", out)
    before, after = read(history, drop_diverged=True), read(out)
    for role in before.table.column_names:
        assert after.table.column(role) == before.table.column(role)
        for fact in (b"unit", b"role"):
            facts = [t.table.schema.field(role).metadata[fact] for t in (before, after)]
            assert facts[0] == facts[1]
    assert after.derived == before.derived
    assert after.excluded == ()


def test_units_and_definitions_survive(tmp_path):
    path, out = tmp_path / "runs.csv", tmp_path / "runs.parquet"
    path.write_text("params_nonembed (M),tokens_B,val_bpb\n1,2,0.9\n2,2,0.8\n")
    scalefit("ingest", path, "-o", out)
    schema = read(out).table.schema
    assert schema.field("L").metadata[b"unit"] == b"bits per byte"
    assert schema.field("N").metadata[b"definition"] == b"non-embedding"
    assert floats(read(out).table.column("N")).tolist() == [1e6, 2e6]
    told = json.loads(pq.read_schema(out).metadata[b"sources"])
    assert told[0]["columns"]["N"] == "params_nonembed (M)"


def test_several_sources_become_one_table_with_their_names(tmp_path):
    (tmp_path / "a.csv").write_text("run,N,D,L,lab\nr1,1e6,1e9,3.5,x\nr2,2e6,1e9,3.4,y\n")
    (tmp_path / "b.jsonl").write_text(
        '{"run": "r1", "N": 4e6, "C": 5e16, "D": 1e9, "L": 3.1}\n'
        '{"run": "r3", "N": 8e6, "C": 9e16, "D": 1e9, "L": 3.0}\n'
    )
    out = tmp_path / "all.parquet"
    done = scalefit(
        "ingest", "a.csv", "b.jsonl", "-o", out, "--keep", "lab", "--json", cwd=tmp_path
    )
    document = json.loads(done.stdout)
    assert document["rows"] == 4
    assert {n["code"] for n in document["notes"]} == {"runs-renamed", "column-not-everywhere"}
    table = pq.read_table(out)
    assert table.column("source").to_pylist() == ["a.csv", "a.csv", "b.jsonl", "b.jsonl"]
    assert table.column("run").to_pylist() == ["a.csv:r1", "r2", "b.jsonl:r1", "r3"]
    assert table.column("C").to_pylist() == [6e15, 1.2e16, 5e16, 9e16]
    assert table.column("lab").to_pylist() == ["x", "y", None, None]
    assert read(out).rows == 4


def test_units_that_differ_are_not_joined(tmp_path):
    (tmp_path / "a.csv").write_text("N,D,val_bpb\n1e6,1e9,0.9\n2e6,1e9,0.8\n")
    (tmp_path / "b.csv").write_text("N,D,loss\n1e6,1e9,3.9\n2e6,1e9,3.8\n")
    done = scalefit("ingest", "a.csv", "b.csv", "-o", "c.parquet", cwd=tmp_path, code=2)
    assert b"L is in bits per byte" in done.stderr
    assert not (tmp_path / "c.parquet").exists()


def test_a_json_table_is_no_saved_fit(tmp_path):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps([{"N": 10.0**k, "L": 3 + 9 / 2**k} for k in range(2, 12)]))
    document = json.loads(scalefit("fit", path, "--law", "power-floor", "--json").stdout)
    assert document["runs"]["rows_used"] == 10
