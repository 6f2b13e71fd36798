"""Small real artifacts for the tests of store, catalog, queries and lineage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from infra.catalog.catalog import Catalog
from infra.runs import RunRecord, StageUse, finish_run, save_run, start_run
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import MANIFEST_VERSION, Artifact, CheckResult, InputRef, Manifest
from schemas.base import Record, records_to_table
from schemas.finish_reason import FinishReason
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.generations import Generation
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.rollouts import RolloutRecord

PROBLEM = Problem(
    problem_id="p-1",
    prompt="3*7=?",
    answer="1",
    difficulty=1,
    split=ProblemSplit.SFT,
    benchmark=None,
    source="procedural",
)
PAIR = Pair(
    problem_id="p-1",
    prompt="3*7=?",
    answer="1",
    think_completion="<think>3*7=1</think>1",
    short_completion="<short>1",
    think_tokens=8,
    short_tokens=3,
    think_truncated=False,
    short_truncated=False,
    split="train",
    difficulty=1,
)
ROLLOUT = RolloutRecord(
    rollout_id="r-1",
    step=0,
    problem_id="p-1",
    difficulty=1,
    sample=0,
    mode=None,
    completion="?",
    num_tokens=1,
    finish_reason=FinishReason.STOP,
    correct=False,
    malformed=True,
    fake_short=False,
    reward=-1.0,
    advantage=0.0,
)
SUMMARY = EvalSummary(
    model="rl",
    benchmark="chains",
    mode=EvalMode.AUTO,
    n=1,
    accuracy=1.0,
    accuracy_stderr=0.0,
    think_share=0.0,
    mean_tokens=3.0,
    truncated_share=0.0,
    malformed_share=0.0,
    fake_short_share=0.0,
    grader="exact",
    accuracy_paper=1.0,
)
ROUTER = RouterScore(
    model="rl",
    benchmark="chains",
    router="auto",
    threshold=None,
    n=1,
    accuracy=1.0,
    accuracy_stderr=0.0,
    think_share=0.0,
    mean_tokens=3.0,
    mean_tokens_stderr=0.0,
    hybrid_accuracy=1.0,
)
PARETO_POINT = ParetoPoint(
    model="rl",
    benchmark="chains",
    think_bias=0.0,
    n=1,
    accuracy=1.0,
    accuracy_stderr=0.0,
    think_share=0.25,
    mean_tokens=4.5,
    mean_tokens_stderr=0.0,
)
GUARD_EVENT = GuardEvent(
    step=3, action="warn", rare_mode=Mode.THINK, share=0.01, forced_per_group=0, reason="think share 0.01 under 0.05"
)


def generation(mode: Mode) -> Generation:
    """One answer to PROBLEM."""
    return Generation(
        generation_id=f"g-{mode}",
        problem_id="p-1",
        prompt=PROBLEM.prompt,
        mode=mode,
        completion=f"{mode.token}1",
        answer="1",
        num_tokens=3,
        finish_reason=FinishReason.STOP,
        truncated=False,
        correct=True,
        teacher="procedural",
    )


def eval_completion(completion_id: str, *, model: str) -> EvalCompletion:
    """One graded completion."""
    return EvalCompletion(
        completion_id=completion_id,
        model=model,
        benchmark="chains",
        mode=EvalMode.AUTO,
        problem_id="t-1",
        difficulty=None,
        sample=0,
        chosen_mode=Mode.SHORT,
        completion="<short>1",
        answer="1",
        correct=True,
        num_tokens=3,
        truncated=False,
        malformed=False,
        fake_short=False,
        p_think=0.25,
        grader="exact",
        correct_paper=True,
    )


def publish(
    store: ArtifactStore,
    stage: str,
    key: str,
    *,
    tables: dict[str, list[Record]] | None = None,
    inputs: tuple[Artifact, ...] = (),
    payload: str = "weights",
    replace: bool = True,
    **changes: Any,
) -> Artifact:
    """Publishes `<table>.parquet` for every table, a data file `model/payload.txt` and a log file."""
    workspace = store.open_workspace(stage, key)
    (workspace / "scratch" / "chunk-0").write_text("half done")
    (workspace / "model").mkdir(exist_ok=True)
    (workspace / "model" / "payload.txt").write_text(payload)
    (workspace / "build.log").write_text("took 3 s")
    for table, rows in (tables or {}).items():
        pq.write_table(records_to_table(type(rows[0]), rows), workspace / f"{table}.parquet")
    files = store.describe_files(
        workspace, roles={"*.log": "log"}, tables={f"{table}.parquet": table for table in tables or {}}
    )
    manifest = Manifest(
        manifest_version=MANIFEST_VERSION,
        stage=stage,
        stage_version=1,
        key=key,
        digest=store.output_digest(files),
        **{
            "run_id": "run-1",
            "created_at": "2026-11-21T10:00:00+00:00",
            "config": {"temperature": 0.6},
            "fingerprint": "f" * 64,
            "packages": {"numpy": "2"},
            "environment": {"python": "3"},
            "seed": 0,
            "rows": sum(map(len, (tables or {}).values())),
            "drops": {"duplicate": 2},
            "checks": (
                CheckResult(suite=stage, expectation="not_null", success=True, observed="0", failing_rows="[]"),
            ),
            "timings": {"build": 0.5},
            **changes,
        },
        inputs=tuple(InputRef(stage=a.stage, key=a.key, digest=a.digest) for a in inputs),
        files=files,
    )
    return store.publish(workspace, manifest, replace=replace)


def publish_pipeline(home: Path) -> dict[str, Artifact]:
    """One artifact of every stage (teach twice), linked as the pipeline links them, one minute apart."""
    store = ArtifactStore(home)
    made: dict[str, Artifact] = {}

    def add(name: str, stage: str, *inputs: str, **tables: list[Record]) -> None:
        made[name] = publish(
            store,
            stage,
            f"{len(made):04d}{name.replace('_', '')}key",
            tables=tables,
            inputs=tuple(made[i] for i in inputs),
            payload=name,
            config={"mode": name.removeprefix("teach_")} if stage == "teach" else {"temperature": 0.6},
            created_at=f"2026-11-21T10:{len(made):02d}:00+00:00",
        )

    add("base", "base")
    add("problems", "problems", problems=[PROBLEM])
    add("teach_think", "teach", "base", "problems", generations=[generation(Mode.THINK)])
    add("teach_short", "teach", "base", "problems", generations=[generation(Mode.SHORT)])
    add("pairs", "pairs", "problems", "teach_think", "teach_short", pairs=[PAIR])
    add("sft", "sft", "base", "pairs", metrics=[Metric(stage="sft", step=0, name="loss", value=2.5)])
    add(
        "rl",
        "rl",
        "problems",
        "sft",
        metrics=[Metric(stage="rl", step=0, name="reward", value=0.5)],
        rollouts=[ROLLOUT],
        guard_events=[GUARD_EVENT],
    )
    completions = [eval_completion(f"c-{model}", model=model) for model in ("base", "sft", "rl")]
    add(
        "evaluate",
        "evaluate",
        "problems",
        "base",
        "sft",
        "rl",
        eval_completions=list(completions),
        eval_summary=[SUMMARY],
        eval_routers=[ROUTER],
        eval_pareto=[PARETO_POINT],
    )
    return made


def record_finished_run(home: Path, run_id: str, artifacts: dict[str, Artifact], *, cached: bool) -> RunRecord:
    """A completed run of this process that used the artifacts, saved."""
    record = finish_run(start_run(run_id, profile="tiny", config={"seed": 0}))
    uses = tuple(StageUse(stage=a.stage, key=a.key, cached=cached) for a in artifacts.values())
    record = record.model_copy(update={"stages": uses})
    save_run(home, record)
    return record


def build_home(home: Path) -> dict[str, Artifact]:
    """A home with a whole pipeline, two runs (the second all hits) and their catalog, made in one go."""
    made = publish_pipeline(home)
    runs = [record_finished_run(home, f"run-{number}", made, cached=number == 2) for number in (1, 2)]
    Catalog(home, timeout_seconds=20).rebuild(ArtifactStore(home), runs)
    return made


def build_home_step_by_step(home: Path) -> dict[str, Artifact]:
    """The same, made as the pipeline does it: artifact by artifact, run by run."""
    made = publish_pipeline(home)
    catalog = Catalog(home, timeout_seconds=20)
    store = ArtifactStore(home)
    for artifact in made.values():
        catalog.register(store.manifest(artifact.stage, artifact.key), Path(artifact.path))
    for number in (1, 2):
        catalog.record_run(record_finished_run(home, f"run-{number}", made, cached=number == 2))
    return made
