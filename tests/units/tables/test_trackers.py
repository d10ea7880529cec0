import contextlib
import json
import math
import os
import shutil
import sqlite3
import struct
import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fixtures.make_trackers import DIVERGED, PLAN, flattened
from tracker_writers import (
    field,
    tensorboard_log,
    tfrecord,
    varint,
    wandb_frames,
    wandb_log,
)

from scalefit.core.errors import InputError
from scalefit.tables import read
from scalefit.tables.arrays import floats
from scalefit.tables.readers.base import Source, open_source
from scalefit.tables.trackers import (
    TRACKERS,
    Log,
    claimant,
    open_folder,
    open_log,
    tensorboard,
    walk,
    wandb,
)
from scalefit.tables.trackers.crc32c import crc32c
from scalefit.tables.trackers.plain_yaml import parse_yaml

LOGS = Path(__file__).parents[2] / "fixtures" / "trackers"


def rows(path):
    """Every row of the logs below a folder, without blanks, by run and step."""
    opened = open_folder(path, path.name) if path.is_dir() else one(path)
    return by_step(opened.table)


def by_step(table):
    found = {}
    for row in table.to_pylist():
        kept = {
            name: value
            for name, value in row.items()
            if value is not None and not (isinstance(value, float) and math.isnan(value))
        }
        found[row["run"], kept.pop("step", None)] = kept
    return found


def one(path):
    source = open_source(path)
    return open_log(source, claimant(source))


def codes(opened):
    """Codes of what is told of the logs and of every metric in them."""
    numbers = [f.name for f in opened.table.schema if f.type == pa.float64()]
    loaded = opened.load(numbers, [])
    return [note.code for note in (*opened.notes, *loaded.notes)]


def planned(*, loss="val/loss", single=False):
    """What PLAN says each row holds: single precision is that of TensorBoard's scalars."""
    return {
        (name, float(step)): {
            loss: float(np.float32(value)) if single else value,
            "tokens": float(tokens),
        }
        for name, run in PLAN.items()
        for step, value, tokens in run["rows"]
    }


def assert_metrics(found, expected):
    kept = {key: row for key, row in found.items() if key[0] in PLAN}
    assert set(kept) == set(expected)
    for key, row in expected.items():
        assert {name: kept[key][name] for name in row} == row


def assert_settings(found, *, numbers_only=False):
    for (name, _), row in found.items():
        if name not in PLAN:
            continue
        wanted = flattened(PLAN[name]["config"])
        if numbers_only:
            del wanted["tied"]
        else:
            wanted["tied"] = str(wanted["tied"]).lower()
        assert {key: row[key] for key in wanted} == wanted


# What the real writers wrote


def test_wandb_offline_runs_are_read_as_they_were_logged():
    found = rows(LOGS / "wandb")
    # One run logged the loss under `val/loss`, the others as `loss` within `val`.
    assert_metrics(found, planned())
    assert_settings(found)
    assert [row.get("best") for (name, _), row in found.items() if name == "large"] == [
        None, None, None, 3.05,
    ]  # fmt: skip
    assert {row["project"] for row in found.values()} == {"demo"}


@pytest.mark.parametrize("folder", ["wandb", "mlflow-database", "mlflow-folder"])
def test_a_loss_that_is_no_number_is_missing_and_an_infinite_one_is_told(folder):
    opened = open_folder(LOGS / folder, folder)
    found = by_step(opened.table)
    losses = [found["diverged", float(step)].get("val/loss") for step, _ in DIVERGED]
    assert losses == [9.5, None, None, 7.25]
    assert set(codes(opened)) - {"names-joined"} == {"value-infinite"}


@pytest.mark.parametrize("folder", ["tensorboardx", "torch-tensorboard", "tensorboard-tensors"])
def test_tensorboard_scalars_are_read_to_the_bit_of_single_precision(folder):
    assert_metrics(rows(LOGS / folder), planned(single=True))


@pytest.mark.parametrize("folder", ["tensorboardx", "torch-tensorboard"])
def test_hparams_belong_to_the_run_whose_folder_they_are_in(folder):
    found = rows(LOGS / folder)
    assert_settings(found, numbers_only=True)
    assert found["small", 0.0]["hparam/best"] == 1.5


