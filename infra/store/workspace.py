"""The files in an artifact's directory, described before publishing.

workspace -> OutputFile per file -> output digest
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from infra.disk import writing
from infra.fingerprint import canonical_json, file_sha256
from infra.store.manifest_file import MANIFEST_NAME
from schemas.artifact import OutputFile
from schemas.errors import StoreError

SCRATCH_NAME = "scratch"
"""Sub-directory for checkpoints and chunks; it survives a crash and is never published."""

Role = Literal["data", "log"]


def describe_files(workspace: Path, *, roles: Mapping[str, Role], tables: Mapping[str, str]) -> tuple[OutputFile, ...]:
    """Every file under `workspace` outside scratch/, hashed, sorted by name.

    `roles` maps patterns (`*` matches slashes too) to roles; the first match counts. A file without a match is
    `data`, so that no file is left out of the digest by mistake. `tables` maps file names to catalog
    tables. Rows are read from the metadata of Parquet files. Raises StoreError for a symbolic link.
    """
    files = []
    with writing(workspace):
        for path in _published_files(workspace):
            name = path.relative_to(workspace).as_posix()
            if path.is_symlink():
                raise StoreError(
                    f"{path} is a symbolic link to {path.readlink()}; an artifact must hold its bytes "
                    "itself: copy the file into the workspace"
                )
            files.append(
                OutputFile(
                    name=name,
                    role=next((role for glob, role in roles.items() if fnmatch.fnmatchcase(name, glob)), "data"),
                    sha256=file_sha256(path),
                    num_bytes=path.stat().st_size,
                    table=tables.get(name),
                    rows=pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None,
                )
            )
    missing = set(tables) - {file.name for file in files}
    assert not missing, f"{workspace} lacks the files of tables {sorted(missing)}"
    return tuple(files)


def output_digest(files: Sequence[OutputFile]) -> str:
    """sha256 over names and hashes of the files with role `data`, the only ones that later stages depend on."""
    data = sorted((file.name, file.sha256) for file in files if file.role == "data")
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def _published_files(workspace: Path) -> Iterator[Path]:
    for path in sorted(workspace.rglob("*")):
        inside = path.relative_to(workspace).parts
        if inside[0] == SCRATCH_NAME or inside == (MANIFEST_NAME,):
            continue
        if path.is_symlink() or path.is_file():
            yield path
