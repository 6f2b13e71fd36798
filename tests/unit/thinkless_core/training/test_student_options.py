"""What a student can be told to be while it trains: in bfloat16, with adapters, with less memory; and plain again."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2ForCausalLM,
)

from schemas.configs.training import LoraConfig, TrainingConfig
from schemas.errors import ConfigError, TrainingError
from tests.specimens import LIVELY, identical, make_student, ragged_samples, sft_config, weights_of
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.sampling.sampling_copy import SamplingCopy
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.model_files import load_model, save_folder
from thinkless_core.student.rendering import Sample
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.logprobs import collate, completion_logprobs, pad_samples
from thinkless_core.training.lora import merged_weights, without_adapters
from thinkless_core.training.micro_batches import memory_explained, sampling_memory_explained
from thinkless_core.training.precision import Precision, autocast, frozen_for, merge_student, prepare_student

SAMPLES = [Sample(tuple(prompt), tuple(completion)) for prompt, completion in ragged_samples(9)]
"""The prompts and completions of all lengths; every completion begins with a control token."""
BFLOAT16 = 0.02
"""bfloat16 keeps 8 bits: numbers that went through a few layers agree to a percent or two."""


def config_with(**settings: object) -> TrainingConfig:
    return sft_config(**settings)


def lively(**settings: object) -> Qwen2ForCausalLM:
    """A student with uneven predictions, prepared."""
    model = make_student(scale=LIVELY)
    prepare_student(model, config_with(**settings), tokenizer=tiny_tokenizer())
    return model.train()


def logprobs(model: PreTrainedModel, *, precision: Precision = "float32", packed: bool = True) -> Tensor:
    """log pi of every completion token of the samples, B x T."""
    batch = collate(SAMPLES, model=model, pad_id=0) if packed else pad_samples(SAMPLES, pad_id=0)
    with autocast(model, precision):
        return completion_logprobs(model, batch).logprobs_BT


def gradients(model: PreTrainedModel, *, precision: Precision = "float32", packed: bool = True) -> dict[str, Tensor]:
    """Gradient of the mean log-probability, by trained parameter."""
    model.zero_grad()
    logprobs(model, precision=precision, packed=packed).mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def train_a_little(model: PreTrainedModel) -> None:
    """Three steps on what has `requires_grad`."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        gradients(model)
        optimizer.step()
    model.zero_grad()


# Gradient checkpointing


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_gradient_checkpointing_computes_layers_twice_and_changes_no_gradient(
    packed: bool, precision: Precision
) -> None:
    plain, checkpointed = lively(), lively(gradient_checkpointing=True)
    calls = []
    checkpointed.model.layers[0].self_attn.register_forward_hook(lambda *_: calls.append(1))
    expected = gradients(plain, precision=precision, packed=packed)
    assert identical(gradients(checkpointed, precision=precision, packed=packed), expected)
    assert len(calls) == 2


def test_a_model_without_gradient_checkpointing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Qwen2ForCausalLM, "supports_gradient_checkpointing", False)
    with pytest.raises(ConfigError, match=r"sft\.gradient_checkpointing: Qwen2ForCausalLM has no .*micro_batch_tokens"):
        lively(gradient_checkpointing=True)


# Mixed precision


@pytest.mark.parametrize("packed", [True, False])
def test_mixed_precision_is_float32_within_the_precision_of_bfloat16(packed: bool) -> None:
    model = lively()
    expected, actual = logprobs(model, packed=packed), logprobs(model, precision="mixed", packed=packed)
    assert actual.dtype == torch.float32
    assert not torch.equal(actual, expected), "nothing was computed in bfloat16"
    torch.testing.assert_close(actual, expected, rtol=BFLOAT16, atol=0.1)
    whole = torch.cat([g.flatten() for g in gradients(model, packed=packed).values()])
    mixed = torch.cat([g.flatten() for g in gradients(model, precision="mixed", packed=packed).values()])
    assert mixed.dtype == torch.float32
    assert float((mixed - whole).norm() / whole.norm()) < 5 * BFLOAT16


def test_packing_changes_nothing_in_mixed_precision_either() -> None:
    model = lively()
    packed, padded = logprobs(model, precision="mixed"), logprobs(model, precision="mixed", packed=False)
    torch.testing.assert_close(packed, padded, rtol=BFLOAT16, atol=0.1)


