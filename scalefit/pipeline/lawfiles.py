"""Commands on laws given as text: write a template, and try the promises on one."""

from __future__ import annotations

from pathlib import Path

from scalefit.core.errors import InputError, OutputError
from scalefit.core.numbers import shown
from scalefit.laws.text import named, parse_law, template
from scalefit.pipeline.commands import Outcome
from scalefit.pipeline.promises import promises
from scalefit.tables.reports import Report, Section


def new(name: str, folder: Path = Path()) -> Path:
    """Write a template of a law; never over a file that is there.

    Raises:
        ConfigError: the name cannot name a law.
        InputError: the file exists.
        OutputError: it cannot be written.
    """
    text = template(name)
    parse_law(text, f"law {shown(name)}")
    path = folder / f"{name}.toml"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{shown(str(path))} is there already", "choose another name") from None
    except OSError as error:
        raise OutputError(f"{shown(str(path))}: {error.strerror or error}") from None
    return path


def test(name: str) -> Outcome:
    """Try every promise on a law of a file or of the library; exit code 1 if one is broken."""
    law = named(name)
    found = promises(law)
    broken = sum(not one.kept for one in found)
    section = Section(
        name="promises",
        heading=f"{law.name}: {law.formula}",
        header=("promise", "", "seen"),
        rows=tuple((one.promise, "kept" if one.kept else "BROKEN", one.detail) for one in found),
    )
    document = {
        "schema": "scalefit.lawtest/1",
        "law": law.name,
        "promises": [
            {"promise": one.promise, "kept": one.kept, "detail": one.detail} for one in found
        ],
    }
    words = "every promise kept" if not broken else f"{broken} broken"
    return Outcome(Report(f"scalefit laws test: {words}", (section,), document), int(broken > 0))
