"""The plain part of YAML that trackers write: nested `key: value` lines, and lists of scalars.

No tag, anchor, alias, merge key or block text is followed: a line that needs one is told and left
out with all that belongs to it, and nothing is ever built but numbers, texts, truth values and
lists of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.records import dataclass
from scalefit.tables.doubts import SETTINGS_UNREAD
from scalefit.tables.trackers.base import Cell, Log, whole
from scalefit.tables.trackers.nested import flat, parse_json

_MOST = 1024**2
_DEEPEST = 32
_LONGEST_NUMBER = 400
_SPECIAL = tuple("!&*|>{@`%?")
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Cell | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None, "{}": None,
    ".nan": float("nan"), ".inf": float("inf"), "-.inf": float("-inf"),
}  # fmt: skip


class _NotPlain(Exception):
    """Something that only a whole YAML reader understands."""


def parse_yaml(text: str) -> tuple[dict[str, Any], list[int]]:
    r"""Nested settings, and the numbers of the lines that are not plain and were left out.

    >>> parse_yaml("a: 1\nb:\n  c: [x, 2.5]\n  d: !!python/object:os.x {}\n")
    ({'a': 1, 'b': {'c': ['x', 2.5]}}, [4])
    """
    parser = _Parser()
    for number, line in _lines(text):
        indent = len(line) - len(line.lstrip(" "))
        if parser.passes_over(indent, line):
            parser.unread.append(number)
            continue
        try:
            parser.take(indent, line.strip())
        except _NotPlain:
            parser.unread.append(number)
            parser.skipping = indent
    return parser.root, parser.unread


def settings_beside(log: Log, *names: str) -> tuple[dict[str, Cell], list[Note]]:
    """Settings of the first of these YAML or JSON files beside a log; notes say what is missing."""
    source = next((beside for name in names if (beside := log.beside(name))), None)
    if source is None:
        return {}, []
    try:
        data = whole(source, _MOST)
        json_like = source.suffix == ".json"
        found, unread = (
            (parse_json(data, source.name), []) if json_like else parse_yaml(data.decode())
        )
    except (InputError, UnicodeDecodeError) as error:
        return {}, [SETTINGS_UNREAD.note(f"{source.name} cannot be read: {error}")]
    if unread:
        listed = ", ".join(map(str, unread[:5])) + (", ..." if len(unread) > 5 else "")
        told = f"{source.name}, line {listed}: more than a plain `key: value`, not read"
        return flat(found), [SETTINGS_UNREAD.note(told)]
    return (flat(found) if isinstance(found, dict) else {}), []


@dataclass
class _Open:
    """A mapping that is being filled, and the key whose value may follow on deeper lines."""

    indent: int
    mapping: dict[str, Any]
    below: str | None = None


class _Parser:
    """The mappings that are open at a line, the outermost first."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self.open = [_Open(0, self.root)]
        self.unread: list[int] = []
        self.skipping: int | None = None

    def passes_over(self, indent: int, line: str) -> bool:
        """Whether a line belongs to one that was left out."""
        if self.skipping is None:
            return False
        inside = indent > self.skipping or (indent == self.skipping and _is_item(line.strip()))
        if not inside:
            self.skipping = None
        return inside

    def take(self, indent: int, text: str) -> None:
        """One line.

        Raises:
            _NotPlain: it is more than this reader understands.
        """
        while len(self.open) > 1 and indent < self.open[-1].indent:
            self.open.pop()
        top = self.open[-1]
        if _is_item(text):
            self._item(top, text[1:].strip())
            return
        key, value = _split(text)
        if indent > top.indent:
            if top.below is None or top.mapping[top.below] is not None or len(self.open) > _DEEPEST:
                raise _NotPlain
            top.mapping[top.below] = {}
            top = _Open(indent, top.mapping[top.below])
            self.open.append(top)
        top.below = None
        top.mapping[key] = _scalar(value)
        top.below = key

    def _item(self, top: _Open, text: str) -> None:
        if top.below is None:
            raise _NotPlain
        value = _scalar(text)
        if isinstance(value, str) and re.search(r":(\s|$)", value) and not text.startswith('"'):
            raise _NotPlain
        if top.mapping[top.below] is None:
            top.mapping[top.below] = []
        if not isinstance(top.mapping[top.below], list):
            raise _NotPlain
        top.mapping[top.below].append(value)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something and their numbers from 1; no comments, no marks of documents."""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare and bare not in ("---", "...") and not bare.startswith(("#", "%")):
            yield number, line.rstrip()


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _split(text: str) -> tuple[str, str]:
    """Key and value of a line.

    Raises:
        _NotPlain: it has no key, or one that is no plain text.
    """
    if text.startswith(("'", '"')):
        end = text.find(text[0], 1)
        key, rest = text[1:end], text[end + 1 :].lstrip()
        if end < 0 or not (rest == ":" or rest.startswith(": ")):
            raise _NotPlain
        return key, rest[1:]
    match = re.search(r":(\s|$)", text)
    if match is None or text.startswith((*_SPECIAL, "[", "<<")):
        raise _NotPlain
    return text[: match.start()].strip(), text[match.end() :]


def _scalar(text: str) -> Any:
    """What a plain value means.

    Raises:
        _NotPlain: it is a tag, an anchor, an alias, a block text or a mapping in braces.
    """
    text = text.strip()
    if text.startswith(("'", '"')):
        return _quoted(text)
    text = re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith("["):
        return _list(text)
    if text.startswith(_SPECIAL):
        raise _NotPlain
    if len(text) < _LONGEST_NUMBER and _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if len(text) < _LONGEST_NUMBER and _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def _quoted(text: str) -> str:
    pattern = r"'((?:[^']|'')*)'" if text[0] == "'" else r'"((?:[^"\\]|\\.)*)"'
    match = re.match(pattern + r"\s*(#.*)?$", text)
    if match is None:
        raise _NotPlain
    if text[0] == "'":
        return match[1].replace("''", "'")
    try:
        return str(json.loads(f'"{match[1]}"'))
    except ValueError:
        raise _NotPlain from None


def _list(text: str) -> list[Any]:
    """A list of plain values in brackets, none of them nested or quoted."""
    if not text.endswith("]") or any(sign in text[1:-1] for sign in "[]{}\"'&*!"):
        raise _NotPlain
    inner = text[1:-1].strip()
    return [_scalar(value) for value in inner.split(",")] if inner else []
