"""The tables of the catalog: columns of data tables come from the record classes, the rest stands here.

schemas.records -> Arrow schema -> `create table`; other programs rely on the columns: add more, never rename.
A column added to a record is null for artifacts of earlier versions, which stay in the catalog.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import pyarrow as pa

from schemas.base import Record, arrow_schema
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.generations import Generation
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from schemas.records.removed_problems import RemovedProblem
from schemas.records.rollouts import RolloutRecord
from schemas.records.study_claims import StudyClaim
from schemas.records.study_curves import StudyCurve
from schemas.records.study_members import StudyMember
from schemas.records.study_pareto import StudyPareto
from schemas.records.unreadable_answers import UnreadableAnswer

SCHEMA_VERSION = 5
"""Bumped with every change of a table; a catalog with another one is rebuilt, never migrated."""


class DataTable(NamedTuple):
    """A table filled from Parquet files of artifacts."""

    record: type[Record]
    has_run_id: bool
    """Whether rows name the run that built their artifact."""
    added: frozenset[str] = frozenset()
    """Columns that Parquet files of earlier versions may lack."""


DATA_TABLES = {
    "problems": DataTable(Problem, has_run_id=False, added=frozenset({"instruction", "verifier"})),
    "removed_problems": DataTable(RemovedProblem, has_run_id=False),
    "unreadable_answers": DataTable(UnreadableAnswer, has_run_id=False),
    "generations": DataTable(Generation, has_run_id=False),
    "pairs": DataTable(Pair, has_run_id=False),
    "rollouts": DataTable(RolloutRecord, has_run_id=False, added=frozenset({"forced"})),
    "metrics": DataTable(Metric, has_run_id=True),
    "eval_completions": DataTable(EvalCompletion, has_run_id=False, added=frozenset({"correct_paper"})),
    "eval_summary": DataTable(EvalSummary, has_run_id=True, added=frozenset({"accuracy_paper"})),
    "eval_routers": DataTable(RouterScore, has_run_id=True),
    "eval_pareto": DataTable(ParetoPoint, has_run_id=True),
    "guard_events": DataTable(GuardEvent, has_run_id=True),
    "study_members": DataTable(StudyMember, has_run_id=False),
    "study_pareto": DataTable(StudyPareto, has_run_id=False),
    "study_curves": DataTable(StudyCurve, has_run_id=False),
    "study_claims": DataTable(StudyClaim, has_run_id=False),
}

_INDEX_TABLES = """
create table catalog_info (schema_version integer);
create table runs (
    run_id varchar, profile varchar, status varchar, started_at timestamp, finished_at timestamp,
    error varchar, config varchar, host varchar, pid bigint);
create table artifacts (
    stage varchar, key varchar, path varchar, digest varchar, rows bigint, created_at timestamp,
    cached_hits bigint, run_id varchar, seed bigint, fingerprint varchar);
create table edges (
    parent_stage varchar, parent_key varchar, child_stage varchar, child_key varchar, parent_digest varchar);
create table checks (
    artifact_key varchar, suite varchar, expectation varchar, success boolean, observed varchar,
    failing_rows varchar);
create table drops (artifact_key varchar, stage varchar, reason varchar, rows bigint);
create table run_artifacts (run_id varchar, stage varchar, key varchar, cached boolean);
"""
"""Times are UTC. `edges.parent_digest` is what the child was given, which may since have been rebuilt.
`artifacts.run_id`, and `run_id` in data tables, is the run that BUILT the artifact; `run_artifacts` tells which
runs used it.
"""

_VIEWS = """
create view run_eval_summary as
    select used.run_id, eval_summary.* exclude (run_id)
    from eval_summary join run_artifacts as used on used.key = eval_summary.artifact_key;
create view eval_by_difficulty as
    select artifacts.run_id, completions.model, completions.benchmark, completions.difficulty, completions.mode,
        count(*) as n,
        avg(completions.correct::integer) as accuracy,
        avg(completions.correct_paper::integer) as accuracy_paper,
        avg(coalesce(completions.chosen_mode = 'think', false)::integer) as think_share,
        avg(completions.p_think) as mean_p_think,
        avg(completions.num_tokens) as mean_tokens,
        completions.artifact_key
    from eval_completions as completions join artifacts on artifacts.key = completions.artifact_key
    group by all;
create view eval_pareto_area as
    with best as (
        select run_id, artifact_key, model, benchmark, mean_tokens,
            max(max(accuracy)) over (partition by artifact_key, model, benchmark order by mean_tokens) as accuracy
        from eval_pareto group by run_id, artifact_key, model, benchmark, mean_tokens
    ),
    segments as (
        select *, mean_tokens - lag(mean_tokens) over along as width,
            (accuracy + lag(accuracy) over along) / 2 as height
        from best window along as (partition by artifact_key, model, benchmark order by mean_tokens)
    )
    select run_id, model, benchmark, coalesce(sum(width * height) / nullif(sum(width), 0), max(accuracy)) as area,
        min(mean_tokens) as low_tokens, max(mean_tokens) as high_tokens, artifact_key
    from segments group by run_id, model, benchmark, artifact_key;
"""
"""`run_eval_summary`: the result table of every run, of those too that found it in the store.
`eval_by_difficulty`: one row per evaluation, model, benchmark, difficulty (null where the source knows none) and mode.
`eval_pareto_area`: one row per curve, its area over its own tokens (thinkless_core/statistics/pareto.py says what that
is).
"""

_COLUMN_TYPES = {pa.string(): "varchar", pa.int64(): "bigint", pa.float64(): "double", pa.bool_(): "boolean"}


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """All tables, empty, in an empty database."""
    for name, table in DATA_TABLES.items():
        columns = [f'"{field.name}" {_COLUMN_TYPES[field.type]}' for field in arrow_schema(table.record)]
        first = ["run_id varchar"] if table.has_run_id else []
        connection.execute(f"create table {name} ({', '.join([*first, *columns, 'artifact_key varchar'])})")
    for statement in (*_INDEX_TABLES.split(";"), *_VIEWS.split(";")):
        if statement.strip():
            connection.execute(statement)
    connection.execute("insert into catalog_info values (?)", [SCHEMA_VERSION])
