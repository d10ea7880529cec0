"""Tables that are no plain CSV: compressed, JSON, Parquet, Arrow, folders, addresses, plug-ins."""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalefit.core.errors import InputError, UnknownName
from scalefit.tables import read
from scalefit.tables.arrays import floats
from scalefit.tables.readers import packed, remote
from scalefit.tables.readers.base import Source, open_source
from scalefit.tables.readers.json import JSON

HEADER = "run,params,tokens,loss\n"
GOOD = HEADER + "".join(f"r{i},{i}e6,{2 * i}e9,{4 - i / 10}\n" for i in range(1, 16))
RUNS = pa.table({
    "run": [f"r{i}" for i in range(1, 16)],
    "params": [i * 1e6 for i in range(1, 16)],
    "tokens": [2 * i * 1e9 for i in range(1, 16)],
    "loss": [4 - i / 10 for i in range(1, 16)],
})  # fmt: skip


def zstandard(data):
    return pa.Codec("zstd").compress(data, asbytes=True)


PACKERS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
}
packings = pytest.mark.parametrize("suffix", PACKERS)


def sizes(runs):
    return floats(runs.table.column("N")).tolist()


def refusal(path, **settings):
    with pytest.raises(InputError) as caught:
        read(path, **settings)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


@packings
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_a_compressed_table_reads_as_the_plain_one(tmp_path, suffix, kind):
    text = {
        "csv": GOOD,
        "tsv": GOOD.replace(",", "\t"),
        "jsonl": "".join(json.dumps(row) + "\n" for row in RUNS.to_pylist()),
    }[kind]
    path = tmp_path / f"runs.{kind}{suffix}"
    path.write_bytes(PACKERS[suffix](text.encode()))
    runs = read(path)
    assert sizes(runs) == [i * 1e6 for i in range(1, 16)]
    assert not runs.notes
    plain = tmp_path / f"runs.{kind}"
    plain.write_text(text)
    assert runs.table == read(plain).table


@packings
def test_several_members_are_one_file(tmp_path, suffix):
    path = tmp_path / f"runs.csv{suffix}"
    cut = GOOD.index("r7")
    path.write_bytes(b"".join(PACKERS[suffix](p.encode()) for p in (GOOD[:cut], GOOD[cut:])))
    assert read(path).rows == 15


@packings
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.97])
def test_a_cut_file_is_refused(tmp_path, suffix, keep):
    data = PACKERS[suffix](GOOD.encode())
    path = tmp_path / f"runs.csv{suffix}"
    path.write_bytes(data[: int(keep * len(data))])
    assert "cannot be unpacked" in refusal(path)


@packings
def test_bytes_after_the_end_are_refused(tmp_path, suffix):
    path = tmp_path / f"runs.csv{suffix}"
    path.write_bytes(PACKERS[suffix](GOOD.encode()) + b"and more, by mistake")
    assert "cannot be unpacked" in refusal(path)


# Zstandard has a checksum only where the writer wants one.
@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_flipped_bit_never_changes_a_number(tmp_path, suffix):
    data = bytearray(PACKERS[suffix](GOOD.encode()))
    path = tmp_path / f"runs.csv{suffix}"
    whole = read_bytes(path, bytes(data))
    for at in range(0, len(data), 3):
        data[at] ^= 4
        with contextlib.suppress(InputError):
            assert read_bytes(path, bytes(data)) == whole
        data[at] ^= 4


def read_bytes(path, data):
    path.write_bytes(data)
    return sizes(read(path))


def test_a_wrong_checksum_is_refused(tmp_path):
    data = bytearray(gzip.compress(GOOD.encode()))
    data[-5] ^= 1
    path = tmp_path / "runs.csv.gz"
    path.write_bytes(data)
    assert "CRC" in refusal(path)


@packings
def test_what_is_packed_must_be_named_so_and_the_reverse(tmp_path, suffix):
    path = tmp_path / "runs.csv"
    path.write_bytes(PACKERS[suffix](GOOD.encode()))
    assert "is packed with" in refusal(path)
    other = tmp_path / f"runs.csv{suffix}"
    other.write_text(GOOD)
    assert "is not packed" in refusal(other)


