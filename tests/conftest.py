"""What tests of every kind share: where the public data are, and how to read them."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

# Calls by which a process reaches another machine; local pairs of sockets are no concern here.
REACHING = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}


def _refuse_network(event, arguments):
    local = event == "socket.connect" and isinstance(arguments[1], str | bytes)
    if event in REACHING and not local:
        raise AssertionError(f"a test reaches for the network: {event} {arguments[1:]}")


# For the whole of the test suite: nothing in scalefit opens a connection unasked.
sys.addaudithook(_refuse_network)

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
