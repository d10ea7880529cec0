"""Where output goes: tables that hold everything, streams that are closed, files that are read."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import typer.main
from typer.testing import CliRunner

from scalefit import read, report
from scalefit.cli import app
from scalefit.core.errors import InputError, OutputError, ScalefitError

ROOT = Path(__file__).parents[2]
RUNS = "data/chinchilla-subset/runs.csv"


def scalefit(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "scalefit", *map(str, arguments)],
        text=True, cwd=ROOT, check=False, timeout=120,
        **{"capture_output": True, **settings},
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_two_fits_holds_both(tmp_path, suffix):
    path = tmp_path / f"two.{suffix}"
    assert scalefit("fit", RUNS, "--law", "chinchilla", "--law", "kaplan", "-o", path).stderr
    rows = (
        list(csv.DictReader(path.read_text().splitlines()))
        if suffix == "csv"
        else pq.read_table(path).to_pylist()
    )
    named = {
        law: [r["parameter"] for r in rows if r["law"] == law] for law in ("chinchilla", "kaplan")
    }
    assert named["chinchilla"] == ["E", "A", "alpha", "B", "beta", "a", "b"]
    assert named["kaplan"][:4] == ["N_c", "D_c", "alpha_N", "alpha_D"]
    assert len(rows) == sum(map(len, named.values()))


def test_a_table_of_a_check_holds_its_findings(tmp_path):
    path = tmp_path / "findings.csv"
    assert scalefit("check", RUNS, "-o", path).returncode == 0
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(r["code"], r["severity"]) for r in rows] == [("size-undefined", "note")]
    assert "embeddings" in rows[0]["message"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "arguments",
    [("check", RUNS), ("check", RUNS, "--json"), ("--help",), ("--version",), ("laws", "list")],
    ids=" ".join,
)
def test_a_stream_that_takes_nothing_is_one_line_and_exit_code_4(arguments):
    with Path("/dev/full").open("w") as full:
        done = scalefit(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    shut = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "scalefit", *arguments],
        stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    for one, why in ((done, os.strerror(28)), (shut, "closed")):
        assert one.returncode == 4
        assert one.stderr.startswith("error: standard output")
        assert why in one.stderr.splitlines()[0]
        assert len(one.stderr.splitlines()) == 2


def test_what_goes_to_a_file_needs_no_standard_output(tmp_path):
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "scalefit", "check", RUNS,
         "-o", tmp_path / "check.json"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert json.loads((tmp_path / "check.json").read_text())["schema"] == "scalefit.check/1"


def test_no_command_writes_over_what_it_reads(tmp_path):
    runs, points = tmp_path / "runs.csv", tmp_path / "points.csv"
    shutil.copy(ROOT / RUNS, runs)
    points.write_text("N,D\n1e9,2e10\n")
    config = tmp_path / "settings.json"
    config.write_text(f'[runs]\npath = "{runs}"\n')
    (tmp_path / "link.csv").symlink_to(runs)
    before = runs.read_bytes()
    for given, out in (
        (("fit", runs), runs),
        (("fit", runs), tmp_path / "link.csv"),
        (("check", "--config", config), runs),
        (("check", "--config", config), config),
        (("predict", runs, "--at-file", points), points),
        (("report", "--config", config), tmp_path),
        (("ingest", points, runs), runs),
    ):
        done = scalefit(*given, "-o", out)
        assert done.returncode == 2, given
        assert "is read" in done.stderr
    assert runs.read_bytes() == before
    assert scalefit("check", runs, "-o", tmp_path / "other.csv").returncode == 0


def test_a_report_does_not_take_the_place_of_the_runs_it_is_made_of(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    runs = folder / "runs.parquet"
    pq.write_table(pyarrow.csv.read_csv(ROOT / RUNS), runs)
    before = runs.read_bytes()
    # The folder that is used where none is named.
    done = subprocess.run(
        [sys.executable, "-m", "scalefit", "report", runs], cwd=tmp_path, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "is read" in done.stderr
    with pytest.raises(InputError, match="is read"):
        report(read(runs), folder)
    assert runs.read_bytes() == before


WRITING = [
    name
    for name, command in typer.main.get_command(app).commands.items()
    if any(parameter.name == "out" for parameter in command.params)
]
PLACES = [
    ("nowhere/out.csv", os.strerror(2), "make the folder first"),
    ("folder.csv", os.strerror(21), "add a file name"),
    ("file/out.csv", os.strerror(20), "a part of the path is a file"),
    ("out.xlsx", "xlsx", "csv"),
    ("out", "no suffix", ".csv"),
]


@pytest.mark.parametrize("command", sorted({*WRITING} - {"report"}))
@pytest.mark.parametrize(("place", "why", "hint"), PLACES, ids=[p[0] for p in PLACES])
def test_a_place_that_takes_no_output_is_refused_before_the_work(
    tmp_path, monkeypatch, command, place, why, hint
):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    # Whoever began to work would come here: the runs are read before all else.
    monkeypatch.setattr("scalefit.pipeline.steps.read", never)
    asked = {"predict": ["--at", "N=1e9,D=2e10"], "optimum": ["--budget", "1e20"]}
    runs = [] if command == "ingest" else [RUNS]
    more = asked.get(command, [RUNS] if command == "ingest" else [])
    done = CliRunner().invoke(app, [command, *runs, *more, "-o", str(tmp_path / place)])
    assert isinstance(done.exception, ScalefitError), done.output
    assert why in str(done.exception)
    assert hint in done.exception.hint


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_report_is_refused_before_the_work_where_no_folder_can_be(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("scalefit.pipeline.steps.read", never)
    done = CliRunner().invoke(app, ["report", str(ROOT / RUNS), "-o", str(tmp_path / place)])
    assert isinstance(done.exception, OutputError), done.output
    assert "choose another" in done.exception.hint


def test_a_report_of_the_library_is_refused_before_the_work_likewise(tmp_path, monkeypatch):
    runs = read(ROOT / RUNS)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("scalefit.pipeline.steps.fit", never)
    with pytest.raises(OutputError):
        report(runs, tmp_path / "file")


def never(*_, **__):
    raise AssertionError("the work began")


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes there")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_an_end_from_outside_leaves_no_process(sent):
    running = subprocess.Popen(
        [sys.executable, "-m", "scalefit", "fit", RUNS, "--interval", "bootstrap", "--draws",
         "2000000", "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(alive(running.pid)) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(alive(running.pid)) >= 4, "no workers came up"
        # A worker that is ended while it starts prints what it thinks of that.
        time.sleep(2)
        running.send_signal(sent)
        # It would hang here as long as a worker holds the pipes.
        _, words = running.communicate(timeout=30)
        while alive(running.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert alive(running.pid) == []
    finally:
        if alive(running.pid):
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 128 + sent
    assert "Traceback" not in words


def alive(session):
    """Processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_who_interrupts_while_the_program_is_being_loaded_gets_no_traceback():
    code = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from scalefit.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
