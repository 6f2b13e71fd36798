"""A real model: SmolLM2-135M-Instruct out of its wheel becomes the student, and is trained in less than 6 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from schemas.configs.base_model import BaseModelConfig
from schemas.configs.loading import load_config
from tests.integration.processes import ROOT, environment
from tests.smollm2 import smollm2_source
from tests.specimens import identical, weights_of
from thinkless_core.student.model_files import build_base, load_student, load_student_tokenizer, save_folder
from thinkless_core.student.rendering import render_prompt

MOST_GB = 6.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student, saved as stage base saves it."""
    place = tmp_path_factory.mktemp("smollm2")
    model, tokenizer = build_base(BaseModelConfig(model=smollm2_source()))
    save_folder(model, tokenizer, place)
    return place


@pytest.mark.slow
def test_a_real_model_from_a_wheel_becomes_the_student(tmp_path: Path) -> None:
    model, tokenizer = build_base(BaseModelConfig(model=smollm2_source()))
    assert model.num_parameters() > 134_000_000
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    save_folder(model, tokenizer, tmp_path)
    loaded = load_student(tmp_path).eval()
    assert identical(weights_of(loaded), weights_of(model))
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    ids = torch.tensor([render_prompt(load_student_tokenizer(tmp_path), "What is the capital of France?")])
    with torch.no_grad():
        written = tokenizer.decode(loaded.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :])
    assert "Paris" in written


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_training_with_the_profiles_micro_batches_stays_under_six_gigabytes(stage: str, folder: Path) -> None:
    config = load_config("smollm2", overrides=[]).model_dump()
    tokens = config[stage]["micro_batch_tokens"]
    finished = subprocess.run(
        [sys.executable, "-m", "tests.models.full_steps", stage, str(folder), "--tokens", str(tokens)],
        cwd=ROOT, env=environment(folder / "home"), capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-4000:]
    peak = float(finished.stdout.rpartition("peak memory, GiB:")[2])
    print(f"SmolLM2, {stage}: peak {peak:.2f} GiB")
    assert 1.0 < peak < MOST_GB * 1e9 / 2**30
