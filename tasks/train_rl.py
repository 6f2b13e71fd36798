"""Stage `rl`: teaches the warmed-up student when to think, by DeGRPO or another objective."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from infra.validation.suites import rollouts_suite
from schemas.artifact import Artifact
from schemas.configs.rl import RlConfig
from schemas.records import GuardEvent, Metric, Problem, ProblemSplit, RolloutRecord
from tasks.context import Gate, RunContext, StageOutcome, StagePlan
from tasks.parquet_files import read_records, write_records
from tasks.prepare_problems import FILE as PROBLEMS_FILE
from tasks.stage import STAGE_CACHE, run_stage
from tasks.train_sft import METRICS_FILE
from thinkless_core import rl_trainer
from thinkless_core.acceleration import use_threads
from thinkless_core.model_files import load_model, load_tokenizer, save_folder
from thinkless_core.objectives.registry import OBJECTIVES
from thinkless_core.progress import Progress
from thinkless_core.transformers_sampler import TransformersSampler

ROLLOUTS_FILE = "rollouts.parquet"
GUARD_EVENTS_FILE = "guard_events.parquet"


def build(plan: StagePlan[RlConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `model/` and the tables of metrics, rollouts and guard events; goes on from the newest checkpoint in
    `scratch/`.
    """
    use_threads(plan.config.num_threads)
    problems, warm_up = (Path(artifact.path) for artifact in plan.inputs)
    policy, tokenizer = load_model(warm_up / "model"), load_tokenizer(warm_up / "model")
    logs = rl_trainer.train_rl(
        policy,
        reference=load_model(warm_up / "model"),
        tokenizer=tokenizer,
        sampler=TransformersSampler(policy, tokenizer.pad_token_id, tokenizer.eos_token_id),
        problems=read_records(problems / PROBLEMS_FILE, Problem, where=[("split", ProblemSplit.RL)]),
        config=plan.config,
        scratch=workspace / "scratch",
        progress=progress,
    )
    save_folder(policy, tokenizer, workspace / "model")
    write_records(workspace / METRICS_FILE, Metric, logs.metrics)
    rows = write_records(workspace / ROLLOUTS_FILE, RolloutRecord, logs.rollouts)
    write_records(workspace / GUARD_EVENTS_FILE, GuardEvent, logs.guard_events)
    objective = OBJECTIVES[plan.config.objective]
    suite = rollouts_suite(
        group_size=plan.config.group_size,
        rewards=objective.reward_range(plan.config),
        advantages_cancel=objective.advantages_cancel,
    )
    return StageOutcome(
        rows=rows,
        tables={METRICS_FILE: "metrics", ROLLOUTS_FILE: "rollouts", GUARD_EVENTS_FILE: "guard_events"},
        gates=(Gate(ROLLOUTS_FILE, suite),),
    )


@task(name="rl", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def train_rl(context: RunContext, plan: StagePlan[RlConfig]) -> Artifact:
    """Teach the student when to think."""
    return run_stage(context, plan, build)