@packings
def test_a_bomb_is_stopped(tmp_path, suffix):
    path = tmp_path / f"runs.csv{suffix}"
    one = PACKERS[suffix](b"1,2\n" * 2**20)
    path.write_bytes(PACKERS[suffix](b"N,L\n") + one * 17)
    assert "bomb" in refusal(path)


def test_what_does_not_fit_in_memory_is_spilled_and_read_alike(tmp_path, monkeypatch):
    path = tmp_path / "runs.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    whole = read(path)
    monkeypatch.setattr(packed, "KEPT_WHOLE", 100)
    spilled = read(path)
    assert spilled.table == whole.table
    assert spilled.sha256 == whole.sha256


def test_the_hash_of_a_packed_file_is_of_its_own_bytes(tmp_path):
    import hashlib

    path = tmp_path / "runs.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert read(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


class Stdin:
    def __init__(self, data):
        self.buffer = io.BytesIO(data)


def forms():
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, RUNS.schema) as writer:
        writer.write_table(RUNS)
    pq_sink, feather_sink = io.BytesIO(), io.BytesIO()
    pq.write_table(RUNS, pq_sink)
    feather.write_feather(RUNS, feather_sink)
    return {
        "csv": GOOD.encode(),
        "tsv": GOOD.replace(",", "\t").encode(),
        "json lines": "".join(json.dumps(row) + "\n" for row in RUNS.to_pylist()).encode(),
        "json list": json.dumps(RUNS.to_pylist(), indent=1).encode(),
        "parquet": pq_sink.getvalue(),
        "feather": feather_sink.getvalue(),
        "arrow stream": stream.getvalue(),
        "gzip": gzip.compress(GOOD.encode()),
        "xz of a parquet": lzma.compress(pq_sink.getvalue()),
    }


@pytest.mark.parametrize("form", forms())
def test_standard_input_is_sniffed(form, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(forms()[form]))
    runs = read("-")
    assert sizes(runs) == RUNS.column("params").to_pylist()
    assert runs.table.column("run").to_pylist() == RUNS.column("run").to_pylist()


@pytest.mark.parametrize("form", ["parquet", "feather", "arrow stream"])
def test_a_file_from_disk_reads_without_a_suffix(tmp_path, form):
    path = tmp_path / "runs"
    path.write_bytes(forms()[form])
    assert read(path).rows == 15


# JSON


def lines(*records):
    return "".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records)


