"""What is known of an artifact's folder: that it is whole, or what is wrong with it.

folder -> manifest -> its files (infra/store/verified_files.py) -> Artifact, or the damage
"""

from __future__ import annotations

from pathlib import Path

from infra.store.manifest_file import MANIFEST_NAME, decode_manifest
from infra.store.verified_files import first_damage
from schemas.artifact import Artifact, Manifest
from schemas.errors import WorkspaceLostError


def reference(directory: Path, manifest: Manifest) -> Artifact:
    """The reference to a published artifact."""
    return Artifact(
        stage=manifest.stage,
        key=manifest.key,
        digest=manifest.digest,
        path=str(directory),
        rows=manifest.rows,
    )


def verified(directory: Path, *, stage: str, key: str, record: Path | None = None) -> Artifact:
    """The reference to an undamaged artifact; raises ValueError with the damage.

    Without a record of earlier verifications, every byte is read.
    """
    where = directory / MANIFEST_NAME
    try:
        content = where.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{where} is missing") from None
    manifest = decode_manifest(content, where=str(where))
    if (manifest.stage, manifest.key) != (stage, key):
        raise ValueError(f"{where} describes {manifest.stage}/{manifest.key}")
    damage = first_damage(directory, manifest, record=record)
    if damage is not None:
        raise ValueError(damage)
    return reference(directory, manifest)


def lost(workspace: Path) -> WorkspaceLostError:
    """The error for a workspace that another builder has taken over."""
    return WorkspaceLostError(
        f"{workspace} is gone: another builder took it over, because this one gave no sign for too long; its artifact "
        "is waited for"
    )
