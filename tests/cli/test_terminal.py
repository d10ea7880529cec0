"""A report on the terminal fits the line and is never live."""

import io

import pytest
from rich.cells import cell_len

from scalefit.cli.terminal import show
from scalefit.core.notes import Note
from scalefit.tables.reports.base import Report, Section

HOSTILE = (
    "[/]", "[red]no[/red]", "\x1b[31mred", "\x9b31m", "\u202eright", "line\nbreak", ":smile:",
    "[link=https://evil.example]x[/link]", "日本語" * 20, "x" * 200, "a|b", "",
)  # fmt: skip


def told(names=HOSTILE, columns=6):
    header = tuple(f"head {k}" for k in range(columns))
    rows = tuple((name, *["1.234e22"] * (columns - 1)) for name in names)
    section = Section(
        name="a",
        heading=names[0],
        lead=names,
        header=header,
        rows=rows,
        numeric=frozenset(range(1, columns)),
        notes=tuple(Note("at-bound", "warning", name) for name in names),
        footer=names,
    )
    return Report(names[0], (section, section), {}, notes=(Note("few", "refusal", names[-1]),))


class Terminal(io.StringIO):
    """A stream that says it is a terminal of 80 columns."""

    def isatty(self):
        return True


class Latin(io.StringIO):
    encoding = "ascii"


def printed(report, stream=None):
    stream = stream or io.StringIO()
    show(report, stream=stream)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("columns", [1, 2, 5, 6, 7, 8, 9, 12, 30])
def test_no_line_is_wider_than_80_columns(columns):
    text = printed(told(columns=columns))
    assert max(cell_len(line) for line in text.split("\n")) <= 80


@pytest.mark.parametrize("columns", [2, 6, 7, 8, 9, 12, 30])
def test_no_number_is_cut_or_folded(columns):
    assert printed(told(columns=columns)).count("1.234e22") == 2 * len(HOSTILE) * (columns - 1)


def test_no_escape_or_direction_mark_goes_into_a_pipe():
    text = printed(told())
    assert {c for c in text if not c.isprintable()} == {"\n"}


def test_markup_in_names_is_printed_letter_by_letter():
    text = printed(told())
    for name in ("[/]", "[red]no[/red]", "\\x1b[31mred", "\\u202eright", "line\\nbreak", ":smile:"):
        assert text.count(name) >= 4


def test_a_terminal_gets_colour_unless_no_color_or_a_dumb_terminal_is_set(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in printed(told(), Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(told(), Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in printed(told(), Terminal())


def test_force_color_colours_a_pipe_and_no_color_is_stronger(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in printed(told())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(told())


def test_coloured_or_not_the_words_are_the_same(monkeypatch):
    from rich.text import Text

    plain = printed(told())
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = Text.from_ansi(printed(told())).plain
    assert [line.rstrip() for line in coloured.splitlines()] == plain.splitlines()


def test_a_stream_without_utf8_gets_ascii_that_still_fits():
    text = printed(told((*HOSTILE, "α × β ≥ 2 – é…", "─")), Latin())
    assert text.isascii()
    assert "alpha x beta >= 2 - e..." in text
    assert max(map(len, text.split("\n"))) <= 80


def test_numbers_stand_flush_right_under_their_heads():
    section = Section(
        "a", "A", header=("law", "value"), rows=(("b", "1.5"), ("c", "1,234.5")),
        numeric=frozenset({1}),
    )  # fmt: skip
    lines = printed(Report("", (section,), {})).splitlines()
    ends = {len(line) for line in lines if line.endswith(("value", ".5"))}
    assert len(ends) == 1


def test_each_note_shows_severity_code_and_message():
    text = printed(Report("t", (), {}, notes=(Note("at-bound", "warning", "alpha is 0"),)))
    assert "warning: at-bound\n  alpha is 0\n" in text


def test_an_empty_report_prints_nothing_that_has_letters():
    assert printed(Report("", (), {})).strip() == ""


def test_cells_that_do_not_fit_part_at_hyphens_and_not_amid_words():
    gates = "fails residual-scale, residual-structure, monotone, closed-profile"
    row = ("shifted-power-floor", *["-1234.5"] * 4, "weakly-identified", gates)
    header = ("law", "a", "b", "c", "d", "status", "gates")
    section = Section("a", "A", header=header, rows=(row,), numeric=frozenset({1, 2, 3, 4}))
    lines = printed(Report("", (section,), {})).splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("shifted"))
    words = set(" ".join(lines[place:]).replace("-", " ").replace(",", " ").split())
    assert words == {w for t in row for w in t.replace("-", " ").replace(",", " ").split()}
