"""Engines that start and end: other shapes of models, several models on one engine, what cannot be served."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from schemas.configs.base_model import TinyModel
from schemas.configs.sampler import VllmSamplerConfig
from schemas.errors import ConfigError
from tasks.running.samplers import build_sampler, sampler_source
from tests.vllm.asking_vllm import CLOSE, largest_gap, requests_of
from tests.vllm.conftest import CONFIG, SHAPE, shake
from thinkless_core.student.model_files import save_folder
from thinkless_core.student.tiny_model import tiny_model


def test_a_head_of_its_own_is_served_too(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_model(SHAPE, tokenizer=tokenizer, seed=2)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(model.lm_head.weight))
    save_folder(model, tokenizer, tmp_path / "untied")
    requests = requests_of(tokenizer, 8)
    with build_sampler(CONFIG, model=model, tokenizer=tokenizer, folder=tmp_path / "untied") as sampler:
        for seed in (3, 4):
            shake(model, seed=seed)
            sampled = sampler.sample(requests, max_new_tokens=16, temperature=1.0)
            assert largest_gap(model, requests, sampled, temperature=1.0) < CLOSE


def test_models_of_one_shape_share_an_engine_and_are_not_mixed_up(
    lively: tuple[Qwen2ForCausalLM, Path], tokenizer: PreTrainedTokenizerFast
) -> None:
    first, folder = lively
    second = tiny_model(SHAPE, tokenizer=tokenizer, seed=7)
    shake(second, seed=7)
    requests = requests_of(tokenizer, 6)
    with sampler_source(CONFIG) as source:
        for model in (first, second, first):
            sampler = source.sampler_of(model, tokenizer=tokenizer, folder=folder)
            sampled = sampler.sample(requests, max_new_tokens=8, temperature=1.0)
            assert largest_gap(model, requests, sampled, temperature=1.0) < CLOSE


def test_a_model_that_vllm_cannot_serve_is_refused_in_words(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    narrow = TinyModel(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    model = tiny_model(narrow, tokenizer=tokenizer, seed=0)
    save_folder(model, tokenizer, tmp_path / "narrow")
    with build_sampler(CONFIG, model=model, tokenizer=tokenizer, folder=tmp_path / "narrow") as sampler:  # noqa: SIM117
        with pytest.raises(ConfigError, match=r'vLLM cannot .*sampler\.kind = "transformers"'):
            sampler.sample(requests_of(tokenizer, 1), max_new_tokens=4, temperature=1.0)


def test_a_folder_without_a_model_is_refused_in_words(
    tmp_path: Path, lively: tuple[Qwen2ForCausalLM, Path], tokenizer: PreTrainedTokenizerFast
) -> None:
    config = VllmSamplerConfig(enforce_eager=True)
    with build_sampler(config, model=lively[0], tokenizer=tokenizer, folder=tmp_path / "nothing") as sampler:  # noqa: SIM117
        with pytest.raises(ConfigError, match=r"vLLM cannot start with the model in .*nothing"):
            sampler.sample(requests_of(tokenizer, 1), max_new_tokens=4, temperature=1.0)
