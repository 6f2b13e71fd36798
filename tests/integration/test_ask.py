"""`thinkless ask`: the question as the policy was taught to read questions, and what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.policy import trained_instruction
from infra.store.artifact_store import ArtifactStore
from infra.store.manifest_file import MANIFEST_NAME, encode_manifest
from tests.integration.conftest import BuiltHome
from tests.integration.processes import Said
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.student.model_files import load_model, load_tokenizer

Thinkless = Callable[..., Said]
INSTRUCTION = "9-9=?"


def test_the_instruction_of_the_policys_problems_stands_below_the_question(thinkless: Thinkless, home: Path) -> None:
    store = ArtifactStore(home)
    (policy,) = (manifest for manifest in store.manifests() if manifest.stage == "rl")
    assert trained_instruction(store, policy) == ""
    (problems,) = (store.manifest(ref.stage, ref.key) for ref in policy.inputs if ref.stage == "problems")
    told = problems.model_copy(update={"config": {**problems.config, "instruction": INSTRUCTION}})
    (store.path("problems", problems.key) / MANIFEST_NAME).write_bytes(encode_manifest(told))
    assert trained_instruction(store, policy) == INSTRUCTION
    answer = thinkless(home, "ask", "37+48=?", "--max-new-tokens", "4")
    assert answer.code == 0, answer.err
    folder = store.path("rl", policy.key) / "model"
    expected = think_probabilities(
        load_model(folder), [f"37+48=?\n{INSTRUCTION}", "37+48=?"], tokenizer=load_tokenizer(folder)
    )
    said = re.search(r"P\(think\) ([\d.]+)", answer.out)
    assert said is not None
    assert float(said.group(1)) == pytest.approx(expected[0], abs=1e-3)  # printed with three digits
    assert expected[0] != pytest.approx(expected[1], abs=2e-3)


def test_a_limit_over_the_context_is_refused_with_the_room_there_is(thinkless: Thinkless, built: BuiltHome) -> None:
    answer = thinkless(built.path, "ask", "37+48=?", "--max-new-tokens", "1000")
    assert answer.code == 2
    assert re.search(r"ask: the question has \d+ tokens .* over the model's context of 256; set --max-new", answer.err)
