"""File locks that die with their process.

open -> flock, polling -> holder's name written into the file -> block -> flock released

The kernel drops a flock when the last copy of its descriptor closes, so kill -9 leaves nothing to clean up.
Each lock has its own descriptor, so two threads of one process exclude each other, as two processes do.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.disk import writing
from schemas.errors import Transient

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5
UNKNOWN_HOLDER = "another process"

_open: set[int] = set()
"""Descriptors of locks that this process holds or waits for."""


def _forget_in_child() -> None:
    """Close the lock descriptors in a forked child, which would keep its parent's locks alive.

    Closing a copy does not release the lock of the parent.
    """
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_forget_in_child)


@contextmanager
def file_lock(
    path: Path,
    *,
    owner: str,
    timeout_seconds: float | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold the lock `path` during the block; the file itself is not deleted.

    Waiting processes show `owner` as the holder. `on_wait` is called once, with a sentence, if another process holds
    the lock. Raises Transient, naming the holder, after `timeout_seconds` (None: waits for ever).
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    _open.add(descriptor)
    try:
        _acquire(descriptor, path=path, timeout_seconds=timeout_seconds, on_wait=on_wait)
        with writing(path):
            _write_holder(descriptor, owner=owner)
        yield
    finally:
        if descriptor in _open:  # false in a child forked inside the block
            _open.discard(descriptor)
            os.close(descriptor)


def _acquire(
    descriptor: int, *, path: Path, timeout_seconds: float | None, on_wait: Callable[[str], None] | None
) -> None:
    started = time.monotonic()
    pause = _FIRST_PAUSE_SECONDS
    reported = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        waited = time.monotonic() - started
        if timeout_seconds is not None and waited >= timeout_seconds:
            raise still_held(path, _read_holder(path), waited=waited, timeout_seconds=timeout_seconds)
        if on_wait is not None and not reported and waited >= _FIRST_PAUSE_SECONDS:
            on_wait(waiting_for(path, _read_holder(path)))
            reported = True
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def lock_owner(path: Path) -> str | None:
    """The `owner` that last took the lock, whether it still holds it or not; None if the file says none."""
    try:
        owner = json.loads(path.read_bytes())["owner"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(owner)


def _write_holder(descriptor: int, *, owner: str) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "owner": owner}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _read_holder(path: Path) -> str:
    """The holder of the lock, for messages. The file may be empty for an instant after a change of holder."""
    try:
        return holder_words(path.read_bytes())
    except OSError:
        return UNKNOWN_HOLDER


def holder_words(content: bytes) -> str:
    """The holder that the content of a lock file names, for messages."""
    try:
        holder = json.loads(content)
        here = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
        return f"{holder['owner']} (pid {holder['pid']}{here})"
    except (ValueError, KeyError, TypeError):
        return UNKNOWN_HOLDER


def waiting_for(path: Path, holder: str) -> str:
    """What is said once by who waits for a lock."""
    return f"waiting for {holder}, which holds {path.name}"


def still_held(path: Path, holder: str, *, waited: float, timeout_seconds: float) -> Transient:
    """The error of who has waited for a lock too long."""
    return Transient(
        f"lock {path} is still held by {holder} after {waited:.1f} s, expected it free within {timeout_seconds:g} s; "
        "wait for that process or end it, or raise THINKLESS_LOCK_TIMEOUT_SECONDS"
    )
