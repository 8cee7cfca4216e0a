"""Which labelled turns a scorer is fitted on, and which it never sees: by a hash of their group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates


def bucket(text: str, buckets: int, salt: str = "") -> int:
    """A stable number in [0, buckets) for a text."""
    digest = hashlib.blake2b(without_surrogates(salt + text).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets


def buckets_of(texts: Iterable[str], count: int, salt: str = "") -> NDArray[np.int64]:
    """`bucket` of each text: (n,) int64."""
    return np.array([bucket(text, count, salt) for text in texts], np.int64)
