"""Reinforcement learning and a whole run with vLLM as the sampler, on the tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from schemas.mode import Mode
from tasks.running.samplers import build_sampler
from tests.specimens import identical, make_problems, optimizer_config, rl_config, weights_of
from tests.vllm.asking_vllm import CLOSE
from tests.vllm.conftest import CONFIG
from thinkless_core.progress import no_progress
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.student.model_files import load_model, load_tokenizer


@pytest.mark.parametrize("updates_per_step", [1, 2])
def test_each_step_learns_from_what_the_policy_of_that_step_wrote(
    warmed_up: Path, tmp_path: Path, updates_per_step: int
) -> None:
    """At such a rate a policy of one step before would be far off: the gap says that the engine has the new weights."""
    policy, reference = load_model(warmed_up), load_model(warmed_up)
    tokenizer, before = load_tokenizer(warmed_up), weights_of(policy)
    with build_sampler(CONFIG, model=policy, tokenizer=tokenizer, folder=warmed_up) as sampler:
        logs = train_rl(
            policy,
            reference=reference,
            tokenizer=tokenizer,
            sampler=sampler,
            problems=make_problems(40),
            config=rl_config(
                steps=3,
                prompts_per_step=8,
                updates_per_step=updates_per_step,
                kl_coef=1e-3,
                max_new_tokens=48,
                optimizer=optimizer_config(learning_rate=3e-3, max_grad_norm=1.0),
            ),
            scratch=tmp_path,
            progress=no_progress,
        )
    assert not identical(before, weights_of(policy))
    rollouts = list(logs.rollouts)
    assert len(rollouts) == 3 * 8 * 4
    assert {r.mode for r in rollouts} <= {Mode.SHORT, Mode.THINK, None}
    assert sum(r.mode is not None for r in rollouts) > 0.9 * len(rollouts)
    gaps = [m.value for m in logs.metrics if m.name == "sampler_logprob_gap"]
    assert len(gaps) == 3
    assert max(gaps) < CLOSE


def test_an_engine_that_is_not_asked_does_not_start(warmed_up: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = load_model(warmed_up)
    with build_sampler(CONFIG, model=model, tokenizer=tokenizer, folder=warmed_up):
        pass
    assert not torch.distributed.is_initialized()
