"""Row `sft-*`: warm-up training, tokens per second, beside TRL's SFTTrainer and transformers' Trainer.

Ours is `train_sft` as the stage calls it: losses per side, gradient norm, checks and the metrics log included.
Peers get the same samples step by step, already tokenized, their own fused AdamW, no saving, hardly any logging. Of a
real model they read some rows at a time: all 32 at once took twice as long, and more memory than there is.
All report real tokens (prompt and completion, no padding) of the steps they finished. The clock runs over whole steps,
loading of data included. TRL packs into rows of `pack_length`, as many per step as give about the same tokens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.benchmarks.contest import Contestant, SideResult
from tests.benchmarks.machine import precision_here
from tests.benchmarks.models import student_of
from tests.benchmarks.row import Row, Setting, megabytes, speed_up, spread, table
from tests.benchmarks.samples import num_tokens, pairs_of, samples_by_step
from tests.benchmarks.turns import Side, Spec, Turns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "texts": "chains", "num_pairs": 512, "pairs_per_step": 32, "steps_per_turn": 12, "warmup_steps": 3,
        "pack_length": 512, "packs_per_step": 4, "threads": 1,
    },
    "17M": {
        "texts": "long", "num_pairs": 128, "pairs_per_step": 8, "steps_per_turn": 2, "warmup_steps": 1,
        "pack_length": 512, "packs_per_step": 5,
    },
    "smollm2": {
        "texts": "words", "num_pairs": 256, "pairs_per_step": 16, "steps_per_turn": 1, "warmup_steps": 1,
        "pack_length": 1024, "packs_per_step": 4, "precision": "auto", "rows_at_once": 8, "packs_at_once": 1,
    },
}  # fmt: skip
QUICK = {
    "tiny": {"steps_per_turn": 4}, "17M": {"pairs_per_step": 3, "packs_per_step": 2, "steps_per_turn": 1},
    "smollm2": {"pairs_per_step": 2, "pack_length": 512, "packs_per_step": 1},
}  # fmt: skip
LEARNING_RATE = 1e-4


def ours(spec: Spec, turns: Turns) -> None:
    """`train_sft` with the tiny profile's micro-batches, or the default ones for the larger model."""
    from schemas.configs.loading import load_config
    from schemas.configs.sft import SftConfig
    from schemas.configs.stage import OptimizerConfig
    from tests.benchmarks.flops import training_flops
    from thinkless_core.training.acceleration import use_threads
    from thinkless_core.training.sft_trainer import train_sft
    from thinkless_core.training.tokenised_pairs import TokenisedPairs

    use_threads(spec["threads"])
    model, tokenizer = student_of(spec["size"])
    num_steps = _num_steps(spec)
    config = SftConfig(
        steps=num_steps,
        pairs_per_step=spec["pairs_per_step"],
        optimizer=OptimizerConfig(learning_rate=LEARNING_RATE),
        validate_every=num_steps,
        checkpoint_every=num_steps,
        precision=_precision(spec),
    )
    if spec["size"] == "tiny":
        budget = load_config("tiny").sft.micro_batch_tokens
        config = config.model_copy(update={"micro_batch_tokens": budget})
    steps = samples_by_step(spec, num_steps=num_steps, tokenizer=tokenizer)
    sums = [{"tokens": num_tokens(samples), "flops": training_flops(model, samples)} for samples in steps]
    turns.note(parameters=model.num_parameters(), precision=_precision(spec))

    def progress(done: int, *_: object, **__: object) -> None:
        if done:
            turns.step(**sums[done - 1])

    with tempfile.TemporaryDirectory() as scratch:
        train_sft(
            model,
            tokenizer=tokenizer,
            pairs=TokenisedPairs.of(pairs_of(spec), tokenizer=tokenizer),
            config=config,
            scratch=Path(scratch),
            progress=progress,
        )


def trl(spec: Spec, turns: Turns) -> None:
    """TRL's SFTTrainer, each sample a padded row."""
    per_step = 2 * spec["pairs_per_step"]
    _run_sft_trainer(spec, turns, **_batches(per_step, at_once=spec.get("rows_at_once", per_step)))


def trl_packed(spec: Spec, turns: Turns) -> None:
    """TRL's SFTTrainer with packing."""
    per_step = spec["packs_per_step"]
    batches = _batches(per_step, at_once=spec.get("packs_at_once", per_step))
    _run_sft_trainer(spec, turns, **batches, max_length=spec["pack_length"], packing=True)


