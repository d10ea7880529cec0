"""Which column plays which role, in which unit, and what can be derived from the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from scalefit.core import flops
from scalefit.core.errors import InputError, nearest
from scalefit.core.notes import Note
from scalefit.core.numbers import human, shown
from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.tables import units
from scalefit.tables.doubts import (
    BITS_PER_BYTE,
    COMPUTE_NOT_6ND,
    INPUT_DERIVED,
    ROLE_AMBIGUOUS,
    UNIT_CONVERTED,
)


@dataclass(frozen=True)
class Role:
    """What a column can be to a law.

    Attributes:
        name: As the contract writes it.
        meaning: In words.
        unit: Of the values once they are read; empty where there is none.
        aliases: Column names taken for it unasked, the likeliest first, folded when compared.
        words: Pieces of names that hint at it, for messages only.
        text: Whether its cells are labels, not numbers.
    """

    name: str
    meaning: str
    unit: str = ""
    aliases: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    text: bool = False


NON_EMBEDDING = (
    "params_nonembed", "params_no_embed", "params_non_embed", "params_non_embedding",
    "non_embedding_params", "non_embedding_parameters", "N_ne", "N_nonembed", "n_nonembed",
    "num_non_embedding_params", "n_params_non_embedding", "scaling_params",
)  # fmt: skip
ACTIVE = ("params_active", "active_params", "activated_params", "num_active_params", "N_active")
TOTAL = (
    "params_total", "total_params", "params_all", "n_params_all", "total_parameter_count",
    "total_parameters", "num_total_params", "N_total",
)  # fmt: skip

ROLES: Mapping[str, Role] = {
    role.name: role
    for role in (
        Role("N", "model parameters", "parameters", (
            "params", "n_params", "num_params", "parameter_count", "n_parameters",
            "num_parameters", "param_count", "model_params", "model_parameters",
            "model_num_parameters", "parameters", *TOTAL, *NON_EMBEDDING, *ACTIVE,
            "model_size", "size",
        ), ("param", "size")),
        Role("D", "training tokens", "tokens", (
            "tokens", "n_tokens", "num_tokens", "tokens_seen", "total_tokens", "tokens_trained",
            "train_tokens", "training_tokens", "consumed_tokens", "num_input_tokens_seen",
            "n_train_tokens",
            "throughput/total_tokens", "trained_tokens", "token_count", "n_tokens_seen",
            "num_train_tokens", "pretraining_tokens", "pretraining_data_size",
        ), ("token", "data", "sample", "example", "character")),
        Role("C", "training compute", "FLOP", (
            "flops", "flop", "train_flops", "training_flops", "total_flops", "total_flos",
            "compute", "flops_budget", "compute_budget", "train_compute", "training_compute",
            "budget", "throughput/total_flops", "flops_used", "flops_6nd", "C_6ND",
        ), ("flop", "compute", "gmac", "budget")),
        Role("L", "final loss", "nats per token", (
            "val_loss", "validation_loss", "eval_loss", "test_loss", "loss_validation", "loss",
            "final_loss", "final_val_loss", "final_validation_loss", "final_eval_loss",
            "best_val_loss", "lm_loss", "CE_loss", "CrossEntropyLoss", "train/CE_loss",
            "loss_metrics/global_avg_loss", "validation_metrics/loss", "valid_loss", "dev_loss",
            "heldout_loss", "train_loss", "training_loss", "eval/CE_loss", "val_CE_loss", "nll",
            "val_nll", "cross_entropy", "val_cross_entropy", "cross_entropy_loss",
            "validation_cross_entropy", "validation_cross_entropy_loss", "val_ce", "eval_ce",
            "bpb", "val_bpb", "eval_bpb",
            "bits_per_byte", "bpc", "bits_per_char", "bits_per_token", "ppl", "val_ppl",
            "eval_ppl", "test_ppl", "perplexity", "val_perplexity", "eval_perplexity", "log_ppl",
            "log_perplexity",
        ), ("loss", "bpb", "ppl", "perplexity", "error")),
        Role("run", "name of the run", "", ("run_name", "run_id", "Name", "model_tag"),
             ("run", "name", "model"), text=True),
        Role("seed", "random seed", "", ("random_seed",), ("seed",), text=True),
        Role("group", "group of runs", "", ("family", "dataset", "architecture", "data"),
             ("group", "family", "dataset", "subset"), text=True),
        Role("step", "training step", "steps", (
            "_step", "global_step", "iteration", "iter", "train_steps",
        ), ("step", "iter")),
        Role("weight", "row weight", "", ("weights", "row_weight"), ("weight",)),
        # A standard deviation is no standard error, so loss_std waits for an explicit word.
        Role("loss_se", "standard error of the loss", "nats per token", (
            "stderr", "loss_stderr", "acc_stderr,none",
        ), ("stderr", "std", "_se")),
        Role("tries", "settings tried for this row", "", (
            "n_tries", "num_tries", "trials", "n_trials", "num_trials",
        ), ("tries", "trial")),
        Role("status", "how the run ended", "", ("run_status", "run_state", "State"),
             ("status", "state"), text=True),
        Role("schedule_done", "whether the loss was read after the whole schedule", "", (
            "decay_done", "annealed", "fully_decayed",
        ), ("schedule", "decay"), text=True),
        Role("U", "unique tokens", "tokens", ("unique_tokens",), ("unique",)),
        Role("lr", "learning rate", "", (
            "learning_rate", "optimizer.learning_rate", "peak_lr", "max_lr",
        ), ("lr", "learning")),
        # Batch sizes are as often in sequences, so only names that say tokens are taken.
        Role("batch", "tokens per step", "tokens", (
            "batch_tokens", "tokens_per_batch", "tokens_per_step",
        ), ("batch", "bs")),
        Role("width", "model width", "", (
            "d_model", "hidden_size", "hidden_dim", "model_dim", "n_embd", "embed_dim",
        ), ("width", "dim", "hidden")),
        Role("depth", "number of layers", "", (
            "n_layers", "num_layers", "n_layer", "num_hidden_layers", "num_blocks",
        ), ("depth", "layer")),
        Role("x", "input of a bare curve"),
    )
}  # fmt: skip

# Without these a row says nothing about a law, so a blank in them leaves the row out.
CORE = ("N", "D", "C", "L", "x")
# Any of these is something for a law to go by.
BUDGETED = ("N", "D", "C")
# What else is chosen for a run beside its scale: runs that differ in it are no repeats.
ALSO_SET = ("U", "lr", "batch", "width", "depth", "group")
_SAME_AS_L = ("loss", "y")
_SPLIT = ("train", "val", "eval", "test")
# Counts that are large enough to be written in millions or more.
COUNTS = ("N", "D", "C", "U", "batch")


@dataclass(frozen=True, eq=False)
class Assignment:
    """Roles and the columns that play them.

    Attributes:
        columns: Role to column name.
        asked: Roles that were named by the user.
        notes: Doubts about the mapping.
    """

    columns: Mapping[str, str]
    asked: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()


_UNFOLDED = str.maketrans("", "", "_-/.# ")


def fold(name: str) -> str:
    """`name` without case, underscores, dashes, slashes, dots, number signs and spaces.

    >>> fold("throughput/Total Tokens")
    'throughputtotaltokens'
    """
    return name.translate(_UNFOLDED).casefold()


def flag(role: str, column: str) -> str:
    """The words to type to map `column` to `role`.

    >>> flag("L", "CE loss")
    "--col 'L=CE loss'"
    """
    import shlex

    return f"--col {shlex.quote(f'{role}={shown(column)}')}"


def assign(names: Sequence[str], asked: Mapping[str, str] | None = None) -> Assignment:
    """The role of each column: as asked, else by an exact role name, else by one known alias.

    Args:
        names: Column names of the source.
        asked: Role to column name; `loss` and `y` are other names of the role `L`.

    Raises:
        InputError: a column that was asked for does not exist, or several fit a role that a
            fit needs.
    """
    chosen = _asked(names, asked or {})
    notes: list[Note] = []
    # Whoever maps x fits a bare curve; other inputs must not get in its way.
    unasked = ("N", "D", "C") if "x" in chosen else ()
    found: dict[str, str] = dict(chosen)
    for role in ROLES.values():
        if role.name in chosen or role.name in unasked:
            continue
        hits = _hits(role, names)
        if len(hits) == 1:
            found[role.name] = hits[0]
        elif hits and role.name in (*CORE, "run", "weight"):
            listed = ", ".join(repr(shown(hit)) for hit in hits)
            raise InputError(
                f"{len(hits)} columns could be {role.name} ({role.meaning}): {listed}",
                f"choose one: {flag(role.name, hits[0])}",
            )
        elif hits:
            listed = ", ".join(repr(shown(hit)) for hit in hits)
            notes.append(ROLE_AMBIGUOUS.note(f"{listed} could each be {role.name}; none is used"))
    return Assignment(found, frozenset(chosen), tuple(notes))


def find(name: str, names: Sequence[str], why: str) -> str:
    """`name` if it is among `names`.

    Raises:
        InputError: it is not; the hint has the nearest. `why` begins the hint, such as `--keep`.
    """
    if name in names:
        return name
    raise InputError(f"there is no column {shown(name)!r}", _near(name, names, why))


def missing(role: str, names: Sequence[str]) -> InputError:
    """The error that no column plays `role`, with those of the columns `names` that might."""
    if role in names and role not in ROLES:
        return InputError(
            f"{shown(role)} is a column, but an input is named by the role that a column plays",
            f"type {flag('x', role)}",
        )
    part = ROLES.get(role, Role(role, "an input of the law"))
    likely = hinted(role, names)
    alike = [name for name in names if name.casefold() == role.casefold()]
    candidates = list(dict.fromkeys([*alike, *likely]))
    message = f"no column plays the role {role} ({part.meaning})"
    if candidates:
        listed = ", ".join(repr(shown(name)) for name in candidates[:5])
        return InputError(f"{message}; perhaps {listed}", f"type {flag(role, candidates[0])}")
    if not names:
        return InputError(message, f"add one, and call it {role}")
    listed = ", ".join(shown(name, 40) for name in names[:8])
    return InputError(message, f"type --col {role}=NAME with one of: {listed}")


def hinted(role: str, names: Sequence[str]) -> list[str]:
    """The columns whose names hint at a role, or at an input of a law that is called so."""
    words = ROLES[role].words if role in ROLES else (role.casefold(),)
    return [name for name in names if any(word in name.casefold() for word in words)]


def inputs_to_map(unread: Sequence[str], present: Collection[str]) -> str:
    """What to type where no column plays an input: the likely columns, else which others there are.

    Args:
        unread: Names of columns of numbers that play no role.
        present: Roles that are played.
    """
    likely = {role: hinted(role, unread) for role in BUDGETED}
    words = " ".join(flag(role, found[0]) for role, found in likely.items() if found)
    others = curve_inputs(present)
    along = f", or take a curve of another with --x {others[0]}" if others else ""
    return f"map one, such as {words or '--col N=NAME'}{along}"


def curve_inputs(present: Collection[str]) -> list[str]:
    """Roles other than N, D, C and x along which a loss may run as a curve, likeliest first."""
    return [role for role in ("step", "U", "lr", "batch", "width", "depth") if role in present]


def convert(
    role: str, column: str, values: Array, stated: str | None = None
) -> tuple[Array, str, tuple[Note, ...]]:
    """Values in the unit that scalefit works in, as far as the column's name says its own.

    Args:
        role: What the column is.
        column: Its name in the source.
        values: As read, shape (rows,).
        stated: The unit if the source itself states it, as a table from `scalefit ingest` does.

    Returns:
        The values, shape (rows,), their unit, and a note if anything was changed or kept.
    """
    if stated is not None:
        return values, stated, ()
    if role in COUNTS:
        factor = units.split(column)[1]
        unit = ROLES[role].unit
        if factor == 1:
            return values, unit, ()
        told = f"column {shown(column)!r} was multiplied by {factor:.10g} to give {unit}"
        return values * factor, unit, (UNIT_CONVERTED.note(told),)
    if role == "L":
        return _converted_loss(column, values)
    return values, ROLES[role].unit if role in ROLES else "", ()


def _converted_loss(column: str, values: Array) -> tuple[Array, str, tuple[Note, ...]]:
    unit = units.loss_unit(column)
    if unit is units.NATS:
        return values, unit.name if _is_loss(column) else "", ()
    doubt = BITS_PER_BYTE if unit in units.KEPT else UNIT_CONVERTED
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = unit.turn(values)
    return turned, unit.name, (doubt.note(f"column {shown(column)!r} {unit.words}"),)


def derive(values: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, str]]:
    """What is missing of N, D and C: D from steps and batch, then one of the three by C = 6 N D.

    Returns:
        Each derived role with its values, and with its rule; both empty where nothing is missing
        or too much is. What is given is never overwritten.

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """
    found: dict[str, Array] = {}
    told: dict[str, str] = {}
    with np.errstate(all="ignore"):
        for role, needs, rule, from_them in _RULES:
            known = {**values, **found}
            if role not in known and all(need in known for need in needs):
                found[role] = from_them(*(known[need] for need in needs))
                told[role] = rule
    return found, told


# In this order: what was counted comes before what is only approximated.
_RULES: tuple[tuple[str, tuple[str, ...], str, Callable[..., Array]], ...] = (
    ("D", ("N", "step", "batch"), "steps x tokens per step", lambda _, step, batch: step * batch),
    ("C", ("N", "D"), "6ND", flops.six_nd),
    ("N", ("C", "D"), "6ND", lambda C, D: C / (flops.PER_PARAMETER_TOKEN * D)),
    ("D", ("C", "N"), "6ND", lambda C, N: C / (flops.PER_PARAMETER_TOKEN * N)),
)


def derivable(given: Collection[str]) -> dict[str, str]:
    """What `derive` would give from columns of these roles: each role with its rule."""
    told: dict[str, str] = {}
    for role, needs, rule, _ in _RULES:
        known = {*given, *told}
        if role not in known and known.issuperset(needs):
            told[role] = rule
    return told


def derivations(rules: Mapping[str, str]) -> tuple[Note, ...]:
    """A note for each of N and D that no column gives, with the rule it was derived by."""
    return tuple(
        INPUT_DERIVED.note(f"no column plays {role} ({ROLES[role].meaning}); derived by {rule}")
        for role, rule in rules.items()
        if role != "C"
    )


def against_6nd(N: Array, D: Array, C: Array) -> tuple[Note, ...]:
    """A note if the given compute is not 6 N D within 20 % in the median row."""
    ratio, off = flops.against_six_nd(N, D, C)
    if ratio == 1:
        return ()
    times = human(ratio)
    return (
        COMPUTE_NOT_6ND.note(
            f"C is {times} times 6ND in the median row (|C/6ND - 1| = {human(off)}): with a law of "
            f"N and D, budgets and distances are counted as 6ND, so divide a budget counted "
            f"like C by {times}; a law of C alone takes C as given"
        ),
    )


def size_definition(column: str) -> str:
    """What a column's name says of N: `non-embedding`, `active`, `total` or `unknown`."""
    base = fold(units.split(column)[0])
    for names, what in ((NON_EMBEDDING, "non-embedding"), (ACTIVE, "active"), (TOTAL, "total")):
        if base in {fold(name) for name in names}:
            return what
    return "unknown"


