"""Writes files completely or not at all, and turns disk failures into errors with a way out.

bytes -> temporary file beside the target -> fsync -> rename -> fsync of the directory.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import StoreError

_REASONS = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "disk quota exceeded",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.EEXIST: "a file exists where a directory is needed",
    errno.ENAMETOOLONG: "the path is too long",
}
"""Failures that a retry cannot cure; any other OSError is passed on unchanged."""


def store_error(error: OSError, *, path: Path) -> StoreError:
    """The error for a path that cannot be written, with the reason and the way out."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    remedy = "free some space, or set" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "set"
    return StoreError(
        f"cannot write {path}: {reason}; expected a writable directory with free space: "
        f"{remedy} THINKLESS_HOME to one that has both, and launch again"
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error inside the block from a full, read-only or forbidden disk into a StoreError about `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        raise store_error(error, path=path) from error


def sync(path: Path) -> None:
    """Flush a file's content, or a directory's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(name: str, *, unique: str) -> str:
    """Temporary name under which `write_whole` first writes a file; a crash may leave it behind."""
    return f".{name}.{unique}.part"


def write_whole(path: Path, content: bytes, *, new_folder: bool = True) -> None:
    """Replace the content of `path`: after a crash at any point it holds the old bytes or the new ones.

    Its folder is made, unless `new_folder` forbids it: then FileNotFoundError is raised if it is gone. Raises
    StoreError if the disk is full, read-only or forbidden.
    """
    writer = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"  # the disk may be shared by machines
    part = path.with_name(temporary_name(path.name, unique=writer))
    with writing(path):
        if new_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        sync(path.parent)
