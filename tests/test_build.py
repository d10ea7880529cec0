"""A wheel holds the compiled part where there is a compiler, and is a pure one elsewhere."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def wheel(folder, **environment):
    """Builds a wheel of the working tree; its path and the names in it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT, check=True, capture_output=True, env={**os.environ, **environment},
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as inside:
        return path, inside.namelist()


def test_without_a_compiler_the_wheel_is_a_pure_one(tmp_path):
    path, names = wheel(tmp_path, CC="false")
    assert path.name.endswith("-py3-none-any.whl")
    assert "scalefit/inference/native/__init__.py" in names
    assert not [name for name in names if name.endswith((".so", ".pyd", ".c", ".h"))]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_with_one_it_holds_the_compiled_part_and_is_the_same_each_time(tmp_path):
    made = [wheel(tmp_path / name) for name in ("one", "other")]
    (path, names), (again, _) = made
    assert "-cp311-abi3-" in path.name
    assert [name for name in names if name.startswith("scalefit/inference/native/_native.")]
    assert path.read_bytes() == again.read_bytes()
