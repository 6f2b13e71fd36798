"""The recipe: every stage of the pipeline, in order. A new stage is a file in tasks/ and a line here.

    base ----------------+--------------------+------------+
    problems -> teach (think, short) -> pairs -> sft -> rl -> evaluate -> report

The caller turns each plan into an artifact: it finds it in the store, builds it, or runs a Prefect task that builds it.
"""

from __future__ import annotations

from typing import Any

from schemas.mode import Mode
from tasks.ask_teachers import AskTeachers
from tasks.build_pairs import BuildPairs
from tasks.evaluate_models import EvaluateModels
from tasks.prepare_base import PrepareBase
from tasks.prepare_problems import PrepareProblems
from tasks.running.stage import Stage, StagePlan
from tasks.train_rl import TrainRl
from tasks.train_sft import TrainSft
from tasks.write_report import WriteReport

AnyPlan = StagePlan[Any]

RECIPE: tuple[Stage[Any], ...] = (
    PrepareBase(),
    PrepareProblems(),
    AskTeachers(Mode.THINK),
    AskTeachers(Mode.SHORT),
    BuildPairs(),
    TrainSft(),
    TrainRl(),
    EvaluateModels(),
    WriteReport(),
)


def stage_names() -> tuple[str, ...]:
    """Name of every stage, once each, in order."""
    return tuple(dict.fromkeys(stage.name for stage in RECIPE))


def stages_until(last: str | None) -> tuple[Stage[Any], ...]:
    """The stages up to and including `last`; None: all stages."""
    names = stage_names()
    end = len(names) if last is None else names.index(last) + 1
    return tuple(stage for stage in RECIPE if stage.name in names[:end])
