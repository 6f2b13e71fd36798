"""Writes prefect.yaml from the recipe: `python -m flows.prefect.deployments > prefect.yaml`; a test keeps it current.

Deployments: the whole pipeline, one per stage (earlier stages come from the store if they are there), one per study.
"""

from __future__ import annotations

from schemas.configs.study import load_study, study_names

HEAD = """\
# Written by `python -m flows.prefect.deployments`. Flow `thinkless` has one deployment for the whole pipeline and one
# per stage; flow `thinkless-study` has one per study. Register them all with:  prefect --no-prompt deploy --all
# They run in a process work pool named `thinkless`. docs/prefect.md lists the commands.
name: thinkless-flows
prefect-version: 3.7.7

definitions:
  common: &common
    entrypoint: flows/prefect/pipeline.py:thinkless
    work_pool: &pool
      name: thinkless
      job_variables:
        env: {PREFECT_LOGGING_EXTRA_LOGGERS: thinkless}
    tags: [thinkless]
  study: &study
    entrypoint: flows/prefect/study_flow.py:thinkless_study
    work_pool: *pool
    tags: [thinkless, study]

deployments:
"""
OFF = """\
    # Two examples, both off. `active: true`, or the switch in the UI, runs the pipeline every Monday at 02:00.
    # `concurrency_limit: {limit: 1, collision_strategy: ENQUEUE}` makes a run of it wait for the one before.
    # Messages on a failure or a collapse: flows/prefect/automations.yaml.
    schedules:
      - {cron: "0 2 * * 1", timezone: UTC, active: false}
    concurrency_limit: null
"""
"""What follows the deployment of the whole pipeline."""


def prefect_yaml() -> str:
    """The text of prefect.yaml."""
    from flows.recipe import RECIPE

    deployments = []
    for stage in {stage.name: stage for stage in RECIPE}.values():
        about = " ".join((type(stage).__doc__ or "").split())
        deployments.append((stage.name, about, "common", f"{{profile: tiny, until: {stage.name}}}"))
    for name in study_names():
        study = load_study(name)
        deployments.append((name, study.title, "study", f"{{study: {name}, profile: {study.profile}, seeds: 5}}"))
    whole = _deployment("full", "The whole pipeline, from problems to report.", "common", "{profile: tiny}")
    return "".join([HEAD, whole, OFF, *(_deployment(*deployment) for deployment in deployments)])


def _deployment(name: str, about: str, kind: str, parameters: str) -> str:
    return f"  - <<: *{kind}\n    name: {name}\n    description: {about!r}\n    parameters: {parameters}\n"


if __name__ == "__main__":
    print(prefect_yaml(), end="")
