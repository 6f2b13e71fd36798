"""What a model can do is found out on the model itself: replaced, refused, or left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, Qwen2ForCausalLM

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.configs.training import LoraConfig
from schemas.errors import ConfigError
from tests.oracles.student import sequence_logprobs
from tests.specimens import LIVELY, make_student, sft_config
from tests.unit.thinkless_core.probe.toys import toy, toy_folder
from thinkless_core.probe.examined_student import ExaminedStudent, refuse_unfit_settings, write_examined_student
from thinkless_core.probe.probe import predictions, probe, sampling_limits
from thinkless_core.probe.sampling_probe import largest_decoding_gap
from thinkless_core.sampling.decoding import CachedDecoding, UncachedDecoding
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.limits import KEY, Limit, limits_of, set_limits
from thinkless_core.student.model_files import load_student
from thinkless_core.student.rendering import Sample, render_prompt
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.logprobs import PaddedSamples, collate, completion_logprobs
from thinkless_core.training.packing import PackedSamples

TOKENIZER = tiny_tokenizer()
PAD_ID, EOS_ID = TOKENIZER.pad_token_id, TOKENIZER.eos_token_id


def base_of(name: str, tmp_path: Path) -> ExaminedStudent:
    """Stage base on a toy."""
    config = BaseModelConfig(model=PretrainedModel(path=toy_folder(name, tmp_path / "given")))
    return write_examined_student(config, tmp_path / "model")


@pytest.mark.parametrize("name", ["llama", "gpt2", "lfm2"])
def test_a_model_that_can_do_all_keeps_its_files_as_they_are(name: str, tmp_path: Path) -> None:
    found = base_of(name, tmp_path)
    assert found.limits == {}
    assert found.replaced() is None
    assert KEY not in json.loads((tmp_path / "model" / "config.json").read_text())


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("mamba", {Limit.CACHE, Limit.LORA}),
        ("falcon_mamba", {Limit.CACHE, Limit.LORA}),
        ("rwkv", {Limit.CACHE}),
        ("openai-gpt", {Limit.CACHE, Limit.CHECKPOINTING}),
        ("doge", {Limit.PACKING}),
        ("nemotron", {Limit.PACKING}),
        ("gemma2", {Limit.PACKING}),
        ("gemma3", {Limit.PACKING}),
        ("qwen3_moe", {Limit.LORA}),
    ],
)
def test_what_fails_stands_in_the_students_configuration(name: str, limits: set[Limit], tmp_path: Path) -> None:
    found = base_of(name, tmp_path)
    assert set(found.limits) == limits
    assert dict(limits_of(load_student(tmp_path / "model"))) == found.limits
    replaced = {limit for limit in limits if limit.replacement}
    line = found.replaced()
    assert (line is None) is (not replaced)
    assert all(limit.replacement in (line or "") and found.limits[limit] in (line or "") for limit in replaced)
    assert "\n" not in (line or "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bert", r"BertLMHeadModel cannot be the student: it is not causal: another token at place \d+ of \d+ moves"),
        ("roberta", r"RobertaForCausalLM cannot be the student: it is not causal"),
        ("bart", r"BartForCausalLM cannot be the student: it is the decoder of an encoder-decoder model"),
        ("marian", r"MarianForCausalLM cannot be the student: it is the decoder of an encoder-decoder model"),
    ],
)
def test_what_cannot_write_is_refused_in_one_sentence(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"base\.model\.path: .*: {said}.*; choose a model") as refused:
        base_of(name, tmp_path)
    assert "\n" not in str(refused.value)


def test_an_earlier_finding_that_is_no_longer_true_goes(tmp_path: Path) -> None:
    folder = toy_folder("llama", tmp_path / "given")
    settings = json.loads((tmp_path / "given" / "config.json").read_text())
    (tmp_path / "given" / "config.json").write_text(json.dumps(settings | {KEY: {"cache": "once"}}))
    write_examined_student(BaseModelConfig(model=PretrainedModel(path=folder)), tmp_path / "model")
    assert KEY not in json.loads((tmp_path / "model" / "config.json").read_text())


# Sampling


@pytest.mark.parametrize("name", ["mamba", "rwkv", "openai-gpt", "llama"])
def test_sampling_without_a_cache_agrees_with_the_full_forward_pass(name: str) -> None:
    model = toy(name)
    found = predictions(model, TOKENIZER)
    assert largest_decoding_gap(UncachedDecoding(model, PAD_ID), found) is None
    if name == "llama":
        assert largest_decoding_gap(CachedDecoding(model, PAD_ID), found) is None


@pytest.mark.parametrize("share", [1 << 15, 1], ids=["together", "row by row"])
def test_with_and_without_a_cache_the_same_is_sampled(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkless_core.sampling.decoding.MAX_TOKENS", share)
    model = make_student(scale=LIVELY, bias={EOS_ID: 2.0})
    prompts = ("1+1=?", "12*34+5=?")
    requests = [SampleRequest(render_prompt(TOKENIZER, prompt), (prompt, i)) for prompt in prompts for i in range(4)]
    sampler = TransformersSampler(model, PAD_ID, EOS_ID)
    cached = sampler.sample(requests, max_new_tokens=12, temperature=1.0)
    probabilities = think_probabilities(model, prompts, tokenizer=TOKENIZER)
    set_limits(model, {Limit.CACHE: "a test"})
    assert sampler.sample(requests, max_new_tokens=12, temperature=1.0) == cached
    assert len({len(completion.token_ids) for completion in cached}) > 1, "no row left the batch"
    assert think_probabilities(model, prompts, tokenizer=TOKENIZER) == pytest.approx(probabilities)


def test_a_cache_that_is_ignored_or_mixed_up_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_student(scale=LIVELY)
    found = predictions(model, TOKENIZER)
    assert sampling_limits(model, found, pad_id=PAD_ID) == {}
    forward = Qwen2ForCausalLM.forward

    def forgetful(self: Qwen2ForCausalLM, **inputs: object) -> object:
        return forward(self, **{k: v for k, v in inputs.items() if k not in ("past_key_values", "attention_mask")})

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forgetful)
    limits = sampling_limits(model, found, pad_id=PAD_ID)
    assert "nats from a full forward pass" in limits[Limit.CACHE]
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    monkeypatch.setattr(CachedDecoding, "keep", lambda *_: None)
    assert Limit.CACHE in sampling_limits(model, found, pad_id=PAD_ID)


# Training


def test_windows_are_said_though_the_probe_is_too_short_to_see_them(tmp_path: Path) -> None:
    line = base_of("gemma3", tmp_path).replaced() or ""
    assert "pads samples instead of packing them, which is slower (2 of its 2 layers see a window of 8 tokens)" in line


@pytest.mark.parametrize("name", ["doge", "nemotron", "rwkv", "llama", "gemma3"])
def test_log_probabilities_are_right_whether_samples_are_packed_or_padded(name: str) -> None:
    model = toy(name)
    set_limits(model, probe(toy(name), TOKENIZER))
    samples = [Sample((9, 10, 11), (5, 20, 1)), Sample((9, 10), (6, 21, 22, 23, 1)), Sample((9, 10), (6, 1))]
    batch = collate(samples, model=model, pad_id=PAD_ID)
    assert isinstance(batch, PackedSamples if name == "llama" else PaddedSamples)
    with torch.no_grad():
        values_BT = completion_logprobs(model, batch).logprobs_BT
    for row, sample in enumerate(samples):
        expected = sequence_logprobs(model, sample.prompt_ids, sample.completion_ids)
        torch.testing.assert_close(values_BT[row, : len(expected)], torch.tensor(expected).float(), rtol=0, atol=2e-3)


def test_a_gradient_that_checkpointing_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_student(scale=LIVELY)
    monkeypatch.setattr(
        "thinkless_core.probe.training_probe.recompute_context", lambda _: lambda: (torch.no_grad(), torch.no_grad())
    )
    assert Limit.CHECKPOINTING in probe(model, TOKENIZER)


def test_a_model_without_a_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Qwen2ForCausalLM.forward
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", torch.no_grad()(forward))
    with pytest.raises(ConfigError, match=r"Qwen2ForCausalLM cannot be the student: it cannot be trained: Runtime"):
        probe(make_student(scale=LIVELY), TOKENIZER)


def test_predictions_that_are_not_finite_are_refused() -> None:
    model: PreTrainedModel = make_student(scale=1e20)
    with pytest.raises(ConfigError, match=r"cannot be the student: its predictions are not finite"):
        probe(model, TOKENIZER)


# Settings that a student does not go with


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("openai-gpt", {"gradient_checkpointing": True}, r"sft\.gradient_checkpointing: OpenAIGPTLMHeadModel has no"),
        (
            "qwen3_moe",
            {"lora": LoraConfig()},
            r"sft\.lora\.target_modules: .* a Qwen3MoeExperts .* such as q_proj, ",
        ),
        (
            "mamba",
            {"lora": LoraConfig()},
            r"sft\.lora\.target_modules: .*out_proj.*; name linear layers instead, such",
        ),
        (
            "llama",
            {"lora": LoraConfig(target_modules=("w_proj",))},
            r"sft\.lora\.target_modules: 'w_proj' is no ",
        ),
    ],
)
def test_settings_that_the_student_does_not_go_with_are_refused_early(
    name: str, settings: dict[str, object], said: str, tmp_path: Path
) -> None:
    base_of(name, tmp_path)
    with pytest.raises(ConfigError, match=said):
        refuse_unfit_settings(tmp_path / "model", [sft_config(**settings)])


@pytest.mark.parametrize("name", ["qwen3_moe", "mamba", "llama"])
def test_layers_that_can_be_adapted_may_be_named(name: str, tmp_path: Path) -> None:
    base_of(name, tmp_path)
    layer = "in_proj" if name == "mamba" else "q_proj"
    config = sft_config(lora=LoraConfig(target_modules=(layer,)), gradient_checkpointing=True)
    refuse_unfit_settings(tmp_path / "model", [sft_config(), config])


def test_the_probe_reads_control_tokens_as_tokens() -> None:
    control = ControlTokens.of(TOKENIZER)
    firsts = {sample.completion_ids[0] for sample in predictions(make_student(), TOKENIZER).samples}
    assert firsts == {control.short_id, control.think_id}
