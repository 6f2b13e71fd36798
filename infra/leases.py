"""Locks for a home that several machines share, where the locks of the file system may be void.

holder file, created exclusively -> a beat in it every few seconds -> removed
a holder without a beat for EXPIRY_SECONDS, or whose process is gone from this machine -> taken over

A lease saves double work and no more: its holder may lose it while it lives, after a pause longer than the expiry.
Publishing is safe without it (infra/store/publishing.py), and each builder has a workspace of its own.
Beats are counted, and seconds are those of the one who waits: clocks of machines are never compared.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from infra.disk import writing
from infra.locks import holder_words, still_held, waiting_for
from infra.processes.alive import process_lives

BEAT_SECONDS = 5.0
EXPIRY_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


@contextmanager
def lease(
    path: Path,
    *,
    owner: str,
    timeout_seconds: float | None = None,
    on_wait: Callable[[str], None] | None = None,
    beat_seconds: float = BEAT_SECONDS,
    expiry_seconds: float = EXPIRY_SECONDS,
) -> Iterator[None]:
    """Hold the lease `path` during the block.

    Waiting processes show `owner` as the holder. `on_wait` gets a sentence if another process holds it, and one if it
    is taken over. Raises Transient, naming the holder, after `timeout_seconds` (None: waits until it is free).
    """
    mine = {
        "token": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "owner": owner,
    }
    _take(path, mine, timeout_seconds=timeout_seconds, on_wait=on_wait, expiry_seconds=expiry_seconds)
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(path, mine, done, beat_seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if _is_mine(path, mine):
            path.unlink(missing_ok=True)


def _take(
    path: Path,
    mine: dict[str, Any],
    *,
    timeout_seconds: float | None,
    on_wait: Callable[[str], None] | None,
    expiry_seconds: float,
) -> None:
    started, pause, slept, silent, reported = time.monotonic(), _FIRST_PAUSE_SECONDS, 0.0, 0.0, False
    seen: bytes | None = None
    while not _created(path, mine):
        content = _content(path)
        if content is None:
            continue  # released in between
        silent = silent + slept if content == seen else 0.0
        seen = content
        if silent > expiry_seconds or _is_gone(content):
            if on_wait is not None:
                why = "gave no sign" if silent > expiry_seconds else "has ended without releasing it"
                on_wait(f"{holder_words(content)} {why}; its lock {path.name} is taken over")
            _displace(path, seen=content, token=mine["token"])
            seen = None
            continue
        waited = time.monotonic() - started
        if timeout_seconds is not None and waited >= timeout_seconds:
            raise still_held(path, holder_words(content), waited=waited, timeout_seconds=timeout_seconds)
        if on_wait is not None and not reported:
            on_wait(waiting_for(path, holder_words(content)))
            reported = True
        slept = pause
        time.sleep(slept)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _created(path: Path, mine: dict[str, Any]) -> bool:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, _encoded(mine, beat=0))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return True


def _beat(path: Path, mine: dict[str, Any], done: threading.Event, beat_seconds: float) -> None:
    """Renew the lease until it is done, or lost to another."""
    beat = 0
    while not done.wait(beat_seconds):
        beat += 1
        with suppress(OSError):  # a full disk; the next beat tries again, and others may take the lease meanwhile
            if not _is_mine(path, mine):
                return
            descriptor = os.open(path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, _encoded(mine, beat=beat), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _displace(path: Path, *, seen: bytes, token: str) -> None:
    """Remove the lease that was `seen`, and no newer one that another process took meanwhile."""
    aside = path.with_name(f"{path.name}.{token}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _content(aside) != seen:
        with suppress(OSError):  # a newer one is there, or this disk has no links: then the builders do without it
            os.link(aside, path)
    aside.unlink(missing_ok=True)


def _encoded(mine: dict[str, Any], *, beat: int) -> bytes:
    """All beats have one length, so that a reader never meets the end of an older one."""
    return json.dumps({**mine, "beat": f"{beat:012d}"}).encode()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _decoded(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_mine(path: Path, mine: dict[str, Any]) -> bool:
    return bool(_decoded(_content(path)).get("token") == mine["token"])


def _is_gone(content: bytes) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    holder = _decoded(content)
    here = holder.get("host") == socket.gethostname()
    return here and not process_lives(holder["pid"], holder["process_started"])
