"""What every reader promises, whichever format it reads."""

import hashlib
import io
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalefit.core.errors import InputError
from scalefit.tables.arrays import floats
from scalefit.tables.readers import READERS, CellError
from scalefit.tables.readers.base import Source, open_source

positive = st.floats(
    min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False, allow_subnormal=True
)


def csv_bytes(table):
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    return sink.getvalue()


def json_bytes(table):
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()


def parquet_bytes(table):
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def arrow_bytes(table):
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


# A new reader adds the way to write its format; the first test below asks for it.
WRITERS = {
    "csv": csv_bytes, "json": json_bytes, "parquet": parquet_bytes, "arrow": arrow_bytes,
}  # fmt: skip


def source_of(data, suffix=""):
    return Source("sample", suffix, None, data, (len(data), 0))


@pytest.fixture(params=READERS.values(), ids=lambda reader: reader.name)
def reader(request):
    return request.param


@pytest.fixture
def runs():
    return pa.table(
        {"run": ["a", "b, c", 'd"e'], "N": [1e6, 0.1, 3e300], "unused": ["x", "y", "z"]}
    )


def opened(reader, table):
    return reader.open(source_of(WRITERS[reader.name](table)))


def refusal(reader, data):
    """The InputError that reading ends in, or None; any other error passes through."""
    try:
        file = reader.open(source_of(data))
        file.load(list(file.names), [])
    except InputError as error:
        return error
    return None


def test_every_reader_has_a_writer_to_be_tested_with(reader):
    assert reader.name in WRITERS


def test_suffixes_are_lower_case_with_a_dot(reader):
    assert reader.suffixes
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in reader.suffixes)


def test_no_suffix_belongs_to_two_readers():
    suffixes = [suffix for reader in READERS for suffix in reader.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_names_come_in_the_order_of_the_source(reader, runs):
    assert opened(reader, runs).names == ("run", "N", "unused")


def test_only_wanted_columns_are_loaded(reader, runs):
    loaded = opened(reader, runs).load(["N"], ["run"])
    assert set(loaded.table.column_names) == {"N", "run"}


def test_texts_come_back_as_they_were(reader, runs):
    loaded = opened(reader, runs).load([], ["run"])
    assert loaded.table.column("run").to_pylist() == ["a", "b, c", 'd"e']


@settings(max_examples=100, deadline=None)
@given(values=st.lists(positive, min_size=1, max_size=30))
def test_numbers_come_back_to_the_bit(values):
    for reader in READERS:
        loaded = opened(reader, pa.table({"N": values})).load(["N"], [])
        assert floats(loaded.table.column("N")).tobytes() == np.array(values).tobytes()


def test_missing_numbers_are_nan_and_never_null(reader):
    table = pa.table({"N": [1.0, None, 3.0], "L": [1.0, 2.0, 3.0]})
    column = opened(reader, table).load(["N"], []).table.column("N")
    assert column.null_count == 0
    np.testing.assert_array_equal(floats(column), [1.0, np.nan, 3.0])


def test_a_word_among_numbers_is_an_error_that_names_the_cell(reader):
    table = pa.table({"N": ["1", "seven"], "L": ["3", "2"]})
    with pytest.raises(CellError, match=r"row 2.*'N'.*'seven'") as caught:
        opened(reader, table).load(["N"], [])
    assert caught.value.column == "N"
    assert caught.value.hint


def test_words_named_as_missing_are_missing(reader):
    table = pa.table({"N": ["1", "seven"], "L": ["3", "2"]})
    loaded = opened(reader, table).load(["N"], [], na=["seven"])
    np.testing.assert_array_equal(floats(loaded.table.column("N")), [1, np.nan])


def test_a_cell_can_be_found_again(reader, runs):
    loaded = opened(reader, runs).load(["N"], ["run"])
    assert loaded.cell(2, "run") == "b, c"
    assert "row 2" in loaded.place(2)


def test_the_hash_is_of_the_bytes(reader, runs):
    data = WRITERS[reader.name](runs)
    assert reader.open(source_of(data)).sha256() == hashlib.sha256(data).hexdigest()


def test_a_path_reads_as_its_bytes_do(reader, runs, tmp_path):
    path = tmp_path / f"runs{reader.suffixes[0]}"
    path.write_bytes(WRITERS[reader.name](runs))
    from_path = reader.open(open_source(path)).load(["N"], ["run"])
    assert from_path.table == opened(reader, runs).load(["N"], ["run"]).table


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=200)
    | st.text('a1,;\t\n\r"# .e-', min_size=1).map(str.encode)
)
def test_any_bytes_are_read_or_refused_by_an_input_error(data):
    for reader in READERS:
        error = refusal(reader, data)
        assert error is None or (str(error) and error.hint)


def test_arrow_is_given_no_thing_of_python_that_one_of_its_threads_could_let_go_of():
    # Such a thread takes the process along if Python is ending: a tenth of short commands aborted.
    data = bytearray(b"x,y\n1,2\n3,4\n")
    kept = sys.getrefcount(data)
    reader = Source("runs.csv", ".csv", None, data, (0, 0)).for_arrow()
    assert sys.getrefcount(data) == kept
    assert reader.read() == bytes(data)
