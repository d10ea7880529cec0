"""Many small systems at once: positive definite ones, and least quadratic forms in a box.

Every operation runs over the batch, so a system's bits do not depend on the batch it stands in.
"""

from __future__ import annotations

import numpy as np

from scalefit.core.observations import Array, BoolArray
from scalefit.inference.native import MOST_PARAMETERS, NATIVE

_STIFF = 1e30
TURNS = 4  # guesses of the sides: the few that would go on, or round in a circle, are clipped


def least_in_box(system: Array, right: Array, least: Array, most: Array) -> tuple[Array, BoolArray]:
    """The x that minimises x'Ax/2 - r'x for least <= x <= most, for a batch; 0 lies in the box.

    Sides that hold an x are guessed, all at once, until none pulls inward and none is crossed:
    an x that is only clipped would take the others where the form never wanted them to go.

    Args:
        system: A, shape (B, p, p).
        right: r, shape (B, p).
        least: Shape (B, p), nowhere above 0.
        most: Shape (B, p), nowhere below 0.

    Returns:
        Solutions of shape (B, p), and whether each system was positive definite.

    Source: block principal pivoting; Júdice & Pires 1994, Computers & Operations Research 21(5).
    """
    if NATIVE is not None and right.shape[1] <= MOST_PARAMETERS:
        x, sound = np.empty(right.shape), np.empty(len(right), dtype=bool)
        parts = (np.ascontiguousarray(part) for part in (system, right, least, most))
        NATIVE.least_in_box(*parts, TURNS, x, sound)
        return x, sound
    return _least_by_turns(system, right, least, most)


def _least_by_turns(
    system: Array, right: Array, least: Array, most: Array
) -> tuple[Array, BoolArray]:
    side = np.where((least >= 0) & (right < 0), -1, np.where((most <= 0) & (right > 0), 1, 0))
    x, sound = np.zeros(right.shape), np.ones(len(right), dtype=bool)
    diagonal = np.arange(right.shape[1])
    at = np.arange(len(right))
    for _ in range(TURNS):
        here = slice(None) if at.size == len(right) else at
        form, pull, low, high = system[here], right[here], least[here], most[here]
        held = side[here] != 0
        bound = bool(held.any())
        if bound:
            stop = np.where(side[here] < 0, low, high)
            stiff = form.copy()
            stiff[:, diagonal, diagonal] += np.where(held, _STIFF, 0.0)
            found, sound[here] = solve_positive(stiff, np.where(held, _STIFF * stop, pull))
            found = np.where(held, stop, found)
        else:
            found, sound[here] = solve_positive(form, pull)
        now = np.where(found < low, -1, np.where(found > high, 1, 0))
        if bound:
            slope = np.matmul(form, found[:, :, None])[:, :, 0] - pull
            now = np.where(held, np.where(slope * side[here] > 0, 0, side[here]), now)
        x[here] = np.clip(found, low, high)
        changed = (now != side[here]).any(axis=1) & sound[here]
        side[here] = now
        at = at[changed]
        if not at.size:
            break
    return x, sound


def solve_positive(system: Array, right: Array) -> tuple[Array, BoolArray]:
    """Solve positive definite systems, unrolled over the batch.

    Args:
        system: Shape (B, p, p).
        right: Shape (B, p).

    Returns:
        Solutions of shape (B, p), and whether each system was positive definite.
    """
    # One contiguous vector over the batch for each entry.
    entry = np.ascontiguousarray(system.transpose(1, 2, 0))
    solution, sound = solve_entries(entry, right.T)
    return np.where(sound[:, None], solution.T, 0.0), sound


def solve_entries(entry: Array, solution: Array) -> tuple[Array, BoolArray]:
    """Solve systems that lie entry by entry.

    By L D L', the right sides eliminated along with the rows: for systems as small as these the
    number of operations over the batch is what counts.

    Args:
        entry: Shape (p, p, ...); only the lower triangle is read.
        solution: Right sides, shape (p, ...).

    Returns:
        Solutions, and whether each system was positive definite and its solution finite.
    """
    p = len(solution)
    rows = np.concatenate([entry, solution[None]])
    diagonal = np.arange(p)
    least = 1e-15 * np.abs(rows[diagonal, diagonal])
    lower = np.empty_like(entry)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for j in range(p - 1):
            share = rows[j + 1 : p, j] / rows[j, j]
            lower[j + 1 :, j] = share
            rows[j + 1 :, j + 1 :] -= rows[j + 1 :, j, None] * share
        pivot = rows[diagonal, diagonal]
        solution = rows[p] / pivot
        for j in reversed(range(1, p)):
            solution[:j] -= lower[j, :j] * solution[j]
        sound = (pivot > least).all(axis=0)
    return solution, sound & np.isfinite(solution).all(axis=0)
