"""A record of verified files, so that gigabytes of unchanged weights are not read at every launch.

file -> stat -> the same stamp as when its bytes were last hashed? -> trusted, else hashed -> stamps saved

A stamp holds what changes with a file: size, both times, inode, device. No program can set the time of change (ctime),
so a written, replaced, copied or restored file is hashed again. Every file is hashed again after a day, and while it is
so new that one tick of the clock could hide another write. docs/decisions/0008 names the changes this cannot see.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from infra.disk import write_whole
from infra.fingerprint import file_sha256
from schemas.artifact import Manifest
from schemas.errors import StoreError

SETTLED_SECONDS = 2.0
"""A stamp counts only if the file was this old when it was hashed: the coarsest file system clock ticks every 2 s."""
TRUSTED_SECONDS = 24 * 3600.0
"""How long a stamp counts."""


class Stamp(NamedTuple):
    """A file as it was when its bytes were read."""

    sha256: str
    num_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int
    read_at: float
    """Seconds since the epoch."""


def first_damage(directory: Path, manifest: Manifest, *, record: Path | None = None) -> str | None:
    """The first file that differs from the manifest, and the difference; None if all files match.

    `record` is a file of stamps, which is read and updated; without one every byte is read. It is never required: if it
    is missing, damaged or cannot be written, verification only takes longer.
    """
    stamps = {} if record is None else _read(record)
    found: dict[str, Stamp] = {}
    for file in manifest.files:
        path = directory / file.name
        now = time.time()
        try:
            stat = path.stat()  # before reading, so that a write meanwhile does not go unnoticed
            if stat.st_size != file.num_bytes:
                return f"{path} has {stat.st_size} bytes, the manifest says {file.num_bytes}"
            stamp = _stamp(stat, sha256=file.sha256, read_at=now)
            known = stamps.get(file.name)
            if known is not None and _trusts(known, stamp):
                found[file.name] = known
                continue
            sha256 = file_sha256(path)
        except (FileNotFoundError, NotADirectoryError):  # at either step: another process may be exchanging it
            return f"{path} is missing"
        if sha256 != file.sha256:
            return f"{path} has sha256 {sha256[:12]}, the manifest says {file.sha256[:12]}"
        if now - max(stat.st_mtime, stat.st_ctime) >= SETTLED_SECONDS:
            found[file.name] = stamp
    if record is not None and found != stamps:
        _write(record, found)
    return None


def _stamp(stat: os.stat_result, *, sha256: str, read_at: float) -> Stamp:
    return Stamp(sha256, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev, read_at)


def _trusts(known: Stamp, present: Stamp) -> bool:
    """True if the file is unchanged since the stamp `known`, and the stamp is neither too old nor in the future."""
    return 0 <= present.read_at - known.read_at < TRUSTED_SECONDS and known._replace(read_at=present.read_at) == present


def _read(record: Path) -> dict[str, Stamp]:
    try:
        return {name: Stamp(*values) for name, values in json.loads(record.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(record: Path, stamps: dict[str, Stamp]) -> None:
    with suppress(StoreError, OSError):  # a read-only store is verified at every launch
        write_whole(record, json.dumps(stamps).encode())
