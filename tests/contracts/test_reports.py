"""Promises that every report format keeps, and the few that only one of them can break."""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.tables.reports import FORMATS, Figure, Report, Section, format_for
from scalefit.tables.reports.base import literal

FORMULAE = ('=HYPERLINK("http://evil.example","x")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1")
HOSTILE = (
    *FORMULAE,
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "nul\0 and bell\a",
    "[/]",
    "[red]",
    "\x1b[31m",
    "\x7f\x9b31m",
    "a|b",
    "a\\|b",
    "`code` *bold* _em_ ~~gone~~ $x$",
    "[link](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "# heading",
    "&lt;b&gt;",
    "\u202eright to left",
    "\u200bzero\u200dwidth\ufeff",
    "line\nbreak\r\nand\u2028more",
    "-1.5",
    " padded",
    "ünïcödé 日本 α",
    "x" * 300,
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'viewBox="0 0 9 9" onload="alert(1)"><style>*{fill:red}</style><script>alert(1)</script>'
    '<defs><path id="a" d="M0 0h9"/><clipPath id="b"><rect width="9" height="9"/></clipPath></defs>'
    '<use xlink:href="#a" clip-path="url(#b)"/><a xlink:href="https://evil.example"><text>t</text>'
    '</a><image xlink:href="https://evil.example/x.png"/>'
    '<rect style="fill:url(https://evil.example/x)"/><text onclick="alert(1)">kept</text></svg>'
)


def report(names=HOSTILE, rows=None):
    """A report whose every text field holds hostile words."""
    names = names if rows is None else [f"run-{k}" for k in range(rows)]
    table = pa.table(
        {"run": pa.array(names, pa.string()), "loss": np.linspace(2, 3, len(names)) / 3}
    )
    section = Section(
        name="runs",
        heading=names[0],
        lead=tuple(names),
        header=("run", "loss"),
        rows=tuple((name, "0.6667") for name in names),
        numeric=frozenset({1}),
        table=table,
        figures=(Figure("one", names[0], SVG), Figure("two", names[0], SVG)),
        notes=tuple(Note("at-bound", "warning", name) for name in names[:40]),
        footer=tuple(names),
    )
    return Report(
        title=" ".join(names[:40]),
        sections=(section,) * 4,
        document={"runs": list(names), "loss": np.float64(0.1), "none": float("nan")},
        notes=(Note("few-runs", "refusal", names[0]),),
        manifest={"seed": 0, "runs": {"path": names[-1]}},
    )


def digests():
    """One digest for each format."""
    data = {f.name: hashlib.sha256(f.render(report())).hexdigest() for f in FORMATS}
    return json.dumps(data)


@pytest.fixture(params=FORMATS.values(), ids=lambda found: found.name)
def known(request):
    return request.param


class Page(HTMLParser):
    """What a browser would make of a page: elements, attributes, text of cells."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.open, self.cells = [], [], [], []
        self.document, self.declaration = "", ""
        self.feed(text)
        self.close()

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def handle_decl(self, decl):
        self.declaration = decl

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("th", "td"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.cells[-1] += data
        if self.open and self.open[-1] == "script":
            self.document += data


def page_of(told):
    return Page(FORMATS.get("html").render(told).decode("utf-8"))


def markdown_of(told):
    text = FORMATS.get("markdown").render(told).decode("utf-8")
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    return Page(rendered)


def from_csv(data):
    rows = list(csv.reader(StringIO(data.decode("utf-8"), newline="")))[1:]
    return [name.removeprefix("'") for name, _ in rows]


# What the world outside reads each format with; cells of people's tables stand in pairs.
READ = {
    "csv": from_csv,
    "json": lambda data: json.loads(data)["runs"],
    "parquet": lambda data: pq.read_table(pa.BufferReader(data))["run"].to_pylist(),
    "html": lambda data: Page(data.decode("utf-8")).cells[2::2][: len(HOSTILE)],
    "markdown": lambda data: Page(
        MarkdownIt("commonmark").enable("table").render(data.decode("utf-8"))
    ).cells[2::2][: len(HOSTILE)],
}


def test_the_same_report_gives_the_same_bytes(known):
    assert known.render(report()) == known.render(report())


def test_the_hash_seed_of_python_changes_no_byte():
    told = {
        subprocess.run(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert told == {digests().encode()}


def test_hostile_names_come_back_as_they_were_or_as_codes(known):
    for name, found in zip(HOSTILE, READ[known.name](known.render(report())), strict=True):
        assert found in (name, literal(name), literal(name).strip(" "))


def test_no_control_or_direction_mark_is_live_in_text(known):
    data = known.render(report())
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        assert known.suffixes == (".parquet",)  # binary: read by programs, never by a terminal
        return
    assert {c for c in text if not c.isprintable()} <= {"\n"}


def rendered_or_hint(known, told):
    try:
        return known.render(told)
    except InputError as refusal:
        return refusal.hint


def test_an_empty_report_is_rendered_or_refused_in_words(known):
    for told in (Report("", (), {}), Report("title", (Section("a", "A"),), {})):
        assert rendered_or_hint(known, told)


def test_a_thousand_rows_are_all_there(known):
    told = report(rows=1000)
    data = known.render(told)
    if known.suffixes == (".parquet",):
        assert pq.read_table(pa.BufferReader(data)).num_rows == 1000
    else:
        assert all(f"run-{k}" in data.decode("utf-8") for k in range(1000))


def test_every_suffix_finds_its_format(known, tmp_path):
    for suffix in known.suffixes:
        assert format_for(tmp_path / f"a{suffix.upper()}") is known


def test_json_is_one_sorted_finite_document_that_ends_with_a_newline():
    document = {
        "z": [np.nan, np.inf, np.float64(0.1), 0.1 + 0.2],
        "a": {"k": np.int64(3), "b": np.bool_(True), "x": np.array([1.0, -np.inf])},
    }
    data = FORMATS.get("json").render(Report("", (), document))
    assert data.endswith(b"}\n")
    read = json.loads(data, parse_constant=lambda word: pytest.fail(word))
    assert read == {"a": {"b": True, "k": 3, "x": [1.0, None]}, "z": [None, None, 0.1, 0.1 + 0.2]}
    assert list(read) == sorted(read)
    assert list(read["a"]) == sorted(read["a"])


def test_json_refuses_what_has_no_place_in_a_document():
    with pytest.raises(TypeError, match="set"):
        FORMATS.get("json").render(Report("", (), {"a": {1}}))


def test_csv_leaves_no_cell_or_head_that_a_spreadsheet_would_run():
    table = pa.table({"=1+1": pa.array(FORMULAE), "x": [-1.5] * 6, "t": ["-1.5"] * 6})
    data = FORMATS.get("csv").render(Report("", (Section("a", "A", table=table),), {}))
    head, *rows = csv.reader(StringIO(data.decode("utf-8"), newline=""))
    assert head == ["'=1+1", "x", "t"]
    assert all(row[0].startswith("'") for row in rows)
    assert {tuple(row[1:]) for row in rows} == {("-1.5", "-1.5")}


def test_csv_and_parquet_keep_every_bit_of_a_number():
    values = [0.1 + 0.2, 1e300, 5e-324, -0.0, None]
    told = Report("", (Section("a", "A"), Section("b", "B", table=pa.table({"x": values}))), {})
    lines = FORMATS.get("csv").render(told).decode().splitlines()[1:]
    assert [float(line) for line in lines[:4]] == values[:4]
    assert lines[4] in ("", '""')
    read = pq.read_table(pa.BufferReader(FORMATS.get("parquet").render(told)))
    assert read["x"].to_pylist() == values


def test_parquet_keeps_the_metadata_of_fields_and_forgets_the_chunks():
    field = pa.field("C", pa.float64(), metadata={"unit": "FLOP", "role": "C"})
    whole = pa.table({"C": np.arange(9.0)}, schema=pa.schema([field]))
    cut = pa.concat_tables([whole.slice(0, 4), whole.slice(4)])
    first, second = (
        FORMATS.get("parquet").render(Report("", (Section("a", "A", table=t),), {}))
        for t in (whole, cut)
    )
    assert first == second
    read = pq.read_table(pa.BufferReader(first))
    assert read.schema.field("C").metadata[b"unit"] == b"FLOP"


def test_markdown_shows_hostile_names_letter_by_letter():
    allowed = {
        "h1", "h2", "p", "ul", "li", "strong", "code", "table", "thead", "tbody", "tr", "th", "td",
        "img",
    }  # fmt: skip
    page = markdown_of(report())
    assert set(page.elements) <= allowed
    assert page.elements.count("h1") == 1
    # Four headings of sections and the one of the manifest; no lead sentence became another.
    assert page.elements.count("h2") == 5
    sources = [value for tag, name, value in page.attributes if name == "src"]
    assert sources == ["figures/one.svg", "figures/two.svg"] * 4


def test_markdown_tables_are_aligned_in_the_source():
    text = FORMATS.get("markdown").render(report(("short", "日本", "a|b"))).decode()
    table = [line for line in text.splitlines() if line.startswith("| ")][:5]
    bars = [line.count("|") - line.count("\\|") for line in table]
    assert bars == [3] * 5
    wide = [len(line) + sum(c in "日本" for c in line) for line in table]
    assert len(set(wide)) == 1


def test_html_runs_nothing_and_asks_for_nothing_outside():
    page = page_of(report())
    assert page.open == []
    assert page.declaration == "DOCTYPE html"
    assert page.elements.count("script") == 1
    assert ("script", "type", "application/json") in page.attributes
    assert not {"img", "image", "iframe", "link", "object", "foreignobject"} & set(page.elements)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "action", "data", "xlink:href"):
            assert value.startswith("#"), (tag, name, value)
        if name == "style":
            assert "http" not in value


def test_html_without_outside_words_holds_no_address_but_namespaces():
    text = FORMATS.get("html").render(report(("a", "b"))).decode()
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_html_says_its_language_title_and_viewport_and_scopes_its_heads():
    page = page_of(report(("a", "b")))
    assert ("html", "lang", "en") in page.attributes
    assert any(name == "name" and value == "viewport" for _, name, value in page.attributes)
    assert "title" in page.elements
    assert page.elements.count("th") == sum(name == "scope" for _, name, _ in page.attributes)
    assert page.elements.count("th") > 0


def test_html_ids_are_unique_and_every_reference_has_its_target():
    page = page_of(report())
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for _, name, value in page.attributes if name == "href"}
    for _, _, value in page.attributes:
        wanted.update(re.findall(r"url\(#([^)]+)\)", value or ""))
    assert len(wanted) > 4
    assert wanted <= set(ids)


def test_html_carries_the_document_that_json_writes():
    told = report()
    assert json.loads(page_of(told).document) == json.loads(FORMATS.get("json").render(told))


def test_html_tells_each_note_by_word_code_and_message():
    text = FORMATS.get("html").render(
        Report("t", (), {}, notes=(Note("at-bound", "refusal", "alpha sits on 2"),))
    )
    for words in (b">refusal<", b">at-bound<", b"alpha sits on 2"):
        assert words in text


@pytest.mark.parametrize(("sections", "wanted"), [(3, False), (4, True)])
def test_html_has_contents_when_there_are_more_than_three_sections(sections, wanted):
    told = Report("t", tuple(Section(f"s{k}", f"S{k}") for k in range(sections)), {})
    assert ("nav" in page_of(told).elements) == wanted


if __name__ == "__main__":
    sys.stdout.write(digests())


def test_a_file_without_a_suffix_is_told_which_there_are():
    with pytest.raises(InputError, match="'results' has no suffix") as caught:
        format_for(Path("results"))
    assert all(kind.suffixes[0] in caught.value.hint for kind in FORMATS)