def _asked(names: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for given, column in asked.items():
        role = "L" if given in _SAME_AS_L else given
        if role not in ROLES and role.casefold() in {known.casefold() for known in ROLES}:
            right = next(known for known in ROLES if known.casefold() == role.casefold())
            raise InputError(f"there is no role {role!r}", f"did you mean {flag(right, column)}?")
        if not role.isidentifier():
            raise InputError(f"{shown(role)!r} cannot be a role", f"roles: {', '.join(ROLES)}")
        if role in chosen:
            raise InputError("the role L is mapped twice", "give one --col L=NAME")
        chosen[role] = find(column, names, f"--col {role}=")
    return chosen


def _hits(role: Role, names: Sequence[str]) -> list[str]:
    if role.name in names:
        return [role.name]
    rank = {fold(alias): place for place, alias in reversed(list(enumerate(role.aliases)))}
    # Case tells single letters apart (D is tokens, d is anything), so those are never folded.
    rank |= {fold(role.name): -1} if len(role.name) > 1 else {}
    bases = {name: _base(role, name) for name in names}
    exact = [name for name in names if bases[name] == role.name]
    if exact:
        return exact
    hits = sorted(
        (n for n in names if fold(bases[n]) in rank), key=lambda n: (rank[fold(bases[n])], n)
    )
    if role.name != "L":
        return hits
    split = [hit for hit in hits if any(word in hit.casefold() for word in _SPLIT)]
    if "loss" in names and not split:
        return ["loss"]
    return hits or (["y"] if "x" in names and "y" in names else [])


def _base(role: Role, name: str) -> str:
    """The name without the unit that such a role may have in it."""
    if role.name == "L":
        return units.without_loss_unit(name)
    # Bare TFLOPs are mostly a speed, and no speed is the compute of a run.
    if role.name not in COUNTS or units.is_rate(name) or fold(name).startswith(("tflop", "teraf")):
        return name
    return units.split(name)[0]


def _is_loss(column: str) -> bool:
    known = {fold(alias) for alias in (*ROLES["L"].aliases, "L")}
    return fold(units.without_loss_unit(column)) in known or "loss" in column.casefold()


def _near(name: str, names: Sequence[str], why: str) -> str:
    same = [known for known in names if fold(known) == fold(name)]
    near = same[0] if same else nearest(name, names)
    if near:
        import shlex

        return f"did you mean {why}{shlex.quote(shown(near))}?"
    return f"columns: {', '.join(shown(known, 40) for known in names[:8])}"
