"""Functions that fill arrays; see module.c."""

from typing import Any

def assess(
    law: Any,
    goal: int,
    settings: Any,
    log_target: bool,
    logs: tuple[Any, ...],
    target: Any,
    theta: Any,
    weight: Any,
    state: Any,
    value: Any,
    size: Any,
    settled: Any,
    gradient: Any,
    sharp: Any,
    safe: Any,
) -> None: ...
def least_in_box(
    system: Any, right: Any, least: Any, most: Any, turns: int, x: Any, sound: Any
) -> None: ...
def screen(
    sums: Any,
    number: Any,
    square: int,
    firm: float,
    columns: int,
    positive: bool,
    floored: bool,
    left: Any,
    x: Any,
) -> None: ...
def instructions() -> tuple[str, ...]: ...
def restrict_to(name: str) -> None: ...
