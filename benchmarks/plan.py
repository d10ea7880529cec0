"""How thoroughly to measure, and with what."""

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import ROOT


@dataclass(frozen=True)
class Plan:
    """What every work is told.

    Attributes:
        rivals: The Python of the rivals' environment.
        folder: For files that tools hand to each other.
        full: Whether everything is run whole; else slow rivals are scaled from a part.
    """

    rivals: Path
    folder: Path
    full: bool

    @property
    def repeats(self) -> int:
        """Rounds of each pair."""
        return 7 if self.full else 3

    def part(self, whole: int, share: int) -> int:
        """The whole if everything is to be run, else one in so many, at least one."""
        return whole if self.full else max(1, whole // share)

    def rival(self, name: str, *arguments: object) -> list[object]:
        """The command of a rival's script."""
        return [self.rivals, ROOT / "benchmarks" / "rivals" / f"{name}.py", *arguments]

    def ours(self, name: str, *arguments: object) -> list[object]:
        """The command of a script of ours."""
        return [sys.executable, ROOT / "benchmarks" / "ours" / f"{name}.py", *arguments]

    def scalefit(self, *arguments: object) -> list[object]:
        """A command of scalefit."""
        return [Path(sys.executable).parent / "scalefit", *arguments]

    def python(self, code: str) -> list[object]:
        """Python with a line of code."""
        return [sys.executable, "-c", code]
