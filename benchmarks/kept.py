"""What was measured last of each work, so that one of them can be measured anew."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.table import Block, Line, Promise


class Kept:
    """Blocks by the name of their work, in one JSON file."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin it."""
        self.path = path
        self.blocks: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def put(self, name: str, block: Block) -> None:
        """Keep a block in the place of the one before."""
        self.blocks[name] = _finite(asdict(block))
        self.path.write_text(json.dumps(self.blocks, indent=1, sort_keys=True) + "\n")

    def get(self, name: str) -> Block | None:
        """The block of a work, if it was ever measured."""
        found = self.blocks.get(name)
        if found is None:
            return None
        return Block(found["title"], [_line(one) for one in found["lines"]], found["notes"])


def _line(found: dict[str, Any]) -> Line:
    promise = found["promise"]
    numbers = {
        name: math.nan if value is None else value
        for name, value in found.items()
        if name != "promise"
    }
    if promise is None:
        return Line(**numbers)
    unsaid = {"limit": math.inf, "best": math.nan}
    whole = {name: unsaid[name] if value is None else value for name, value in promise.items()}
    return Line(**numbers, promise=Promise(**whole))


def _finite(value: Any) -> Any:
    """The same with null for every number that JSON has no word for."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
