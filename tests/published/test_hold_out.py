"""The learning-curve benchmark of Alabdulmohsin et al. 2022, its development half: 46 curves.

Every fixed law and the average are fitted to the smaller part of each curve and scored on the
larger. What is asked of the average is asked against the best fixed law: the one of least mean and
the one of least median error over all curves, which nobody knows beforehand.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import SHARED

CURVES = "bnsl-benchmark-dev/curves.csv"


@pytest.mark.slow
def test_the_average_is_no_worse_than_the_best_fixed_law_and_its_intervals_hold(
    shared, record_property
):
    shared(CURVES)  # skips where it is absent
    done = subprocess.run(
        [sys.executable, "-m", "scalefit", "compare", str(SHARED / CURVES), "--holdout",
         "split=test", "--by", "task_id", "--col", "x=seen_examples", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert len(found["groups"]) == 46
    auto, *fixed = found["laws"]
    assert auto["law"] == "auto"
    keys = ("median", "mean", "best", "far", "beyond", "against", "coverage", "width")
    record_property(
        "table",
        "\n".join(
            f"{one['law']:20s}" + "".join(f" {key} {one[key]:.3g}" for key in keys)
            for one in found["laws"]
        ),
    )
    assert auto["median"] <= min(one["median"] for one in fixed)
    assert auto["mean"] <= min(one["mean"] for one in fixed)
    for key in ("median", "mean"):
        best = min(fixed, key=lambda one, key=key: one[key])["law"]
        own, its = errors(found, "auto"), errors(found, best)
        assert (own > 2 * its).sum() <= 2
    assert auto["against"] >= 23
    assert auto["coverage"] >= 0.9


def errors(found, law):
    return np.array(
        [
            next(one["error"] for one in group["scores"] if one["law"] == law)
            for group in found["groups"]
        ]
    )
