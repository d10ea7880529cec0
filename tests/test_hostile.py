"""Every file of the hostile corpus comes to what it must; none of them runs, writes or calls."""

import contextlib
import io
import json
import re
import sys
from pathlib import Path

import hostile
import pytest

from scalefit.cli import main

QUICK = [case for case in hostile.CASES if not case.slow]
SLOW = [case for case in hostile.CASES if case.slow]
# The ledger of predictions is not built, so nothing can be done to its files yet.
UNBUILT = {117}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    hostile.write_all(folder)
    return folder


def run(arguments):
    """The command line in this process: exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    argv = sys.argv
    sys.argv = ["scalefit", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = argv
    return code, out.getvalue(), err.getvalue()


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


def judge(case, code, out, err):
    """What is wrong with an outcome; empty where nothing is."""
    if code == 3 and not err:
        # A fit that may not be used is printed with its status.
        text = out
    elif code in (2, 3):
        if "E" not in case.outcome:
            return f"refused: {err}"
        if not err.startswith("error: ") or err.count("\n") > 3:
            return f"no clean message: {err!r}"
        if re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", err):
            return f"live control characters: {err!r}"
        text = err
    elif code == 0:
        if case.outcome == "E":
            return f"accepted: {out[:500]}"
        notes = json.loads(out)["runs"]["notes"] if "--json" in case.arguments else []
        loud = [note for note in notes if note["severity"] == "warning"]
        if case.outcome == "A" and loud:
            return f"doubts: {loud}"
        text = out
    else:
        return f"exit code {code}: {err}"
    lacking = [piece for piece in case.told if piece not in text]
    return f"says nothing of {lacking}: {text[:800]}" if lacking else ""


def outcome_of(case):
    arguments = [part.replace("{}", case.name) for part in case.arguments]
    if case.name.startswith("-"):
        arguments = [*(part for part in arguments if part != case.name), "--", case.name]
    return judge(case, *run(arguments))


def test_the_corpus_covers_the_list():
    assert len(hostile.CASES) >= 205
    assert {case.number for case in hostile.CASES} == set(range(1, 119)) - UNBUILT


@pytest.mark.parametrize("case", QUICK, ids=lambda case: ascii(case.name))
def test_a_hostile_file_comes_to_what_it_must(case, corpus, monkeypatch):
    monkeypatch.chdir(corpus)
    before = listing(corpus)
    wrong = outcome_of(case)
    assert not wrong
    assert listing(corpus) == before


def test_no_file_opens_a_connection(corpus, monkeypatch):
    monkeypatch.chdir(corpus)
    touched = []

    def hook(event, arguments):
        if event.startswith("socket.") and watching:
            touched.append((event, arguments))

    watching = True
    sys.addaudithook(hook)
    for case in [*QUICK[::9], *(case for case in QUICK if case.number == 113)]:
        outcome_of(case)
    # A hook cannot be taken off again, so it is put to sleep.
    watching = False
    assert touched == []


def test_no_canary_was_run(corpus):
    assert not [name for name in listing(corpus) if name.endswith(hostile.CANARY)]
    assert not (Path.cwd() / hostile.CANARY).exists()


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW, ids=lambda case: ascii(case.name))
def test_a_large_hostile_file_comes_to_what_it_must(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case.make(tmp_path / case.name)
    assert not outcome_of(case)


def test_at_least_nineteen_in_twenty_messages_about_a_place_name_it(corpus, monkeypatch):
    """Numbers and rows stand somewhere: the message says in which file, line and column."""
    monkeypatch.chdir(corpus)
    placed = [
        case for case in QUICK
        if case.outcome == "E" and case.number in {*range(8, 13), *range(45, 75)} - {57}
        and case.name.endswith(".csv")
    ]  # fmt: skip
    errors = [run([part.replace("{}", case.name) for part in case.arguments])[2] for case in placed]
    named = [
        error for case, error in zip(placed, errors, strict=True)
        if f"{case.name}, line " in error and (case.number < 45 or "column '" in error)
    ]  # fmt: skip
    assert len(placed) > 50
    assert len(named) >= 0.95 * len(placed)
