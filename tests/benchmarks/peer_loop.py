"""The peers' training loops, stopped after every step until it is their turn again.

Everything that can only cost them time is off: saving, progress bars, reports, gradient checkpointing (TRL's default).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback

from tests.benchmarks.turns import Turns


def plain_arguments(folder: str, *, learning_rate: float, max_steps: int, precision: str = "float32") -> dict[str, Any]:
    """Training arguments that all peers share; `mixed` precision multiplies in bfloat16, as ours does."""
    on_cpu = not torch.cuda.is_available()
    return {
        "output_dir": folder,
        "use_cpu": on_cpu,
        "bf16": precision == "mixed",
        "learning_rate": learning_rate,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.01,
        "adam_beta2": 0.95,
        "max_grad_norm": 1.0,
        "max_steps": max_steps,
        "logging_steps": 10_000,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": not on_cpu,
    }


class _StepEnds(TrainerCallback):
    def __init__(self, turns: Turns, sums: dict[str, float]) -> None:
        self._turns, self._sums = turns, sums

    def on_step_end(self, *_: object, **__: object) -> None:
        """One optimiser step is done."""
        self._turns.step(**self._sums)
        self._sums.clear()


def in_turns(trainer_class: type[Trainer], turns: Turns, *, count_tokens: bool = False) -> type[Trainer]:
    """A subclass whose steps are counted, whose data come in the order given, and that waits for its turns.

    Its instances have `sums`, into which subclasses may add what a step came to.
    """

    class InTurns(trainer_class):  # type: ignore[misc, valid-type]
        """The peer's trainer, otherwise as it is."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.sums: dict[str, float] = {}
            self.add_callback(_StepEnds(turns, self.sums))

        def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            """Count the real tokens of every micro-batch."""
            if count_tokens:
                mask = inputs.get("attention_mask")
                tokens = inputs["input_ids"].numel() if mask is None else int(mask.sum())
                self.sums["tokens"] = self.sums.get("tokens", 0) + tokens
            return super().training_step(model, inputs, *args, **kwargs)

        def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
            if count_tokens:  # supervised: rows as they stand
                return SequentialSampler(self.train_dataset)
            return super()._get_train_sampler(*args, **kwargs)

    return InTurns
