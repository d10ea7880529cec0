"""A law from a TOML file: its formula is parsed by an allow-list, and no text is ever run.

Python's own parser only reads the formula into a syntax tree. Every node of the tree must be one
of the few kinds below; they become nested functions of numpy arrays, so that a law given as text
broadcasts and is differentiated like any other.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import Any

import numpy as np

from scalefit.core.errors import ConfigError
from scalefit.core.numbers import shown
from scalefit.core.records import replace
from scalefit.laws import base
from scalefit.laws.base import LAWS, Law, Parameter
from scalefit.laws.dual import softplus

MOST_LETTERS, MOST_DEPTH, MOST_NODES = 2000, 50, 200
_MOST_BYTES = 64 * 1024
_MOST_PARAMETERS = 16
_LARGEST = 1e300
_Node = Callable[[Mapping[str, Any]], Any]

_FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    **{
        name: (1, getattr(np, name))
        for name in ("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos",
                     "arctan", "tanh")
    },
    "softplus": (1, softplus),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    # NumPy's own knows no complex numbers, which the certificate differentiates by.
    "logaddexp": (2, lambda a, b: a + softplus(b - a)),
}  # fmt: skip
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_ROLES: Mapping[str, tuple[Callable[..., Parameter], frozenset[str]]] = {
    "irreducible": (base.irreducible, frozenset()),
    "amplitude": (base.amplitude, frozenset({"of", "by"})),
    "exponent": (base.exponent, frozenset()),
    "slope": (base.slope, frozenset()),
    "position": (base.position, frozenset({"of"})),
    "sharpness": (base.sharpness, frozenset()),
}
_OWN = frozenset({"low", "high", "starts", "log", "linear", "relative_to", "units"})


class TextError(ConfigError):
    """A formula holds something that no law may hold; the message says where."""


def named(name: str) -> Law:
    """The law of that name, or of the TOML file of that name.

    Raises:
        UnknownName: no such law.
        ConfigError: the file cannot be read or is no law.
    """
    return load(Path(name)) if name.endswith(".toml") else LAWS.get(name)


def load(path: Path) -> Law:
    """The law of a TOML file.

    Raises:
        ConfigError: the file cannot be read, or is no law; a formula is refused with the place.
    """
    where = shown(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{where}: {error.strerror or error}", "scalefit laws new NAME writes a template"
        ) from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{where} is larger than 64 KiB", "a law is a few lines of TOML")
    try:
        return parse_law(data.decode("utf-8-sig"), where)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} is no text: {error}") from None


def parse_law(text: str, where: str = "the law") -> Law:
    """The law that a TOML text declares.

    Raises:
        ConfigError: a key, a value or the formula is wrong.
    """
    import tomllib

    try:
        if any(line.count(".") > MOST_DEPTH and "=" in line for line in text.splitlines()):
            raise ConfigError(f"{where}: a line has more than {MOST_DEPTH} dots")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{where} is no TOML: {error or 'nested too deeply'}") from None
    _known(table, {"law"}, where)
    law = _table(table.get("law"), f"{where}: [law]")
    _known(law, {"name", "formula", "inputs", "source", "parameters", "example"}, f"{where}: [law]")
    name, formula = _word(law, "name", where), _word(law, "formula", where)
    if name in LAWS:
        raise ConfigError(f"{where}: {name} is a law of the library", "give yours another name")
    inputs = law.get("inputs")
    if not (isinstance(inputs, list) and inputs and all(_is_name(i) for i in inputs)):
        raise ConfigError(f'{where}: inputs must be a list of names, such as ["N", "D"]')
    given = _table(law.get("parameters"), f"{where}: [law.parameters]")
    if not 1 <= len(given) <= _MOST_PARAMETERS:
        raise ConfigError(
            f"{where}: a law has 1 to {_MOST_PARAMETERS} parameters, not {len(given)}"
        )
    every = (*inputs, *given)
    for one in every:
        if not _is_name(one) or one in _FUNCTIONS or every.count(one) > 1:
            raise ConfigError(f"{where}: {shown(repr(one))} cannot name an input or a parameter")
    try:
        tree = parse(formula, every)
    except TextError as error:
        raise TextError(f"{where}: {error}", error.hint) from None
    return Law(
        name=name,
        formula=f"L({', '.join(inputs)}) = {formula}",
        source=str(law.get("source", Path(where).name)),
        loss=_function(tree, inputs, list(given)),
        parameters=tuple(_parameter(k, v, inputs, given, where) for k, v in given.items()),
        example=_example(law.get("example"), list(given), where),
        text=text,
    )


def _function(tree: _Node, inputs: list[str], parameters: list[str]) -> base.Formula:
    def loss(*values: Any, **theta: Any) -> Any:
        return tree({**dict(zip(inputs, values, strict=True)), **theta})

    arguments = [Argument(name, Argument.POSITIONAL_OR_KEYWORD) for name in inputs]
    arguments += [Argument(name, Argument.KEYWORD_ONLY) for name in parameters]
    loss.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    return loss


def parse(formula: str, names: tuple[str, ...]) -> _Node:
    """The function of named arrays that a formula spells.

    Raises:
        TextError: it is too long, too deep, or holds anything but numbers, the names, the four
            operations, powers and the few functions; nothing of it is run.
    """
    if len(formula) > MOST_LETTERS:
        raise TextError(f"the formula has {len(formula)} letters, more than {MOST_LETTERS}")
    for at, letter in enumerate(formula):
        if not (" " <= letter <= "~"):
            raise TextError(
                f"formula, letter {at + 1}: {shown(repr(letter))} is no plain letter or sign",
                "write names in plain Latin letters, and the formula on one line",
            )
    try:
        tree = ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        at = getattr(error, "offset", None) or 1
        what = str(getattr(error, "msg", error) or "nested too deeply")
        raise TextError(f"formula, letter {at}: {shown(what)}") from None
    nodes = sum(1 for _ in ast.walk(tree))
    if nodes > 3 * MOST_NODES or _nodes(tree) > MOST_NODES:
        raise TextError(f"the formula has more than {MOST_NODES} parts")
    seen: set[str] = set()
    built = _build(tree, frozenset(names), seen, 1)
    unused = [name for name in names if name not in seen]
    if unused:
        raise TextError(f"the formula never uses {', '.join(unused)}")
    return built


def _nodes(tree: ast.AST) -> int:
    kinds = (ast.operator, ast.unaryop, ast.expr_context)
    return sum(not isinstance(node, kinds) for node in ast.walk(tree))


def _refused(node: ast.AST, what: str, hint: str = "") -> TextError:
    at = getattr(node, "col_offset", 0) + 1
    allowed = f"allowed: numbers, + - * / **, brackets, {', '.join(_FUNCTIONS)}"
    return TextError(f"formula, letter {at}: {what}", hint or allowed)


def _build(node: ast.AST, names: frozenset[str], seen: set[str], depth: int) -> _Node:
    if depth > MOST_DEPTH:
        raise _refused(node, f"nested deeper than {MOST_DEPTH}", "write the formula flatter")
    if isinstance(node, ast.Constant):
        return _Constant(_number_of(node, node.value))
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise _refused(
                node, f"{shown(node.id)} is neither an input nor a parameter",
                f"declared are {', '.join(sorted(names))}",
            )  # fmt: skip
        seen.add(node.id)
        return _variable(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _build(node.operand, names, seen, depth + 1)
        return inner if isinstance(node.op, ast.UAdd) else _applied(node, lambda a: -a, [inner])
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        parts = [_build(side, names, seen, depth + 1) for side in (node.left, node.right)]
        return _applied(node, _OPERATORS[type(node.op)], parts)
    if isinstance(node, ast.Call):
        return _called(node, names, seen, depth)
    text = shown(ast.unparse(node), 40)
    raise _refused(node, f"{text} has no place in a formula")


def _called(node: ast.Call, names: frozenset[str], seen: set[str], depth: int) -> _Node:
    if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS:
        raise _refused(node, f"{shown(ast.unparse(node.func), 40)} is no function of a formula")
    count, function = _FUNCTIONS[node.func.id]
    if node.keywords or len(node.args) != count:
        raise _refused(node, f"{node.func.id} takes {count} argument{'s' * (count > 1)}")
    parts = [_build(part, names, seen, depth + 1) for part in node.args]
    return _applied(node, function, parts)


def _number_of(node: ast.AST, value: Any) -> float:
    """A finite float; whole numbers become floats at once, so that none can grow without end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(node, f"{shown(repr(value), 40)} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= _LARGEST:
        raise _refused(node, "a number is too large")
    return number


class _Constant:
    """A number; what is made of numbers alone is worked out once, while the text is parsed."""

    def __init__(self, value: float) -> None:
        """Keep the number."""
        self.value = value

    def __call__(self, values: Mapping[str, Any]) -> float:
        """The number, whatever the values."""
        return self.value


def _variable(name: str) -> _Node:
    return lambda values: values[name]


def _applied(node: ast.AST, function: Callable[..., Any], parts: list[_Node]) -> _Node:
    if all(isinstance(part, _Constant) for part in parts):
        try:
            with np.errstate(all="ignore"):
                value = function(*(part.value for part in parts))  # type: ignore[attr-defined]
        except ArithmeticError:
            value = math.nan
        if isinstance(value, complex) or not abs(value) <= _LARGEST:
            raise _refused(node, "this is no finite number")
        return _Constant(float(value))
    if len(parts) == 1:
        (only,) = parts
        return lambda values: function(only(values))
    left, right = parts
    return lambda values: function(left(values), right(values))


def _parameter(
    name: str, given: Any, inputs: list[str], known: Mapping[str, Any], where: str
) -> Parameter:
    """A parameter from its role, with whatever is said of it besides."""
    at = f"{where}: parameter {name}"
    table = dict(_table(given, at))
    role = table.pop("role", None)
    if role is not None and role not in _ROLES:
        raise ConfigError(
            f"{at}: no role is called {shown(repr(role))}", f"roles: {', '.join(_ROLES)}"
        )
    make, arguments = _ROLES[role] if role else (None, frozenset[str]())
    _known(table, _OWN | arguments, at)
    settings = {key: table.pop(key) for key in tuple(table) if key in arguments}
    if settings.get("of", inputs[0]) not in inputs:
        raise ConfigError(f"{at}: of must be an input: {', '.join(inputs)}")
    if settings.get("by", name) not in known:
        raise ConfigError(f"{at}: by must be a parameter: {', '.join(known)}")
    if make is None:
        if not {"low", "high", "starts"} <= set(table):
            raise ConfigError(
                f"{at} needs low, high and starts, or a role", f"roles: {', '.join(_ROLES)}"
            )
        parameter = Parameter(name, 0.0, 1.0, (0.5,))
    else:
        try:
            parameter = make(name, **settings)
        except TypeError:
            raise ConfigError(f"{at}: a {role} needs {' and '.join(sorted(arguments))}") from None
    if role in ("irreducible", "amplitude"):
        # Whether the loss is linear in it is for the formula to say, which nobody has read.
        parameter = replace(parameter, linear=False)
    changed = replace(parameter, **{k: _setting(k, v, inputs, known, at) for k, v in table.items()})
    if not (changed.low < changed.high and changed.starts):
        raise ConfigError(f"{at}: low must lie below high, and starts must not be empty")
    if changed.log and changed.low <= 0:
        raise ConfigError(f"{at}: with log = true its low must be above zero")
    return changed


def _setting(key: str, value: Any, inputs: list[str], known: Mapping[str, Any], at: str) -> Any:
    if key in ("low", "high"):
        return _finite(value, f"{at}: {key}")
    if key == "starts":
        if not (isinstance(value, list) and 1 <= len(value) <= 64):
            raise ConfigError(f"{at}: starts must be a list of 1 to 64 numbers")
        return tuple(_finite(v, f"{at}: starts") for v in value)
    if key in ("log", "linear"):
        if not isinstance(value, bool):
            raise ConfigError(f"{at}: {key} must be true or false")
        return value
    if key == "relative_to":
        if value not in ("", "loss", *inputs):
            raise ConfigError(f"{at}: relative_to must be loss or an input")
        return value
    pairs = _table(value, f"{at}: units")
    for name, power in pairs.items():
        if name not in inputs or not (power in known if isinstance(power, str) else True):
            raise ConfigError(f"{at}: units must map an input to a number or a parameter")
    return tuple(
        (name, power if isinstance(power, str) else _finite(power, f"{at}: units"))
        for name, power in pairs.items()
    )


def _example(given: Any, names: list[str], where: str) -> dict[str, float]:
    table = _table(given, f"{where}: [law.example]")
    if set(table) != set(names):
        raise ConfigError(
            f"{where}: [law.example] must give every parameter once: {', '.join(names)}"
        )
    return {name: _finite(table[name], f"{where}: example {name}") for name in names}


def _finite(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{at} must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(f"{at} must be finite")
    return number


def _table(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{at} must be a table", "scalefit laws new NAME writes a template")
    return value


def _known(table: Mapping[str, Any], known: frozenset[str] | set[str], at: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{at}: unknown key {shown(repr(key))}", f"known: {', '.join(sorted(known))}"
            )


def _word(law: Mapping[str, Any], key: str, where: str) -> str:
    value = law.get(key)
    if not (isinstance(value, str) and value.strip()):
        raise ConfigError(
            f"{where}: {key} must be a text", "scalefit laws new NAME writes a template"
        )
    if key == "name" and not (
        len(value) <= 60 and value.replace("-", "").isalnum() and value.isascii()
    ):
        raise ConfigError(
            f"{where}: a name has letters, digits and hyphens, not {shown(repr(value))}"
        )
    return value.strip()


def _is_name(value: Any) -> bool:
    return (
        isinstance(value, str) and value.isascii() and value.isidentifier() and len(value) <= 40
        and not value.startswith("_")
    )  # fmt: skip


def template(name: str) -> str:
    """A law in TOML to begin from: chinchilla's, under another name.

    >>> parse_law(template("mine")).inputs
    ('N', 'D')
    """
    return f'''# A law as text. Try it: scalefit laws test {name}.toml
[law]
name = "{name}"
formula = "E + A * N**-alpha + B * D**-beta"
inputs = ["N", "D"]
source = "where the formula comes from"

# Roles bring bounds, starts and units:
# irreducible, amplitude, exponent, slope, position, sharpness.
# Without a role: {{ low = 0.05, high = 3.0, starts = [0.5, 1.0], log = true }}.
[law.parameters]
E = {{ role = "irreducible", linear = true }}
A = {{ role = "amplitude", of = "N", by = "alpha", linear = true }}
alpha = {{ role = "exponent" }}
B = {{ role = "amplitude", of = "D", by = "beta", linear = true }}
beta = {{ role = "exponent" }}

# Plausible values: the promises of `laws test` are kept around them.
[law.example]
E = 1.69
A = 406.4
alpha = 0.34
B = 410.7
beta = 0.28
'''
