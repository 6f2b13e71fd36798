"""Writes prefect.yaml from the recipe: `python -m flows.prefect.deployments > prefect.yaml`; a test keeps it current.
With `--cluster` it writes prefect.cluster.yaml, in which every stage has the work pool of its class.

Deployments: the whole pipeline, one per stage (earlier stages come from the store if they are there), one per study.
"""

from __future__ import annotations

import sys

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
POOLS = {
    "gpu": ("base", "teach", "evaluate"),
    "train": ("sft", "rl"),
}
"""Work pools of a cluster and their stages; all others, and the pipeline itself, are in pool cpu."""
CLUSTER_HEAD = """\
# Written by `python -m flows.prefect.deployments --cluster`. For a cluster: docs/cluster.md. Register it all with:
#   prefect --no-prompt deploy --prefect-file prefect.cluster.yaml --all
# `thinkless/full` runs in pool cpu and has each stage built by that stage's deployment: problems, pairs and report in
# pool cpu, base, teach and evaluate in pool gpu, sft and rl in pool train. All workers see one THINKLESS_HOME.
name: thinkless-flows
prefect-version: 3.7.7

definitions:
  # A flow run without a sign of life is set to Crashed: flows/prefect/automations.cluster.yaml.
  env: &env {PREFECT_LOGGING_EXTRA_LOGGERS: thinkless, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: "30"}
  common: &common
    entrypoint: flows/prefect/pipeline.py:thinkless
    tags: [thinkless]
  cpu: &cpu {name: cpu, job_variables: {env: *env}}
  gpu: &gpu {name: gpu, job_variables: {env: *env}}
  train: &train {name: train, job_variables: {env: *env}}
  pipeline: &pipeline
    name: cpu
    job_variables:
      env:
        <<: *env
        THINKLESS_STAGES: deployments
        # Where no workers wait in the pools: how one is started that takes one flow run and ends, for each stage.
        THINKLESS_PILOT: "flows/prefect/pilot.sh {pool}"
  study: &study
    entrypoint: flows/prefect/study_flow.py:thinkless_study
    work_pool: *train
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


def prefect_yaml(*, cluster: bool = False) -> str:
    """The text of prefect.yaml, or of prefect.cluster.yaml."""
    from flows.recipe import RECIPE

    deployments = []
    for stage in {stage.name: stage for stage in RECIPE}.values():
        about = " ".join((type(stage).__doc__ or "").split())
        deployments.append((stage.name, about, "common", f"{{profile: tiny, until: {stage.name}}}"))
    for name in study_names():
        study = load_study(name)
        deployments.append((name, study.title, "study", f"{{study: {name}, profile: {study.profile}, seeds: 5}}"))
    whole = ("full", "The whole pipeline, from problems to report.", "common", "{profile: tiny}")
    if cluster:
        pools = {name: pool for pool, stages in POOLS.items() for name in stages}
        placed = [_deployment(*whole, pool="pipeline")]
        placed += [_deployment(*d, pool=None if d[2] == "study" else pools.get(d[0], "cpu")) for d in deployments]
        return "".join([CLUSTER_HEAD, *placed])
    return "".join([HEAD, _deployment(*whole), OFF, *(_deployment(*deployment) for deployment in deployments)])


def _deployment(name: str, about: str, kind: str, parameters: str, *, pool: str | None = None) -> str:
    placed = f"    work_pool: *{pool}\n" if pool else ""
    return f"  - <<: *{kind}\n    name: {name}\n    description: {about!r}\n{placed}    parameters: {parameters}\n"


if __name__ == "__main__":
    print(prefect_yaml(cluster=sys.argv[1:] == ["--cluster"]), end="")
