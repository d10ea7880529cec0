"""Options that commands share, written once, and the way from words to settings."""

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalefit.core.errors import InputError
from scalefit.core.numbers import parse_human
from scalefit.core.records import replace

if TYPE_CHECKING:
    from scalefit.config import LawChoice, Settings

_DATA, _FIT, _SURE, _OUT = "Data", "Fit", "Uncertainty", "Output"

Runs = Annotated[
    str | None,
    typer.Argument(
        help="Runs: a table (CSV, JSON, Parquet, ...), - for input; a saved fit for fit, predict "
        "and optimum."
    ),
]
SHARED: dict[str, tuple[Any, Any]] = {
    "col": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--col",
                metavar="ROLE=NAME",
                help="What a column is: roles N, D, C, L, x, run, group, weight.",
                rich_help_panel=_DATA,
            ),
        ],
        None,
    ),
    "where": (
        Annotated[
            str | None,
            typer.Option(help="Rows to use, as in 'loss < 4'.", rich_help_panel=_DATA),
        ],
        None,
    ),
    "na": (
        Annotated[
            list[str] | None,
            typer.Option(help="A word that stands for a missing number.", rich_help_panel=_DATA),
        ],
        None,
    ),
    "last": (
        Annotated[
            bool | None,
            typer.Option("--last", help="Use the last row of each run.", rich_help_panel=_DATA),
        ],
        None,
    ),
    "smooth": (
        Annotated[
            int | None,
            typer.Option(
                metavar="ROWS", help="Average the loss over rows of a run.", rich_help_panel=_DATA
            ),
        ],
        None,
    ),
    "drop_diverged": (
        Annotated[
            bool | None,
            typer.Option(
                "--drop-diverged",
                help="Leave out runs that end far above their lowest loss.",
                rich_help_panel=_DATA,
            ),
        ],
        None,
    ),
    "reader": (
        Annotated[
            str | None,
            typer.Option(
                help="Reader to use, where it is not found by itself.", rich_help_panel=_DATA
            ),
        ],
        None,
    ),
    "remote": (
        Annotated[
            bool | None,
            typer.Option(
                "--remote",
                help="Allow s3, gs, abfss and hf addresses (opens the network).",
                rich_help_panel=_DATA,
            ),
        ],
        None,
    ),
    "config": (
        Annotated[
            Path | None,
            typer.Option(help="Settings in TOML; flags win over it.", rich_help_panel=_DATA),
        ],
        None,
    ),
    "law": (
        Annotated[
            list[str] | None,
            typer.Option(
                help="Law by name (scalefit laws list) or FILE.toml (scalefit laws new).",
                rich_help_panel=_FIT,
            ),
        ],
        None,
    ),
    "x": (
        Annotated[
            str | None,
            typer.Option(
                "--x", metavar="ROLE", help="Input of a law of one input.", rich_help_panel=_FIT
            ),
        ],
        None,
    ),
    "objective": (
        Annotated[
            str | None,
            typer.Option(
                help="t:4, gaussian, huber:1e-3, huber:auto or mse.  [t:4]", rich_help_panel=_FIT
            ),
        ],
        None,
    ),
    "fix": (
        Annotated[
            list[str] | None,
            typer.Option(metavar="NAME=VALUE", help="Hold a parameter.", rich_help_panel=_FIT),
        ],
        None,
    ),
    "bound": (
        Annotated[
            list[str] | None,
            typer.Option(metavar="NAME=LOW:HIGH", help="Confine one.", rich_help_panel=_FIT),
        ],
        None,
    ),
    "solver": (
        Annotated[
            str | None,
            typer.Option(
                help="scalefit, or a reference: scipy, lmfit.  [scalefit]", rich_help_panel=_FIT
            ),
        ],
        None,
    ),
    "interval": (
        Annotated[
            str | None,
            typer.Option(help="jackknife or bootstrap.  [jackknife]", rich_help_panel=_SURE),
        ],
        None,
    ),
    "level": (
        Annotated[
            float | None, typer.Option(help="Of every interval.  [0.95]", rich_help_panel=_SURE)
        ],
        None,
    ),
    "draws": (
        Annotated[
            int | None, typer.Option(help="Bootstrap replicates.  [2000]", rich_help_panel=_SURE)
        ],
        None,
    ),
    "cluster": (
        Annotated[
            str | None,
            typer.Option(
                help="Independent unit: run, row, setting, a role or a column.  [run]",
                rich_help_panel=_SURE,
            ),
        ],
        None,
    ),
    "seed": (
        Annotated[int | None, typer.Option(help="Of the draws.  [0]", rich_help_panel=_SURE)],
        None,
    ),
    "jobs": (
        Annotated[
            int | None,
            typer.Option(help="Processes; changes no byte.  [1]", rich_help_panel=_SURE),
        ],
        None,
    ),
    "allow_unconverged": (
        Annotated[
            bool | None,
            typer.Option(
                "--allow-unconverged",
                help="Go on from a fit that is no minimum, stamped.",
                rich_help_panel=_OUT,
            ),
        ],
        None,
    ),
    "strict": (
        Annotated[
            str | None,
            typer.Option(
                metavar="CODES",
                help="Exit 1 on these codes, or on any warning or refusal: --strict[=CODES].",
                rich_help_panel=_OUT,
            ),
        ],
        None,
    ),
    "json": (
        Annotated[
            bool, typer.Option("--json", help="One JSON document.", rich_help_panel=_OUT)
        ],
        False,
    ),
    "out": (
        Annotated[
            Path | None,
            typer.Option(
                "-o", "--out", help="File, format by suffix; a folder for report.",
                rich_help_panel=_OUT,
            ),
        ],
        None,
    ),
}  # fmt: skip


