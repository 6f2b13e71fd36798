"""Artifacts: the reference that stages pass on, and the manifest that describes a published artifact."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from schemas.base import Record

MANIFEST_VERSION = 2
"""Raised when a manifest's meaning changes; a manifest with a newer version is refused."""


class Artifact(Record):
    """A small frozen reference to one published artifact; stages pass nothing else to each other."""

    stage: str
    key: str
    digest: str
    """sha256 over names and hashes of the output files with role `data`; keys of later stages depend on it."""
    path: str
    """Directory of the artifact on this machine."""
    rows: int
    kept: bool = False
    """Whether it was taken (--keep) although the sources of its stage changed."""


class OutputFile(Record):
    """One file of an artifact."""

    name: str
    """Path inside the artifact directory, with forward slashes."""
    role: Literal["data", "log"]
    """`data` is part of the digest; `log` (timings, documents) is verified, but later stages do not depend on it."""
    sha256: str
    num_bytes: int
    table: str | None = None
    """Catalog table this Parquet file is loaded into, if any."""
    rows: int | None = None


class InputRef(Record):
    """One upstream artifact, by stage, key and output digest."""

    stage: str
    key: str
    digest: str
    kept: bool = False
    """Whether it was taken (--keep) although the sources of its stage had changed."""


class CheckResult(Record):
    """Result of one expectation of one validation suite."""

    suite: str
    expectation: str
    success: bool
    observed: str
    """The observed value as text, or the number of unexpected rows."""
    failing_rows: str
    """JSON list of the identifiers of failing rows (at most 20), `[]` if all passed."""


class Manifest(Record):
    """Everything known about an artifact. It is written last: if it exists, the artifact is complete."""

    manifest_version: int
    stage: str
    stage_version: int = 1
    """Always 1: `sources` records changes of code."""
    key: str
    digest: str
    run_id: str
    """The run that built it."""
    created_at: str
    """UTC, ISO 8601."""
    inputs: tuple[InputRef, ...]
    config: dict[str, JsonValue]
    """The stage's slice of the configuration."""
    fingerprint: str
    """sha256 over `sources`."""
    sources: dict[str, str] = Field({})
    """Module, file of the program or file of a plug-in -> sha256: all the code that decides the bytes. Empty in
    artifacts of earlier versions."""
    packages: dict[str, str]
    """Versions of the packages that can change the result."""
    environment: dict[str, str]
    """Python, platform, number of threads."""
    seed: int | None
    rows: int
    drops: dict[str, int]
    """Rows dropped or touched, by reason."""
    checks: tuple[CheckResult, ...]
    timings: dict[str, float]
    """Seconds by phase."""
    files: tuple[OutputFile, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of its files."""
        return sum(file.num_bytes for file in self.files)

    @property
    def label(self) -> str:
        """The stage's name in a run: `teach-think` and `teach-short` are two artifacts of stage `teach`."""
        return f"teach-{self.config['mode']}" if self.stage == "teach" and "mode" in self.config else self.stage
