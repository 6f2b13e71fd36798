"""The remote that a command needs, and which of its runs a command means."""

from __future__ import annotations

from flows.run_choice import newest, run_by_name
from infra.remote.remote_store import RemoteStore
from infra.runs import RunRecord
from infra.settings import Settings
from schemas.errors import ConfigError, MissingArtifactError


def required_remote(settings: Settings) -> RemoteStore:
    """The remote of the settings; raises ConfigError if there is none."""
    if settings.remote is None:
        raise ConfigError(
            "no remote is set; set THINKLESS_REMOTE=s3://BUCKET/PREFIX, or file:///FOLDER for a shared disk"
        )
    return RemoteStore(settings.remote)


def remote_run(remote: RemoteStore, named: str | None) -> RunRecord:
    """The run of a remote that `named` is the id of, or the only id's beginning; else its newest completed one.

    Raises MissingArtifactError if there is none.
    """
    runs = remote.runs()
    if not runs:
        raise MissingArtifactError(f"no run yet in {remote.url}; `thinkless push` brings one there")
    if named is not None:
        return run_by_name(runs, named, listing="thinkless remote status")
    return newest(runs)
