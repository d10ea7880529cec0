"""What a whole process takes: time and peak memory, alone or in pairs."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).parent / "launcher.py"
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "POLARS")
}


@dataclass(frozen=True)
class Took:
    """What one process took.

    Attributes:
        wall: Seconds by the clock on the wall.
        cpu: Seconds of processor time, user and system.
        memory: Peak resident memory in MB.
        out: What it printed on standard output.
    """

    wall: float
    cpu: float
    memory: float
    out: str

    @property
    def said(self) -> dict:
        """The JSON in the last line that it printed."""
        return json.loads(self.out.strip().splitlines()[-1])


def run(command: Sequence[object], *, cwd: Path | None = None) -> Took:
    """One process from start to exit, its numerical libraries on one thread.

    Raises:
        RuntimeError: it failed; the message is its last words.
    """
    environment = {**os.environ, **ONE_THREAD}
    # Modules are byte-compiled once for both sides, as they are wherever something is installed.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        done = subprocess.run(
            [sys.executable, "-I", "-S", LAUNCHER, file.name, *map(str, command)],
            capture_output=True, text=True, cwd=cwd, env=environment, check=False,
        )  # fmt: skip
        if done.returncode:
            words = (done.stderr + done.stdout).strip()[-2000:]
            raise RuntimeError(f"{' '.join(map(str, command))}\n{words}")
        took = json.loads(file.read())
    return Took(took["wall"], took["cpu"], took["memory"], done.stdout)


def in_turn(commands: Sequence[Sequence[object]], repeats: int) -> list[list[Took]]:
    """A B A B ..: what each command took each time, after one round that nobody counts."""
    for command in commands:
        run(command)
    rounds = [[run(command) for command in commands] for _ in range(repeats)]
    return [list(each) for each in zip(*rounds, strict=True)]


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the ratios of what was measured side by side."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
