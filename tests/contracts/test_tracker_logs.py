"""What every tracker promises, whichever logs it reads; none is named in a test."""

import contextlib
import random
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalefit.core.errors import ScalefitError
from scalefit.tables import read
from scalefit.tables.read import may_be_log
from scalefit.tables.readers.base import Source, open_source
from scalefit.tables.readers.memory import open_memory
from scalefit.tables.trackers import TRACKERS, Log, claimant, open_folder, open_log

LOGS = Path(__file__).parents[1] / "fixtures" / "trackers"
FILES = sorted(path for path in LOGS.rglob("*") if path.is_file() and path.name != "README.md")


@cache
def logs():
    """The fixtures that are logs, by the name of their tracker; the others stand beside one."""
    found = {}
    for path in FILES:
        tracker = claimant(open_source(path))
        if tracker:
            found.setdefault(tracker.name, []).append(path)
    return found


@pytest.fixture(params=TRACKERS.values(), ids=lambda tracker: tracker.name)
def tracker(request):
    return request.param


@pytest.fixture
def log(tracker, tmp_path):
    """One log of the tracker with all that stands beside it, in a folder that may be spoilt."""
    path = logs()[tracker.name][0]
    shutil.copytree(path.parent, tmp_path / path.parent.name)
    return tmp_path / path.parent.name / path.name


def outcome(path):
    """The table, or None after an error of our own; any other error passes through."""
    return outcome_of(open_source(path))


def outcome_of(source):
    claimed = claimant(source)
    found = None
    with contextlib.suppress(ScalefitError):
        found = open_log(source, claimed).table if claimed else None
    return found


def test_every_tracker_has_a_log_to_be_tested_with(tracker):
    assert tracker.name in logs()


def test_no_log_is_claimed_by_two_trackers():
    for path in FILES:
        source = open_source(path)
        assert len([tracker.name for tracker in TRACKERS if tracker.claims(source)]) <= 1, path


def test_tables_are_claimed_by_no_tracker():
    for table in (LOGS.parents[2] / "data").rglob("*.csv"):
        assert claimant(open_source(table)) is None, table


def test_a_log_is_never_taken_for_a_plain_table(tracker):
    assert all(may_be_log(open_source(path)) for path in logs()[tracker.name])


