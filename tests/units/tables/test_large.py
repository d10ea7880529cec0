"""Ten million rows in bounded memory."""

import subprocess
import sys

import pytest

ROWS = 10_000_000
OURS = """
import resource, sys, time
from scalefit.tables import read
begun = time.process_time()
runs = read(sys.argv[1])
spent = time.process_time() - begun
print(runs.rows, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
ARROW = """
import resource, sys, time
import pyarrow as pa
from pyarrow import csv
begun = time.process_time()
names = ["N", "D", "loss"]
table = csv.open_csv(
    sys.argv[1],
    read_options=csv.ReadOptions(use_threads=False),
    convert_options=csv.ConvertOptions(
        include_columns=names, column_types=dict.fromkeys(names, pa.float64())
    ),
).read_all()
spent = time.process_time() - begun
print(table.num_rows, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "runs.csv"
    block = "".join(
        f"r{i},{1.2345678901234 * 10 ** (7 + i % 4)!r},{9.8765432109876 * 10 ** (9 + i % 3)!r},"
        f"{2 + i / 7919!r},0.001\n"
        for i in range(1000)
    )
    with path.open("w") as file:
        file.write("name,N,D,loss,note\n")
        for _ in range(ROWS // 1000):
            file.write(block)
    return path


def measured(code, path):
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    rows, seconds, megabytes = map(float, done.stdout.split())
    return rows, seconds, megabytes


@pytest.mark.slow
def test_ten_million_rows_are_read_within_seven_hundred_megabytes(large):
    rows, seconds, megabytes = measured(OURS, large)
    _, theirs, _ = measured(ARROW, large)
    sys.stdout.write(f"{megabytes:.0f} MB; {seconds / theirs:.2f} times the time of Arrow alone\n")
    assert rows == ROWS
    assert megabytes <= 700
