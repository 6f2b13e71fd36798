"""Twenty steps of SFT and five of RL on a tiny model: loss and gradient norm of every step, as they were.

A change of the method shows here first. After a wanted one, write the numbers anew and look at the difference:
    python -m pytest tests/invariants/test_golden.py --regenerate-golden
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from tests.specimens import (
    ScriptedSampler,
    make_pairs,
    make_problems,
    make_student,
    mixed_script,
    optimizer_config,
    rl_config,
    sft_config,
)
from thinkless_core.progress import no_progress
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.sft_trainer import train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs

GOLDEN = Path(__file__).parents[1] / "cases" / "golden.json"
RELATIVE_TOLERANCE = 1e-4
"""Another CPU or BLAS rounds otherwise, which optimiser steps amplify: kernels without vector instructions instead of
AVX-512 ones moved the numbers by up to 2e-5, two threads instead of one by nothing."""
ABSOLUTE_TOLERANCE = 1e-6
"""The RL loss is near zero where its terms cancel."""
NAMES = ("loss", "grad_norm")

Numbers = dict[str, list[float]]


def train(scratch: Path) -> dict[str, Numbers]:
    """Loss and gradient norm of every step; completions in RL follow a script, so none can flip by rounding."""
    tokenizer, model = tiny_tokenizer(), make_student()
    sft = train_sft(
        model,
        tokenizer=tokenizer,
        pairs=TokenisedPairs.of(make_pairs(16, mix=(0.5, 0.3, 0.2)), tokenizer=tokenizer),
        config=sft_config(
            steps=20,
            pairs_per_step=6,
            micro_batch_tokens=128,
            optimizer=optimizer_config(learning_rate=3e-3, warmup_steps=5, decay_fraction=0.3, weight_decay=0.01),
        ),
        scratch=scratch / "sft",
        progress=no_progress,
    )
    reference = make_student()
    reference.load_state_dict(model.state_dict())
    rl = train_rl(
        model,
        reference=reference,
        tokenizer=tokenizer,
        sampler=ScriptedSampler(tokenizer, mixed_script),
        problems=make_problems(12, seed=1),
        config=rl_config(
            steps=5,
            prompts_per_step=6,
            updates_per_step=2,
            micro_batch_tokens=256,
            kl_coef=0.05,
            temperature=0.8,
            optimizer=optimizer_config(learning_rate=1e-3, max_grad_norm=1.0),
        ),
        scratch=scratch / "rl",
        progress=no_progress,
    ).metrics
    return {
        stage: {name: [m.value for m in log if m.name == name] for name in NAMES}
        for stage, log in (("sft", sft), ("rl", rl))
    }


def test_loss_and_gradient_norm_of_every_step_are_as_they_were(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    actual = train(tmp_path)
    if pytestconfig.getoption("regenerate_golden"):
        versions = {"torch": torch.__version__.partition("+")[0], "transformers": transformers.__version__}
        GOLDEN.write_text(json.dumps({"versions": versions, **actual}, indent=1) + "\n", encoding="utf-8")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for stage, num_steps in (("sft", 20), ("rl", 5)):
        for name in NAMES:
            assert len(golden[stage][name]) == num_steps
            torch.testing.assert_close(
                torch.tensor(actual[stage][name]),
                torch.tensor(golden[stage][name]),
                rtol=RELATIVE_TOLERANCE,
                atol=ABSOLUTE_TOLERANCE,
                msg=lambda m, where=f"{stage} {name}": f"{where} (written with {golden['versions']}): {m}",
            )


def test_the_golden_run_learns_and_clips() -> None:
    """Numbers of a run in which nothing happens would prove nothing."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["sft"]["loss"][-1] < 0.8 * golden["sft"]["loss"][0]
    assert min(golden["rl"]["grad_norm"]) > 0.01