def _batches(per_step: int, *, at_once: int) -> dict[str, int]:
    """A peer's step: all rows at once, or as many as the model leaves memory for."""
    at_once = min(at_once, per_step)
    return {"per_device_train_batch_size": at_once, "gradient_accumulation_steps": per_step // at_once}


def _run_sft_trainer(spec: Spec, turns: Turns, **settings: Any) -> None:
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from tests.benchmarks.peer_loop import in_turns, plain_arguments

    torch.set_num_threads(spec["threads"])
    model, tokenizer = student_of(spec["size"])
    rows = _labelled_rows(spec, tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            **plain_arguments(
                folder, learning_rate=LEARNING_RATE, max_steps=_num_steps(spec), precision=_precision(spec)
            ),
            **({"max_length": None} | settings),
        )
        trainer_class = in_turns(SFTTrainer, turns, count_tokens=True)
        trainer_class(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        ).train()


def transformers_trainer(spec: Spec, turns: Turns) -> None:
    """transformers' Trainer with a collator that pads ids and labels to the longest row of the batch."""
    import torch
    from transformers import Trainer, TrainingArguments

    from tests.benchmarks.peer_loop import in_turns, plain_arguments

    torch.set_num_threads(spec["threads"])
    model, tokenizer = student_of(spec["size"])
    pad_id = model.config.pad_token_id

    def collate(rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)

        def padded(key: str, filler: int) -> torch.Tensor:
            return torch.tensor([row[key] + [filler] * (longest - len(row[key])) for row in rows])

        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        return {
            "input_ids": padded("input_ids", pad_id),
            "labels": padded("labels", -100),
            "attention_mask": (torch.arange(longest) < lengths[:, None]).long(),
        }

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            **plain_arguments(
                folder, learning_rate=LEARNING_RATE, max_steps=_num_steps(spec), precision=_precision(spec)
            ),
            per_device_train_batch_size=2 * spec["pairs_per_step"],
            remove_unused_columns=False,
        )
        trainer_class = in_turns(Trainer, turns, count_tokens=True)
        trainer_class(
            model=model, args=arguments, train_dataset=_labelled_rows(spec, tokenizer), data_collator=collate
        ).train()


def _labelled_rows(spec: Spec, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, list[int]]]:
    """Every sample of every step in order; the loss counts on the completion only."""
    return [
        {
            "input_ids": [*sample.prompt_ids, *sample.completion_ids],
            "labels": [-100] * len(sample.prompt_ids) + list(sample.completion_ids),
        }
        for sample in chain.from_iterable(samples_by_step(spec, num_steps=_num_steps(spec), tokenizer=tokenizer))
    ]


def products(spec: Spec, turns: Turns) -> None:
    """The matrix products of our steps and nothing else, in the precision that the steps multiply in."""
    import torch

    from tests.benchmarks.flops import matrix_products
    from thinkless_core.training.acceleration import use_threads

    use_threads(spec["threads"])
    model, tokenizer = student_of(spec["size"])
    dtype = torch.bfloat16 if _precision(spec) == "mixed" else torch.float32
    for samples in samples_by_step(spec, num_steps=_num_steps(spec), tokenizer=tokenizer):
        matrix_products(model, samples, dtype=dtype)
        turns.step()


def _precision(spec: Spec) -> Literal["float32", "mixed"]:
    return "mixed" if spec.get("precision") == "mixed" else "float32"  # `contests` has settled `auto`


def _num_steps(spec: Spec) -> int:
    """Steps there will be turns for, and some to spare: packs hold more than a step's tokens."""
    return int(1.5 * (spec["warmup_steps"] + spec["repeats"] * spec["steps_per_turn"])) + 8


SIDES: dict[str, Side] = {
    "ours": ours, "trl": trl, "trl_packed": trl_packed, "transformers_trainer": transformers_trainer,
    "products": products,
}  # fmt: skip
NAMES = {
    "ours": "ours, train_sft", "trl": "TRL SFTTrainer", "trl_packed": "TRL SFTTrainer, packing",
    "transformers_trainer": "transformers Trainer",
}  # fmt: skip


def make_row(size: str) -> Row:
    """The row of one model size."""

    def contests(setting: Setting) -> list[list[Contestant]]:
        spec = {"threads": setting.threads, "size": size, "repeats": 12} | SIZES[size]
        spec |= QUICK[size] if setting.quick else {}
        spec["precision"] = precision_here(spec.get("precision", "float32"))
        # All sides are in memory together: of a real model there is room for TRL's two.
        names = {side: name for side, name in NAMES.items() if size != "smollm2" or side != "transformers_trainer"}
        sides = [Contestant("sft", side, spec, name) for side, name in names.items()]
        alone = Contestant("sft", "products", spec, "the matrix products of our steps alone")
        return [[*sides, alone, Contestant("flops", "matmul", spec | {"steps_per_turn": 1}, "matmul")]]

    def describe(groups: Sequence[Sequence[SideResult]]) -> str:
        (results,) = groups
        us, *peers, alone, matmul = results
        lines = [
            [
                result.name,
                spread(result.rates("tokens")),
                "" if result is us else str(speed_up(us, result, unit="tokens")),
                megabytes(result),
            ]
            for result in (us, *peers)
        ]
        peak = matmul.per_step("peak_flops_per_second")
        achieved = us.rates("flops")
        shares = [100 * a / p for a, p in zip(achieved, peak, strict=True)]
        return (
            table(["side", "tokens/s", "ours is x times faster", "peak memory, MB"], lines)
            + f"\n\n{us.notes['parameters'] / 1e6:.1f}M parameters, precision {us.notes['precision']} on all sides. "
            f"Ours computes {spread([a / 1e9 for a in achieved])} GFLOP/s of a matmul "
            f"peak of {spread([p / 1e9 for p in peak])}: {spread(shares)} %. "
            f"A step takes {speed_up(alone, us)} times as long as its matrix products alone."
        )

    return Row(
        f"sft-{size}", f"Warm-up training (SFT), {size} model", contests, describe, repeats=5 if size == "tiny" else 3
    )
