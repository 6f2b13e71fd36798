"""The whole recipe: the stages in their order, each planned from what the ones before it came to.

    base ----------------+--------------------+------------+
    problems -> teach (think, short) -> pairs -> sft -> rl -> evaluate -> report

Whoever walks it settles each plan in turn: by looking into the store, by building it, or by a Prefect task.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from schemas.artifact import Artifact
from schemas.configs.pipeline import STAGES, PipelineConfig
from schemas.mode import Mode
from tasks.running import plans
from tasks.running.context import StagePlan

AnyPlan = StagePlan[Any]
Settle = Callable[[AnyPlan], Artifact]
"""Turns a plan into the artifact it names."""


def stages(config: PipelineConfig) -> Generator[AnyPlan, Artifact, None]:
    """Hands out one plan after the other; is sent the artifact of each before it can make the next."""
    base = yield plans.plan_base(config.base)
    problems = yield plans.plan_problems(config.problems)
    think = yield plans.plan_teach(config.teach, mode=Mode.THINK, base=base, problems=problems)
    short = yield plans.plan_teach(config.teach, mode=Mode.SHORT, base=base, problems=problems)
    pairs = yield plans.plan_pairs(config.pairs, problems=problems, think=think, short=short)
    warm_up = yield plans.plan_sft(config.sft, base=base, pairs=pairs)
    policy = yield plans.plan_rl(config.rl, problems=problems, warm_up=warm_up)
    evaluation = yield plans.plan_evaluate(
        config.evaluate, problems=problems, base=base, warm_up=warm_up, policy=policy
    )
    yield plans.plan_report(
        config.report,
        base=base,
        problems=problems,
        think=think,
        short=short,
        pairs=pairs,
        warm_up=warm_up,
        policy=policy,
        evaluation=evaluation,
    )


def walk(config: PipelineConfig, settle: Settle, *, last: str | None = None) -> dict[str, Artifact]:
    """Settle every stage up to and with `last` (None: all of them); the artifacts by label, in order."""
    artifacts: dict[str, Artifact] = {}
    recipe = stages(config)
    plan = next(recipe)
    while last is None or STAGES.index(plan.stage) <= STAGES.index(last):
        artifacts[plan.label] = settle(plan)
        try:
            plan = recipe.send(artifacts[plan.label])
        except StopIteration:
            break
    return artifacts
