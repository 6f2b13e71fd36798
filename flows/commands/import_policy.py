"""`thinkless import`: takes a policy that another framework trained back into the store, evaluates it and reports.

export.json -> the run's configuration with `rl.policy` -> stages before `rl` from the store -> rl, evaluate, report
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from pydantic import ValidationError

from flows.commands.run import interrupt, show_results
from flows.commands.why import planned_stages
from flows.direct import run_directly
from flows.recipe import stage_names
from flows.request import RunRequest, checked_settings
from infra.processes.before_torch import prepare_for_torch
from schemas.configs.pipeline import PipelineConfig
from schemas.errors import ConfigError, MissingArtifactError


def execute(arguments: argparse.Namespace) -> int:
    """Run the stages from `rl` on; prints the result table and the report's path."""
    prepare_for_torch()
    from tasks.exchange.taken_policy import TRAINED, read_export

    folder = Path(arguments.folder).expanduser().resolve()
    export = read_export(folder)
    if not (folder / TRAINED).is_dir():
        raise ConfigError(
            f"{folder / TRAINED} is not there; expected the policy that the training leaves: run it first"
        )
    try:
        rl = {**export.config["rl"], "policy": str(folder / TRAINED)}
        config = PipelineConfig.model_validate({**export.config, "rl": rl})
    except (ValidationError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{folder}/export.json: its settings are of another version ({error}); export again"
        ) from error
    earlier = stage_names()[: stage_names().index("rl")]
    request = RunRequest(config, checked_settings(), until=arguments.until, keep=frozenset(earlier))
    for planned in planned_stages(request):
        if planned.plan.stage in earlier and planned.reason is not None:
            raise MissingArtifactError(
                f"import: {planned.plan.label} of run {export.run_id}, from which {folder} was exported, is not "
                f"in {request.settings.home} ({planned.reason.short()}); import it where it was exported, or "
                "`thinkless pull` that run first"
            )
    signal.signal(signal.SIGTERM, interrupt)
    artifacts = run_directly(request).artifacts
    show_results({label: artifact.key for label, artifact in artifacts.items()})
    return 0
