"""Stage `rl`: teaches the warmed-up student when to think, by DeGRPO or another objective."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect import task

from infra.validation.suites import rollouts_suite
from schemas.artifact import Artifact
from schemas.configs.rl import RlConfig
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.rollouts import RolloutRecord
from tasks.prepare_problems import FILE as PROBLEMS_FILE
from tasks.running.context import Gate, RunContext, StageOutcome, StagePlan
from tasks.running.launching import run_training
from tasks.running.parquet_files import read_records, write_records
from tasks.running.samplers import build_sampler
from tasks.running.stage import STAGE_CACHE, run_stage
from tasks.running.student_folder import leave_behind, take_up
from tasks.train_sft import METRICS_FILE
from thinkless_core.progress import Progress
from thinkless_core.rl import rl_trainer
from thinkless_core.rl.rl_logs import RlLogs
from thinkless_core.student.model_files import load_student

ROLLOUTS_FILE = "rollouts.parquet"
GUARD_EVENTS_FILE = "guard_events.parquet"


def build(plan: StagePlan[RlConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `model/` and the tables of metrics, rollouts and guard events; goes on from the newest checkpoint in
    `scratch/`.
    """
    run_training(plan, workspace, progress, train=train)
    logs = RlLogs.in_folder(workspace / "scratch")
    write_records(workspace / METRICS_FILE, Metric, logs.metrics)
    rows = write_records(workspace / ROLLOUTS_FILE, RolloutRecord, logs.rollouts)
    write_records(workspace / GUARD_EVENTS_FILE, GuardEvent, logs.guard_events)
    suite = rollouts_suite(
        group_size=plan.config.group_size,
        rewards=plan.config.chosen_reward().build().limits(),
        advantages_cancel=plan.config.objective.advantages_cancel,
    )
    return StageOutcome(
        rows=rows,
        tables={METRICS_FILE: "metrics", ROLLOUTS_FILE: "rollouts", GUARD_EVENTS_FILE: "guard_events"},
        gates=(Gate(ROLLOUTS_FILE, suite),),
    )


def train(
    config: RlConfig,
    inputs: Sequence[Path],
    workspace: Path,
    progress: Progress,
    *,
    processes: int = 1,
    sharded: bool = False,
) -> None:
    """Train in this process, or as one of several (tasks/running/launching.py); writes `model/`, logs and
    checkpoints."""
    problems, warm_up = inputs
    policy, tokenizer = take_up(warm_up, config, processes=processes)
    with build_sampler(
        config.sampler,
        model=policy,
        tokenizer=tokenizer,
        folder=warm_up / "model",
        precision=config.precision,
    ) as sampler:
        rl_trainer.train_rl(
            policy,
            reference=policy if config.lora is not None else load_student(warm_up / "model"),
            tokenizer=tokenizer,
            sampler=sampler,
            problems=read_records(problems / PROBLEMS_FILE, Problem, where=[("split", ProblemSplit.RL)]),
            config=config,
            scratch=workspace / "scratch",
            progress=progress,
            sharded=sharded,
        )
    leave_behind(policy, tokenizer, before=warm_up, workspace=workspace)


@task(name="rl", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def train_rl(context: RunContext, plan: StagePlan[RlConfig]) -> Artifact:
    """Teach the student when to think."""
    return run_stage(context, plan, build)
