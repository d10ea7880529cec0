"""Work that asks for searches as it goes, by itself or many at once.

A fit is a few searches with a little thought between them. Written as steps that yield what they
want searched, one fit asks and is answered; and many fits, of many groups and laws, ask together:
of those that are alike every search is then one batch, for what a batch costs besides its
arithmetic is the same for one fit as for a hundred. Each search keeps its own bits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np

from scalefit.core.errors import FitError, InputError
from scalefit.core.observations import Array
from scalefit.inference.problem import likeness, stacked
from scalefit.inference.solver import Search, Solution, solved

P = ParamSpec("P")
T = TypeVar("T")
Steps = Generator[Search, Solution, T]
Refusal = InputError | FitError

_SMALL = 1 << 15  # residuals of a search: a larger one gains nothing by company
_MOST = 1 << 18  # residuals of searches that go together: what belongs to each is copied


def alone(steps: Steps[T]) -> T:
    """What the steps come to, each search done when it is asked for."""
    try:
        search = next(steps)
        while True:
            search = steps.send(solved(search))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


class Stepwise(Protocol[P, T]):
    """A function whose `steps` are the same work for those who go on together."""

    steps: Callable[P, Steps[T]]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the steps come to."""
        ...


def stepwise(function: Callable[P, Steps[T]]) -> Stepwise[P, T]:
    """A function from one that is written in steps, which it keeps as `steps`."""

    @wraps(function)
    def plain(*args: P.args, **kwargs: P.kwargs) -> T:
        return alone(function(*args, **kwargs))

    told = signature(function)
    comes_to = str(told.return_annotation).removeprefix("Steps[").removesuffix("]")
    made: Any = plain
    made.steps, made.__signature__ = function, told.replace(return_annotation=comes_to)
    return made  # type: ignore[no-any-return]


def together(many: Sequence[Steps[T]]) -> list[T | Refusal]:
    """What each of many comes to, or the error that ended it; the same bits as `alone`."""
    ends: dict[int, T | Refusal] = {}
    asked: dict[int, Search] = {}

    def go_on(k: int, answer: Solution | None) -> None:
        try:
            asked[k] = many[k].send(answer) if answer is not None else next(many[k])
        except StopIteration as end:
            ends[k] = end.value
        except (InputError, FitError) as error:
            ends[k] = error

    for k in range(len(many)):
        go_on(k, None)
    while asked:
        now, asked = asked, {}
        for numbers in _alike(now):
            for k, answer in zip(numbers, _answers([now[k] for k in numbers]), strict=True):
                go_on(k, answer)
    return [ends[k] for k in range(len(many))]


def _alike(asked: dict[int, Search]) -> Iterator[list[int]]:
    """Numbers of searches that can go together."""
    groups: dict[object, list[int]] = {}
    for k, search in asked.items():
        size = len(search.start) * search.problem.n
        settings = search.cold, search.tolerance, search.limit
        key = (likeness(search.problem), type(search.objective), search.objective, *settings)
        some = groups.setdefault(key if size <= _SMALL else k, [])
        some.append(k)
        if sum(len(asked[i].start) for i in some) * search.problem.n > _MOST:
            yield groups.pop(key)
    yield from groups.values()


def _answers(searches: Sequence[Search]) -> list[Solution]:
    first = searches[0]
    if len(searches) == 1:
        return [solved(first)]
    counts = [len(search.start) for search in searches]
    found = solved(
        Search(
            problem=stacked([search.problem for search in searches], counts),
            objective=first.objective,
            weight=np.concatenate([_weights(search) for search in searches]),
            start=np.concatenate([search.start for search in searches]),
            cold=first.cold,
            tolerance=first.tolerance,
            limit=first.limit,
        )
    )
    ends = np.cumsum(counts)
    return [found.take(np.arange(e - c, e)) for c, e in zip(counts, ends, strict=True)]


def _weights(search: Search) -> Array:
    """Row weights of each start, shape (B, n)."""
    return np.broadcast_to(search.weight, (len(search.start), search.problem.n))
