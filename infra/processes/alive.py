"""Whether a process of this machine lives: its number and its start, since a later one may get the same number."""

from __future__ import annotations

import psutil


def process_lives(pid: int, started: float) -> bool:
    """True if process `pid` began at `started`, seconds since the epoch, and has not ended."""
    try:
        process = psutil.Process(pid)
        # The kernel's start times may differ from the clock by less than a second.
        same = abs(process.create_time() - started) < 1.0
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