def test_a_frozen_model_takes_half_the_memory_and_predicts_the_same() -> None:
    policy, reference = lively().eval(), frozen_for("mixed", make_student(scale=LIVELY))
    with torch.no_grad():
        assert torch.equal(logprobs(reference, precision="mixed"), logprobs(policy, precision="mixed"))
    assert not any(p.requires_grad for p in reference.parameters())
    linear = reference.model.layers[0].mlp.up_proj.weight
    assert linear.dtype == torch.bfloat16
    assert reference.get_input_embeddings().weight.dtype == torch.float32
    assert identical(weights_of(frozen_for("float32", make_student())), weights_of(make_student()))


# Adapters


def test_adapters_begin_as_nothing_and_freeze_all_else() -> None:
    plain, adapted = lively(), lively(lora=LoraConfig(rank=4))
    assert torch.equal(logprobs(adapted), logprobs(plain))
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert all("lora_" in name or name == "model.embed_tokens.control_rows" for name in trained)
    assert len([name for name in trained if "lora_A" in name]) == 7 * len(adapted.model.layers), "every linear layer"
    assert trained == gradients(adapted).keys()
    assert isinstance(adapted, Qwen2ForCausalLM)


def test_adapters_are_a_function_of_the_seed_and_leave_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (weights_of(lively(lora=LoraConfig(), seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert identical(first, second)
    assert not identical(first, other)


def test_what_adapters_learn_ends_up_in_plain_weights(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = lively(lora=LoraConfig(rank=4), gradient_checkpointing=True)
    before = logprobs(model).detach()
    train_a_little(model)
    learned = logprobs(model).detach()
    assert float((learned - before).abs().max()) > 0.1
    folded = {name: weight.clone() for name, weight in merged_weights(model)}
    merge_student(model)
    assert identical(weights_of(model), folded)
    assert weights_of(model).keys() == weights_of(make_student()).keys()
    assert all(p.requires_grad for p in model.parameters())
    # W + BA in one matrix rounds otherwise than Wx + B(Ax).
    torch.testing.assert_close(logprobs(model), learned, rtol=1e-4, atol=1e-4)
    save_folder(model, tokenizer, tmp_path)
    assert torch.equal(logprobs(load_model(tmp_path)), logprobs(model))


def test_an_untied_head_learns_its_own_rows_for_the_control_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_student(scale=LIVELY)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    untouched = copy.deepcopy(model)
    prepare_student(model, config_with(lora=LoraConfig()), tokenizer=tokenizer)
    train_a_little(model)
    learned = logprobs(model).detach()
    merge_student(model)
    torch.testing.assert_close(logprobs(model), learned, rtol=1e-4, atol=1e-4)
    control = ControlTokens.of(tokenizer)
    moved = {control.short_id, control.think_id, control.think_end_id}
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        after, before = getattr(model, layer)().weight, getattr(untouched, layer)().weight
        # `</think>` is in none of these samples: as a row of the embedding it gets no gradient.
        assert set((after != before).any(dim=1).nonzero()[:, 0].tolist()) <= moved
    assert not torch.equal(model.lm_head.weight[control.think_id], model.model.embed_tokens.weight[control.think_id])


def test_without_its_adapters_a_policy_is_the_reference_it_started_from() -> None:
    model = lively(lora=LoraConfig(), gradient_checkpointing=True)
    before = logprobs(model).detach()
    train_a_little(model)
    with_adapters = gradients(model)
    with torch.no_grad(), without_adapters(model):
        assert torch.equal(logprobs(model), before)
    assert identical(gradients(model), with_adapters)


def test_padding_and_packing_agree_with_adapters() -> None:
    model = lively(lora=LoraConfig())
    train_a_little(model)
    torch.testing.assert_close(logprobs(model), logprobs(model, packed=False), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (("q_proj", "w_proj"), r"sft\.lora\.target_modules: 'w_proj' is no linear layer of .* did you mean"),
        (("all-linear", "q_proj"), r"give 'all-linear' alone"),
        (("lm_head",), r"'lm_head' is no linear layer"),
    ],
)
def test_a_layer_that_does_not_exist_is_refused(modules: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lively(lora=LoraConfig(target_modules=modules))


def test_chosen_layers_alone_get_an_adapter() -> None:
    model = lively(lora=LoraConfig(target_modules=("q_proj", "v_proj")))
    assert len([n for n, _ in model.named_parameters() if "lora_A" in n]) == 2 * len(model.model.layers)


def test_an_embedding_that_does_more_than_look_up_is_refused() -> None:
    class Scaled(torch.nn.Embedding):
        """By a factor that is nowhere said."""

    model = make_student()
    model.model.embed_tokens.__class__ = Scaled
    with pytest.raises(ConfigError, match=r"sft\.lora: Qwen2ForCausalLM has a Scaled as embedding, .* leave lora out"):
        prepare_student(model, config_with(lora=LoraConfig()), tokenizer=tiny_tokenizer())


GEMMA = {
    "vocab_size": 264, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 4, "pad_token_id": 3,
    "initializer_range": 0.3,
}  # fmt: skip
"""Samples are longer than the window, and the padding token, whose row never learns, is one in the middle."""


@pytest.mark.parametrize("in_slices", [False, True])
@pytest.mark.parametrize(("config", "kind"), [(Gemma2Config, Gemma2ForCausalLM), (Gemma3TextConfig, Gemma3ForCausalLM)])
def test_a_scaled_embedding_learns_rows_of_its_own_scale(
    config: type[PreTrainedConfig], kind: type[PreTrainedModel], in_slices: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_slices:
        monkeypatch.setattr("thinkless_core.training.logprobs.MAX_LOGITS", 1)
    torch.manual_seed(0)
    model = kind(config(**GEMMA)).eval()
    untouched = copy.deepcopy(model)
    prepare_student(model, config_with(lora=LoraConfig(rank=4)), tokenizer=tiny_tokenizer())
    before = logprobs(model).detach()
    assert torch.equal(before, logprobs(untouched).detach()), "adapters begin as nothing"
    train_a_little(model)
    rows_KX = model.get_input_embeddings().control_rows.detach()
    assert bool(rows_KX.any(dim=1)[:2].all()), "the modes' rows learned nothing"
    learned = logprobs(model).detach()
    assert float((learned - before).abs().max()) > 0.1
    with without_adapters(model):
        assert torch.equal(logprobs(model).detach(), before)
    merge_student(model)
    torch.testing.assert_close(logprobs(model).detach(), learned, rtol=1e-4, atol=1e-4)
    control = ControlTokens.of(tiny_tokenizer())
    ids = [control.short_id, control.think_id, control.think_end_id]
    moved_VX = model.get_input_embeddings().weight.detach() - untouched.get_input_embeddings().weight.detach()
    torch.testing.assert_close(moved_VX[ids], rows_KX, rtol=0, atol=1e-5)
    assert sorted(ids) == [i for i in range(264) if bool(moved_VX[i].any()) or i in ids]


@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_logits_in_chunks_have_the_same_gradient(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    model = lively(lora=LoraConfig(), gradient_checkpointing=True)
    train_a_little(model)
    expected, at_once = logprobs(model, precision=precision), gradients(model, precision=precision)
    monkeypatch.setattr("thinkless_core.training.logprobs.MAX_LOGITS", 7 * 264)
    torch.testing.assert_close(logprobs(model, precision=precision), expected)
    in_chunks = gradients(model, precision=precision)
    assert in_chunks.keys() == at_once.keys()
    tolerance = 1e-5 if precision == "float32" else BFLOAT16
    for name, gradient in in_chunks.items():
        assert float((gradient - at_once[name]).norm()) < tolerance * float(at_once[name].norm()), name


# Sampling from a policy in mixed precision


@pytest.mark.parametrize("settings", [{}, {"lora": LoraConfig()}])
def test_a_sampling_copy_follows_the_policy(settings: dict[str, object], tokenizer: PreTrainedTokenizerFast) -> None:
    policy = lively(**settings)
    requests = [SampleRequest(sample.prompt_ids, stream=("test", i)) for i, sample in enumerate(SAMPLES)]
    sampler = SamplingCopy(policy, tokenizer.pad_token_id, tokenizer.eos_token_id)
    before = sampler.sample(requests, max_new_tokens=8, temperature=1.0)
    train_a_little(policy)
    after = sampler.sample(requests, max_new_tokens=8, temperature=1.0)
    assert after != before
    assert policy.training
    merge_student(policy)
    now = TransformersSampler(frozen_for("mixed", policy), tokenizer.pad_token_id, tokenizer.eos_token_id)
    with autocast(policy, "mixed"):
        assert after == now.sample(requests, max_new_tokens=8, temperature=1.0)


# Memory


def test_running_out_of_memory_says_what_to_lower() -> None:
    too_much = 1 << 50
    with (
        pytest.raises(TrainingError, match=r"^sft: out of memory .* sft\.micro_batch_tokens=4096 .*; lower sft\.micro"),
        memory_explained("sft", 4096),
    ):
        torch.empty(too_much)
    with (
        pytest.raises(TrainingError, match=r"sampling 7 completions of up to max_new_tokens=9 .* CUDA out of memory"),
        sampling_memory_explained(7, max_new_tokens=9),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore about it.")
    with pytest.raises(RuntimeError, match="another"), memory_explained("rl", 4096):
        raise RuntimeError("another")
