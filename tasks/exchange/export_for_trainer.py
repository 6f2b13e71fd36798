"""Writes a folder in which another framework trains the warm-up on: TRL, or verl.

run record -> warmed-up model, RL problems in the framework's form, its plug-in files, a README -> export.json
The other way is tasks/exchange/taken_policy.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue, ValidationError

from infra.runs import RunRecord
from infra.store.artifact_store import ArtifactStore
from infra.store.export_folder import copy_model, new_folder, write_list
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.rl import RlConfig
from schemas.configs.schedule import is_scheduled
from schemas.errors import ConfigError
from schemas.records.problems import Problem, ProblemSplit
from tasks.export_model import artifact_list, verified_artifact
from tasks.running.parquet_files import iter_records, write_records
from thinkless_core.rl.objectives.objective import Objective

Framework = Literal["trl", "verl"]
FILES: Mapping[Framework, Mapping[str, str]] = {
    "trl": {"train_with_trl.py": "train.py"},
    "verl": {"verl_degrpo.py": "verl_degrpo.py"},
}
"""Framework -> file of this package -> its name in the folder."""
PROBLEMS_FILE = "problems.parquet"


@dataclass(frozen=True)
class TrainerExport:
    """A written folder."""

    folder: Path
    num_problems: int
    next_step: str
    """What to call there."""


def export_for_trainer(store: ArtifactStore, record: RunRecord, *, framework: Framework, folder: Path) -> TrainerExport:
    """Write the folder, whole or not at all.

    Raises ConfigError if the folder is not empty or the framework cannot do what the run's `rl` asks for,
    MissingArtifactError if the run has no warm-up or the store does not hold it undamaged.
    """
    config = _config(record)
    refuse_what_others_cannot(config.rl, framework=framework)
    warm_up, problems = (verified_artifact(store, record, stage) for stage in ("sft", "problems"))
    with new_folder(folder) as part:
        copy_model(Path(warm_up.path) / "model", part / "model")
        num_problems = _write_problems(Path(problems.path) / Problem.FILE, part / PROBLEMS_FILE, framework=framework)
        for source, name in FILES[framework].items():
            shutil.copyfile(str(resources.files("tasks.exchange") / source), part / name)
        (part / "README.md").write_text(_readme(config.rl, framework=framework, folder=folder.name), encoding="utf-8")
        write_list(part, _about(store, record, framework=framework))
    next_step = f"accelerate launch {folder / 'train.py'}" if framework == "trl" else f"see {folder / 'README.md'}"
    return TrainerExport(folder, num_problems, next_step)


def refuse_what_others_cannot(rl: RlConfig, *, framework: Framework) -> None:
    """Raise ConfigError for settings of stage `rl` that only this project's trainer has."""
    objective = rl.objective.build()
    kind = type(objective)
    if kind.assign_modes is not Objective.assign_modes or kind.advantages is not Objective.advantages:
        raise ConfigError(
            f"rl.objective: {objective.name!r} chooses modes or compares rewards in a way of its own, which "
            f"{framework} does not; choose degrpo-paper, degrpo-token, grpo or dr_grpo"
        )
    if framework == "verl" and objective.name != "degrpo-token":
        raise ConfigError(f"rl.objective: {objective.name!r}; verl's plug-in is degrpo-token: set rl.objective to it")
    scheduled = [name for name in ("kl_coef", "temperature", "max_new_tokens") if is_scheduled(getattr(rl, name))]
    if rl.baseline != "mean" or scheduled:
        found = f"rl.{scheduled[0]} is a schedule" if scheduled else f"rl.baseline is {rl.baseline!r}"
        raise ConfigError(f"{found}, which {framework} does not have; set a number, and baseline mean")


def _config(record: RunRecord) -> PipelineConfig:
    try:
        return PipelineConfig.model_validate(record.config)
    except ValidationError as error:
        raise ConfigError(
            f"export: run {record.run_id} was made by another version, whose settings this one does not read: "
            f"{error.errors()[0]['msg']}; run its profile again"
        ) from error


def _write_problems(source: Path, target: Path, *, framework: Framework) -> int:
    """The RL problems as records, or as verl reads them; returns how many."""
    problems = iter_records(source, Problem, where=[("split", ProblemSplit.RL)])
    if framework == "trl":
        return write_records(target, Problem, problems)
    rows = [_row_for_verl(problem) for problem in problems]
    pq.write_table(pa.Table.from_pylist(rows), target, compression="zstd")
    return len(rows)


def _row_for_verl(problem: Problem) -> dict[str, object]:
    return {
        "data_source": "thinkless",
        "prompt": [{"role": "user", "content": problem.prompt}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": problem.answer},
        "extra_info": {"problem": problem.model_dump_json()},
    }


def _about(store: ArtifactStore, record: RunRecord, *, framework: Framework) -> dict[str, JsonValue]:
    uses = [use for use in record.stages if store.holds(use.stage, use.key)]
    manifests = [store.manifest(use.stage, use.key) for use in uses if use.stage not in ("rl", "evaluate", "report")]
    return {
        "for": framework,
        "run_id": record.run_id,
        "profile": record.profile,
        "artifacts": artifact_list(manifests),
        "config": record.config,
    }


def _readme(rl: RlConfig, *, framework: Framework, folder: str) -> str:
    """How the folder is used."""
    if framework == "trl":
        return f"""\
# A warm-up to be trained by TRL

```bash
pip install "thinkless-flows[trl]"
accelerate launch {folder}/train.py --batch {rl.group_size}
thinkless import {folder}
```

`train.py` reads `model/`, `problems.parquet` and the settings of stage `rl` in `export.json`; it judges and rewards
with thinkless-flows, goes on from its newest checkpoint, and writes `trained/`. What it does otherwise than the
pipeline is in its first lines.
"""
    optimizer = rl.optimizer
    return f"""\
# A warm-up to be trained by verl

Not run with verl: its arithmetic and registration are tested. These are the settings of the run; sizes of batches and
the parallelism are yours.

```bash
export DEGRPO_GAMMA={rl.gamma} VERL_USE_EXTERNAL_MODULES=verl_degrpo PYTHONPATH={folder}
python -m verl.trainer.main_ppo algorithm.adv_estimator=grpo algorithm.norm_adv_by_std_in_grpo=False \\
    data.train_files={folder}/{PROBLEMS_FILE} data.val_files={folder}/{PROBLEMS_FILE} \\
    data.train_batch_size={rl.prompts_per_step} \\
    actor_rollout_ref.model.path={folder}/model actor_rollout_ref.rollout.n={rl.group_size} \\
    actor_rollout_ref.actor.policy_loss.loss_mode=degrpo actor_rollout_ref.actor.clip_ratio={rl.clip_low} \\
    actor_rollout_ref.actor.optim.lr={optimizer.learning_rate} data.max_response_length={rl.max_new_tokens} \\
    custom_reward_function.path={folder}/verl_degrpo.py trainer.total_training_steps={rl.steps}
```

Save the merged model (verl's `model_merger`) as `{folder}/trained`, then `thinkless import {folder}`.
"""
