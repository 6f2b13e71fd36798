"""Which of many texts repeat an earlier one, found from 16 bytes of each."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Digests = NDArray[np.uint64]
"""Two numbers per text; equal ones are equal texts."""


class DigestList:
    """Digests of texts, in the order they were added."""

    def __init__(self) -> None:
        self._content = bytearray()

    def add(self, text: str) -> None:
        """Add the digest of one text."""
        self._content += hashlib.blake2b(text.encode(), digest_size=16).digest()

    def array(self) -> Digests:
        """All of them; nothing can be added any more."""
        return np.frombuffer(self._content, dtype=np.uint64).reshape(-1, 2)


def first_of_each(digests: Digests) -> NDArray[np.int64]:
    """For each text the place of the first one that equals it: its own place if it repeats none before it."""
    order = np.lexsort(digests.T)  # stable: of equal texts the first one comes first
    changes = np.ones(len(order), dtype=bool)
    changes[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[changes][np.cumsum(changes) - 1]
    return first
