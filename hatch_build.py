"""Builds the compiled part into the wheel, or into the source tree of an editable installation.

Without a C compiler the wheel is a pure one, and NumPy does the work.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CompileError, LinkError

FOLDER = Path("scalefit/inference/native")
FLAGS = ["-O3", "-g0", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]


class NativeHook(BuildHookInterface):
    """Compiles scalefit/inference/native."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the compiled part to the wheel; leave it out where it cannot be built."""
        self._scratch = tempfile.TemporaryDirectory()
        if version == "editable":
            # What an earlier installation left there is of other sources.
            for pattern in ("_native*.so", "_native*.pyd"):
                for left in (Path(self.root) / FOLDER).glob(pattern):
                    left.unlink()
        try:
            built = compiled(Path(self.root), Path(self._scratch.name))
        except (BaseError, CompileError, LinkError, OSError) as error:
            self.app.display_warning(f"the compiled part is left out, NumPy stands in: {error}")
            return
        if version == "editable":
            shutil.copyfile(built, Path(self.root) / FOLDER / built.name)
            return
        # One build serves every Python from 3.11 on: it keeps to their stable interface.
        build_data["tag"] = f"cp311-abi3-{next(iter(platform_tags()))}"
        build_data["pure_python"] = False
        build_data["force_include"][str(built)] = f"{FOLDER}/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Forget the folder in which it was built."""
        self._scratch.cleanup()


def compiled(root: Path, scratch: Path) -> Path:
    """The extension module, built in a folder of its own."""
    gnu = sys.platform != "win32"
    extension = Extension(
        "_native",
        [str(root / FOLDER / "module.c")],
        depends=[str(path) for path in (root / FOLDER).glob("*.h")],
        extra_compile_args=FLAGS if gnu else ["/O2"],
        libraries=["m"] if gnu else [],
        py_limited_api=True,
    )
    command = build_ext(Distribution({"name": "native", "ext_modules": [extension]}))
    command.build_lib, command.build_temp = str(scratch / "lib"), str(scratch / "temp")
    command.ensure_finalized()
    command.run()
    return Path(command.get_outputs()[0])