_ABOUT_RUNS = (
    "col", "where", "na", "last", "smooth", "drop_diverged", "reader", "remote", "config", "json",
)  # fmt: skip


def shares_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options; it gets them as one `Shared` first argument."""
    return _sharing(command, tuple(SHARED))


def shares_folder_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that writes a folder, `results` if none is named."""
    return _sharing(command, tuple(SHARED), folder=Path("results"))


def shares_data_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that fits nothing and only prints: options about the runs."""
    return _sharing(command, _ABOUT_RUNS)


def shares_table_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that fits nothing and writes a file."""
    return _sharing(command, (*_ABOUT_RUNS, "out"))


def _sharing(
    command: Callable[..., None], names: tuple[str, ...], folder: Path | None = None
) -> Callable[..., None]:
    _, *rest = inspect.signature(command).parameters.values()
    own = {p.name for p in rest}
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in rest]
    if "runs" not in own and "paths" not in own:
        runs = inspect.Parameter(
            "runs", inspect.Parameter.KEYWORD_ONLY, annotation=Runs, default=None
        )
        parameters.insert(0, runs)
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in SHARED.items()
        if name in names
    ]

    def wrapped(**given: Any) -> None:
        unsaid = {name: default for name, (_, default) in SHARED.items()}
        shared = {
            name: given.pop(name, default) for name, default in {"runs": None, **unsaid}.items()
        }
        shared |= {"out": shared["out"] or folder, "folder": folder is not None}
        command(shared, **given)

    wrapped.__name__ = command.__name__
    wrapped.__doc__ = command.__doc__
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def gates(strict: str) -> list[str]:
    """Codes and severities that `--strict` names."""
    return [code.strip() for code in strict.split(",") if code.strip()]


def hear_of_walks(paths: Sequence[str]) -> None:
    """Have long walks over files tell how far they are, if a path is a folder to be walked."""
    if any(map(os.path.isdir, paths)):
        from scalefit.cli.progress import hear

        hear()


