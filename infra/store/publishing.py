"""Puts a finished workspace in the place of its artifact, safely even where locks are void.

workspace -> rename, which fails if the place is taken -> taken: (replace? the old one is moved aside) or adopted
A directory is renamed by the file system at once or not at all, on one machine and on shared disks.
"""

from __future__ import annotations

import errno
import shutil
from contextlib import suppress
from pathlib import Path

from infra.disk import sync

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
_ATTEMPTS = 20
"""Others that may come in between while an artifact is replaced."""


def put_in_place(workspace: Path, *, final: Path, old: Path, replace: bool) -> bool:
    """Rename `workspace` to `final`; true if this was done here.

    False: another artifact is there, which is replaced only if `replace` says so, or the workspace is gone: whoever
    found it whole has put it in place, or another builder has taken it over.
    """
    for _ in range(_ATTEMPTS):
        if final.exists():  # a renamed directory would replace an empty one
            if not replace:
                return False
            shutil.rmtree(old, ignore_errors=True)
            with suppress(FileNotFoundError, FileExistsError):
                _rename(final, old)
        try:
            _rename(workspace, final)
        except FileNotFoundError:
            return False
        except FileExistsError:
            continue
        sync(final.parent)
        shutil.rmtree(old, ignore_errors=True)
        return True
    return False


def _rename(path: Path, to: Path) -> None:
    """Rename a directory; raises FileExistsError if another is there."""
    try:
        path.rename(to)
    except OSError as error:
        if error.errno in _TAKEN:
            raise FileExistsError(*error.args) from error
        raise