@pytest.mark.parametrize("folder", ["mlflow-database", "mlflow-folder"])
def test_mlflow_runs_are_read_and_deleted_ones_are_not(folder):
    found = rows(LOGS / folder)
    assert_metrics(found, planned())
    assert_settings(found)
    assert {name for name, _ in found} == {"small", "large", "diverged"}
    assert found["small", 0.0]["budget"] == 1e18


@pytest.mark.parametrize("folder", ["trackio", "dvclive"])
def test_trackio_and_dvclive_are_read_as_they_were_logged(folder):
    found = rows(LOGS / folder)
    assert_metrics(found, planned())
    assert_settings(found)


def test_lightning_joins_training_and_validation_of_one_step():
    found = rows(LOGS / "lightning")
    for version, run in enumerate(PLAN.values()):
        for step, loss, tokens in run["rows"]:
            row = found[f"lightning_logs/version_{version}", float(step)]
            assert (row["val_loss"], row["train_loss"], row["tokens"]) == (
                loss, loss + 0.25, tokens,
            )  # fmt: skip
            assert row["n_params"] == run["config"]["n_params"]


def test_a_trainer_state_holds_what_its_callback_was_told():
    written = json.loads((LOGS / "transformers" / "written.json").read_text())
    found = rows(LOGS / "transformers")
    told = {name for entry in written["logs"] for name in entry} - {"step"}
    # Two entries of one step share a row, so what both tell is the later one's.
    expected = {}
    for entry in written["logs"]:
        expected.setdefault(entry["step"], {}).update(entry)
    timed = {name for name in told if "runtime" in name or "per_second" in name}
    for step, entry in expected.items():
        row = found["transformers", float(step)]
        for name in set(entry) - {"step"} - timed:
            assert row[name] == entry[name], name
    assert {row["num_params"] for row in found.values()} == {written["parameters"]}
    assert {row["n_layer"] for row in found.values()} == {1}


# Logs that were typed in the form of their writers


def test_megatron_tokens_are_samples_times_the_sequence_length():
    found = rows(LOGS / "console" / "megatron-345m.log")
    middle = found["megatron-345m", 200.0]
    assert middle["lm loss"] == 5.987654
    assert middle["validation loss"] == 5.912345
    assert middle["consumed tokens"] == 51200 * 2048
    assert (middle["parameters"], middle["hidden_size"]) == (354871296, 1024)
    assert len(found) == 3


def test_nanotron_is_read_with_a_warning_that_it_rounds():
    opened = one(LOGS / "console" / "nanotron-1b.log")
    last = by_step(opened.table)["nanotron-1b", 2.0]
    assert (last["consumed_tokens"], last["lm_loss"], last["lr"]) == (4.19e6, 11.9, 6e-06)
    assert last["total_params"] == 1.04e9
    assert codes(opened) == ["rounded-log"]


def test_torchtitan_is_read_through_its_colours():
    found = rows(LOGS / "console" / "torchtitan-debug.log")
    last = found["torchtitan-debug", 10.0]
    assert last["loss_metrics/global_avg_loss"] == 5.87612
    assert last["validation_metrics/loss"] == 5.9001
    assert (last["tps"], last["total_params"]) == (1071234, 6270000)


def test_nanochat_tokens_are_steps_times_the_batch():
    found = rows(LOGS / "console" / "nanochat-d12.log")
    assert found["nanochat-d12", 1000.0]["val_bpb"] == 0.9876
    assert found["nanochat-d12", 500.0]["tokens"] == 500 * 524288
    assert found["nanochat-d12", 0.0]["num_params"] == 185597952


def test_olmo_is_read_from_its_console_and_from_its_files():
    printed = rows(LOGS / "console" / "olmo-190m.log")
    assert printed["olmo-190m", 10.0]["train/CE loss"] == 9.123
    assert printed["olmo-190m", 10.0]["throughput/total tokens"] == 5242880
    saved = rows(LOGS / "olmo-core")
    assert saved["ladder-190m", 1000.0]["train/CE loss"] == 3.5
    last = saved["ladder-190m", 2000.0]
    assert last["eval/lm/c4_en-validation/CE loss"] == 3.3125
    assert (last["model.d_model"], last["train_module.optim.betas"]) == (768, "[0.9, 0.95]")
    assert len(saved) == 2


