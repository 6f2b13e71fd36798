"""Where an artifact and what belongs to it are, in a home.

(stage, key) -> artifacts/STAGE/KEY, and beside it KEY.part, KEY.old, KEY.received;  locks;  a record of verified files
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from infra.store.shared_home import is_shared, local_files


@dataclass(frozen=True)
class Places:
    """The paths of one home."""

    home: Path

    @property
    def root(self) -> Path:
        """Folder of all artifacts, one folder per stage in it."""
        return self.home / "artifacts"

    def final(self, stage: str, key: str) -> Path:
        """Folder of a published artifact, whether it exists or not."""
        return self.root / stage / key

    def workspace(self, stage: str, key: str) -> Path:
        """Folder in which this process builds an artifact; on a shared home no other process has it."""
        return self.root / stage / f"{key}{self._mine()}.part"

    def workspaces(self, stage: str, key: str) -> list[Path]:
        """Folders in which an artifact is being built, or its build was interrupted; the one used last comes last."""
        plain = self.root / stage / f"{key}.part"
        found = [plain] if plain.exists() else []
        if is_shared(self.home):
            found += (self.root / stage).glob(f"{key}.*.part")
        return sorted(found, key=_modified)

    def received(self, stage: str, key: str) -> Path:
        """Folder into which this process downloads an artifact."""
        return self.root / stage / f"{key}{self._mine()}.received"

    def old(self, stage: str, key: str) -> Path:
        """Folder of the artifact that is being replaced."""
        return self.root / stage / f"{key}.old"

    def record(self, stage: str, key: str) -> Path:
        """What this machine knows to be whole of an artifact (infra/store/verified_files.py)."""
        return local_files(self.home) / "verified" / f"{stage}-{key}.json"

    def lock(self, stage: str, key: str, purpose: str) -> Path:
        """File of a lock."""
        return self.home / "locks" / f"{stage}-{key}.{purpose}.lock"

    def _mine(self) -> str:
        return f".{socket.gethostname()}-{os.getpid()}" if is_shared(self.home) else ""


def key_of(path: Path) -> str:
    """The key in the name of an artifact's folder, or of one beside it."""
    return path.name.partition(".")[0]


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # published or taken over since
        return 0.0
