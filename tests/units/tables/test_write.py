"""Whole files or none, never through a link."""

import errno
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scalefit.core.errors import InputError, OutputError, UnknownName
from scalefit.tables.reports import FORMATS, Figure, Report, Section, write, write_folder

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><text>a</text></svg>'
TOLD = Report(
    title="A story",
    sections=(
        Section(
            "parameters", "P", table=pa.table({"x": [1.5]}), figures=(Figure("one", "c", SVG),)
        ),
        Section("predictions", "Q", table=pa.table({"y": [2]})),
    ),
    document={"a": 1},
    manifest={"seed": 0},
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".csv", ".json", ".md", ".html", ".parquet"])
def test_the_suffix_chooses_the_format_and_no_other_file_is_left(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    assert write(TOLD, path) == path
    known = next(found for found in FORMATS if suffix in found.suffixes)
    assert path.read_bytes() == known.render(TOLD)
    assert names(tmp_path) == [path.name]


def test_an_unknown_suffix_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UnknownName):
        write(TOLD, tmp_path / "out.docx")
    assert names(tmp_path) == []


def test_a_file_gets_the_rights_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write(TOLD, tmp_path / "out.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o640


def test_a_link_at_the_target_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "out.json"
    path.symlink_to(victim)
    write(TOLD, path)
    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_planted_at_the_temporary_name_is_not_opened(tmp_path, monkeypatch, link):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * size)
    link(tmp_path / f".scalefit-{'0' * 8}.part", victim)
    with pytest.raises(OutputError):
        write(TOLD, tmp_path / "out.json")
    assert victim.read_text() == "precious"


@pytest.fixture
def shut(tmp_path):
    """A read-only folder with an old file, and the rights of a plain user: root may write there."""
    folder = tmp_path / "shut"
    folder.mkdir()
    (folder / "out.json").write_text("old")
    folder.chmod(0o555)
    # A plain user must come as far as the folder, or its own rights are not what is tried.
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o011)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o755)


def test_a_read_only_folder_is_an_output_error_that_names_the_path(shut):
    with pytest.raises(OutputError, match=r"out\.json could not be written: Permission") as caught:
        write(TOLD, shut / "out.json")
    assert "-o" in caught.value.hint
    assert caught.value.exit_code == 4
    assert names(shut) == ["out.json"]
    assert (shut / "out.json").read_text() == "old"


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failure_on_the_way_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, call, failure
):
    path = tmp_path / "out.json"
    path.write_text("old")

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr("pathlib.Path.replace" if call == "replace" else "os.fsync", fail)
    with pytest.raises(OutputError if isinstance(failure, OSError) else KeyboardInterrupt):
        write(TOLD, path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out.json"]


@pytest.mark.parametrize("where", ["missing/out.json", "file/out.json", "folder.json"])
def test_a_path_that_cannot_hold_a_file_is_an_output_error_with_a_hint(tmp_path, where):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OutputError) as caught:
        write(TOLD, tmp_path / where)
    assert caught.value.hint
    assert names(tmp_path) == ["file", "folder.json"]


def test_a_folder_gets_the_story_its_tables_its_pictures_and_what_else_is_given(tmp_path):
    folder = tmp_path / "deep" / "results"
    assert write_folder(TOLD, folder, {"fit.json": b"{}\n"}) == folder
    assert names(folder) == [
        "figures", "fit.json", "manifest.json", "parameters.parquet", "predictions.parquet",
        "report.html", "report.md",
    ]  # fmt: skip
    assert names(folder / "figures") == ["one.svg"]
    assert (folder / "figures" / "one.svg").read_text() == SVG + "\n"
    assert pq.read_table(str(folder / "predictions.parquet")).to_pydict() == {"y": [2]}
    assert json.loads((folder / "manifest.json").read_text()) == {"seed": 0}


def test_what_is_given_wins_over_what_is_made(tmp_path):
    write_folder(TOLD, tmp_path, {"manifest.json": b"mine", "report.md": b"mine too"})
    assert (tmp_path / "manifest.json").read_bytes() == b"mine"
    assert (tmp_path / "report.md").read_bytes() == b"mine too"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "a\\b", "C:a", ".hidden", "a\nb", "a\0b", "x" * 250]
)
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_written(tmp_path, name):
    folder = tmp_path / "results"
    with pytest.raises(InputError, match="no plain file name"):
        write_folder(TOLD, folder, {name: b""})
    told = Report("", (Section("a", "A", figures=(Figure(f"../{name}", "c", SVG),)),), {})
    with pytest.raises(InputError, match="no plain file name"):
        write_folder(told, folder, {})
    assert not folder.exists()


def test_two_pictures_of_one_name_are_refused(tmp_path):
    pictures = (Figure("one", "c", SVG), Figure("one", "d", SVG))
    with pytest.raises(InputError, match=r"one\.svg"):
        write_folder(Report("", (Section("a", "A", figures=pictures),), {}), tmp_path, {})


def test_a_link_planted_in_the_folder_leads_no_file_outside(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "figures").symlink_to(outside)
    with pytest.raises(OutputError, match="figures"):
        write_folder(TOLD, folder, {})
    assert names(outside) == []


def abandoned(folder, age):
    part = folder / f".scalefit-{'0123456789abcdef'}.part"
    part.write_bytes(b"half")
    then = time.time() - age
    os.utime(part, (then, then))
    return part


def test_what_a_killed_run_left_is_taken_away_by_the_next_write(tmp_path):
    abandoned(tmp_path, 3600)
    write(TOLD, tmp_path / "out.json")
    assert names(tmp_path) == ["out.json"]


def test_a_report_folder_is_swept_as_well(tmp_path):
    (tmp_path / "figures").mkdir()
    parts = [abandoned(tmp_path, 3600), abandoned(tmp_path / "figures", 3600)]
    write_folder(TOLD, tmp_path, {})
    assert not any(part.exists() for part in parts)


def test_a_file_that_is_being_written_is_left_alone(tmp_path):
    fresh = abandoned(tmp_path, 0)
    write(TOLD, tmp_path / "out.json")
    assert fresh.exists()
    old = abandoned(tmp_path, 3600)
    # Another process holds the lock, as a writer does until its file has its name.
    code = (
        "import fcntl, sys\n"
        f"file = open({str(old)!r}, 'rb')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        write(TOLD, tmp_path / "out.json")
        assert old.exists()
        holder.communicate()
    write(TOLD, tmp_path / "out.json")
    assert names(tmp_path) == ["out.json"]


def test_no_other_file_is_taken_away(tmp_path):
    others = [".scalefit-notes.part", "scalefit-0123456789abcdef.part", ".x.part"]
    for name in others:
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".scalefit-fedcba9876543210.part").symlink_to(tmp_path / others[0])
    write(TOLD, tmp_path / "out.json")
    assert set(names(tmp_path)) == {*others, ".scalefit-fedcba9876543210.part", "out.json"}
