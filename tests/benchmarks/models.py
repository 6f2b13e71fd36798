"""The two models of the benchmarks, random or warmed up for a moment so that their answers end by themselves.

python -m tests.benchmarks.models SIZE STEPS FOLDER THREADS -> a Hugging Face folder

    tiny   0.4M parameters, the tiny profile's student (vocabulary 264)
    17M    17.3M parameters: Qwen2, width 384, 8 layers, 6 heads, vocabulary 8192
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM

WARM_UP = {"tiny": (400, 32, 1.5e-3), "17M": (120, 12, 1e-3)}
"""Optimiser steps, pairs per step, learning rate: enough to write either mode's form and to stop; not to be good."""
WARM_UP_MIX = (0.6, 0.4)
"""One and two operations: what even a short warm-up gets right now and then, so that rewards differ in a group."""


def build_model(size: str) -> Qwen2ForCausalLM:
    """A model with random weights, the same in every process."""
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
    from thinkless_core.progress import no_progress
    from thinkless_core.student.model_files import save_folder
    from thinkless_core.student.tiny_model import tiny_tokenizer
    from thinkless_core.training.sft_trainer import train_sft

    _, pairs_per_step, rate = WARM_UP[size]
    model, tokenizer = build_model(size), tiny_tokenizer()
    config = SftConfig(
        steps=steps,
        pairs_per_step=pairs_per_step,
        optimizer=OptimizerConfig(learning_rate=rate, warmup_steps=min(20, steps), decay_fraction=0.4, beta2=0.98),
        validate_every=steps,
        checkpoint_every=steps,
    )
    pairs = chain_pairs(4000, mix=WARM_UP_MIX, seed=1)
    with tempfile.TemporaryDirectory() as scratch:
        train_sft(model, tokenizer=tokenizer, pairs=pairs, config=config, scratch=Path(scratch), progress=no_progress)
    part = folder.with_suffix(".part")
    save_folder(model, tokenizer, part)
    part.rename(folder)


if __name__ == "__main__":
    from thinkless_core.training.acceleration import use_threads

    use_threads(int(sys.argv[4]))
    warm_up(sys.argv[1], steps=int(sys.argv[2]), folder=Path(sys.argv[3]))
