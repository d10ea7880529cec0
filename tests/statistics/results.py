"""What the long promises of this folder measured, as one page: `make verify` writes results.md.

    python tests/statistics/results.py

It reads the tables that the tests leave in verify-results/ and says which of them are missing.
"""

import csv
import statistics
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASURED = HERE.parents[1] / "verify-results"
PAGE = HERE / "results.md"
DISTANCES = (0, 0.25, 0.5, 0.9, 1.5, 99)  # decades of compute


def rows_of(name):
    """A table as a list of dictionaries; empty if no test has left it."""
    path = MEASURED / name
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ranges(rows, down, across):
    """Least and greatest coverage of each cell of two columns, as a table in Markdown."""
    if not rows:
        return []
    columns = list(dict.fromkeys(row[across] for row in rows))
    lines = [f"| {down} | " + " | ".join(f"{across} {c}" for c in columns) + " |"]
    lines.append("| --- |" + " ---: |" * len(columns))
    for name in dict.fromkeys(row[down] for row in rows):
        cells = []
        for column in columns:
            held = [
                100 * float(r["coverage"]) for r in rows if (r[down], r[across]) == (name, column)
            ]
            ends = dict.fromkeys(f"{end:.0f}" for end in (min(held), max(held)))
            cells.append("–".join(ends) + " %")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def factors(rows, across, what):
    """Least, middle and greatest of a column of factors in each cell of another."""
    cells = [
        sorted(float(row[what]) for row in rows if row[across] == name)
        for name in dict.fromkeys(row[across] for row in rows)
    ]
    names = [f"{across} {name}" for name in dict.fromkeys(row[across] for row in rows)]
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for word, of in (("least", min), ("median", statistics.median), ("greatest", max)):
        lines.append(f"| {word} | " + " | ".join(f"{of(cell):.2f}" for cell in cells) + " |")
    return lines if rows else []


def by_distance(rows):
    """Forecasts that are given unasked, by decades beyond the data: coverage and half-widths."""
    if not rows:
        return []
    lines = [
        "| decades beyond | forecasts | law exactly right | one new run | headline | "
        "median half-width: new run | headline |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for low, high in pairwise(DISTANCES):
        some = [r for r in rows if r["refused"] == "0" and low <= float(r["decades"]) < high]
        if not some:
            continue
        miss = [abs(float(r["error"])) for r in some]
        width = {
            k: [float(r["reach"]) * float(r[f"se_{k}"]) for r in some]
            for k in ("law", "new", "headline")
        }
        inside = []
        for widths in width.values():
            held = statistics.mean(e <= w for e, w in zip(miss, widths, strict=True))
            inside.append(f"{100 * held:.0f} %")
        half = [f"{100 * statistics.median(width[k]):.2g} %" for k in ("new", "headline")]
        name = f"{low:g} to {high:g}" if high < DISTANCES[-1] else f"{low:g} and more"
        lines.append(f"| {name} | {len(some)} | " + " | ".join(inside + half) + " |")
    return lines


def plain(rows):
    """Shares in per cent under their own header."""
    if not rows:
        return []
    lines = ["| " + " | ".join(rows[0]) + " |", "| --- |" + " ---: |" * (len(rows[0]) - 1)]
    for row in rows:
        name, *shares = row.values()
        lines.append(f"| {name} | " + " | ".join(f"{100 * float(s):.0f} %" for s in shares) + " |")
    return lines


def words_of(name):
    """A table that is Markdown already."""
    path = MEASURED / name
    return path.read_text().splitlines() if path.exists() else []


def exact():
    """Cells of the profile likelihood, from one table for each number of runs."""
    return [row for n in (15, 25, 50, 100, 250) for row in rows_of(f"coverage-exact-{n}.csv")]


PARTS = (
    ("Real projects by distance, all tables together",
     lambda: by_distance(rows_of("prequential.csv"))),
    ("Real projects, gone back to: 95 % intervals of later runs, by what earlier stages knew",
     lambda: words_of("prequential.md")),
    ("The same for the best split N*, judged by the fit to all runs",
     lambda: words_of("splits.md")),
    ("Default (Student-t, jackknife-t): coverage of seven targets, least to greatest",
     lambda: ranges(rows_of("coverage-140.csv"), "noise", "n")),
    ("Its median width, times that of the t-interval of least squares, normal noise",
     lambda: factors(rows_of("widths.csv"), "n", "width")),
    ("Profile likelihood, normal noise: seven targets",
     lambda: ranges(exact(), "interval", "runs")),
    ("Rows of one size share their error: seven targets",
     lambda: ranges(rows_of("coverage-by_size.csv"), "interval", "clusters")),
    ("Checkpoints of each run: seven targets",
     lambda: ranges(rows_of("coverage-curves.csv"), "interval", "clusters")),
    ("Draws calibrated to the jackknife",
     lambda: ranges(rows_of("coverage-draws.csv"), "interval", "runs")),
    ("Two groups' exponents at 5 %", lambda: plain(rows_of("shared-exponent.csv"))),
    ("Lack of fit told at 5 %, chinchilla fitted", lambda: plain(rows_of("lack-of-fit.csv"))),
    ("Beyond the data, the law right", lambda: plain(rows_of("beyond-right-law.csv"))),
    ("Beyond the data, chinchilla fitted to a coupled surface, k = 0.6",
     lambda: plain(rows_of("beyond-coupled-0.6.csv"))),
    ("The same, k = 0.8", lambda: plain(rows_of("beyond-coupled-0.8.csv"))),
    ("At 10x and 100x the largest size, its budget as before: headlines go by the farthest",
     lambda: plain(rows_of("beyond-size.csv"))),
    ("Beyond the data, a new regime that no run shows (recorded, not promised)",
     lambda: plain(rows_of("beyond-break.csv"))),
)  # fmt: skip


def page():
    """Every part that was measured, each under its title."""
    lines = ["Coverage, measured by `make verify` (tests/statistics); seeds are fixed.", ""]
    for title, make in PARTS:
        lines += [f"**{title}**", "", *(make() or ["not measured"]), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
