"""Small systems: NumPy's solutions, SciPy's in a box, and the same bits in any batch."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from scalefit.inference import systems
from scalefit.inference.systems import least_in_box, solve_positive

RANDOM = np.random.default_rng(12)


def test_solve_positive_is_numpys_solve():
    for p in (1, 2, 5, 9):
        half = RANDOM.standard_normal((200, p, p))
        system = half @ half.transpose(0, 2, 1) + 0.1 * np.eye(p)
        right = RANDOM.standard_normal((200, p))
        found, sound = solve_positive(system, right)
        assert sound.all()
        expected = np.linalg.solve(system, right[:, :, None])[:, :, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_solve_positive_knows_what_is_not_positive():
    systems = np.array([[[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0], [0, 1]], [[1.0, 1], [1, 1]]])
    _, sound = solve_positive(systems, np.ones((3, 2)))
    assert not sound.any()


def in_boxes(count, p):
    """Forms, pulls and boxes around 0; some sides stand at 0 itself, as for one at its bound."""
    half = RANDOM.standard_normal((count, p + 2, p))
    right = RANDOM.standard_normal((count, p + 2))
    low, high = 0.5 * np.abs(RANDOM.standard_normal((2, count, p)))
    low[RANDOM.random((count, p)) < 0.2] = 0.0
    high[RANDOM.random((count, p)) < 0.2] = 0.0
    return half, right, -low, high


def form(half, right):
    """The normal equations of half x = right."""
    turned = half.transpose(0, 2, 1)
    return turned @ half, (turned @ right[:, :, None])[:, :, 0]


@pytest.mark.parametrize(("turns", "alike"), [(4, 0.9), (40, 0.98)])
def test_the_least_in_a_box_is_scipys(turns, alike, monkeypatch):
    monkeypatch.setattr(systems, "TURNS", turns)
    for p in (1, 2, 4, 6):
        half, right, low, high = in_boxes(150, p)
        system, pull = form(half, right)
        found, sound = least_in_box(system, pull, low, high)
        assert sound.all()
        assert ((found >= low) & (found <= high)).all()
        left = (((half @ found[:, :, None])[:, :, 0] - right) ** 2).sum(axis=1)
        least = np.array(
            [
                2 * lsq_linear(h, r, (lo - 1e-300, hi + 1e-300)).cost
                for h, r, lo, hi in zip(half, right, low, high, strict=True)
            ]
        )
        assert (left < least * (1 + 1e-6)).mean() >= alike
        assert (left < (right**2).sum(axis=1) * (1 + 1e-12)).mean() > 0.99  # no worse than no step


def test_what_stands_at_a_side_that_the_others_push_it_through_stays_there():
    # Alone the first would move inward; with the second it is pushed out again.
    system = np.array([[[1.0, 0.9], [0.9, 1.0]]])
    found, _ = least_in_box(system, np.array([[0.1, 1.0]]), np.zeros((1, 2)), np.full((1, 2), 9.0))
    np.testing.assert_array_equal(found, [[0.0, 1.0]])


def test_a_form_in_a_box_has_the_same_bits_in_any_batch():
    half, right, low, high = in_boxes(200, 5)
    system, pull = form(half, right)
    together, _ = least_in_box(system, pull, low, high)
    for b in range(0, 200, 23):
        one = slice(b, b + 1)
        alone, _ = least_in_box(system[one], pull[one], low[one], high[one])
        assert alone[0].tobytes() == together[b].tobytes()
