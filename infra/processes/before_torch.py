"""What torch and its libraries read from the environment as they are loaded, in this process and its children.

Waiting: torch's threads (libgomp) check in a loop for some milliseconds whether there is work, before they sleep. With
more threads than cores, as with two runs at once, that loop takes the core from the thread that has the work.

Memory: freed tensors of up to 32 MB stay in the heap of glibc (2.36), where the next ones often do not fit between
what is still used. With recomputed activations and a long sample the heap grew to two or three times what was used.
torch's allocator has large tensors begin at a page of 2 MB if it is asked to (pytorch, c10/core/impl/alloc_cpu.cpp);
then they fit, and nothing is slower (docs/experiments.md).
"""

from __future__ import annotations

import os

SPIN_COUNT = "GOMP_SPINCOUNT"
SHORT = "1000"
"""Turns of the loop before a thread sleeps, about a three-hundredth of the library's own number."""
CHOICES = ("OMP_WAIT_POLICY", SPIN_COUNT, "KMP_BLOCKTIME")
"""Variables by which a user decides this; the last is of Intel's library, which some builds use."""
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"


def prepare_for_torch() -> None:
    """Make threads sleep soon while they wait, and large tensors begin at large pages, unless the user has decided
    otherwise. Has no effect once torch is loaded."""
    if not any(name in os.environ for name in CHOICES):
        os.environ[SPIN_COUNT] = SHORT
    os.environ.setdefault(LARGE_PAGES, "1")