def test_levanter_and_lm_eval_have_one_row_without_a_step():
    marin = rows(LOGS / "levanter")["marin-125m", None]
    assert (marin["parameter_count"], marin["train/loss"]) == (151992576, 3.25)
    assert marin["model.hidden_dim"] == 768
    assert marin["throughput/total_tokens"] == 2516582400
    scores = rows(LOGS / "lm-eval")["org/model-a", None]
    assert scores["hellaswag/acc,none"] == 0.2890625
    assert scores["hellaswag/acc_stderr,none"] == 0.0045
    assert scores["model_num_parameters"] == 124439808


def test_exported_charts_and_the_table_of_runs_join_by_the_name_of_the_run():
    found = rows(LOGS / "wandb-csv")
    assert found["a - b", 10.0]["val/loss"] == 4.125
    assert found["a - b", 10.0]["tokens"] == 655360
    assert found["a - b", 10.0]["n_params"] == 1500000
    assert found["big", 20.0]["val/loss"] == 3.3125
    assert found["big", 20.0]["budget"] == 1e19
    assert len(found) == 4


# The writers of the tests against the real ones


@pytest.mark.parametrize("path", sorted((LOGS / "wandb").glob("*.wandb")), ids=lambda p: p.stem)
def test_our_framing_of_wandb_records_is_the_real_one(path):
    records = list(wandb._Records(open_source(path)))
    assert wandb_frames(records) == path.read_bytes()


@pytest.mark.parametrize("path", sorted(LOGS.glob("*/small/events*")), ids=lambda p: p.parts[-3])
def test_our_framing_of_events_is_the_real_one(path):
    frames = tensorboard._Frames(open_source(path))
    assert b"".join(tfrecord(event) for event, _ in frames) == path.read_bytes()


def test_records_longer_than_a_block_are_put_together_again(tmp_path):
    note = "x" * 100_000
    log = tmp_path / "run.wandb"
    log.write_bytes(wandb_log("a", {"n": 1, "note": note}, [{"_step": 3, "loss": 2.5}]))
    opened = one(log)
    assert by_step(opened.table)["a", 3.0]["loss"] == 2.5
    assert codes(opened) == []


def test_tensorboard_settings_come_from_lightning_s_file_and_from_the_trainer_s_text(tmp_path):
    text = json.dumps({"hidden_size": 64, "optim": "adamw"})
    tensor = field(1, 7) + field(8, text)
    args = field(5, field(1, field(1, "args/text_summary") + field(8, tensor)))
    log = tmp_path / "events.out.tfevents.1"
    log.write_bytes(tensorboard_log({}, [{"_step": 1, "loss": 2.0}]) + tfrecord(args))
    (tmp_path / "hparams.yaml").write_text("lr: 0.1\n")
    (row,) = rows(tmp_path).values()
    assert (row["hidden_size"], row["optim"], row["lr"]) == (64, "adamw", 0.1)


@pytest.mark.parametrize(
    ("kind", "content", "value"),
    [
        (19, field(13, 0x4100), 2.5),
        (14, field(13, 0x4020), 2.5),
        (9, field(10, varint(2**64 - 3)), -3.0),
        (3, field(7, 12), 12.0),
        (2, field(4, struct.pack("<d", 0.1)), 0.1),
    ],
    ids=["half", "bfloat16", "packed int64", "int32", "double"],
)
def test_scalar_tensors_of_every_type_are_read(tmp_path, kind, content, value):
    entry = field(1, field(1, "loss") + field(8, field(1, kind) + content))
    log = tmp_path / "events.out.tfevents.1"
    log.write_bytes(tfrecord(field(2, 5) + field(5, entry)))
    assert by_step(one(log).table)[tmp_path.name, 5.0]["loss"] == value


