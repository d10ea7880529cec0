"""Row filters such as `loss < 4 and state == 'finished'`: parsed here, never run by Python."""

from __future__ import annotations

import ast
import keyword
import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.numbers import human, parse_human, shown
from scalefit.core.records import dataclass
from scalefit.tables.arrays import Mask
from scalefit.tables.readers.cells import number

LONGEST = 2000
DEEPEST = 50
MOST_NODES = 200

# Values of a column: float64, or str in an object array.
if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_TRUTH = {"true": True, "false": False}
_PIECES = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`"""
_HUMAN = r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[A-Za-z]+(?![\w.])"
_REPLACED = f"{_PIECES}|{_HUMAN}"
_ALLOWED = (
    "use comparisons, and, or, not, in, numbers, quoted words and column names, odd ones in "
    "back-ticks"
)
_NAMED = 5


@dataclass(frozen=True)
class Filter:
    """A condition that was checked.

    Attributes:
        text: As it was written.
        tree: Its only expression, made of allowed nodes.
        names: What each identifier of `tree` stands for, with back-ticks resolved.
    """

    text: str
    tree: ast.expr
    names: Mapping[str, str]


def parse(text: str) -> Filter:
    """The condition that `text` spells.

    Raises:
        InputError: it is too long, too deep, or holds anything but comparisons, `and`, `or`,
            `not`, `in`, numbers, quoted words, True, False and column names.
    """
    if len(text) > LONGEST:
        raise InputError(f"--where has {len(text)} letters, more than {LONGEST}", "shorten it")
    plain, ticked, human = _stood_in(text)
    _refuse_depth(re.sub(_PIECES, "", plain))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(plain.strip(), mode="eval").body
        tree = _Spelled(human).visit(tree)
    except SyntaxError as error:
        hint = "write == to compare" if re.search(r"[^=<>!]=[^=]", plain) else _ALLOWED
        raise _refusal(text, (error.offset or 1) - 1, "is not understood", hint) from None
    except (ValueError, RecursionError, MemoryError):
        raise InputError("--where is not understood", _ALLOWED) from None
    nodes = list(ast.walk(tree))
    if len(nodes) > MOST_NODES:
        raise InputError(f"--where has {len(nodes)} parts, more than {MOST_NODES}", "shorten it")
    lead = len(plain) - len(plain.lstrip())
    _check_condition(tree, text, lead)
    found = {node.id for node in nodes if isinstance(node, ast.Name)}
    return Filter(text, tree, {name: ticked.get(name, name) for name in sorted(found)})


def column(name: str) -> str:
    """A column's name as a condition writes it.

    >>> column("loss"), column("CE loss"), column("class")
    ('loss', '`CE loss`', '`class`')
    """
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"


def none_of(name: str, words: Collection[str]) -> str:
    """The condition that a column of words holds none of these.

    >>> none_of("run state", ["running"]), none_of("state", ["stopped", "partial"])
    ('`run state` != "running"', 'state not in ("partial", "stopped")')
    """
    quoted = [f'"{word}"' for word in sorted(words)]
    listed = f"!= {quoted[0]}" if len(quoted) == 1 else f"not in ({', '.join(quoted)})"
    return f"{column(name)} {listed}"


def flag(condition: str) -> str:
    """The words to type for a condition.

    >>> flag("loss < 4")
    "--where 'loss < 4'"
    """
    import shlex

    return f"--where {shlex.quote(condition)}"


def matches(condition: Filter, columns: Mapping[str, Values]) -> Mask:
    """Which rows meet the condition, shape (rows,).

    Args:
        condition: From `parse`.
        columns: Values of every column that `condition.names` has: float64, or text, which
            compares as numbers or truth values where all of it spells such.

    Raises:
        InputError: words are compared with numbers.
    """
    values = {name: columns[column] for name, column in condition.names.items()}
    rows = len(next(iter(values.values()))) if values else 0
    return _mask(condition.tree, values, condition, rows)


def held(columns: Mapping[str, Values]) -> str:
    """What columns hold, where no row meets a condition: their ends, or their first words.

    >>> held({"loss": np.array([3.0, 2.5])})
    'loss goes from 2.5 to 3'
    """
    told = []
    for name, values in columns.items():
        if (numbers := _as_numbers(values)) is not None and np.isfinite(numbers).any():
            known = numbers[np.isfinite(numbers)]
            told.append(f"{shown(name)} goes from {human(known.min())} to {human(known.max())}")
        else:
            words = [shown(word, 40) for word in dict.fromkeys(map(str, values.tolist()))]
            more = ", ..." * (len(words) > _NAMED)
            told.append(f"{shown(name)} holds {', '.join(map(repr, words[:_NAMED]))}{more}")
    return "; ".join(told)


def _stood_in(text: str) -> tuple[str, dict[str, str], dict[str, float]]:
    """`text` with identifiers as long for names in back-ticks and for numbers such as 7B.

    So positions still hold. The names and the numbers are told by their identifiers.
    """
    mark = next(c for c in "abcdefghijklmnopqrstuvwxyz" if not re.search(rf"\b{c}\d", text))
    names: dict[str, str] = {}
    human: dict[str, float] = {}

    def stand_in(piece: re.Match[str]) -> str:
        word = piece[0]
        name = f"{mark}{len(names) + len(human)}".ljust(len(word), "_")
        if word[0] == "`":
            names[name] = word[1:-1]
        elif word[0] in "'\"":
            return word
        else:
            try:
                human[name] = parse_human(word)
            except InputError:
                # Python's own parser says what is wrong with it, and where.
                return word
        return name

    return re.sub(_REPLACED, stand_in, text), names, human


