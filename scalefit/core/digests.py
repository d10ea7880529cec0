"""SHA-256, for a small file without what loading OpenSSL costs."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

_SMALL = 1 << 20  # bytes; OpenSSL hashes a few times as fast, and takes longer to load than these
_BUILT_IN = ("_sha2", "_sha256")  # as Python 3.12 and later call it, and as 3.11 does


def sha256(size: int) -> Any:
    """A hash as `hashlib` has it, to be updated with about `size` bytes.

    >>> digest = sha256(3)
    >>> digest.update(b"abc")
    >>> digest.hexdigest()[:16], sha256(10**9).name
    ('ba7816bf8f01cfea', 'sha256')
    """
    if size <= _SMALL:
        for name in _BUILT_IN:
            with suppress(ImportError):
                return import_module(name).sha256()
    from hashlib import sha256 as of_openssl

    return of_openssl()
