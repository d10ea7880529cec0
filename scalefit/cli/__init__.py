"""The door: words to arguments, and an error is one line. Nothing heavy is imported here."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from scalefit.cli.options import (
    gates,
    hear_of_walks,
    numbers,
    points,
    require_output,
    settings_of,
    shares_data_options,
    shares_folder_options,
    shares_options,
    shares_table_options,
)
from scalefit.core.errors import GateFailed, InputError, ScalefitError
from scalefit.core.records import replace

_ALL_DOUBTS = "--strict=warning,refusal"


class _Commands(typer.core.TyperGroup):
    """Commands whose `--strict` may stand alone: then it means every warning and refusal."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with a lone --strict written out."""
        whole = [_ALL_DOUBTS if word == "--strict" else word for word in args]
        return super().parse_args(ctx, whole)


app = typer.Typer(
    cls=_Commands,
    help="Fit neural scaling laws, say how sure one may be, refuse what the data cannot support.",
    epilog="Start with: scalefit check RUNS, then scalefit report RUNS -o FOLDER.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
laws_app = typer.Typer(
    help="The library of laws.", no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip
app.add_typer(laws_app, name="laws")
_CLOSED_PIPE = 141


@app.callback(invoke_without_command=True)
def front(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Fit neural scaling laws, say how sure one may be, refuse what the data cannot support."""
    if version:
        from scalefit import __version__

        typer.echo(f"scalefit {__version__}")
        raise typer.Exit


@app.command()
@shares_options
def fit(
    given: dict[str, Any],
    by: Annotated[
        str | None,
        typer.Option(help="Column of groups to fit one by one; Ctrl-C keeps what is done."),
    ] = None,
) -> None:
    """Fit laws to runs: parameters, intervals, and a certificate of convergence.

    Example: scalefit fit data/chinchilla-subset/runs.csv --law chinchilla
    """
    from scalefit.pipeline import commands

    settings = settings_of(given)
    if by is None:
        _deliver(commands.fit(settings), given)
        return
    from scalefit.cli.progress import watching

    with watching("groups") as watch:
        outcome = commands.fit_groups(settings, by, watch)
    _deliver(outcome, given)


@app.command()
@shares_options
def compare(
    given: dict[str, Any],
    holdout: Annotated[
        str | None,
        typer.Option(metavar="COLUMN=VALUE", help="Rows to hold out; laws are scored on them."),
    ] = None,
    rank: Annotated[
        str, typer.Option(help="Rank by aicc, or by extrapolation: forecasts of larger budgets.")
    ] = "aicc",
    tests: Annotated[
        bool, typer.Option("--tests", help="Also test laws against each other; takes longer.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(help="Column of groups to fit and score one by one.")
    ] = None,
) -> None:
    """Rank laws on the same runs; without --law all that suit the columns.

    Example: scalefit compare data/chinchilla-subset/runs.csv --law chinchilla --law kaplan
    """
    from scalefit.pipeline import commands

    settings = settings_of(given)
    if by is not None and holdout is None:
        raise InputError("--by needs rows to score on", "add --holdout COLUMN=VALUE")
    if holdout is not None:
        _deliver(commands.hold_out(settings, holdout, by or ""), given)
    else:
        _deliver(commands.compare(settings, rank, tests=tests), given)


@app.command()
@shares_options
def rollout(given: dict[str, Any]) -> None:
    """Go back to each earlier stage of the runs: what would have been predicted, did it cover?

    Example: scalefit rollout data/chinchilla-subset/runs.csv --law auto
    """
    from scalefit.pipeline import commands

    _deliver(commands.rollout(settings_of(given)), given)


@app.command()
@shares_options
def predict(
    given: dict[str, Any],
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="N=7B,D=1.4T", help="A point to predict at; may be repeated."),
    ] = None,
    at_file: Annotated[
        Path | None, typer.Option(help="Table of points, one column per input.")
    ] = None,
    i_know: Annotated[
        bool, typer.Option("--i-know", help="Answer further out than the data span.")
    ] = False,
) -> None:
    """Predict the loss at points, with intervals and the distance beyond the data.

    Example: scalefit predict data/chinchilla-subset/runs.csv --at N=7B,D=1.4T
    """
    from scalefit.pipeline import commands

    settings = settings_of(given)
    asked = points(at)
    if at_file is not None:
        require_output(given, at_file)
        asked += commands.points_of(at_file)
    if asked:
        settings = replace(settings, predict=replace(settings.predict, at=asked))
    _deliver(commands.predict(replace(settings, i_know=i_know)), given)


@app.command()
@shares_options
def optimum(
    given: dict[str, Any],
    budget: Annotated[
        list[str] | None, typer.Option(help="Training FLOP, as 1e22; may be repeated.")
    ] = None,
    waste: Annotated[
        float | None, typer.Option(help="Share of compute a near-optimal N may waste.  [0.01]")
    ] = None,
    i_know: Annotated[
        bool, typer.Option("--i-know", help="Answer further out than the data span.")
    ] = False,
) -> None:
    """Compute-optimal model size and token count for budgets, with intervals.

    Example: scalefit optimum data/chinchilla-subset/runs.csv --budget 1e22 --budget 1e23
    """
    from scalefit.pipeline import commands

    settings = settings_of(given)
    asked = numbers(budget, "--budget")
    best = settings.optimum
    best = replace(
        best,
        budgets=asked or best.budgets,
        waste=best.waste if waste is None else waste,
    )
    _deliver(commands.optimum(replace(settings, optimum=best, i_know=i_know)), given)


@app.command()
@shares_options
def check(
    given: dict[str, Any],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Exit 1 on this finding, or on any: warning, note."),
    ] = None,
) -> None:
    """Examine a table of runs: columns, ranges, and what may mislead a fit.

    Example: scalefit check data/chinchilla-subset/runs.csv
    """
    from scalefit.pipeline import commands

    # A misspelt gate is told before the work, and not after it.
    commands.require_gates(fail_on or [])
    outcome = commands.check(settings_of(given))
    _deliver(outcome, given)
    hit = commands.failing(outcome, fail_on or [])
    if hit:
        raise GateFailed(f"found {', '.join(hit)}", "scalefit explain " + hit[0])


@app.command()
@shares_data_options
def columns(given: dict[str, Any]) -> None:
    """Which column plays which role, as TOML to paste into a config.

    Example: scalefit columns data/chinchilla-subset/runs.csv
    """
    from scalefit.pipeline import reading
    from scalefit.tables.reports.json import document_text

    text, document = reading.columns(settings_of(given))
    sys.stdout.write(document_text(document) if given["json"] else text)


@app.command()
@shares_table_options
def ingest(
    given: dict[str, Any],
    paths: Annotated[
        list[str], typer.Argument(help="Tables or folders of runs, joined in this order.")
    ],
    keep: Annotated[list[str] | None, typer.Option(help="A further column to carry along.")] = None,
) -> None:
    """Join runs of any format into one table, with roles as columns and units in its metadata.

    Example: scalefit ingest data/chinchilla-subset/runs.csv -o runs.parquet
    """
    from scalefit.pipeline import reading
    from scalefit.tables.reports import write

    if given["out"] is None:
        raise InputError("no file is named for the table", "add -o runs.parquet")
    hear_of_walks(paths)
    require_output(given, *paths)
    made = reading.ingest(settings_of(given), paths, keep or [])
    write(made, given["out"])
    typer.echo(f"wrote {given['out']}", err=True)
    _show(made, given["json"])


@app.command()
@shares_folder_options
def report(
    given: dict[str, Any],
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="N=7B,D=1.4T", help="A point to predict at; may be repeated."),
    ] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="Training FLOP, as 1e22; may be repeated.")
    ] = None,
    i_know: Annotated[
        bool, typer.Option("--i-know", help="Answer further out than the data span.")
    ] = False,
) -> None:
    """Write the whole story into a folder: report.html, tables, figures, JSON.

    Example: scalefit report data/chinchilla-subset/runs.csv -o results
    """
    from scalefit.pipeline import commands

    settings = settings_of(given)
    asked, budgets = points(at), numbers(budget, "--budget")
    if asked:
        settings = replace(settings, predict=replace(settings.predict, at=asked))
    if budgets:
        settings = replace(settings, optimum=replace(settings.optimum, budgets=budgets))
    outcome = commands.report(replace(settings, i_know=i_know))
    written = commands.write_report(outcome, given["out"])
    if given["json"]:
        _print_json(outcome)
    else:
        _print(outcome.report)
    typer.echo(f"The report lies in {written}", err=True)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
    _hold_to(outcome, given["strict"])


@laws_app.command("list")
def laws_list(
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Every law with its formula and source.

    Example: scalefit laws list
    """
    from scalefit.pipeline import commands

    _show(commands.laws_section(), json)


@laws_app.command("show")
def laws_show(
    name: Annotated[str, typer.Argument(help="Name of a law.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """One law whole: parameters, ranges, source.

    Example: scalefit laws show chinchilla
    """
    from scalefit.pipeline import commands

    _show(commands.laws_section([name]), json)


@laws_app.command("new")
def laws_new(
    name: Annotated[str, typer.Argument(help="Name of the new law, such as my-law.")],
) -> None:
    """Write NAME.toml, a law as text to begin from.

    Example: scalefit laws new my-law
    """
    from scalefit.pipeline import lawfiles

    typer.echo(f"wrote {lawfiles.new(name)}", err=True)


@laws_app.command("test")
def laws_test(
    name: Annotated[str, typer.Argument(help="FILE.toml, or a law of the library.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Try on one law what every law promises; exit code 1 if a promise is broken.

    Example: scalefit laws test chinchilla
    """
    from scalefit.pipeline import lawfiles

    outcome = lawfiles.test(name)
    _show(outcome.report, json)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="Code of a note, such as at-bound.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """What a note means and what helps.

    Example: scalefit explain at-bound
    """
    from scalefit.pipeline import commands

    _show(commands.explain(code), json)


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="Name of a document, such as fit or predict.")],
) -> None:
    """JSON Schema of the document that a command prints with --json.

    Example: scalefit schema fit
    """
    from scalefit.pipeline.schemas import schema_of
    from scalefit.tables.reports.json import document_text

    sys.stdout.write(document_text(schema_of(name), indent=2) + "\n")


def _show(story: Any, json: bool) -> None:
    if json:
        _print_document(story)
    else:
        _print(story)


def _deliver(outcome: Any, given: dict[str, Any]) -> None:
    """Write what was asked for to where it was asked for, words to the terminal."""
    from scalefit.pipeline import commands

    if given["out"] is not None:
        path = commands.write_outcome(outcome, given["out"])
        typer.echo(f"wrote {path}", err=True)
    if given["json"]:
        _print_json(outcome)
    elif given["out"] is None:
        _print(outcome.report)
    else:
        for note in commands.doubts_of(outcome):
            typer.echo(f"{note.severity} {note.code}: {note.message}", err=True)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
    _hold_to(outcome, given["strict"])


def _hold_to(outcome: Any, strict: str | None) -> None:
    """Exit 1 if a note has a code or severity that `--strict` names.

    Raises:
        GateFailed: one has.
    """
    if strict is None:
        return
    from scalefit.pipeline import commands

    hit = commands.failing(outcome, gates(strict))
    if hit:
        raise GateFailed(f"--strict found {', '.join(hit)}", "scalefit explain " + hit[0])


def _print(story: Any) -> None:
    from scalefit.cli.terminal import show

    show(story, stream=sys.stdout)


def _print_json(outcome: Any) -> None:
    _print_document(outcome.report)


def _print_document(story: Any) -> None:
    from scalefit.tables.reports.json import document_text

    sys.stdout.write(document_text(story.document))


def _ended(number: int, _frame: object) -> None:
    """Leave by an exception, so that whoever holds processes or files lets go of them."""
    sys.exit(128 + number)


def _why(error: OSError) -> str:
    return error.strerror or "it is closed"


def main() -> None:
    """Run the command line; errors of ours become at most three lines on standard error."""
    # The fits are many small ones: threads of a BLAS only get in each other's way.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    signal.signal(signal.SIGTERM, _ended)
    if sys.stdout is None:
        # Closed before we began: a stand-in that refuses each write, and keeps the place of the
        # descriptor from any file that is opened later.
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    try:
        try:
            app()
        finally:
            if sys.stdout.writable():
                sys.stdout.flush()
    except ScalefitError as error:
        typer.echo(f"error: {error}", err=True)
        if error.hint:
            typer.echo(f"  {error.hint}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader has left, as `head` does; nothing is lost that anybody waited for.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_CLOSED_PIPE)
    except OSError as error:
        # Files are read and written under their names; what has none is a stream.
        if error.filename is not None:
            raise
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        typer.echo(f"error: standard output could not be written: {_why(error)}", err=True)
        typer.echo("  send it elsewhere, or write a file with -o", err=True)
        sys.exit(4)
    except MemoryError:
        typer.echo("error: not enough memory for these runs and refits", err=True)
        typer.echo("  fewer --draws, or fewer rows with --where, need less", err=True)
        sys.exit(3)
