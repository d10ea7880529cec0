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
def solve(
    law: Any,
    goal: int,
    settings: Any,
    log_target: bool,
    logs: tuple[Any, ...],
    target: Any,
    rules: Any,
    low: Any,
    high: Any,
    fixed: Any,
    log: Any,
    affine: Any,
    weight: Any,
    cold: bool,
    tolerance: float,
    limit: int,
    u: Any,
    value: Any,
    state: Any,
    converged: Any,
    steps: Any,
) -> None: ...
def polish(
    law: Any,
    goal: int,
    settings: Any,
    log_target: bool,
    logs: Any,
    target: Any,
    rules: Any,
    low: Any,
    high: Any,
    fixed: Any,
    log: Any,
    affine: Any,
    weight: Any,
    rounds: int,
    u: Any,
) -> None: ...
def distinct(curves: Any, near: float, agreeing: int, chosen: Any) -> int: ...
def settle(residual: Any, weight: Any, nu: float, least: float, state: Any) -> None: ...
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
def products(weight: Any, columns: Any, sums: Any) -> None: ...
def philox(key: Any, first: int, words: Any) -> None: ...
def counts(key: Any, first: int, each: int, counts: Any) -> None: ...
def instructions() -> tuple[str, ...]: ...
def restrict_to(name: str) -> None: ...
