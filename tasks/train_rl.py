"""Stage `rl`: teaches the warmed-up student when to think, by DeGRPO or another objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.configs.pipeline import PipelineConfig
from schemas.configs.rl import RlConfig
from schemas.kinds import Kind
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.rollouts import RolloutRecord
from tasks.running.context import RunContext
from tasks.running.parquet_files import write_table
from tasks.running.record_table import RecordTable
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan, unchanged_files
from thinkless_core.progress import Progress


class TrainRl(Stage[RlConfig]):
    """Teaches the student when to think."""

    name = "rl"
    config = RlConfig
    needs = ("problems", "sft")
    tables = (Metric, RolloutRecord, GuardEvent)
    judges = True

    def kinds(self, config: PipelineConfig) -> Iterator[Kind]:
        """Those of every stage, and the reward, which the objective brings along if none is chosen."""
        yield from super().kinds(config)
        yield config.rl.chosen_reward()

    def build(
        self, plan: StagePlan[RlConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write `model/` and the tables of metrics, rollouts and guard events; resumes from the newest checkpoint in
        `scratch/`. A policy that was trained elsewhere is taken instead, with the metrics it brings along.
        """
        if plan.config.policy is not None:
            return _taken(Path(plan.config.policy), plan, workspace)
        from infra.validation.suites import rollouts_suite
        from tasks.running.run_training import run_training
        from thinkless_core.rl.rl_logs import RlLogs

        run_training(plan, workspace, progress, train=train, settings=context.settings)
        logs = RlLogs.in_folder(workspace / "scratch")
        write_table(workspace, Metric, logs.metrics)
        rows = write_table(workspace, RolloutRecord, logs.rollouts)
        write_table(workspace, GuardEvent, logs.guard_events)
        suite = rollouts_suite(
            group_size=plan.config.group_size,
            rewards=plan.config.chosen_reward().build().limits(),
            advantages_cancel=plan.config.objective.advantages_cancel,
        )
        return StageOutcome(rows=rows, gates=(Gate(RolloutRecord.FILE, suite),))


def _taken(policy: Path, plan: StagePlan[RlConfig], workspace: Path) -> StageOutcome:
    """The outcome of a policy that was trained elsewhere: there are no rollouts."""
    from tasks.exchange.taken_policy import take_policy

    with unchanged_files(plan):
        metrics = take_policy(policy, warm_up=plan.inputs[1], workspace=workspace)
    write_table(workspace, Metric, metrics)
    write_table(workspace, GuardEvent, [])
    return StageOutcome(rows=write_table(workspace, RolloutRecord, []))


def train(
    config: RlConfig,
    inputs: Sequence[Path],
    workspace: Path,
    progress: Progress,
    *,
    processes: int = 1,
    sharded: bool = False,
) -> None:
    """Train in this process, or as one of several (tasks/running/run_training.py); writes `model/`, logs and
    checkpoints."""
    from tasks.running.samplers import build_sampler
    from tasks.running.student_folder import load_for_training, save_trained
    from thinkless_core.rl import rl_trainer
    from thinkless_core.student.model_files import load_student

    problems, warm_up = inputs
    policy, tokenizer = load_for_training(warm_up, config, processes=processes)
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
            problems=RecordTable.read(problems / Problem.FILE, Problem, where=("split", ProblemSplit.RL)),
            config=config,
            scratch=workspace / "scratch",
            progress=progress,
            sharded=sharded,
        )
    save_trained(policy, tokenizer, before=warm_up, workspace=workspace)