@pytest.fixture
def jsonl(tmp_path):
    def write(text, name="runs.jsonl"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_nested_keys_are_joined_by_dots(jsonl):
    record = {"setup": {"model": {"params": 1e6}, "lr": 0.1}, "result": {"loss": 3.0}}
    other = {"setup": {"model": {"params": 2e6}}, "result": {"loss": 2.0}, "note": "x"}
    runs = read(
        jsonl(lines(record, other)), columns={"N": "setup.model.params", "L": "result.loss"}
    )
    assert sizes(runs) == [1e6, 2e6]


def test_keys_of_later_records_are_columns_too(jsonl):
    runs = read(jsonl(lines({"N": 1}, {"N": 2, "L": 3}, {"L": 2, "N": 4})))
    assert (runs.rows, runs.rows_read) == (2, 3)


def test_a_key_may_change_its_type_as_long_as_it_spells_a_number(jsonl):
    runs = read(jsonl(lines({"N": "1e6", "L": 3}, {"N": 2e6, "L": "2.5"}, {"N": "7B", "L": 2})))
    assert sizes(runs) == [1e6, 2e6, 7e9]
    assert [note.code for note in runs.notes] == ["human-numbers"]


def test_nan_is_missing_and_infinity_is_refused(jsonl):
    text = '{"N": 1, "L": NaN}\n{"N": 2, "L": 3}\n{"N": 3, "L": null}\n'
    assert read(jsonl(text)).rows == 1
    assert "line 1 (row 1), column 'L': 'Infinity'" in refusal(jsonl('{"N": 1, "L": Infinity}\n'))


BAD_JSON = {
    "a key twice": ('{"N": 1, "N": 2, "L": 3}\n', "line 1 has the key 'N' twice"),
    "a path twice": ('{"a.b": 1, "a": {"b": 2}}\n', "line 1 has the key 'a.b' twice"),
    "no JSON": ('{"N": 1, "L": 3}\n{"N": 1, L: 3}\n', "line 2, letter 10 is not JSON"),
    "cut": ('{"N": 1, "L": 3}\n{"N": 1, "L"', "line 2, letter"),
    "too large": (lines({"N": 1, "L": 3}) + '{"N": 1e400, "L": 3}', "'1e400' is too large"),
    "too small": ('{"N": 1e-400, "L": 3}', "'1e-400' is too small"),
    "a list for a number": (lines({"N": [1], "L": 3}), "column 'N': '[\"1\"]'"),
    "truth": (lines({"N": True, "L": 3}), "column 'N': 'true'"),
    "a list of lists": ("[[1, 2], [3, 4]]", "record 1 holds"),
    "a bare number": ("[1, 2]", "record 1 holds"),
    "depth": ('{"a":' * 3000 + "1" + "}" * 3000, "nested"),
    "deep keys": ('{"a":' * 60 + "1" + "}" * 60, "nested more than 50"),
    "not UTF-8": (b'{"N": 1, "L": 3}\n{"N": "\xff", "L": 3}\n', "line 2 holds a byte"),
    "nothing in it": ("[]", "holds no record"),
    "a long text": (lines({"N": 1, "L": 3, "t": "x" * 70_000}), "longer than 64 KiB"),
}


@pytest.mark.parametrize(("text", "told"), BAD_JSON.values(), ids=BAD_JSON.keys())
def test_bad_json_is_refused_with_its_place(jsonl, text, told):
    assert told in refusal(jsonl(text))


def test_json_in_a_csv_is_refused(jsonl):
    assert "is JSON" in refusal(jsonl(lines({"N": 1, "L": 2}), "runs.csv"))


# Parquet and Arrow


def damaged(data):
    rng = np.random.default_rng(0)
    for _ in range(60):
        wrong = bytearray(data)
        for at in rng.integers(0, len(wrong), 4):
            wrong[at] = int(rng.integers(0, 256))
        yield bytes(wrong)
    for cut in np.linspace(1, len(data) - 1, 40).astype(int):
        yield data[:cut]


@pytest.mark.parametrize("form", ["parquet", "feather", "arrow stream"])
def test_noise_and_cuts_never_pass_the_reader_but_as_an_input_error(tmp_path, form):
    path = tmp_path / f"runs.{'parquet' if form == 'parquet' else 'arrow'}"
    refused = 0
    for data in damaged(forms()[form]):
        path.write_bytes(data)
        refused += 1
        with contextlib.suppress(InputError):
            read(path)
            refused -= 1
    # These formats carry no checksum, so noise in a value is a value.
    assert refused >= 40


def test_structs_are_taken_apart(tmp_path):
    path = tmp_path / "runs.parquet"
    config = pa.array([{"params": 1e6, "lr": 0.1}, {"params": 2e6, "lr": 0.2}])
    pq.write_table(pa.table({"config": config, "loss": [3.0, 2.0]}), path)
    runs = read(path, columns={"N": "config.params", "lr": "config.lr"})
    assert sizes(runs) == [1e6, 2e6]


@pytest.mark.parametrize("write", [pq.write_table, feather.write_feather])
def test_list_columns_are_no_numbers_and_harm_nobody_else(tmp_path, write):
    path = tmp_path / "runs.parquet"
    write(pa.table({"N": [1e6, 2e6], "L": [3.0, 2.0], "l": [[1.0], [2.0]]}), path)
    assert read(path).rows == 2
    assert "column 'l': list" in refusal(path, columns={"L": "l"})


def test_offsets_past_their_buffer_are_found(tmp_path):
    path = tmp_path / "runs.arrow"
    table = pa.table({"run": ["a", "b"], "N": [1.0, 2.0], "L": [3.0, 2.0]})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    offsets, wrong = (np.array([0, 1, end], np.int32).tobytes() for end in (2, 999_999_999))
    data = path.read_bytes()
    assert data.count(offsets) == 1
    path.write_bytes(data.replace(offsets, wrong))
    assert "cannot be read as Arrow" in refusal(path)


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_types_that_are_code_are_refused(tmp_path, suffix):
    path = tmp_path / f"runs.{suffix}"
    marks = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": "c"}
    table = pa.table({"N": [1.0, 2.0], "L": [3.0, 2.0]})
    schema = pa.schema([table.schema.field(0).with_metadata(marks), table.schema.field(1)])
    (pq.write_table if suffix == "parquet" else feather.write_feather)(table.cast(schema), path)
    assert "not Arrow's own" in refusal(path)


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_a_name_twice_is_refused(tmp_path, suffix):
    path = tmp_path / f"runs.{suffix}"
    table = pa.table([[1.0, 2.0], [3.0, 2.0]], names=["N", "N"])
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    assert "two columns are called 'N'" in refusal(path)


def test_a_small_parquet_of_very_many_rows_is_taken_for_a_bomb(tmp_path):
    path = tmp_path / "runs.parquet"
    ones = pa.repeat(1.0, 20_000_000)
    pq.write_table(pa.table({"N": ones, "L": ones}), path)
    assert path.stat().st_size < 500_000
    assert "bomb" in refusal(path)


def test_a_long_word_many_times_over_is_taken_for_a_bomb(tmp_path):
    path = tmp_path / "runs.parquet"
    rows = 40_000
    words = pa.DictionaryArray.from_arrays(pa.repeat(0, rows).cast(pa.int32()), ["w" * 60_000])
    table = pa.table({"N": np.arange(1.0, rows + 1), "L": np.arange(1.0, rows + 1), "run": words})
    pq.write_table(table, path)
    assert "bomb" in refusal(path)


def test_a_packed_arrow_file_is_a_bomb_as_well(tmp_path):
    path = tmp_path / "runs.feather"
    ones = np.ones(20_000_000)
    feather.write_feather(pa.table({"N": ones, "L": ones}), path, compression="zstd")
    assert "bomb" in refusal(path)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_messages_claim_what_they_unpack_to(compression):
    from scalefit.tables.readers.messages import claimed_sizes

    table = RUNS.append_column("kind", pa.array(["a", "b", "c"] * 5).dictionary_encode())
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    claimed = sum(claimed_sizes(pa.BufferReader(sink.getvalue())))
    # Uncompressed bodies are padded to eight bytes a buffer.
    assert 0 <= claimed - table.nbytes <= 64 * 12


def test_a_buffer_that_claims_a_terabyte_is_refused_before_room_is_made(tmp_path):
    path = tmp_path / "runs.arrow"
    sink = io.BytesIO()
    ones = pa.table({"N": np.ones(1000), "L": np.ones(1000)})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, ones.schema, options=options) as writer:
        writer.write_table(ones)
    length = (8000).to_bytes(8, "little")
    assert sink.getvalue().count(length) >= 2
    path.write_bytes(sink.getvalue().replace(length, (2**40).to_bytes(8, "little")))
    assert "bomb" in refusal(path)


