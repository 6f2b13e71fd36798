"""A home that several machines share: its mark, its locks, and what each machine keeps for itself.

shared.json in the home -> leases instead of file locks (infra/leases.py), a workspace per builder
                        -> catalog and verification records in a folder of this machine's own disk

Those two are made from the manifests again wherever they are missing, so that no machine needs another's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from infra.disk import write_whole
from infra.leases import lease
from infra.locks import file_lock
from schemas.errors import StoreError

MARK = "shared.json"
DEFAULT_LOCAL = "/var/tmp/thinkless"
"""Folder on each machine's own disk."""


def share(home: Path, *, local: str = DEFAULT_LOCAL) -> None:
    """Mark a home as shared; each machine then keeps its own files below `local`. Raises StoreError."""
    write_whole(home / MARK, (json.dumps({"local": local}) + "\n").encode())


def is_shared(home: Path) -> bool:
    """Whether several machines may use this home."""
    return (home / MARK).exists()


def local_files(home: Path) -> Path:
    """The folder for what this machine keeps for itself: in a home of its own, the home.

    Raises StoreError if the mark cannot be read.
    """
    mark = home / MARK
    try:
        local = Path(json.loads(mark.read_bytes())["local"])
    except FileNotFoundError:
        return home
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{mark} cannot be read ({error}); expected what `thinkless share` writes: run it again, or delete the "
            "file if one machine alone uses this home"
        ) from error
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return local / f"{os.getuid()}-{name}"


def lock(
    home: Path,
    path: Path,
    *,
    owner: str,
    timeout_seconds: float | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> AbstractContextManager[None]:
    """A lock of the home: of the file system where one machine uses it, else a lease."""
    taken = lease if is_shared(home) else file_lock
    return taken(path, owner=owner, timeout_seconds=timeout_seconds, on_wait=on_wait)
