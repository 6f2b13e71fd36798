"""A program: two optimiser steps of SFT or RL on one full micro-batch, and the most memory this process ever had.

model folder -> samples of random tokens, a prompt of 100 with two completions -> two steps -> "peak memory, GiB: ..."

In the second step the optimiser has its state; sampling is left out, since a full micro-batch of it takes minutes.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

import torch

from schemas.mode import Mode
from tests.specimens import make_batch, optimizer_config, rl_config
from thinkless_core.rl.policy_update import update_policy
from thinkless_core.rl.schedules import settings_at
from thinkless_core.student.model_files import load_student
from thinkless_core.student.rendering import Sample
from thinkless_core.training.acceleration import training_accelerator
from thinkless_core.training.micro_batches import micro_batches
from thinkless_core.training.optimization import build_optimizer
from thinkless_core.training.precision import Precision, frozen_for
from thinkless_core.training.sft_trainer import accumulate_sft_loss
from thinkless_core.training.sided_samples import SidedSamples

PROMPT, COMPLETIONS = 100, (250, 130)
"""Tokens: about those of GSM8K's pairs."""


def random_samples(num_tokens: int, *, vocabulary: int) -> list[Sample]:
    """As many as a micro-batch of `num_tokens` holds."""
    generator = torch.Generator().manual_seed(0)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(torch.randint(100, vocabulary, (length,), generator=generator).tolist())

    samples = []
    for _ in range(num_tokens // (PROMPT + sum(COMPLETIONS))):
        prompt = ids(PROMPT)
        samples += [Sample(prompt, ids(length)) for length in COMPLETIONS]
    return samples


def main() -> None:
    """Run the steps as the arguments say."""
    parser = argparse.ArgumentParser(description="Two steps of training, and their peak memory.")
    parser.add_argument("stage", choices=["sft", "rl"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--precision", choices=["float32", "mixed"], default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_student(arguments.folder).train()
    samples = random_samples(arguments.tokens, vocabulary=model.config.vocab_size)
    assert len(micro_batches(samples, model=model, max_tokens=arguments.tokens)) == 1
    optimizer, accelerator = build_optimizer(model, optimizer_config()), training_accelerator()
    precision: Precision = arguments.precision
    config = rl_config(precision=precision, micro_batch_tokens=arguments.tokens, kl_coef=0.01)
    reference = frozen_for(precision, load_student(arguments.folder)) if arguments.stage == "rl" else None
    batch = make_batch(
        [(s.prompt_ids, s.completion_ids) for s in samples], [1.0, -1.0] * (len(samples) // 2), max_new_tokens=256
    )
    for step in (1, 2):
        if arguments.stage == "sft":
            accumulate_sft_loss(
                model, SidedSamples(tuple(samples), (Mode.THINK, Mode.SHORT) * (len(samples) // 2)), pad_id=0,
                micro_batch_tokens=arguments.tokens, accelerator=accelerator, precision=precision,
            )  # fmt: skip
            optimizer.step()
            optimizer.zero_grad()
        else:
            update_policy(
                model, batch, objective=config.objective.build(), old_logprobs=None, reference=reference,
                optimizer=optimizer, accelerator=accelerator, config=config, settings=settings_at(config, step=step),
                pad_id=0,
            )  # fmt: skip
    print("peak memory, GiB:", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    main()