def test_whole_numbers_and_decimals_of_any_width_are_read(tmp_path):
    from decimal import Decimal

    path = tmp_path / "runs.parquet"
    table = pa.table({
        "N": pa.array([2**53 + 1, 7], pa.uint64()),
        "D": pa.array([Decimal("1.5"), Decimal("2.5")]),
        "L": pa.array([3.0, 2.0], pa.float32()),
    })  # fmt: skip
    pq.write_table(table, path)
    assert sizes(read(path)) == [float(2**53 + 1), 7.0]


# Folders


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "sweep"
    for budget in ("1e19", "1e20"):
        (folder / f"budget={budget}").mkdir(parents=True)
        part = RUNS.append_column("extra", pa.array(range(15))) if budget == "1e20" else RUNS
        pq.write_table(part, folder / f"budget={budget}" / "part-0.parquet")
    (folder / "_SUCCESS").write_text("")
    return folder


def test_a_partitioned_folder_is_one_table_with_its_keys_as_columns(dataset):
    runs = read(dataset, keep=["budget"])
    assert runs.rows == 30
    assert floats(runs.table.column("C")).tolist() == [1e19] * 15 + [1e20] * 15
    assert "column-not-everywhere" in {note.code for note in runs.notes}


def test_a_bad_cell_of_a_folder_is_named_by_its_file(dataset):
    values = RUNS.column("loss").to_pylist()
    values[3] = -1.0
    bad = RUNS.set_column(3, "loss", pa.array(values))
    pq.write_table(bad, dataset / "budget=1e20" / "part-1.parquet")
    assert "budget=1e20/part-1.parquet, row 4 (row 34), column 'loss'" in refusal(dataset)


