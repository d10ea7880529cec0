"""What tests of every kind share: where the public data are, and how to read them."""

import csv
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

# For the whole of the test suite, and for what it starts: nothing opens a connection unasked.
GUARD = str(Path(__file__).parent / "guard")
sys.path.append(GUARD)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [GUARD, os.environ.get("PYTHONPATH")]))
import nonetwork  # noqa: E402, F401  (its import is its work)

# A shell that starts us in the background has us ignore Ctrl-C, and what we start with us.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared():
    """Reads a table of public runs that may not be shipped; skips where it is absent."""

    def read(name):
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{name} stands beside the repository only where it is developed")
        return columns(path)

    return read


@pytest.fixture(params=["compiled", "numpy"])
def engine(request, monkeypatch):
    """Twice: with the compiled part, if it is built, and by NumPy alone."""
    from scalefit.inference import fitting, native  # with all that asks for it

    if request.param == "compiled":
        if native.NATIVE is None:
            pytest.skip("the compiled part is not built here")
    else:
        assert fitting.NATIVE is native.NATIVE
        for name, module in list(sys.modules.items()):
            if name.startswith("scalefit.inference") and hasattr(module, "NATIVE"):
                monkeypatch.setattr(module, "NATIVE", None)
    return request.param


def pytest_terminal_summary(terminalreporter):
    """Prints what tests recorded under the name `table`: the figures behind a promise."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, text in report.user_properties:
            if name == "table" and report.when == "call":
                terminalreporter.write_line("")
                terminalreporter.write_line(text)


def columns(path):
    """A CSV file as name to array: numbers (blank is nan) where every cell is one, else text."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: _array([row[name] for row in rows]) for name in rows[0]}


def _array(cells):
    try:
        return np.array([float(cell or "nan") for cell in cells])
    except ValueError:
        return np.array(cells)
