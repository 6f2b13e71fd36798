"""Model card and data set card."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.report.cards.card_format import yaml_block
from infra.report.cards.dataset_card import dataset_card
from infra.report.cards.model_card import model_card
from infra.report.data.evidence import gather_evidence
from infra.report.data.inputs import ReportInputs
from tests.unit.infra.report.reported import complete_inputs, partial_inputs


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return complete_inputs(tmp_path_factory.mktemp("complete"))


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return partial_inputs(tmp_path_factory.mktemp("partial"))


def test_cards_carry_front_matter_that_parses_and_measured_numbers(complete: ReportInputs) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: front matter is not parsed")
    _, front, body = model_card(complete).split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["pipeline_tag"] == "text-generation"
    assert "base_model" not in card
    result = card["model-index"][0]["results"][0]
    cell = gather_evidence(complete).cell("tiny-easy", "rl", "auto")
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

    assert 'base_model: "owner/model-1.5B"' in based_on("owner/model-1.5B")
    card = based_on("/somewhere/private/model-1.5B")
    assert 'base_model: "model-1.5B"' in card
    assert "/somewhere" not in card


def test_cards_of_a_partial_run_say_what_is_missing(partial: ReportInputs) -> None:
    assert "Cannot tell" in model_card(partial)
    assert "no manifest" in model_card(partial)
    assert "0 problems" in dataset_card(partial)


def test_yaml_survives_a_round_trip() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    value = {
        "a": [1, [2, 3], {"b": "yes", "c d": None}, [], {}],
        "text": 'a: "b" # c\n- d',
        "n": {"x": 1.5, "y": True, "z": {"w": ["no", "-", "~"]}},
    }
    assert yaml.safe_load(yaml_block(value)) == value
