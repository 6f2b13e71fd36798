"""A real model: SmolLM2-135M-Instruct out of its wheel becomes the student, and is trained in less than 6 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from schemas.configs.base_model import BaseModelConfig
from tests.integration.processes import ROOT, environment
from tests.smollm2 import smollm2_source
from tests.specimens import identical, weights_of
from thinkless_core.student.model_files import build_base, load_student, load_student_tokenizer, save_folder
from thinkless_core.student.rendering import render_prompt

MOST_GB = 6.0
SETTINGS = (
    "problems.source.num_problems=120",
    "problems.rl_source.num_problems=20",
    "sft.steps=2",
    "sft.pairs_per_step=16",
    "sft.micro_batch_tokens=2048",
    'sft.precision="mixed"',
    "sft.optimizer.warmup_steps=1",
    "rl.steps=2",
    "rl.prompts_per_step=4",
    "rl.group_size=4",
    "rl.max_new_tokens=96",
    "rl.micro_batch_tokens=2048",
    'rl.precision="mixed"',
    "rl.kl_coef=0.01",
    "rl.probe_problems=4",
)
"""Micro-batches and precision of profile smollm2; the second step has the optimiser's state beside the activations."""


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
def test_sft_and_rl_of_a_real_model_stay_under_six_gigabytes(tmp_path: Path) -> None:
    source = smollm2_source()
    base = f"base.model={{kind='pretrained', path='{source.path}', gguf_file='{source.gguf_file}'}}"
    finished = subprocess.run(
        [
            sys.executable, "-m", "tests.integration.driver", "--not-small", "--home", str(tmp_path / "home"),
            "--until", "rl", "--set", *SETTINGS, base,
        ],
        cwd=ROOT, env=environment(tmp_path / "home"), capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-4000:]
    peak = float(finished.stdout.rpartition("peak memory, GiB:")[2])
    print(f"smollm2: peak {peak:.2f} GiB")
    assert 1.0 < peak < MOST_GB * 1e9 / 2**30
