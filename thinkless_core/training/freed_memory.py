"""Freed memory goes back to the system, where the C library would keep it.

glibc gives a block above a threshold back to the system when it is freed, but each such block raises the threshold, up
to 32 MB: freed activations of long samples stay in the heap (docs/experiments.md). A threshold that is set stays.
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
