"""Trains an exported warm-up with TRL's GRPOTrainer, by this project's reward and objective.

    accelerate launch train.py [--batch 8]        -> trained/, which `thinkless import` takes back

`thinkless export --for trl` copies this file, as `train.py`, into a folder with `model/`, `problems.parquet` and
`export.json`; change it there as you like. It needs `thinkless-flows` and TRL 1.16. The reward function judges as the
pipeline does (thinkless_core/rl/scoring.py). The trainer lets TRL compute advantages and gives each token its weight
of the objective: TRL's loss `dapo` is a mean over tokens, so a token of weight w counts w times the number of tokens.
Differs from the pipeline: TRL samples with its own random numbers; its KL term is a mean over tokens, whatever the
objective; there is no collapse guard.

Shapes: B rollouts of this process, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig, GRPOTrainer

from schemas.configs.rl import RlConfig
from schemas.finish_reason import FinishReason
from schemas.records.problems import Problem
from thinkless_core.rl.metrics import rollout_numbers
from thinkless_core.rl.objectives.objective import Denominators, Objective
from thinkless_core.rl.rollouts import Rollout
from thinkless_core.rl.schedules import settings_at
from thinkless_core.rl.scoring import score_rollouts
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.model_files import load_student, load_student_tokenizer
from thinkless_core.student.rendering import decode_completion, render_prompts


class ObjectiveTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer whose tokens weigh what an objective of this project says."""

    def __init__(self, *arguments: Any, rl: RlConfig, objective: Objective, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.rl, self.objective = rl, objective

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        batch = super()._generate_and_score_completions(inputs)
        mask_BT = batch["completion_mask"].bool()
        counts = torch.tensor([[len(mask_BT), int(mask_BT.sum())]], device=mask_BT.device)
        num_rollouts, num_tokens = self.accelerator.gather(counts).sum(dim=0).tolist()
        settings = settings_at(self.rl, step=step_of(self.state, self.rl))
        over = Denominators(num_rollouts, num_tokens - num_rollouts, settings.max_new_tokens)
        weights = self.objective.token_weights(mask_BT, over=over, step=settings)
        batch["advantages"] = batch["advantages"][:, None] * weights.policy_BT * num_tokens
        return batch


def step_of(state: Any, rl: RlConfig) -> int:
    """The rollout step, from 1, that a trainer is at."""
    return min(int(state.global_step) // rl.updates_per_step + 1, rl.steps)


def reward_function(tokenizer: PreTrainedTokenizerBase, rl: RlConfig) -> Callable[..., list[float]]:
    """The pipeline's verdicts and reward, as TRL calls them: with the rollouts of a group side by side."""
    control, reward = ControlTokens.of(tokenizer), rl.chosen_reward().build()

    def thinkless(
        *,
        completion_ids: Sequence[Sequence[int]],
        problem: Sequence[str],
        trainer_state: Any,
        log_metric: Any,
        **_: Any,
    ) -> list[float]:
        rollouts = [
            Rollout(
                problem=Problem.model_validate_json(text),
                sample=number % rl.group_size,
                prompt_ids=(),
                completion_ids=tuple(ids),
                completion=decode_completion(tokenizer, ids),
                finish_reason=FinishReason.STOP if ids[-1] == tokenizer.eos_token_id else FinishReason.LENGTH,
                mode=control.mode_of(ids[0]),
            )
            for number, (text, ids) in enumerate(zip(problem, completion_ids, strict=True))
        ]
        settings = settings_at(rl, step=step_of(trainer_state, rl))
        scored = score_rollouts(rollouts, reward=reward, control=control, config=rl, settings=settings)
        numbers = rollout_numbers(scored, group_size=rl.group_size)
        for name, value in numbers.items():
            if not name.endswith("_count"):  # TRL takes the mean over processes
                log_metric(name, value)
        return [rollout.reward for rollout in scored]

    return thinkless


def training_rows(problems: Path, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """The problems as TRL reads them. One whose prompt TRL would encode otherwise than the pipeline, because it spells
    out a control token, is left out, which a line says."""
    every = [Problem.model_validate(row) for row in pq.read_table(problems).to_pylist()]
    turns = [[{"role": "user", "content": problem.prompt}] for problem in every]
    theirs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=True).input_ids
    ours = render_prompts(tokenizer, [problem.prompt for problem in every])
    rows = [
        {"prompt": turn, "problem": problem.model_dump_json()}
        for turn, problem, there, here in zip(turns, every, theirs, ours, strict=True)
        if tuple(there) == here
    ]
    if len(rows) < len(every):
        print(f"left out: {len(every) - len(rows)} of {len(every)} problems, whose text spells out a control token")
    return rows


def trl_settings(rl: RlConfig, *, batch: int, folder: Path) -> GRPOConfig:
    """The settings of stage `rl` as TRL's; `batch` rollouts go through the model at once, in each process."""
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))  # of the launcher
    update = rl.prompts_per_step * rl.group_size // rl.updates_per_step
    if batch % rl.group_size or update % (batch * num_processes):
        raise SystemExit(
            f"--batch {batch} on {num_processes} processes does not divide the {update} rollouts of an update into "
            f"whole groups of {rl.group_size}; choose another multiple of {rl.group_size}"
        )
    optimizer = rl.optimizer
    num_updates = rl.steps * rl.updates_per_step
    decay = round(optimizer.decay_fraction * num_updates)
    schedule: dict[str, Any] = {"lr_scheduler_type": "constant_with_warmup"}
    if decay:
        shape = {"num_decay_steps": decay, "min_lr_ratio": optimizer.final_fraction, "decay_type": "linear"}
        schedule = {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": shape}
    settings = settings_at(rl, step=1)
    accumulation = update // (batch * num_processes)
    return GRPOConfig(
        output_dir=str(folder),
        max_steps=num_updates,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation * rl.updates_per_step,
        num_generations=rl.group_size,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        epsilon=rl.clip_low,
        epsilon_high=rl.clip_high,
        beta=settings.kl_coef,
        loss_type="dapo",
        scale_rewards="none",
        learning_rate=optimizer.learning_rate,
        warmup_steps=optimizer.warmup_steps,
        **schedule,
        weight_decay=optimizer.weight_decay,
        adam_beta1=optimizer.beta1,
        adam_beta2=optimizer.beta2,
        max_grad_norm=optimizer.max_grad_norm,
        bf16=rl.precision == "mixed",
        gradient_checkpointing=rl.gradient_checkpointing,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=rl.seed % 2**32,
        logging_steps=1,
        save_steps=rl.checkpoint_every,
        report_to=[],
    )


def main() -> None:
    """Train, or go on from the newest checkpoint; writes `trained/` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, help="rollouts in one pass through the model (default: one group)")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="the export (default: this one)")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    rl = RlConfig.model_validate(json.loads((folder / "export.json").read_text(encoding="utf-8"))["config"]["rl"])
    tokenizer = load_student_tokenizer(folder / "model")
    tokenizer.padding_side = "left"
    trainer = ObjectiveTrainer(
        rl=rl,
        objective=rl.objective.build(),
        model=load_student(folder / "model"),
        reward_funcs=reward_function(tokenizer, rl),
        args=trl_settings(rl, batch=arguments.batch or rl.group_size, folder=folder / "checkpoints"),
        train_dataset=Dataset.from_list(training_rows(folder / "problems.parquet", tokenizer)),
        processing_class=tokenizer,
    )
    begun = folder / "checkpoints"
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(begun)) if begun.is_dir() else None)
    trainer.save_model(str(folder / "trained"))
    if trainer.is_world_process_zero():
        history = json.dumps(trainer.state.log_history, indent=1)
        (folder / "trained" / "log_history.json").write_text(history, encoding="utf-8")
        print(f"trained: take it back with `thinkless import {folder}`")


if __name__ == "__main__":
    main()