def test_a_folder_hash_changes_with_any_file(dataset):
    before = read(dataset).sha256
    assert read(dataset).sha256 == before
    pq.write_table(RUNS.slice(1), dataset / "budget=1e19" / "part-0.parquet")
    assert read(dataset).sha256 != before


def test_a_folder_of_other_files_is_refused(dataset):
    (dataset / "notes.txt").write_text("no table")
    assert "is a folder" in refusal(dataset)


# Addresses


def test_an_address_is_refused_unless_it_is_allowed():
    for address in ("s3://bucket/runs.csv", "hf://datasets/a/b.parquet"):
        assert "is an address" in refusal(address)


def test_an_allowed_address_is_read_through_arrow(tmp_path, monkeypatch):
    from pyarrow import fs

    (tmp_path / "runs.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    asked = []

    class Stores:
        @staticmethod
        def from_uri(address):
            asked.append(address)
            return fs.LocalFileSystem(), str(tmp_path / address.rsplit("/", 1)[1])

    monkeypatch.setattr(fs, "FileSystem", Stores)
    runs = read("s3://bucket/runs.csv.gz", remote=True)
    assert runs.rows == 15
    assert asked == ["s3://bucket/runs.csv.gz"]
    assert runs.source == "s3://bucket/runs.csv.gz"
    assert "cannot be read" in refusal("s3://bucket/none.csv", remote=True)


@pytest.mark.parametrize("address", ["http://a.b/c.csv", "file:///etc/passwd", r"\\host\a\b.csv"])
def test_other_addresses_are_refused_even_then(address):
    assert "is not an address that scalefit reads" in refusal(address, remote=True)


def test_schemes_are_seen_and_paths_are_not():
    assert remote.scheme_of("gs://a/b") == "gs"
    assert remote.scheme_of("./a:b.csv") == ""
    assert remote.scheme_of("C:/runs.csv") == ""


# Plug-ins


class Lab:
    """A reader of some laboratory: pairs of numbers after a mark."""

    name = "lab"
    suffixes = (".lab",)
    loaded = False

    def sniff(self, head):
        return head.startswith(b"LAB")

    def open(self, source):
        rows = [line.split() for line in source.data.decode().splitlines()[1:]]
        table = pa.table({"N": [r[0] for r in rows], "L": [r[1] for r in rows]})
        from scalefit.tables.readers.memory import Memory

        return Memory(table)


@pytest.fixture
def lab(monkeypatch):
    loads = []

    class Point(EntryPoint):
        def load(self):
            loads.append(self.name)
            return Lab

    def points(*, group):
        assert group == "scalefit.readers"
        return (Point("lab", "lab:Lab", group),)

    monkeypatch.setattr("importlib.metadata.entry_points", points)
    return loads


def test_a_reader_of_another_package_is_loaded_only_where_none_of_ours_fits(tmp_path, lab):
    path = tmp_path / "runs.csv"
    path.write_text(GOOD)
    read(path)
    assert lab == []
    other = tmp_path / "runs.lab"
    other.write_text("LAB\n1e6 3\n2e6 2\n")
    assert sizes(read(other)) == [1e6, 2e6]
    assert lab == ["lab"]


def test_a_reader_can_be_named(tmp_path, lab):
    path = tmp_path / "runs.csv"
    path.write_text("LAB\n1e6 3\n2e6 2\n")
    assert sizes(read(path, reader="lab")) == [1e6, 2e6]
    with pytest.raises(UnknownName, match="no reader is called 'labb'") as caught:
        read(path, reader="labb")
    assert "lab" in caught.value.hint


def test_a_reader_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    points = (EntryPoint("broken", "no_such_module_at_all:Reader", "scalefit.readers"),)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: points)
    path = tmp_path / "runs.odd"
    path.write_text("odd")
    assert "'broken' (no_such_module_at_all:Reader) cannot be loaded" in refusal(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(json_values, min_size=1, max_size=4), as_list=st.booleans())
