"""Doubts about a number: data that travels with it and is explained by its code."""

from __future__ import annotations

from typing import Literal

from scalefit.core.records import dataclass
from scalefit.core.registry import Registry

Severity = Literal["note", "warning", "refusal"]


@dataclass(frozen=True)
class Note:
    """One doubt about one result.

    Attributes:
        code: Kebab-case word, explained by `scalefit explain CODE`.
        severity: `refusal` where a number is withheld, else `warning` or `note`.
        message: What was seen, with the values, and what to do.
    """

    code: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class Doubt:
    """A kind of note: when it is given, what it means and what helps."""

    name: str
    severity: Severity
    trigger: str
    meaning: str
    remedy: str

    def note(self, message: str) -> Note:
        """A note of this kind."""
        return Note(self.name, self.severity, message)


DOUBTS: Registry[Doubt] = Registry("note code")
