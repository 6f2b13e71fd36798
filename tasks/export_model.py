"""Exports a trained model of a run as a folder to use and to publish.

run record -> its artifacts, verified -> model files, think bias, model card | dataset/: pairs, data set card

It computes nothing and does not load torch: the run measured and saved everything.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from infra.report.cards.card_usage import BIAS_FILE, decoding, serve_command
from infra.report.cards.dataset_card import dataset_card
from infra.report.cards.model_card import model_card, name_of
from infra.report.data.inputs import ReportInputs
from infra.report.run_inputs import inputs_of_artifacts
from infra.runs import RunRecord
from infra.store.artifact_store import ArtifactStore
from infra.store.export_folder import chat_template, copy_model, new_folder, set_decoding, write_list, write_splits
from schemas.artifact import Artifact, Manifest
from schemas.configs.report import ReportConfig
from schemas.errors import MissingArtifactError
from schemas.records.pairs import Pair
from tasks.source_licences import source_licences

ExportedModel = Literal["rl", "sft"]
"""A trained model of a run, by its stage."""
DATASET_FOLDER = "dataset"
"""Folder of the pairs, which can be published as a data set."""
AFTER = {"rl": ("report",), "sft": ("rl", "report")}
"""Model -> later stages, which its cards leave out."""


@dataclass(frozen=True)
class Export:
    """An exported folder."""

    folder: Path
    name: str
    """Name of the model on its card."""
    num_pairs: int
    measured: bool
    """Whether the run evaluated the model."""
    serve: str
    """The command that serves it."""


def export_model(store: ArtifactStore, record: RunRecord, *, model: ExportedModel, folder: Path) -> Export:
    """Write the folder, whole or not at all.

    Raises ConfigError if the folder is not empty, MissingArtifactError if the run has no such model or the store
    does not hold it undamaged.
    """
    trained, pairs = (verified_artifact(store, record, stage) for stage in (model, "pairs"))
    inputs = _inputs(store, record, model=model)
    name = name_of(inputs, model)
    with new_folder(folder) as part:
        copy_model(Path(trained.path) / "model", part)
        shutil.copyfile(str(resources.files("thinkless_core.sampling") / BIAS_FILE), part / BIAS_FILE)
        splits = write_splits(Path(pairs.path) / Pair.FILE, part / DATASET_FOLDER)
        card = dataset_card(inputs, files=splits)
        (part / DATASET_FOLDER / "README.md").write_text(card, encoding="utf-8")
        set_decoding(part, decoding(inputs))
        card = model_card(inputs, model=model, folder=folder.name, template=chat_template(part))
        (part / "README.md").write_text(card, encoding="utf-8")
        write_list(part, _about(record, inputs, model=model))
    return Export(
        folder=folder,
        name=name,
        num_pairs=pairs.rows,
        measured=any(m.stage == "evaluate" for m in inputs.manifests),
        serve=serve_command(inputs, name=name, folder=str(folder)),
    )


def verified_artifact(store: ArtifactStore, record: RunRecord, stage: str) -> Artifact:
    """The artifact of a stage of the run, every byte verified; raises MissingArtifactError if the store has none."""
    key = next((use.key for use in record.stages if use.stage == stage), None)
    if key is None:
        raise MissingArtifactError(
            f"export: run {record.run_id} has no stage {stage} ({record.status}); finish it: "
            f"thinkless run --profile {record.profile}, or name another run with --run"
        )
    artifact = store.find(stage, key)
    if artifact is None:
        raise MissingArtifactError(
            f"export: artifact {stage}/{key} of run {record.run_id} is not in {store.home}, or was damaged; rebuild "
            f"it: thinkless run --profile {record.profile}"
        )
    return artifact


def _inputs(store: ArtifactStore, record: RunRecord, *, model: ExportedModel) -> ReportInputs:
    """Input of the cards: the run's artifacts that are still in the store, and the licences of their sources."""
    there = []
    for use in record.stages:
        if use.stage in AFTER[model]:
            continue
        try:
            store.manifest(use.stage, use.key)
        except MissingArtifactError:
            continue
        there.append((use.stage, use.key))
    inputs = inputs_of_artifacts(
        store, there, config=ReportConfig(), profile=record.profile, run_id=record.run_id, to_artifacts="."
    )
    return replace(inputs, licences=source_licences(inputs.ordered_manifests()))


def _about(record: RunRecord, inputs: ReportInputs, *, model: ExportedModel) -> dict[str, JsonValue]:
    return {
        "model": model,
        "run_id": record.run_id,
        "profile": record.profile,
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "artifacts": artifact_list(inputs.ordered_manifests()),
    }


def artifact_list(manifests: Iterable[Manifest]) -> list[JsonValue]:
    """Artifacts as an export's list names them."""
    return [{"stage": m.stage, "label": m.label, "key": m.key, "digest": m.digest} for m in manifests]