def test_any_json_is_read_or_refused_by_an_input_error(values, as_list):
    from scalefit.tables.readers.json import JSON

    text = json.dumps(values) if as_list else "\n".join(map(json.dumps, values))
    source = Source("sample", ".jsonl", None, text.encode(), (len(text), 0))
    with contextlib.suppress(InputError):
        opened = JSON.open(source)
        opened.load(list(opened.names), [])


RECORDS = [{"N": 10.0**k, "D": 2e9, "loss": 3 + 9 / 2**k} for k in range(5, 9)]
DOCUMENTS = {
    "lists by column": {name: [one[name] for one in RECORDS] for name in RECORDS[0]},
    "cells by row": {
        name: {str(k): one[name] for k, one in enumerate(RECORDS)} for name in RECORDS[0]
    },
    "split": {
        "columns": [*RECORDS[0]], "index": [*range(4)], "data": [[*one.values()] for one in RECORDS]
    },
    "records under a key": {"runs": RECORDS},
    "records by name": {f"run {k}": one for k, one in enumerate(RECORDS)},
    "a list": RECORDS,
}  # fmt: skip


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("form", DOCUMENTS)
def test_every_form_of_a_document_is_the_same_table(tmp_path, form, indent):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(DOCUMENTS[form], indent=indent))
    runs = read(path)
    for role, name in (("N", "N"), ("D", "D"), ("L", "loss")):
        assert floats(runs.table.column(role)).tolist() == [one[name] for one in RECORDS]
    assert ("run" in runs.columns) == (form == "records by name")


@pytest.mark.parametrize(
    "document",
    [
        {"N": [1, 2], "loss": [3]}, {"N": [[1], [2]], "loss": [3, 2]}, {"N": 1e6, "loss": 3},
        {"columns": ["N", "loss"], "data": [[1, 2], [3]]}, {"runs": [], "more": 1},
        {"a": {"N": 1, "loss": 2}, "b": {"N": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_any_other_document_is_one_record(tmp_path, document):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(document, indent=1))
    file = JSON.open(open_source(path))
    table = file.load([], file.names).table
    assert table.num_rows == 1


def test_a_bad_cell_of_a_document_is_named_by_its_record(tmp_path):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"N": [1e6, "seven"], "loss": [3, 2]}))
    with pytest.raises(InputError, match=r"line 1 \(row 2\), column 'N': 'seven'"):
        read(path)


def test_a_buffer_of_any_length_holds_its_values(tmp_path):
    # Found by fuzzing: bytes behind the last value need not fill another one.
    long = pa.py_buffer(np.array([9.0, 1e6, 2e6]).tobytes() + b"abc")
    column = pa.Array.from_buffers(pa.float64(), 2, [None, long], offset=1)
    assert floats(pa.chunked_array([column])).tolist() == [1e6, 2e6]
    assert floats(pa.chunked_array([], pa.float64())).size == 0
    assert np.isnan(floats(pa.chunked_array([pa.nulls(3, pa.float64())]))).all()
