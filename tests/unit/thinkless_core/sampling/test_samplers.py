"""Who samples: what the configuration chooses, what an engine is given, and what is done with what it tells."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from schemas.configs.loading import load_config
from schemas.configs.sampler import TransformersSamplerConfig, VllmSamplerConfig
from schemas.configs.training import LoraConfig
from schemas.errors import ConfigError, TrainingError
from tasks.running.samplers import build_sampler, sampler_source
from tests.specimens import (
    LIVELY,
    ScriptedSampler,
    make_problems,
    make_student,
    mixed_script,
    optimizer_config,
    rl_config,
)
from thinkless_core.progress import no_progress
from thinkless_core.rl.rl_logs import RlLogs
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.sampling.vllm_engine import engine_arguments, served_weights
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import Sample
from thinkless_core.training.logprobs import collate, completion_logprobs


def test_a_stage_samples_by_itself_unless_it_is_told_otherwise(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    config = load_config("tiny")
    assert config.rl.sampler == config.evaluate.sampler == TransformersSamplerConfig()
    model = make_student()
    with sampler_source(config.evaluate.sampler, batch_size=7) as source:
        sampler = source.sampler_of(model, tokenizer=tokenizer, folder=tmp_path)
    assert sampler == TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id, 7)


def test_the_settings_of_an_engine_belong_to_its_kind() -> None:
    chosen = load_config("tiny", overrides=["rl.sampler.kind=vllm", "rl.sampler.max_model_len=160"])
    assert chosen.rl.sampler == VllmSamplerConfig(max_model_len=160)
    assert chosen.evaluate.sampler.kind == "transformers"
    with pytest.raises(ConfigError, match=r"rl\.sampler"):
        load_config("tiny", overrides=["rl.sampler.kind=transformers", "rl.sampler.max_model_len=160"])


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_a_missing_vllm_is_said_before_anything_is_sampled(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    request = SampleRequest((3, 9), ("r", 0))
    with build_sampler(VllmSamplerConfig(), model=make_student(), tokenizer=tokenizer, folder=tmp_path) as sampler:
        assert sampler.sample([], max_new_tokens=4, temperature=1.0) == []
        with pytest.raises(ConfigError, match=r"vLLM, which cannot be imported here .* install vllm "):
            sampler.sample([request], max_new_tokens=4, temperature=1.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="arguments on a CPU")
def test_an_engine_on_a_cpu_gets_float32_a_bounded_cache_and_no_sleep(tmp_path: Path) -> None:
    arguments = engine_arguments(VllmSamplerConfig(), tmp_path)
    assert arguments["dtype"] == "float32"
    assert arguments["kv_cache_memory_bytes"] == 1 << 30
    assert arguments["enable_sleep_mode"] is False
    assert arguments["enable_chunked_prefill"] is False
    assert "distributed_executor_backend" not in arguments
    half = engine_arguments(VllmSamplerConfig(kv_cache_gb=0.5, dtype="bfloat16"), tmp_path)
    assert (half["kv_cache_memory_bytes"], half["dtype"]) == (1 << 29, "bfloat16")


def test_every_weight_of_a_folder_is_served_the_tied_head_last() -> None:
    model = make_student()
    served = list(served_weights(model))
    assert [name for name, _ in served][-1] == "lm_head.weight"
    assert {name for name, _ in served} == model.state_dict().keys()
    assert all(torch.equal(weight, model.state_dict()[name]) for name, weight in served)


def test_adapters_are_folded_into_what_is_served(tokenizer: PreTrainedTokenizerFast) -> None:
    pytest.importorskip("peft", reason="needs peft, which is in the extra `lora`")
    from thinkless_core.training.lora import add_adapters, fold_adapters

    model, names = make_student(scale=LIVELY), make_student().state_dict().keys()
    control = ControlTokens.of(tokenizer)
    add_adapters(model, LoraConfig(rank=2), control_ids=(control.short_id, control.think_id), seed=0, key="rl.lora")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    served = {name: weight.clone() for name, weight in served_weights(model)}
    assert served.keys() == names
    fold_adapters(model)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(served[name], weight)


@dataclass
class TellingSampler:
    """Scripted completions, with log-probabilities that are those of the policy plus `off`."""

    scripted: ScriptedSampler
    policy: torch.nn.Module
    off: float

    def sample(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float = 1.0
    ) -> list[SampledCompletion]:
        """All tokens but the first have one."""
        written = self.scripted.sample(requests, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p)
        told = []
        for request, completion in zip(requests, written, strict=True):
            collated = collate([Sample(request.prompt_ids, completion.token_ids)], model=self.policy, pad_id=0)
            with torch.no_grad():
                logprobs_T = completion_logprobs(self.policy, collated, temperature=temperature).logprobs_BT[0]
            told.append(replace(completion, logprobs=tuple((logprobs_T[1:] + self.off).tolist())))
        return told


def trained(scratch: Path, tokenizer: PreTrainedTokenizerFast, *, off: float, updates: int) -> RlLogs:
    """Two steps with such a sampler."""
    policy = make_student()
    return train_rl(
        policy,
        reference=make_student(),
        tokenizer=tokenizer,
        sampler=TellingSampler(ScriptedSampler(tokenizer, mixed_script), policy, off),
        problems=make_problems(8),
        config=rl_config(steps=2, updates_per_step=updates, optimizer=optimizer_config(learning_rate=1e-2)),
        scratch=scratch,
        progress=no_progress,
    )


@pytest.mark.parametrize("updates", [1, 2])
def test_the_distance_between_sampler_and_trainer_is_measured_before_the_policy_moves(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, updates: int
) -> None:
    gaps = {}
    for off in (0.0, 0.25):
        logs = trained(tmp_path / str(off), tokenizer, off=off, updates=updates)
        gaps[off] = [m.value for m in logs.metrics if m.name == "sampler_logprob_gap"]
        losses = [m.value for m in logs.metrics if m.name == "loss"]
        gaps[f"loss {off}"] = losses
    assert gaps[0.0] == pytest.approx([0.0, 0.0], abs=1e-5)
    assert gaps[0.25] == pytest.approx([0.25, 0.25], abs=1e-5)
    assert gaps["loss 0.0"] == gaps["loss 0.25"]  # what the sampler says of itself is not learned from


def test_a_sampler_that_does_not_sample_from_the_policy_ends_the_run(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(TrainingError, match=r"1\.50 nats per token .*it does not sample from the policy"):
        trained(tmp_path, tokenizer, off=-1.5, updates=1)