# Torn and damaged logs


def test_a_wandb_run_that_still_writes_is_read_as_far_as_it_got(tmp_path):
    steps = [{"_step": i, "loss": 4.0 - i / 100} for i in range(100)]
    data = wandb_log("live", {"n_params": 7}, steps)
    log = tmp_path / "run.wandb"
    log.write_bytes(data[: len(data) // 2 + 3])
    opened = one(log)
    found = by_step(opened.table)
    assert 40 < len(found) < 60
    assert all(row["loss"] == 4.0 - step / 100 for (_, step), row in found.items())
    assert codes(opened) == ["log-damaged"]


def test_a_record_with_a_wrong_checksum_is_left_out_and_told(tmp_path):
    steps = [{"_step": i, "loss": 2.0} for i in range(3)]
    data = bytearray(tensorboard_log({}, steps))
    # The last byte before the last checksum is a byte of the last loss.
    data[-5] ^= 1
    log = tmp_path / "events.out.tfevents.1"
    log.write_bytes(data)
    opened = one(log)
    assert len(by_step(opened.table)) == 2
    assert codes(opened) == ["log-damaged"]


@pytest.mark.parametrize("length", [2**60, 2**63, 2**64 - 1])
def test_a_record_of_2_to_the_60_bytes_is_a_record_that_was_cut(tmp_path, length):
    head = struct.pack("<Q", length)
    crc = int(crc32c([head])[0])
    head += struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
    log = tmp_path / "events.out.tfevents.1"
    log.write_bytes(head + b"tail")
    with pytest.raises(InputError, match="no whole event"):
        one(log)
    log.write_bytes(tensorboard_log({}, [{"_step": 1, "loss": 2.0}]) + head)
    opened = one(log)
    assert codes(opened) == ["log-damaged"]
    assert by_step(opened.table)[tmp_path.name, 1.0]["loss"] == 2.0


def test_lengths_inside_a_message_are_checked_before_they_are_used(tmp_path):
    lie = b"\x0a" + b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"short"
    log = tmp_path / "events.out.tfevents.1"
    log.write_bytes(tensorboard_log({}, [{"_step": 1, "loss": 2.0}]) + tfrecord(field(5, lie)))
    assert codes(one(log)) == ["log-damaged"]


@pytest.mark.parametrize(
    ("log", "cut"),
    [
        ("lightning/lightning_logs/version_0/metrics.csv", 2),
        ("wandb-csv/tokens.csv", 4),
    ],
)
def test_the_last_line_of_a_cut_table_is_not_read_for_its_digits_may_be_cut(tmp_path, log, cut):
    whole = (LOGS / log).read_bytes()
    folder = tmp_path / "version_0"
    folder.mkdir()
    (folder / Path(log).name).write_bytes(whole[:-cut])
    opened = one(folder / Path(log).name)
    assert codes(opened) == ["log-damaged"]
    cells = sum(map(len, by_step(opened.table).values()))
    assert cells < sum(map(len, rows(LOGS / log).values()))


def test_a_metric_of_mlflow_whose_last_step_is_cut_loses_that_step(tmp_path):
    shutil.copytree(LOGS / "mlflow-folder", tmp_path / "m")
    for metric in (tmp_path / "m").rglob("metrics/tokens"):
        metric.write_bytes(metric.read_bytes()[:-2])
    opened = open_folder(tmp_path / "m", "m")
    found = by_step(opened.table)
    assert "tokens" not in found["small", 30.0]
    assert found["small", 20.0]["tokens"] == 1310720
    assert "log-damaged" in codes(opened)


# Databases


def test_a_database_is_read_and_left_as_it_was(tmp_path):
    shutil.copy(LOGS / "trackio" / "demo.db", tmp_path)
    before = (tmp_path / "demo.db").read_bytes()
    rows(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.db"]
    assert (tmp_path / "demo.db").read_bytes() == before


def test_what_stands_only_in_the_write_ahead_log_is_read_too(tmp_path):
    live, copy = tmp_path / "live", tmp_path / "copy"
    live.mkdir()
    copy.mkdir()
    shutil.copy(LOGS / "trackio" / "demo.db", live)
    with closing(sqlite3.connect(live / "demo.db", isolation_level=None)) as database:
        (run,) = database.execute("SELECT run_id FROM metrics LIMIT 1").fetchone()
        database.execute(
            "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics)"
            " VALUES (?, '', 'small', 40, '{\"val/loss\": 3.5}')",
            (run,),
        )
        for path in live.iterdir():
            shutil.copy(path, copy)
    assert (copy / "demo.db-wal").stat().st_size
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert rows(copy)["small", 40.0]["val/loss"] == 3.5
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


_CONFIGS = "CREATE TABLE configs (run_id, run_name, config);"
_ROW = "INSERT INTO metrics (run_id, run_name, step) VALUES (1, 2, 3);"


@pytest.mark.parametrize(
    "schema",
    [
        _CONFIGS
        + "CREATE VIEW metrics AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
        " SELECT x AS run_id, x AS run_name, x AS step, x AS metrics FROM c;",
        _CONFIGS + "CREATE TABLE metrics (run_id, run_name, step, metrics AS (hex(zeroblob(1e7))));"
        + _ROW,
        _CONFIGS + "CREATE TABLE metrics (run_id, run_name, step);" + _ROW,
        "CREATE TABLE metrics (run_id, run_name, step, metrics);" + _ROW
        + "CREATE VIRTUAL TABLE configs USING fts4(run_id, run_name, config);",
    ],
    ids=["endless view", "column that computes", "column missing", "virtual table"],
)  # fmt: skip
def test_a_hostile_schema_is_refused_or_no_log_at_all(tmp_path, schema):
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as database:
        database.executescript(schema)
    with pytest.raises(InputError):
        open_folder(tmp_path, "x")


def test_a_trigger_in_a_database_never_runs(tmp_path):
    shutil.copy(LOGS / "trackio" / "demo.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "demo.db", isolation_level=None)) as database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON metrics BEGIN DELETE FROM metrics; END")
    assert_metrics(rows(tmp_path), planned())


# Settings files


@pytest.mark.parametrize(
    ("text", "found", "unread"),
    [
        ("a: 1\nb: 2.5e-3\nc: x y\nd: 'it''s'\ne: \"q\\n\"\n",
         {"a": 1, "b": 0.0025, "c": "x y", "d": "it's", "e": "q\n"}, []),
        ("a:\n  b:\n    c: true\n  d: ~\ne: []\n",
         {"a": {"b": {"c": True}, "d": None}, "e": []}, []),
        ("a:\n- 1\n- 2\nb: [1, x]\n", {"a": [1, 2], "b": [1, "x"]}, []),
        ("# c\n---\na: 1 # one\nb: x#y\n", {"a": 1, "b": "x#y"}, []),
        ("a: &x 1\nb: *x\nc: 3\n", {"c": 3}, [1, 2]),
        ("a: !!python/object/apply:os.system ['id']\nb: 1\n", {"b": 1}, [1]),
        ("a: |\n  text: 1\n  more\nb: 1\n", {"b": 1}, [1, 2, 3]),
        ("a: {x: 1}\nb: 1\n", {"b": 1}, [1]),
        ("- a\n- b\n", {}, [1, 2]),
        ("a:\n- x: 1\n  y: 2\nb: 1\n", {"a": None, "b": 1}, [2, 3]),
        ("<<: *base\nb: 1\n", {"b": 1}, [1]),
    ],
)  # fmt: skip
def test_plain_yaml_is_read_and_the_rest_is_told_by_line(text, found, unread):
    assert parse_yaml(text) == (found, unread)


def test_settings_that_are_not_plain_are_told_and_the_metrics_are_read(tmp_path):
    shutil.copytree(LOGS / "lightning" / "lightning_logs" / "version_0", tmp_path / "version_0")
    settings = tmp_path / "version_0" / "hparams.yaml"
    settings.write_text("n_params: 5\nmodel: !!python/object:m.M {}\n")
    opened = open_folder(tmp_path, "x")
    assert codes(opened) == ["settings-unread"]
    assert "line 2" in opened.notes[0].message
    assert by_step(opened.table)["version_0", 30.0]["n_params"] == 5


def test_a_long_walk_tells_how_far_it_is(tmp_path, monkeypatch, caplog):
    shutil.copytree(LOGS / "lightning" / "lightning_logs" / "version_0", tmp_path / "version_0")
    for k in range(7):
        (tmp_path / f"z{k}.bin").write_bytes(b"")
    monkeypatch.setattr(walk, "TOLD_EVERY", 4)
    with caplog.at_level("INFO", "scalefit"):
        open_folder(tmp_path, "x")
    assert caplog.messages[:2] == [f"x: looked at {k} files, found 0 logs" for k in (4, 8)]


# The frame


def folder_of(tmp_path, **logs):
    for name, data in logs.items():
        (tmp_path / f"{name}.wandb").write_bytes(data)
    return open_folder(tmp_path, "logs")


def test_two_runs_of_one_name_are_told_apart_by_their_logs(tmp_path):
    first = wandb_log("same", {}, [{"_step": 1, "loss": 1.0}])
    second = first.replace(b"same-id", b"othe-id")
    assert not list(wandb._Records(source_of(tmp_path, second)))
    second = wandb_frames(
        [r.replace(b"same-id", b"othe-id") for r in wandb._Records(source_of(tmp_path, first))]
    )
    (tmp_path / "x.wandb").unlink()
    opened = folder_of(tmp_path, a=first, b=second)
    assert opened.table.column("run").to_pylist() == ["same (a.wandb)", "same (b.wandb)"]


def source_of(tmp_path, data):
    (tmp_path / "x.wandb").write_bytes(data)
    return open_source(tmp_path / "x.wandb")


def test_a_run_that_was_resumed_is_one_run_and_the_later_value_stays(tmp_path):
    opened = folder_of(
        tmp_path,
        a=wandb_log("r", {}, [{"_step": 1, "loss": 3.0}, {"_step": 2, "loss": 2.5}]),
        b=wandb_log("r", {}, [{"_step": 2, "loss": 2.4}, {"_step": 3, "loss": 2.0}]),
    )
    losses = {step: row["loss"] for (_, step), row in by_step(opened.table).items()}
    assert losses == {1.0: 3.0, 2.0: 2.4, 3.0: 2.0}


def test_a_setting_that_is_a_metric_too_is_told_and_renamed(tmp_path):
    opened = folder_of(tmp_path, a=wandb_log("r", {"lr": 1.0, "run": 7}, [{"_step": 1, "lr": 0.5}]))
    row = by_step(opened.table)["r", 1.0]
    assert (row["lr"], row["config.lr"], row["config.run"]) == (0.5, 1, 7)
    assert codes(opened) == ["name-taken"]


def test_a_setting_that_is_a_number_in_one_run_and_a_word_in_another_is_text(tmp_path):
    opened = folder_of(
        tmp_path,
        a=wandb_log("a", {"lr": 0.1}, [{"_step": 1, "loss": 1.0}]),
        b=wandb_log("b", {"lr": "auto"}, [{"_step": 1, "loss": 1.0}]),
    )
    assert opened.table.column("lr").to_pylist() == ["0.1", "auto"]


def test_tokens_that_were_logged_by_another_call_than_the_loss_stand_in_its_row(tmp_path):
    opened = folder_of(
        tmp_path,
        a=wandb_log("r", {}, [
            {"_step": 0, "val/loss": 9.0},
            {"_step": 1, "tokens": 100, "tokens_per_sec": 7.0, "accuracy": 0.1},
            {"_step": 2, "val/loss": 3.0},
            {"_step": 3, "tokens": 200, "tokens_per_sec": 8.0, "accuracy": 0.2},
            {"_step": 4, "val/loss": 2.0},
        ]),
    )  # fmt: skip
    found = by_step(opened.table)
    assert [found["r", float(step)].get("tokens") for step in range(5)] == [
        None, 100, 100, 200, 200,
    ]  # fmt: skip
    for name in ("tokens_per_sec", "accuracy", "val/loss"):
        assert sum(name in row for row in found.values()) == (3 if name == "val/loss" else 2)
    assert codes(opened) == ["counter-carried"]
    told = opened.load(["tokens"], []).notes
    assert "'tokens' was not written in 2 rows" in told[0].message


def test_a_count_that_falls_is_no_count_and_is_not_carried(tmp_path):
    rows = [{"_step": 0, "samples": 9}, {"_step": 1, "samples": 3}, {"_step": 2, "loss": 2.0}]
    opened = folder_of(tmp_path, a=wandb_log("r", {}, rows))
    assert "samples" not in by_step(opened.table)["r", 2.0]
    assert codes(opened) == []


def test_one_name_in_several_spellings_is_one_column_unless_a_run_has_two_of_them(tmp_path):
    first = wandb_log("a", {"n_params": 1}, [{"_step": 1, "val/loss": 3.0}])
    second = wandb_log("b", {"n-params": 2}, [{"_step": 1, "val_loss": 2.0}])
    opened = folder_of(tmp_path, a=first, b=second)
    assert opened.table.column("val/loss").to_pylist() == [3.0, 2.0]
    assert opened.table.column("n_params").to_pylist() == [1, 2]
    assert codes(opened) == ["names-joined"]
    assert "'val_loss' as 'val/loss'" in opened.notes[0].message
    both = wandb_log("c", {}, [{"_step": 1, "val.loss": 1.0, "val_loss": 9.0}])
    opened = folder_of(tmp_path, a=first, b=second, c=both)
    assert {"val/loss", "val_loss", "val.loss"} <= set(opened.names)


def test_a_run_that_two_trackers_logged_is_told(tmp_path):
    logged = [{"_step": i, "val/loss": 3.1 - i / 10} for i in range(4)]
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x.wandb").write_bytes(wandb_log(name, {}, logged))
    assert codes(open_folder(tmp_path, "x")) == []
    (tmp_path / "tb").mkdir()
    (tmp_path / "tb" / "events.out.tfevents.1").write_bytes(tensorboard_log({}, logged))
    opened = open_folder(tmp_path, "x")
    assert codes(opened) == ["logged-twice"]
    assert "'a' (wandb) and 'tb' (tensorboard)" in opened.notes[0].message
    assert read(tmp_path, columns={"L": "val/loss"}, where="tracker == 'wandb'").rows == 8


def test_names_that_unicode_cannot_hold_are_read(tmp_path):
    state = (
        '{"log_history": [{"step": 1, "loss": 2.0, "a\\ud800": 3.0}], "trial_params": "\\ud83d"}'
    )
    (tmp_path / "trainer_state.json").write_text(state)
    (row,) = rows(tmp_path).values()
    assert (row["loss"], row["a?"], row["trial_params"]) == (2.0, 3.0, "?")


def test_a_message_names_the_run_and_the_step(tmp_path):
    log = wandb_log("r", {"n_params": 5}, [{"_step": 7, "val/loss": -1.0, "tokens": 9}])
    (tmp_path / "a.wandb").write_bytes(log)
    with pytest.raises(InputError, match=r"run 'r', step 7 \(row 1\), column 'val/loss': '-1.0'"):
        read(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "iteration 1/ 1 | " * 4000,
        "validation loss at iteration 1 " * 4000,
        "iteration: 1 / 1 | " * 4000,
        " " * 60_000 + "=",
        "step: 1  " * 6000,
        "\x1b[" * 30_000,
        "\x1b[" + "1;" * 30_000,
        "step 1/1 (" * 6000,
        "9" * 60_000,
    ],
)
def test_no_line_of_a_console_log_is_gone_through_again_and_again(line):
    # With a pattern that is quadratic in the line this test runs for minutes.
    for tracker in TRACKERS:
        source = Source("x.log", ".log", None, (line + "\n").encode() * 4, (len(line) * 4 + 4, 0))
        tracker.claims(source)
        if tracker.files.startswith("console"):
            with contextlib.suppress(InputError):
                list(tracker.read(Log(source, "x")))


def test_what_is_read_of_a_folder_does_not_stay_in_memory(tmp_path):
    pad = "x" * 1_000_000
    for place in range(30):
        log = wandb_log(f"r{place}", {"pad": pad}, [{"_step": 1, "loss": 1.0}])
        (tmp_path / f"{place}.wandb").write_bytes(log)
    tracemalloc.start()
    opened = open_folder(tmp_path, "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(opened.load(["loss"], []).table) == 30
    # The settings themselves, once, and a few files at a time.
    assert peak < 30 * len(pad) + 10 * len(pad)


# The walk


def test_a_folder_is_read_in_the_order_of_its_paths_whatever_the_disk_says(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
        log = wandb_log(name, {}, [{"_step": 1, "loss": 1.0}])
        (tmp_path / name / "x.wandb").write_bytes(log)
    table = open_folder(tmp_path, "x").table
    assert table.column("run").to_pylist() == ["a", "b", "c"]


def test_links_are_followed_once_and_never_round_in_circles(tmp_path):
    (tmp_path / "run").mkdir()
    log = wandb_log("r", {}, [{"_step": 1, "loss": 1.0}])
    (tmp_path / "run" / "x.wandb").write_bytes(log)
    (tmp_path / "latest").symlink_to(tmp_path / "run")
    (tmp_path / "run" / "up").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe.wandb")
    table = open_folder(tmp_path, "x").table
    assert table.column("log").to_pylist() == ["run/x.wandb"]


def test_a_log_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path):
    good = wandb_log("r", {}, [{"_step": 1, "loss": 1.0}])
    opened = folder_of(tmp_path, a=good, b=b":W&B", c=good[:20])
    assert opened.table.num_rows == 1
    assert codes(opened) == ["log-unread", "log-unread"]
    assert "b.wandb" in opened.notes[0].message


def test_a_folder_in_which_no_log_can_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="no whole record"):
        folder_of(tmp_path, a=b":W&B")


def test_a_folder_without_a_log_says_what_would_be_one(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="without a log") as caught:
        read(tmp_path)
    assert "wandb" in caught.value.hint
    assert "tensorboard" in caught.value.hint
    (tmp_path / "runs.csv").write_text("N,L\n1,2\n")
    with pytest.raises(InputError, match="without a log") as caught:
        read(tmp_path)
    assert caught.value.hint == f"give the table in it: {tmp_path / 'runs.csv'}"
    (tmp_path / "more.csv").write_text("N,L\n1,2\n")
    with pytest.raises(InputError, match="without a log") as caught:
        read(tmp_path)
    assert f"such as {tmp_path / 'more.csv'}, or join them with scalefit ingest" in (
        caught.value.hint
    )


def test_the_hash_is_that_of_every_file_that_was_read(tmp_path):
    shutil.copytree(LOGS / "lightning", tmp_path / "l")
    before = open_folder(tmp_path / "l", "l").sha256()
    shutil.copytree(LOGS / "lightning", tmp_path / "m")
    assert open_folder(tmp_path / "m", "m").sha256() == before
    settings = tmp_path / "l" / "lightning_logs" / "version_0" / "hparams.yaml"
    settings.write_text(settings.read_text() + "more: 1\n")
    assert open_folder(tmp_path / "l", "l").sha256() != before


def test_roles_are_found_in_logs_as_in_tables():
    runs = read(LOGS / "dvclive", where="step > 0", last=True)
    np.testing.assert_array_equal(floats(runs.table.column("N")), [24e6, 1.5e6])
    np.testing.assert_array_equal(floats(runs.table.column("D")), [1966080, 1966080])
    np.testing.assert_array_equal(floats(runs.table.column("L")), [3.05, 3.6])


def test_a_run_whose_log_lacks_the_tokens_says_which_column_to_name(tmp_path):
    log = wandb_log("r", {"n_params": 5}, [{"_step": 7, "loss": 2.0, "seen_tok": 9}])
    (tmp_path / "a.wandb").write_bytes(log)
    from scalefit.tables import select

    with pytest.raises(InputError, match="no column plays the role D") as caught:
        select(read(tmp_path), {"N": "N", "D": "D"})
    assert "--col D=" in caught.value.hint
