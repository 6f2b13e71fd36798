"""Problems of reasoning_gym as stage problems writes them, for tests."""

from __future__ import annotations

from typing import Any

from schemas.configs.gym import GymSource
from schemas.records.problems import Problem, ProblemSplit
from thinkless_core.problems.problem_sources import read_source


def problems_of(*tasks: dict[str, Any], num_problems: int) -> list[Problem]:
    source = GymSource.model_validate({"tasks": list(tasks), "num_problems": num_problems})
    return [
        Problem(
            problem_id=f"p{number}",
            prompt=found.prompt,
            answer=found.answer,
            difficulty=found.difficulty,
            split=ProblemSplit.SFT,
            benchmark=None,
            source=found.source,
            verifier=source.verifier,
            task=found.task,
            details=found.details,
        )
        for number, found in enumerate(read_source(source, name="train", seed=0).problems)
    ]
