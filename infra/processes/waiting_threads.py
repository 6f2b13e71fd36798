"""How threads of OpenMP wait for each other in this process and its children, set before torch loads the library.

torch's threads (libgomp) check in a loop for some milliseconds whether there is work, before they sleep. With more
threads than cores, as with two runs at once, that loop takes the core from the thread that has the work.
"""

from __future__ import annotations

import os

SPIN_COUNT = "GOMP_SPINCOUNT"
SHORT = "10000"
"""Turns of the loop before a thread sleeps, about a thirtieth of the library's own number."""
CHOICES = ("OMP_WAIT_POLICY", SPIN_COUNT, "KMP_BLOCKTIME")
"""Variables by which a user decides this; the last is of Intel's library, which some builds use."""


def sleep_while_waiting() -> None:
    """Make threads sleep soon while they wait, unless the user has decided otherwise. Has no effect once torch is
    loaded."""
    if not any(name in os.environ for name in CHOICES):
        os.environ[SPIN_COUNT] = SHORT