class _Spelled(ast.NodeTransformer):
    """Puts the numbers in for the identifiers that stand for them."""

    def __init__(self, human: Mapping[str, float]) -> None:
        self.human = human

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The number that the name stands for, or the name."""
        if node.id in self.human:
            return ast.copy_location(ast.Constant(self.human[node.id]), node)
        return node


def _refuse_depth(text: str) -> None:
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    chain = len(re.findall(r"\bnot\b|[-+~]", text))
    if deepest > DEEPEST or chain > MOST_NODES:
        raise InputError(f"--where is nested more than {DEEPEST} deep", "take brackets out")


def _refusal(text: str, at: int, what: str, hint: str = _ALLOWED) -> InputError:
    piece = shown(text[max(at, 0) : max(at, 0) + 30]) or "the end"
    return InputError(f"--where, letter {max(at, 0) + 1}: {piece!r} {what}", hint)


def _check_condition(node: ast.expr, text: str, lead: int, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise InputError(f"--where is nested more than {DEEPEST} deep", "take brackets out")
    match node:
        case ast.BoolOp():
            for part in node.values:
                _check_condition(part, text, lead, depth + 1)
        case ast.UnaryOp(op=ast.Not()):
            _check_condition(node.operand, text, lead, depth + 1)
        case ast.Compare():
            _check_compare(node, text, lead)
        case ast.Name():
            pass
        case _:
            hint = _ALLOWED
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
                hint = "write and, or in words"
            raise _refusal(text, node.col_offset + lead, "is not allowed here", hint)


def _check_compare(node: ast.Compare, text: str, lead: int) -> None:
    _check_value(node.left, text, lead)
    for op, value in zip(node.ops, node.comparators, strict=True):
        if type(op) in _COMPARE:
            _check_value(value, text, lead)
        elif isinstance(op, ast.In | ast.NotIn) and isinstance(value, ast.Tuple | ast.List):
            for item in value.elts:
                if isinstance(item, ast.Name):
                    raise _refusal(text, item.col_offset + lead, "must be in quotes")
                _check_value(item, text, lead)
        else:
            hint = "write in ('a', 'b')" if isinstance(op, ast.In | ast.NotIn) else _ALLOWED
            raise _refusal(text, value.col_offset + lead, "cannot be compared so", hint)
    if not any(isinstance(part, ast.Name) for part in (node.left, *node.comparators)):
        raise _refusal(text, node.col_offset + lead, "names no column")


def _check_value(node: ast.expr, text: str, lead: int) -> None:
    match node:
        case ast.Name() | ast.Constant(value=str() | bool()):
            return
        case (
            ast.Constant(value=int() | float())
            | ast.UnaryOp(
                op=ast.USub() | ast.UAdd(),
                operand=ast.Constant(value=int() | float()),
            )
        ) if _finite(node):
            return
    raise _refusal(text, node.col_offset + lead, "is not allowed here")


def _finite(node: ast.expr) -> bool:
    try:
        return bool(np.isfinite(_constant(node)))
    except (OverflowError, TypeError):
        return False


def _constant(node: ast.expr) -> float | str | bool:
    if isinstance(node, ast.UnaryOp):
        size = _constant(node.operand)
        if isinstance(size, str | bool):
            raise TypeError("only numbers have a sign")
        return -size if isinstance(node.op, ast.USub) else size
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    raise TypeError("not a constant")


def _mask(node: ast.expr, values: Mapping[str, Values], condition: Filter, rows: int) -> Mask:
    match node:
        case ast.BoolOp():
            parts = [_mask(part, values, condition, rows) for part in node.values]
            joined = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return np.asarray(joined.reduce(parts), np.bool_)
        case ast.UnaryOp():
            return ~_mask(node.operand, values, condition, rows)
        case ast.Name():
            return _compare(ast.Eq(), node, ast.Constant(True), values, condition)
    assert isinstance(node, ast.Compare)
    result = np.ones(rows, np.bool_)
    left = node.left
    for op, right in zip(node.ops, node.comparators, strict=True):
        result &= _compare(op, left, right, values, condition)
        left = right
    return result


def _compare(
    op: ast.cmpop, left: ast.expr, right: ast.expr, values: Mapping[str, Values], where: Filter
) -> Mask:
    if isinstance(op, ast.In | ast.NotIn):
        assert isinstance(right, ast.Tuple | ast.List)
        rows = len(next(iter(values.values())))
        hit = np.zeros(rows, np.bool_)
        for item in right.elts:
            hit |= _compare(ast.Eq(), left, item, values, where)
        return hit if isinstance(op, ast.In) else ~hit
    rows = len(next(iter(values.values())))
    one, other = _alike(left, right, values, where)
    return np.broadcast_to(np.asarray(_COMPARE[type(op)](one, other), np.bool_), (rows,)).copy()


def _alike(
    left: ast.expr, right: ast.expr, values: Mapping[str, Values], where: Filter
) -> tuple[Any, Any]:
    """Both sides as numbers, as truth values or as text, whichever the constants ask for."""
    sides: list[Any] = [
        values[n.id] if isinstance(n, ast.Name) else _constant(n) for n in (left, right)
    ]
    kinds = {type(side) for side in sides if not isinstance(side, np.ndarray)}
    wanted = next(iter(kinds)) if len(kinds) == 1 else None
    if len(kinds) > 1:
        raise InputError(f"--where {where.text} compares a word with a number", _ALLOWED)
    if wanted is None:
        both = [_as_numbers(side) for side in sides]
        if all(side is not None for side in both):
            return both[0], both[1]
        wanted = str
    as_kind = {float: _as_numbers, bool: _as_truth, str: _as_words}[wanted]
    result = []
    for node, side in zip((left, right), sides, strict=True):
        turned = as_kind(side) if isinstance(side, np.ndarray) else side
        if turned is None:
            assert isinstance(node, ast.Name)
            raise _mismatch(where.names[node.id], side, wanted)
        result.append(turned)
    return result[0], result[1]


def _mismatch(name: str, side: Values, wanted: type) -> InputError:
    example = shown(str(side[0]), 40) if len(side) else ""
    if wanted is float:
        hint = "put the value in quotes"
        return InputError(f"--where: column {shown(name)!r} holds words ('{example}')", hint)
    if wanted is bool:
        told = f"--where: column {shown(name)!r} holds no True and False ('{example}')"
        return InputError(told, "compare it with a number or a quoted word")
    hint = "leave the quotes out"
    return InputError(f"--where: column {shown(name)!r} holds numbers", hint)


def _as_numbers(side: Values) -> Values | None:
    if side.dtype != object:
        return side
    known: dict[str, float] = {}
    try:
        for cell in set(side.tolist()):
            known[cell] = number(cell)
    except InputError:
        return None
    return np.array([known[cell] for cell in side.tolist()], np.float64)


def _as_truth(side: Values) -> Values | None:
    """Truth values as 1, 0 and, for a blank, NaN, which equals neither."""
    if side.dtype != object:
        return None
    known = {cell: _TRUTH.get(cell.strip().lower()) for cell in set(side.tolist())}
    if any(value is None and cell.strip() for cell, value in known.items()):
        return None
    as_float = {cell: np.nan if value is None else float(value) for cell, value in known.items()}
    return np.array([as_float[cell] for cell in side.tolist()], np.float64)


def _as_words(side: Values) -> Values | None:
    return side if side.dtype == object else None