def settings_of(given: dict[str, Any]) -> "Settings":
    """Settings from the config file, if one is named, with the flags on top."""
    # Here, since whoever asks for help needs no settings.
    from scalefit.config import Settings, load

    if given.get("strict") is not None:
        from scalefit.pipeline.commands import require_gates

        # A misspelt gate is told before the work, and not after it.
        require_gates(gates(given["strict"]))
    base = load(given["config"]) if given["config"] is not None else Settings()
    hear_of_walks([given["runs"] or base.runs.path])
    runs = _over(
        base.runs,
        path=given["runs"],
        columns=dict(base.runs.columns) | _pairs(given["col"], "--col") or None,
        where=given["where"],
        na=tuple(given["na"]) if given["na"] else None,
        last=given["last"],
        smooth=given["smooth"],
        drop_diverged=given["drop_diverged"],
        reader=given["reader"],
        remote=given["remote"],
    )
    fit = _over(
        base.fit,
        laws=_laws(base, given["law"], given["x"]),
        objective=given["objective"],
        fix=dict(base.fit.fix)
        | {k: _number(v, "--fix") for k, v in _pairs(given["fix"], "--fix").items()}
        or None,
        bound=dict(base.fit.bound)
        | {k: _range(v) for k, v in _pairs(given["bound"], "--bound").items()}
        or None,
        solver=given["solver"],
    )
    sure = _over(
        base.uncertainty,
        name=given["interval"],
        level=given["level"],
        draws=given["draws"],
        cluster=given["cluster"],
    )
    settings: Settings = _over(
        replace(base, runs=runs, fit=fit, uncertainty=sure),
        seed=given["seed"],
        jobs=given["jobs"],
        allow_unconverged=given["allow_unconverged"],
    )
    if settings.seed < 0:
        raise InputError(f"seed is {settings.seed}, must be zero or more")
    if settings.jobs < 1:
        raise InputError(f"jobs is {settings.jobs}, must be one or more")
    _refuse_beside_saved(given, settings.runs.path)
    require_output(given, settings.runs.path, given["config"])
    return settings


def require_output(given: dict[str, Any], *inputs: str | Path | None) -> None:
    """Refuse, before the work, an output that cannot be written or would take an input's place.

    Raises:
        InputError: it would, or no format has its suffix.
        OutputError: it cannot be written.
    """
    if given["out"] is not None:
        from scalefit.tables.reports import require_place

        require_place(given["out"], inputs, folder=given["folder"])


_SETTLED = (
    "col", "where", "na", "last", "smooth", "drop_diverged", "reader", "remote", "x", "objective",
    "fix", "bound", "solver", "interval", "level", "draws", "cluster", "seed",
)  # fmt: skip


def _refuse_beside_saved(given: dict[str, Any], path: str) -> None:
    """Refuse flags that a saved fit has settled already.

    Raises:
        InputError: one is given.
    """
    from scalefit.pipeline.commands import is_saved

    flags = [f"--{name.replace('_', '-')}" for name in _SETTLED if given[name] not in (None, [])]
    if flags and is_saved(path):
        raise InputError(
            f"{', '.join(flags)} cannot change a fit that is saved",
            "leave it out, or name the table of runs to fit anew",
        )


def _over(base: Any, **given: Any) -> Any:
    return replace(base, **{k: v for k, v in given.items() if v is not None})


def _laws(
    base: "Settings", names: list[str] | None, x: str | None
) -> "tuple[LawChoice, ...] | None":
    from scalefit.config import LawChoice

    if names:
        return tuple(LawChoice(name, x or "") for name in names)
    if x:
        chosen = base.fit.laws or (LawChoice("", x),)
        return tuple(replace(law, x=x) for law in chosen)
    return None


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise InputError(f"{option} {text!r} is not NAME=VALUE")
        if name.strip() in pairs:
            raise InputError(
                f"{option}: {name.strip()} is given twice",
                "give each point its own --at" if option == "--at" else "give it once",
            )
        pairs[name.strip()] = value.strip()
    return pairs


def _number(text: str, option: str) -> float:
    try:
        return parse_human(text)
    except InputError as error:
        raise InputError(f"{option}: {error}", error.hint) from None


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    if not colon:
        raise InputError(f"--bound: {text!r} is not LOW:HIGH", "write --bound alpha=0.1:0.9")
    return _number(low, "--bound"), _number(high, "--bound")


def points(given: list[str] | None) -> tuple[dict[str, float], ...]:
    """Points of `--at N=7B,D=1.4T`."""
    found = []
    for text in given or ():
        pairs = _pairs(text.split(","), "--at")
        found.append({role: _number(value, "--at") for role, value in pairs.items()})
    return tuple(found)


def numbers(given: list[str] | None, option: str) -> tuple[float, ...]:
    """Numbers of a repeatable option.

    Raises:
        InputError: one is no number.
    """
    for text in given or ():
        if "," in text:
            raise InputError(f"{option}: {text!r} is not one number", f"give each its own {option}")
    return tuple(_number(text, option) for text in given or ())
