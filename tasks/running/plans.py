"""What every stage would build, said without importing what builds it.

configuration + upstream artifacts -> StagePlan: the key, and the name of the module whose `build` makes the files

A plan is cheap: a run that finds everything in the store never loads torch or Prefect.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from infra.fingerprint import file_sha256, query_fingerprint
from schemas.artifact import Artifact
from schemas.configs.base_model import BaseModelConfig
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.pairs import PairsConfig
from schemas.configs.problems import ProblemsConfig
from schemas.configs.report import ReportConfig
from schemas.configs.rl import RlConfig
from schemas.configs.sft import SftConfig
from schemas.configs.study import StudySummaryConfig
from schemas.configs.teach import TeachConfig, TeachSideConfig
from schemas.mode import Mode
from tasks.running.context import StagePlan, make_plan

REPORT_VERSION = 4
"""Bumped when the report's rendering changes: that code is not part of the fingerprint."""
STUDY_VERSION = 1
"""The same for the page of a study."""


def plan_base(config: BaseModelConfig) -> StagePlan[BaseModelConfig]:
    """The student before training; a folder of weights counts by content."""
    hashes = _hashes(config.model.local_paths())
    extra: dict[str, object] = {"files": hashes} if hashes else {}
    return make_plan("base", module="tasks.prepare_base", config=config, extra=extra)


def plan_problems(config: ProblemsConfig) -> StagePlan[ProblemsConfig]:
    """The problems; local files count by content."""
    hashes = _hashes(config.local_paths())
    return make_plan("problems", module="tasks.prepare_problems", config=config, extra={"files": hashes})


def plan_teach(config: TeachConfig, *, mode: Mode, base: Artifact, problems: Artifact) -> StagePlan[TeachSideConfig]:
    """One teacher's answers in one mode; the base model lends its tokenizer, for counting."""
    side = config.sides()[mode]
    hashes = _hashes(side.teacher.local_paths())
    return make_plan(
        "teach",
        module="tasks.ask_teachers",
        config=TeachSideConfig(seed=config.seed, mode=mode, side=side, chunk_size=config.chunk_size),
        inputs=(base, problems),
        label=f"teach-{mode}",
        extra={"files": hashes} if hashes else {},
    )


def plan_pairs(config: PairsConfig, *, problems: Artifact, think: Artifact, short: Artifact) -> StagePlan[PairsConfig]:
    """Both teachers' answers to every problem; the queries that join them count like code."""
    queries = query_fingerprint(("paired_generations", "aligned_generations", "pair_faults", "pairs"))
    return make_plan(
        "pairs", module="tasks.build_pairs", config=config, inputs=(problems, think, short), extra={"queries": queries}
    )


def plan_sft(config: SftConfig, *, base: Artifact, pairs: Artifact) -> StagePlan[SftConfig]:
    """The warmed-up model."""
    return make_plan("sft", module="tasks.train_sft", config=config, inputs=(base, pairs))


def plan_rl(config: RlConfig, *, problems: Artifact, warm_up: Artifact) -> StagePlan[RlConfig]:
    """The policy."""
    return make_plan("rl", module="tasks.train_rl", config=config, inputs=(problems, warm_up))


def plan_evaluate(
    config: EvaluateConfig, *, problems: Artifact, base: Artifact, warm_up: Artifact, policy: Artifact
) -> StagePlan[EvaluateConfig]:
    """The measurements; they depend on the models that are measured and on no other."""
    models = {"base": base, "sft": warm_up, "rl": policy}
    inputs = (problems, *(models[name] for name in config.models))
    return make_plan("evaluate", module="tasks.evaluate_models", config=config, inputs=inputs)


def plan_report(
    config: ReportConfig,
    *,
    base: Artifact,
    problems: Artifact,
    think: Artifact,
    short: Artifact,
    pairs: Artifact,
    warm_up: Artifact,
    policy: Artifact,
    evaluation: Artifact,
) -> StagePlan[ReportConfig]:
    """The page about all of it."""
    inputs = (base, problems, think, short, pairs, warm_up, policy, evaluation)
    return make_plan("report", module="tasks.write_report", config=config, inputs=inputs, version=REPORT_VERSION)


def plan_study(
    config: StudySummaryConfig, *, finished: Iterable[tuple[Artifact, Artifact]]
) -> StagePlan[StudySummaryConfig]:
    """What a study came to; `finished` are policy and evaluation of each of its members, in their order."""
    inputs = tuple(artifact for pair in finished for artifact in pair)
    label, module = f"study {config.study.name}", "tasks.summarise_study"
    return make_plan("study", module=module, config=config, inputs=inputs, version=STUDY_VERSION, label=label)


def _hashes(paths: Iterable[str]) -> dict[str, str]:
    """Content of the files that exist, of folders all that is in them; a missing one is its stage's error to tell."""
    named = {Path(path) for path in paths}
    files = {file for path in named for file in ([path] if path.is_file() else path.rglob("*"))}
    return {str(file): file_sha256(file) for file in sorted(files) if file.is_file()}
