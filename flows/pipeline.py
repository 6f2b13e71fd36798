"""The whole recipe: one flow, its stages in order.

    base ----------------+--------------------+------------+
    problems -> teach (think, short) -> pairs -> sft -> rl -> evaluate -> report

Each stage is found in the store or built; what it is built from decides its key.
"""

from __future__ import annotations

from collections.abc import Mapping

from prefect import flow

from flows.run import StageRunner, start_run
from flows.ui_artifacts import publish_artifacts
from schemas.artifact import Artifact
from schemas.mode import Mode
from tasks import (
    ask_teachers,
    build_pairs,
    evaluate_models,
    prepare_base,
    prepare_problems,
    train_rl,
    train_sft,
    write_report,
)


@flow(name="thinkless", log_prints=False, persist_result=False)
def thinkless(
    profile: str = "tiny",
    overrides: list[str] | None = None,
    until: str | None = None,
    only: str | None = None,
    refresh: list[str] | None = None,
) -> Mapping[str, str]:
    """Run the pipeline and return the keys of its artifacts by stage.

    `overrides` are `dotted.key=value`; `until` stops after a stage; `only` builds one stage from what the store
    holds; `refresh` rebuilds the stages named even where the store has them.
    """
    with start_run(profile, overrides=overrides or (), until=until, only=only, refresh=refresh or ()) as run:
        build_all(run)
        publish_artifacts(run.artifacts)
    return {label: artifact.key for label, artifact in run.artifacts.items()}


def build_all(run: StageRunner) -> None:
    """Every stage in order; the runner skips what lies behind the last one asked for."""
    config = run.config
    base = run(prepare_base.prepare_base, prepare_base.plan(config.base))
    problems = run(prepare_problems.prepare_problems, prepare_problems.plan(config.problems))
    think, short = (
        run(
            ask_teachers.ask_teachers,
            ask_teachers.plan(config.teach, mode=mode, base=base, problems=problems),
        )
        for mode in (Mode.THINK, Mode.SHORT)
    )
    pairs = run(
        build_pairs.pair_generations,
        build_pairs.plan(config.pairs, base=base, problems=problems, think=think, short=short),
    )
    warm_up = run(train_sft.train_sft, train_sft.plan(config.sft, base=base, pairs=pairs))
    policy = run(train_rl.train_rl, train_rl.plan(config.rl, problems=problems, warm_up=warm_up))
    evaluation: Artifact = run(
        evaluate_models.evaluate_models,
        evaluate_models.plan(config.evaluate, problems=problems, base=base, warm_up=warm_up, policy=policy),
    )
    run(
        write_report.write_report,
        write_report.plan(
            config.report,
            base=base,
            problems=problems,
            think=think,
            short=short,
            pairs=pairs,
            warm_up=warm_up,
            policy=policy,
            evaluation=evaluation,
        ),
    )
