"""Freed memory goes back to the system, where the C library would keep it.

glibc takes a block above a threshold from the system by itself and gives it back when it is freed. But with each such
block the threshold rises, up to 32 MB, and smaller blocks stay in the heap: activations of long samples, between which
something is always still used. With recomputed activations the heap then grows to twice of what is used and more
(docs/experiments.md). A threshold that is set stays.
"""

from __future__ import annotations

import ctypes
import sys

MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of glibc's malloc.h."""
SMALLEST = 1 << 20
"""Bytes of the smallest block that goes back as it is freed."""


def give_back_freed_memory() -> None:
    """From now on, for the whole process; large blocks take a little longer to get. Does nothing without glibc."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(MMAP_THRESHOLD, SMALLEST)
