"""Model card and data set card."""

from __future__ import annotations

from dataclasses import replace

import yaml
from huggingface_hub import DatasetCard, ModelCard

from infra.report.cards.dataset_card import dataset_card
from infra.report.cards.model_card import model_card
from infra.report.data.evidence import Evidence
from infra.report.data.inputs import ReportInputs


def test_cards_carry_front_matter_that_parses_and_measured_numbers(complete: ReportInputs, evidence: Evidence) -> None:
    _, front, body = model_card(complete).split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["pipeline_tag"] == "text-generation"
    assert "base_model" not in card
    result = card["model-index"][0]["results"][0]
    cell = evidence.cell("tiny-easy", "rl", "auto")
    assert cell is not None
    assert result["dataset"]["name"] == "tiny-easy"
    assert result["metrics"][0]["value"] == round(cell.accuracy, 4)
    assert f"{cell.accuracy:.3f} ± {cell.accuracy_stderr:.3f}" in body
    data = yaml.safe_load(dataset_card(complete).split("---\n", 2)[1])
    assert data["size_categories"] == ["n<1K"]


def test_cards_name_a_pretrained_base_without_its_folder(complete: ReportInputs) -> None:
    def based_on(path: str) -> str:
        changed = tuple(
            m.model_copy(update={"config": {"model": {"kind": "pretrained", "path": path}}}) if m.stage == "base" else m
            for m in complete.manifests
        )
        return model_card(replace(complete, manifests=changed))

    assert "base_model: owner/model-1.5B\n" in based_on("owner/model-1.5B")
    card = based_on("/somewhere/private/model-1.5B")
    assert "base_model: model-1.5B\n" in card
    assert "/somewhere" not in card


def test_cards_of_a_partial_run_say_what_is_missing(partial: ReportInputs) -> None:
    assert "Cannot tell" in model_card(partial)
    assert "no manifest" in model_card(partial)
    assert "0 problems" in dataset_card(partial)


def test_front_matter_is_read_back_by_the_hubs_own_classes(complete: ReportInputs, evidence: Evidence) -> None:
    model, data = ModelCard(model_card(complete)).data, DatasetCard(dataset_card(complete)).data
    cells = [c for c in evidence.cells if (c.model, c.mode.value) == ("rl", "auto")]
    found = {(r.dataset_name, r.metric_type): r.metric_value for r in model.eval_results or []}
    for cell in cells:
        assert found[cell.benchmark, "accuracy"] == round(cell.accuracy, 4)
        assert found[cell.benchmark, "mean_tokens"] == round(cell.mean_tokens, 4)
    assert len(found) == 4 * len(cells)
    assert data["configs"][0]["data_files"] == [path.name for path in complete.tables["pairs"]]
