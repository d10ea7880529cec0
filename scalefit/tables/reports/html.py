"""HTML: the story as one page that can be mailed: no outside address, no script to run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from scalefit.core.records import dataclass
from scalefit.tables.reports.base import FORMATS, Figure, Report, Section, facts, literal
from scalefit.tables.reports.json import document_text

if TYPE_CHECKING:
    from markupsafe import Markup

_SLUG = re.compile(r"[a-z][a-z0-9-]*")
# Told apart by shape and word, so that colour is never the only sign.
_MARKS = {"note": "i", "warning": "!", "refusal": "×"}
_SECTIONS_WITHOUT_CONTENTS = 3
_ROWS_WITHOUT_SCROLLING = 30


@dataclass(frozen=True)
class Html:
    """One self-contained page: light and dark, narrow and wide, screen and print."""

    name: ClassVar[str] = "html"
    suffixes: ClassVar[tuple[str, ...]] = (".html", ".htm")

    def render(self, report: Report) -> bytes:
        """The whole page."""
        from jinja2 import Environment, StrictUndefined

        page = Environment(
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            # Every value passes here, so a template cannot forget to show marks as codes.
            finalize=_visible,
        ).from_string(files(__package__).joinpath("page.html.j2").read_text("utf-8"))
        text = page.render(
            title=report.title or "scalefit report",
            notes=report.notes,
            chapters=tuple(_chapters(report)),
            facts=facts(report.manifest or {}),
            document=_script_safe(document_text(report.document)),
            marks=_MARKS,
            contents=len(report.sections) > _SECTIONS_WITHOUT_CONTENTS,
            long=_ROWS_WITHOUT_SCROLLING,
        )
        return text.encode("utf-8")


@dataclass(frozen=True)
class _Chapter:
    """A section with what only a page needs.

    Attributes:
        section: The section.
        anchor: Its id, unique in the page.
        pictures: Its figures, each with its SVG ready to stand in the page.
    """

    section: Section
    anchor: str
    pictures: tuple[tuple[Figure, Markup], ...] = ()


def _chapters(report: Report) -> Iterator[_Chapter]:
    """Sections with ids that are unique in the page, as are those inside their pictures."""
    from markupsafe import Markup

    from scalefit.tables.reports.svg import cleaned

    taken: set[str] = set()
    pictures = 0
    for number, section in enumerate(report.sections, 1):
        anchor = section.name
        if not _SLUG.fullmatch(anchor) or anchor in taken or anchor.startswith("page-"):
            anchor = f"page-section-{number}"
        taken.add(anchor)
        ready = []
        for figure in section.figures:
            pictures += 1
            ready.append((figure, Markup(cleaned(figure.svg, f"page-figure-{pictures}"))))
        yield _Chapter(section, anchor, tuple(ready))


def _visible(value: Any) -> Any:
    """A value as the page shows it: finished markup as it is, text with its marks as codes."""
    # Markup is a str too, but made here and already clean.
    return literal(value) if type(value) is str else value


def _script_safe(document: str) -> Markup:
    """JSON that cannot end the element it stands in; still the same document."""
    from markupsafe import Markup

    codes = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}
    return Markup(document.translate(codes))


HTML = FORMATS.add(Html())
