"""The compiled part, where it is built: the same sums and systems as the NumPy code, sooner.

A wheel for a platform holds it; an installation from source builds it if there is a C compiler.
Without it, or with SCALEFIT_NATIVE=0 in the environment, NumPy does the work. The two agree to
rounding (tests/contracts/test_native.py), and every promise holds for both.
"""

from __future__ import annotations

import os
from types import ModuleType

NATIVE: ModuleType | None = None
if os.environ.get("SCALEFIT_NATIVE", "1") != "0":
    try:
        from scalefit.inference.native import _native

        NATIVE = _native
    except ImportError:
        NATIVE = None

MOST_PARAMETERS, MOST_INPUTS, MOST_COLUMNS, MOST_STEPS = 32, 8, 16, 96  # as in module.c


def engine() -> str:
    """What computes: `NumPy`, or the instructions that the compiled part was made for."""
    return "NumPy" if NATIVE is None else str(NATIVE.instructions()[0])
