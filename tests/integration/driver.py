"""The whole pipeline in seconds and without Prefect.

overrides -> flows.request.check_request -> flows.direct.run_directly -> what each stage came to

Run as a program (`python -m tests.integration.driver --help`) it is what tests kill, and start twice at once.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.direct import run_directly
from flows.request import check_request
from infra.runs import StageUse, list_runs
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Artifact
from schemas.errors import ThinklessError
from tasks.export_model import export_model

SMALL = (
    "base.model.hidden_size=16",
    "base.model.intermediate_size=32",
    "base.model.num_hidden_layers=1",
    "base.model.num_attention_heads=2",
    "problems.source.num_problems=400",
    "problems.rl_source.num_problems=200",
    "problems.benchmarks.tiny-easy.num_problems=8",
    "problems.benchmarks.tiny-mixed.num_problems=8",
    "problems.benchmarks.tiny-hard.num_problems=8",
    "teach.chunk_size=4",
    "sft.steps=30",
    "sft.pairs_per_step=8",
    "sft.checkpoint_every=2",
    "sft.optimizer.warmup_steps=2",
    "rl.steps=8",
    "rl.prompts_per_step=8",
    "rl.group_size=4",
    "rl.max_new_tokens=24",
    "rl.checkpoint_every=2",
    "rl.probe_problems=8",
    "evaluate.limit=6",
    "evaluate.num_samples=1",
    "evaluate.max_new_tokens=24",
    "report.examples=2",
)
"""The tiny profile made smaller: nothing is learned, everything happens."""

LABELS = ("base", "problems", "teach-think", "teach-short", "pairs", "sft", "rl", "evaluate", "report")
"""Labels of a whole run's stages, in order."""


@dataclass(frozen=True)
class FinishedRun:
    """What a run came to."""

    run_id: str
    artifacts: dict[str, Artifact]
    """By label."""
    uses: tuple[StageUse, ...]

    @property
    def built(self) -> list[str]:
        """Labels of the stages that were not in the store."""
        return [label for label, use in zip(self.artifacts, self.uses, strict=True) if not use.cached]


def run_pipeline(
    home: Path,
    *overrides: str,
    profile: str = "tiny",
    small: Sequence[str] = SMALL,
    until: str | None = None,
    only: str | None = None,
    refresh: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> FinishedRun:
    """Run the pipeline in this process; `overrides` come after those of `small`."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THINKLESS_HOME", str(home))
        run = run_directly(
            check_request(profile, overrides=(*small, *overrides), until=until, only=only, refresh=refresh, keep=keep)
        )
    return FinishedRun(run.record.run_id, run.artifacts, run.record.stages)


def command(home: Path, *overrides: str, until: str | None = None) -> list[str]:
    """What follows `python` in a command line that does the same in a process of its own."""
    words = ["-m", "tests.integration.driver", "--home", str(home), "--set", *overrides]
    return words + (["--until", until] if until else [])


def main() -> int:
    """Run the pipeline as the arguments say."""
    parser = argparse.ArgumentParser(description="The small pipeline without Prefect.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--set", nargs="*", default=[], dest="overrides")
    parser.add_argument("--until")
    parser.add_argument("--not-small", action="store_true", help="leave the tiny profile as large as it is")
    parser.add_argument("--export", type=Path, help="a new folder for the policy")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # as in the tests' own process: weights are compared bit by bit
    own = logging.getLogger("thinkless")
    own.setLevel(logging.INFO)
    own.addHandler(logging.StreamHandler())
    try:
        finished = run_pipeline(
            arguments.home,
            *arguments.overrides,
            until=arguments.until,
            small=() if arguments.not_small else SMALL,
        )
        if arguments.export is not None:
            record = list_runs(arguments.home)[-1]
            export_model(ArtifactStore(arguments.home), record, model="rl", folder=arguments.export)
    except ThinklessError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    print("built:", *finished.built)
    print("peak memory, GiB:", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