def test_a_plain_table_loads_no_tracker():
    code = (
        "import sys, scalefit; scalefit.read(sys.argv[1]);"
        "print('sqlite3' in sys.modules, 'scalefit.tables.trackers' in sys.modules)"
    )
    table = LOGS.parents[2] / "data" / "chinchilla-subset" / "runs.csv"
    done = subprocess.run(
        [sys.executable, "-c", code, str(table)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_reading_twice_gives_the_same_table_and_hash(tracker, log):
    first, second = (open_folder(log.parent, "x") for _ in range(2))
    assert open_memory(first.table).sha256() == open_memory(second.table).sha256()
    assert first.sha256() == second.sha256()


def _folded(name):
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def test_a_log_alone_reads_as_it_does_in_its_folder(log):
    alone = outcome(log)
    within = open_folder(log.parent, "x").table
    # Together, one name in several spellings is one column.
    known = {_folded(name) for name in within.column_names}
    assert {_folded(name) for name in alone.column_names} <= known
    assert alone.num_rows <= within.num_rows


def test_columns_come_in_the_order_of_the_frame(log):
    names = outcome(log).column_names
    assert names[:3] == ["run", "tracker", "log"]
    assert "step" in names


def test_a_log_that_ends_anywhere_is_read_or_refused(log):
    whole = log.read_bytes()
    ends = sorted({*range(0, len(whole), max(1, len(whole) // 60)), len(whole) - 1})
    for end in ends:
        log.write_bytes(whole[:end])
        outcome(log)


def test_a_log_with_turned_bits_is_read_or_refused(log):
    whole = log.read_bytes()
    dice = random.Random(0)
    for _ in range(60):
        spoilt = bytearray(whole)
        for _ in range(dice.choice([1, 1, 3, 20])):
            spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
        log.write_bytes(spoilt)
        outcome(log)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """Tries other bytes in the place of a log, with all that stands beside it."""
    copies = {}

    def tried(path, data):
        if path not in copies:
            copies[path] = tmp_path_factory.mktemp("spoilt") / path.parent.name
            shutil.copytree(path.parent, copies[path])
        (copies[path] / path.name).write_bytes(data)
        outcome(copies[path] / path.name)

    return tried


@st.composite
def mutants(draw):
    """A fixture and bytes like its own: cut, overwritten, repeated, or with something put in."""
    path = draw(st.sampled_from([found[0] for found in logs().values()]))
    data = bytearray(path.read_bytes())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 40))
        put = draw(
            st.sampled_from([b"", b"\xff" * 10, b"[" * 5000, b'{"a":' * 5000, b"1e400", b"\0" * 8])
            | st.binary(max_size=20)
        )
        data[at : at + size] = put
    return path, bytes(data)


@settings(max_examples=150, deadline=None)
@given(mutant=mutants())
def test_logs_that_were_tampered_with_are_read_or_refused(spoilt, mutant):
    spoilt(*mutant)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None)
@given(mutant=mutants())
def test_many_logs_that_were_tampered_with_are_read_or_refused(spoilt, mutant):
    spoilt(*mutant)


@pytest.mark.slow
def test_every_end_and_many_bits_of_every_log_are_read_or_refused(log):
    whole = log.read_bytes()[:1000]
    for end in range(len(whole)):
        log.write_bytes(whole[:end])
        outcome(log)
    for bit in range(0, len(whole) * 8, 11):
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        log.write_bytes(turned)
        outcome(log)


def mutated(data, dice):
    """`data` after a few changes: bits turned, pieces cut, doubled or overwritten."""
    data = bytearray(data)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(data) + 1)
        size = dice.randrange(16)
        match dice.randrange(5):
            case 0:
                del data[at : at + size]
            case 1:
                data[at:at] = data[dice.randrange(len(data) + 1) :][:size]
            case 2:
                data[at : at + size] = dice.randbytes(size)
            case 3:
                data[at : at + 1] = bytes([dice.choice([0, 1, 0x7F, 0x80, 0xFF])])
            case _ if data:
                data[at % len(data)] ^= 1 << dice.randrange(8)
    return bytes(data)


def fuzzed(tracker, runs):
    """Runs the reader on `runs` mutants of its own log, kept in memory; our own errors only."""
    path = logs()[tracker.name][0]
    whole, dice = path.read_bytes(), random.Random(tracker.name)
    for _ in range(runs):
        data = mutated(whole, dice)
        source = Source("sample", path.suffix, None, data, (len(data), 0))
        with contextlib.suppress(ScalefitError):
            list(tracker.read(Log(source, "x")))


def test_mutants_of_a_log_raise_nothing_but_our_own_error(tracker):
    fuzzed(tracker, 50)


@pytest.mark.slow
def test_very_many_mutants_of_a_log_raise_nothing_but_our_own_error(tracker):
    # A database is copied to a file each time, so there are fewer of them.
    in_file = logs()[tracker.name][0].suffix == ".db"
    fuzzed(tracker, 1_000 if in_file else 70_000)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_claimed_or_not_and_never_fail(data):
    for suffix in ("", ".json", ".csv", ".wandb", ".db", ".log"):
        source = Source("sample", suffix, None, data, (len(data), 0))
        outcome_of(source)


def test_zips_within_zips_are_no_logs(tmp_path):
    shutil.make_archive(str(tmp_path / "inner"), "zip", LOGS / "wandb")
    (tmp_path / "folder").mkdir()
    shutil.move(tmp_path / "inner.zip", tmp_path / "folder" / "run.wandb.zip")
    shutil.make_archive(str(tmp_path / "outer"), "zip", tmp_path / "folder")
    with pytest.raises(ScalefitError, match="without a log"):
        read(tmp_path)


@pytest.mark.parametrize("depth", [1000, 200_000])
def test_json_nested_without_end_is_refused(tmp_path, depth):
    deep = '{"a":' * depth + "1" + "}" * depth
    for name, text in (
        ("trainer_state.json", '{"log_history": [' + deep + "]}"),
        ("tracker_metrics.jsonl", '{"config": ' + deep + ', "summary": {}}\n'),
        ("results_1.json", '{"results": {"x": {"acc,none": 1}}, "config": ' + deep + "}"),
    ):
        (tmp_path / name).write_text(text)
        outcome(tmp_path / name)
