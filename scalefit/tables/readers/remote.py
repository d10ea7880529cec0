"""Addresses of object stores, read only where the user said so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from scalefit.core.errors import InputError, MissingPackage
from scalefit.core.numbers import shown
from scalefit.tables.readers.base import LARGEST, Source
from scalefit.tables.readers.packed import gathered

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hf")
_PIECE = 4 * 1024**2


def scheme_of(given: str) -> str:
    r"""The scheme of an address; empty for a path.

    >>> scheme_of("s3://bucket/runs.csv"), scheme_of("runs.csv"), scheme_of(r"\\host\share\f")
    ('s3', '', 'unc')
    """
    if given.startswith("\\\\"):
        return "unc"
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://|(file):", given)
    return (found[1] or found[2]).lower() if found else ""


def open_remote(address: str) -> Source:
    """The bytes behind an address of S3, Google, Azure or Hugging Face, read once and kept.

    Raises:
        InputError: the scheme is another, or the object cannot be read.
        MissingPackage: `hf://` needs huggingface_hub.
    """
    name = shown(address, 200)
    if scheme_of(address) not in SCHEMES:
        known = " ".join(f"{scheme}://" for scheme in SCHEMES)
        raise InputError(f"{name} is not an address that scalefit reads", f"known: {known}")
    # Imported here: it loads the clients of all stores.
    import pyarrow as pa
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(address)
        size = system.get_file_info(path).size
        data, spill = gathered(_pieces(system, path), name, LARGEST)
    except InputError:
        raise
    except ImportError:
        raise MissingPackage(
            f"{name} needs the package huggingface_hub", "pip install huggingface_hub"
        ) from None
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = shown(str(error).split("\n")[0], 160)
        raise InputError(f"{name} cannot be read: {reason}", "check the address") from None
    kept = len(data) if data is not None else spill.tell()
    if size is not None and size != kept:
        raise InputError(f"{name} changed or broke off while it was read", "read it again")
    held = None if spill is None else Path(spill.name)
    stamp = (kept, 0 if held is None else held.stat().st_mtime_ns)
    return Source(name, PurePosixPath(path).suffix.lower(), held, data, stamp, hold=spill)


def _pieces(system: Any, path: str) -> Iterator[bytes]:
    with system.open_input_stream(path, compression=None) as stream:
        while piece := stream.read(_PIECE):
            yield piece
