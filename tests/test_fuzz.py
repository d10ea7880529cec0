"""Mutated input ends in an answer or in an error of ours: thousands of runs, a million slow."""

import math
import random
import re
from pathlib import Path

import hostile
import pytest

from scalefit.config import load
from scalefit.core.errors import ScalefitError
from scalefit.core.numbers import parse_human
from scalefit.tables import where
from scalefit.tables.columns import assign
from scalefit.tables.readers import READERS
from scalefit.tables.readers.base import Source, choose
from scalefit.tables.readers.cells import number
from scalefit.tables.readers.packed import unpacked

TOKENS = [
    b"1e400", b"1e-400", b"nan", b"NaN", b"inf", b"7B", b"1,000", b'"', b'""', b"\n", b"\r",
    b"\r\n", b",", b";", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"#", b"{", b"}", b"[", b"]",
    b":", b"null", b"=", b"'", b"\\", b"9" * 400, b"\xe2\x80\xae", b"N", b"loss", b"(", b")",
    b" and ", b"not ", b"`", b".", b"e", b"-", b"+", b"_", b"0x", b"True", b"in", b"<", b"PAR1",
    b"\x1f\x8b", b"\x1f", b"\xc2\xa0",
]  # fmt: skip
PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def mutated(seeds, draw):
    """One seed with a few bytes changed, taken out, put in, or joined with another seed."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.randint(1, 4)):
        at = draw.randint(0, len(data))
        match draw.randint(0, 4):
            case 0:
                data[at:at] = draw.choice(TOKENS)
            case 1:
                del data[at : at + draw.randint(1, 6)]
            case 2 if at < len(data):
                data[at] = draw.randrange(256)
            case 3:
                other = draw.choice(seeds)
                data[at:] = other[draw.randint(0, len(other)) :]
            case _:
                data[at : at + draw.randint(0, 3)] = draw.choice(TOKENS)
    return bytes(data[:4000])


def seeds_of(*suffixes):
    found = []
    for case in hostile.CASES:
        if case.slow or not case.name.endswith(suffixes):
            continue
        # Only what a case writes by itself: the functions make large files or odd ones.
        content = dict(
            zip(case.make.__code__.co_freevars, case.make.__closure__ or (), strict=True)
        ).get("content")
        if content is not None and isinstance(content.cell_contents, bytes | str):
            data = content.cell_contents
            found.append(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))
    return [data for data in found if 0 < len(data) < 4000]


def read_bytes(data, suffix):
    source = unpacked(Source(f"sample{suffix}", suffix, None, data, (len(data), 0)))
    opened = choose(source).open(source)
    columns = assign(opened.names).columns
    opened.load([n for r, n in columns.items() if r != "run"], [])


def a_cell(data, folder):
    text = data[:60].decode("utf-8", "replace")
    value = number(text)
    if PLAIN.fullmatch(text.strip(" ")):
        assert value == float(text)
    assert not math.isinf(value)
    parse_human(text)


def a_condition(data, folder):
    where.parse(data[:300].decode("utf-8", "replace"))


def a_config(data, folder):
    path = Path(folder) / "fuzz.toml"
    path.write_bytes(data)
    load(path)


CELLS = [cell.encode() for cell in ("1.5e9", "7B", ".27e1", "-3", " 2.8 ", "nan", "1.4T", "3e21")]
ATTACKS = [text for texts in hostile.ATTACKS.values() for text in texts]
CONDITIONS = [text.encode("utf-8", "replace")[:300] for text in ATTACKS if text]
CONDITIONS += [b"N > 1e9 and run in ('a', 'b')", b"not (loss < 4) or `a b`"]
TARGETS = {
    "cell": (a_cell, lambda: CELLS, 1_000_000),
    "condition": (a_condition, lambda: CONDITIONS, 200_000),
    "config": (a_config, lambda: seeds_of(".toml"), 50_000),
    "csv": (lambda data, _: read_bytes(data, ".csv"), lambda: seeds_of(".csv"), 100_000),
    "json": (lambda data, _: read_bytes(data, ".jsonl"), lambda: seeds_of("l", ".json"), 100_000),
    "arrow": (lambda data, _: read_bytes(data, ".arrow"), lambda: seeds_of(".arrow"), 50_000),
    "parquet": (lambda data, _: read_bytes(data, ".parquet"), lambda: seeds_of(".parquet"), 50_000),
    "packed": (lambda data, _: read_bytes(data, ".gz"), lambda: seeds_of(".csv.gz"), 50_000),
}  # fmt: skip


def fuzz(target, share, folder):
    run, seeds, runs = TARGETS[target]
    pool, draw = seeds(), random.Random(f"{target} {share}")
    refused = 0
    for _ in range(round(runs * share)):
        data = mutated(pool, draw)
        try:
            run(data, folder)
        except ScalefitError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{target}: {data!r}") from error
    # All refused, or none, would mean that nothing was tried.
    assert refused > 0
    return refused


def test_there_is_a_seed_for_every_target():
    for target, (_, seeds, _) in TARGETS.items():
        assert len(seeds()) >= 2, target
    assert sum(runs for _, _, runs in TARGETS.values()) >= 10**6
    assert {reader.name for reader in READERS} >= {"csv", "json", "arrow", "parquet"}


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_mutations_end_in_an_answer_or_an_error_of_ours(target, tmp_path):
    fuzz(target, 0.004, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_million_mutations_end_in_an_answer_or_an_error_of_ours(target, tmp_path):
    fuzz(target, 1.0, tmp_path)
