"""Settings: one TOML file or none, one frozen dataclass per section, flags on top."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from scalefit.core.errors import ConfigError, InputError, nearest
from scalefit.core.numbers import parse_human, shown
from scalefit.core.records import dataclass, replace

_MOST_BYTES = 64 * 1024
_MOST_DOTS = 64


@dataclass(frozen=True)
class LawChoice:
    """A law by name, and for a law of one input the role that plays x.

    `auto` stands for the average of the laws named beside it, or of all that suit the columns.
    """

    name: str
    x: str = ""

    @property
    def averaged(self) -> bool:
        """Whether it stands for the average and names no law itself."""
        return self.name == "auto"


@dataclass(frozen=True)
class RunsSettings:
    """Where the runs are and what their columns mean.

    Attributes:
        path: Table of runs; relative to the config file that names it.
        columns: Role to column.
        where: Rows to keep.
        na: Words that stand for a missing number.
        last: Keep the last row of each run.
        smooth: Rows that each loss is averaged over within its run; 0 for none.
        drop_diverged: Leave out runs that end far above their lowest loss.
        reader: Name of a reader, if it must not be found by itself.
        remote: Allow an address of an object store.
    """

    path: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    na: tuple[str, ...] = ()
    last: bool = False
    smooth: int = 0
    drop_diverged: bool = False
    reader: str = ""
    remote: bool = False


@dataclass(frozen=True)
class FitSettings:
    """What is fitted and how.

    Attributes:
        laws: Laws in order; none stands for all that suit the columns, where a command allows it.
        objective: As `t:4`, `gaussian`, `huber:1e-3`, `huber:auto` or `mse`.
        fix: Parameter to the value it is held at.
        bound: Parameter to its lowest and highest value.
        solver: `scalefit`, `scipy` or `lmfit`.
    """

    laws: tuple[LawChoice, ...] = ()
    objective: str = "t:4"
    fix: Mapping[str, float] = field(default_factory=dict)
    bound: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    solver: str = "scalefit"

    @property
    def averaged(self) -> bool:
        """Whether the average of laws is asked for."""
        return any(law.averaged for law in self.laws)

    @property
    def x(self) -> str:
        """Role of the input of laws of one input, if one was chosen."""
        return self.laws[0].x if self.laws else ""

    @property
    def named(self) -> tuple[LawChoice, ...]:
        """The laws that are named as such."""
        return tuple(law for law in self.laws if law.name and not law.averaged)


@dataclass(frozen=True)
class UncertaintySettings:
    """How sure one may be.

    Attributes:
        name: Interval method.
        level: Of every interval.
        draws: Replicates, for methods that draw.
        cluster: Independent unit: `run`, `row`, a role or a column.
    """

    name: str = "jackknife"
    level: float = 0.95
    draws: int = 2000
    cluster: str = "run"

    def __post_init__(self) -> None:
        """Refuse a level that no interval has."""
        check_level(self.level)


def check_level(level: float) -> None:
    """Refuse a level outside 0.5 to 1.

    Raises:
        InputError: it is.
    """
    if not 0.5 <= level < 1:
        raise InputError(f"level is {level:g}, must lie between 0.5 and 1", "write --level 0.95")


def check_waste(waste: float) -> None:
    """Refuse a share of compute that no range of sizes may waste.

    Raises:
        InputError: it is not between 0 and a half.
    """
    if not 0 < waste < 0.5:
        raise InputError(
            f"waste is {waste:g}, must lie between 0 and 0.5", "the usual is 0.01, one per cent"
        )


@dataclass(frozen=True)
class PredictSettings:
    """Points to predict at: each a role to a number."""

    at: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True)
class OptimumSettings:
    """Budgets in FLOP, and the share of compute a near-optimal size may waste."""

    budgets: tuple[float, ...] = ()
    waste: float = 0.01

    def __post_init__(self) -> None:
        """Refuse a share that no range of sizes may waste."""
        check_waste(self.waste)


@dataclass(frozen=True)
class Settings:
    """Everything a command needs to know."""

    seed: int = 0
    jobs: int = 1
    runs: RunsSettings = field(default_factory=RunsSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    uncertainty: UncertaintySettings = field(default_factory=UncertaintySettings)
    predict: PredictSettings = field(default_factory=PredictSettings)
    optimum: OptimumSettings = field(default_factory=OptimumSettings)
    allow_unconverged: bool = False
    i_know: bool = False


def load(path: Path) -> Settings:
    """Settings of a TOML file.

    Raises:
        ConfigError: the file cannot be read, is no TOML, has an unknown key (the nearest is
            offered) or a value of the wrong kind.
    """
    import tomllib

    where = shown(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror or error}", "give a TOML file") from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{where} is larger than 64 KiB", "settings are a few lines of TOML")
    try:
        text = data.decode("utf-8-sig")
        # A key of very many dots takes tomllib quadratic time.
        if any(line.count(".") > _MOST_DOTS and "=" in line for line in text.splitlines()):
            raise ConfigError(f"{where}: a line has more than {_MOST_DOTS} dots")
        table = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{where} is no TOML: {error or 'nested too deeply'}") from None
    settings: Settings = _section(Settings, table, where, "")
    if settings.runs.path and settings.runs.path != "-" and "://" not in settings.runs.path:
        runs = replace(settings.runs, path=_beside(path, settings.runs.path))
        settings = replace(settings, runs=runs)
    laws = tuple(
        replace(law, name=_beside(path, law.name)) if law.name.endswith(".toml") else law
        for law in settings.fit.laws
    )
    return replace(settings, fit=replace(settings.fit, laws=laws))


def _beside(config: Path, named: str) -> str:
    """A path that a config file names: relative to that file."""
    at = Path(named)
    return os.path.normpath(at if at.is_absolute() else config.parent / at)


def _section(kind: type[Any], table: Any, where: str, prefix: str) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: [{prefix}] must be a table")
    known = {f.name: f for f in fields(kind)}
    for key in table:
        if key not in known:
            near = nearest(key, known)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {shown(prefix + key)!r}", hint)
    values = {k: _value(known[k], v, where, prefix + k) for k, v in table.items()}
    return kind(**values)


def _value(known: Field[Any], value: Any, where: str, key: str) -> Any:
    default = known.default_factory() if known.default_factory is not MISSING else known.default
    if is_dataclass(default):
        return _section(type(default), value, where, f"{key}.")
    reader = _READERS.get(key)
    try:
        if reader:
            return reader(value)
        return _plain(default, value)
    except (InputError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: {key} = {shown(repr(value))}: {error}", getattr(error, "hint", "")
        ) from None


def _plain(default: Any, value: Any) -> Any:
    if isinstance(default, bool) or isinstance(value, bool):
        if isinstance(default, bool) and isinstance(value, bool):
            return value
        raise ValueError("must be true or false" if isinstance(default, bool) else "is no number")
    if isinstance(default, int):
        if isinstance(value, int):
            return value
        raise ValueError("must be a whole number")
    if isinstance(default, float):
        return number(value)
    if isinstance(default, str) or default is MISSING:
        if isinstance(value, str):
            return value
        raise ValueError("must be text")
    if isinstance(default, tuple):
        return tuple(_plain("", v) for v in _listed(value))
    return {str(k): _plain("", v) for k, v in _tabled(value).items()}


def number(value: Any) -> float:
    """A finite number, given as one or as text such as 7B.

    Raises:
        ValueError: it is none.
        InputError: the text spells none.
    """
    if isinstance(value, str):
        return parse_human(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("must be finite")
    return float(value)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list")
    return value


def _tabled(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a table")
    return value


def _laws(value: Any) -> tuple[LawChoice, ...]:
    choices = []
    for item in _listed(value):
        if isinstance(item, str):
            choices.append(LawChoice(item))
        else:
            choices.append(_section(LawChoice, item, "laws", ""))
    return tuple(choices)


def _objective(value: Any) -> str:
    if isinstance(value, str):
        return value
    table = dict(_tabled(value))
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise ValueError('write "huber:1e-3" or { name = "huber", delta = 1e-3 }')
    return f"{name}:{','.join(f'{key}={setting}' for key, setting in table.items())}".rstrip(":")


def _bounds(value: Any) -> dict[str, tuple[float, float]]:
    bounds = {}
    for name, pair in _tabled(value).items():
        low, high = _listed(pair)
        bounds[name] = (number(low), number(high))
    return bounds


def _numbers(value: Any) -> dict[str, float]:
    return {k: number(v) for k, v in _tabled(value).items()}


_READERS: Mapping[str, Any] = {
    "fit.laws": _laws,
    "fit.objective": _objective,
    "fit.fix": _numbers,
    "fit.bound": _bounds,
    "predict.at": lambda value: tuple(_numbers(v) for v in _listed(value)),
    "optimum.budgets": lambda value: tuple(number(v) for v in _listed(value)),
}
