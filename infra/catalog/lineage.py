"""What an artifact was made from, and what was made from it.

REF -> resolve -> stage, key -> one recursive query (infra/catalog/sql) -> rows -> tree of text
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from infra.catalog.lineage_tree import LineageStep, lineage_tree
from infra.catalog.query import run_query
from infra.catalog.sql_text import sql_text
from infra.settings import DEFAULT_LOCK_TIMEOUT_SECONDS
from schemas.errors import MissingArtifactError, nearest

_SHORTEST_PREFIX = 4


class ArtifactName(NamedTuple):
    """Stage and full key of one artifact."""

    stage: str
    key: str


def resolve(ref: str, home: Path, *, timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS) -> ArtifactName:
    """The artifact that `ref` names: a key or a unique prefix of one, `stage/key`, a stage, or the id of a row or run.

    A stage, or one teacher of stage `teach` (`teach-think`), stands for its newest artifact; the id of a problem,
    generation, rollout or completion for the newest artifact that holds it, a run's for the newest that it used. Raises
    MissingArtifactError if `ref` names nothing, or several artifacts.
    """
    stage, _, prefix = ref.rpartition("/")
    # At most one artifact for the stage's name; all for the prefix, so that an ambiguous one can be listed.
    named = run_query(
        home,
        "select stage, key from artifacts where $ref in (stage, label) order by created_at desc, key limit 1",
        timeout_seconds=timeout_seconds,
        parameters={"ref": ref},
    ).to_pylist()
    by_key = run_query(
        home,
        "select stage, key from artifacts where starts_with(key, $prefix) and $stage in ('', stage) "
        "order by key = $prefix desc, stage, key",
        timeout_seconds=timeout_seconds,
        parameters={"prefix": prefix, "stage": stage},
    ).to_pylist()
    if len(prefix) < _SHORTEST_PREFIX:
        by_key = []
    elif by_key and by_key[0]["key"] == prefix:
        by_key = by_key[:1]
    by_row = [] if named or by_key else _holders_of(ref, home, timeout_seconds=timeout_seconds)
    found = [ArtifactName(row["stage"], row["key"]) for row in (named or by_key or by_row)]
    if len(found) == 1:
        return found[0]
    if found:
        listing = ", ".join(f"{name.stage}/{name.key}" for name in found)
        raise MissingArtifactError(f"{ref!r} means {len(found)} artifacts: {listing}; give more of the key")
    raise MissingArtifactError(_nothing_found(ref, home, timeout_seconds=timeout_seconds))


def ancestors(
    artifact: ArtifactName, home: Path, *, timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS
) -> list[LineageStep]:
    """All that an artifact was made from, nearest first; the first step is the artifact itself."""
    return _walk(artifact, home, down=False, timeout_seconds=timeout_seconds)


def descendants(
    artifact: ArtifactName, home: Path, *, timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS
) -> list[LineageStep]:
    """All that was made from an artifact, nearest first; the first step is the artifact itself."""
    return _walk(artifact, home, down=True, timeout_seconds=timeout_seconds)


def format_lineage(
    artifact: ArtifactName, *, ancestors: Sequence[LineageStep], descendants: Sequence[LineageStep]
) -> str:
    """Two trees of text around one artifact: what it was made from, and what was made from it."""
    name = f"{artifact.stage}/{artifact.key}"
    up = lineage_tree(ancestors)
    down = lineage_tree(descendants) if len(descendants) > 1 else ["  nothing yet"]
    return "\n".join([f"{name} was made from", *up, "", f"made from {name}", *down])


def _walk(artifact: ArtifactName, home: Path, *, down: bool, timeout_seconds: float) -> list[LineageStep]:
    parameters = {"key": artifact.key, "down": down}
    table = run_query(home, sql_text("lineage"), timeout_seconds=timeout_seconds, parameters=parameters)
    return [LineageStep(**row) for row in table.to_pylist()]


def _holders_of(row: str, home: Path, *, timeout_seconds: float) -> list[dict[str, str]]:
    """The newest artifact that holds a row of this id, or that a run of this id used."""
    rows: list[dict[str, str]] = run_query(
        home,
        "select stage, key from artifacts where key in ("
        "select artifact_key from eval_completions where completion_id = $row "
        "union select artifact_key from rollouts where rollout_id = $row "
        "union select artifact_key from generations where generation_id = $row "
        "union select artifact_key from problems where problem_id = $row "
        "union select key from run_artifacts where run_id = $row) order by created_at desc, key limit 1",
        timeout_seconds=timeout_seconds,
        parameters={"row": row},
    ).to_pylist()
    return rows


def _nothing_found(ref: str, home: Path, *, timeout_seconds: float) -> str:
    table = run_query(home, "select distinct stage from artifacts", timeout_seconds=timeout_seconds)
    stages = table.column("stage").to_pylist()
    hint = nearest(ref.partition("/")[0], stages) if stages else "there are none yet"
    return (
        f"nothing is known as {ref!r} in {home}; expected a key (or at least {_SHORTEST_PREFIX} characters of it), "
        "stage/key, a stage, or the id of a run, problem, generation, rollout or completion; "
        f"stages with artifacts: {hint}"
    )
