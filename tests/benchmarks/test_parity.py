"""Our losses beside TRL's and transformers', on the same samples and rollouts: speed is not bought with wrong maths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2ForCausalLM

from tests.specimens import LIVELY, make_student
from thinkless_core.student.tiny_model import tiny_tokenizer

TOLERANCE = 1e-4
"""Both sides sum thousands of float32 numbers, in another order and over other shapes."""
GROUP_SIZE = 4


def peers() -> Any:
    """TRL, or the reason why the test is skipped."""
    return pytest.importorskip("trl", reason="needs TRL, which is in the extra `bench`")


def gradients(model: Qwen2ForCausalLM) -> torch.Tensor:
    """All gradients in one vector."""
    return torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None])


def assert_same(ours: float, theirs: float, our_gradient: torch.Tensor, their_gradient: torch.Tensor) -> None:
    """Losses equal to TOLERANCE, gradients to TOLERANCE of their norm; neither may be trivially small."""
    assert abs(theirs) > 0.01
    assert ours == pytest.approx(theirs, abs=TOLERANCE)
    assert float(their_gradient.norm()) > 0.01
    assert float((our_gradient - their_gradient).norm() / their_gradient.norm()) < TOLERANCE


def our_sft_loss() -> tuple[float, torch.Tensor, list[Any]]:
    """Loss and gradient of one step of pairs, and its samples."""
    from tests.benchmarks.samples import chain_pairs
    from thinkless_core.training.acceleration import single_process_accelerator
    from thinkless_core.training.sft_trainer import accumulate_sft_loss
    from thinkless_core.training.sided_samples import pair_samples

    tokenizer = tiny_tokenizer()
    batch = pair_samples(chain_pairs(6), tokenizer=tokenizer)
    model = make_student(scale=LIVELY).train()
    loss = accumulate_sft_loss(
        model,
        batch,
        pad_id=tokenizer.pad_token_id,
        micro_batch_tokens=128,
        accelerator=single_process_accelerator(),
    )
    return loss.all, gradients(model), list(batch.samples)


def labelled(samples: list[Any]) -> list[dict[str, list[int]]]:
    """Samples as the peers take them."""
    return [
        {
            "input_ids": [*sample.prompt_ids, *sample.completion_ids],
            "labels": [-100] * len(sample.prompt_ids) + list(sample.completion_ids),
        }
        for sample in samples
    ]


@pytest.mark.parametrize("packing", [False, True], ids=["padded", "packed"])
def test_our_sft_loss_and_gradient_are_those_of_sft_trainer(tmp_path: Path, packing: bool) -> None:
    trl = peers()
    from datasets import Dataset

    from tests.benchmarks.peer_loop import plain_arguments

    ours, our_gradient, samples = our_sft_loss()
    model = make_student(scale=LIVELY)
    packed = {"packing": True, "max_length": 256} if packing else {"max_length": None}
    trainer = trl.SFTTrainer(
        model=model,
        args=trl.SFTConfig(
            **plain_arguments(str(tmp_path), learning_rate=1e-9, max_steps=1),
            per_device_train_batch_size=len(samples),
            **packed,
        ),
        train_dataset=Dataset.from_list(labelled(samples)),
        processing_class=tiny_tokenizer(),
    )
    theirs = peer_step(trainer, model)
    assert_same(ours, theirs, our_gradient, gradients(model))


def test_our_sft_loss_and_gradient_are_those_of_transformers_trainer(tmp_path: Path) -> None:
    peers()
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    from tests.benchmarks.peer_loop import plain_arguments

    ours, our_gradient, samples = our_sft_loss()
    model = make_student(scale=LIVELY)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            **plain_arguments(str(tmp_path), learning_rate=1e-9, max_steps=1),
            per_device_train_batch_size=len(samples),
        ),
        train_dataset=labelled(samples),
        data_collator=DataCollatorForSeq2Seq(tiny_tokenizer()),
    )
    theirs = peer_step(trainer, model)
    assert_same(ours, theirs, our_gradient, gradients(model))


def peer_step(trainer: Any, model: Qwen2ForCausalLM) -> float:
    """Loss of one batch as the peer's own training step computes it; the gradient is left in the model."""
    model.train()
    batches = list(trainer.get_train_dataloader())
    assert len(batches) == 1
    num_items = (batches[0]["labels"] != -100).sum()
    return float(trainer.training_step(model, dict(batches[0]), num_items_in_batch=num_items))


@pytest.mark.parametrize("objective", ["grpo", "dr_grpo"])
@pytest.mark.parametrize("moved", [False, True], ids=["policy_unmoved", "policy_moved"])
def test_our_policy_loss_and_gradient_are_those_of_grpo_trainer(tmp_path: Path, objective: str, moved: bool) -> None:
    """`moved`: the rollouts come from another policy, so that ratios differ from 1 and clipping is active."""
    trl = peers()
    from datasets import Dataset

    from tests.benchmarks.fixed_rollouts import as_trl_inputs, fixed_batch, update_config
    from tests.benchmarks.peer_loop import plain_arguments
    from thinkless_core.rl.policy_update import sampling_logprobs

    tokenizer = tiny_tokenizer()
    config = update_config(prompts=3, group_size=GROUP_SIZE, max_new_tokens=24, objective=objective)
    batch, settings = fixed_batch(config)
    inputs = as_trl_inputs(batch, pad_id=tokenizer.pad_token_id)
    # The current ones are the new policy's; the old ones come from slightly different weights.
    old = None
    if moved:
        behaviour = nudged(make_student(scale=LIVELY))
        old = sampling_logprobs(behaviour, batch, config=config, settings=settings, pad_id=tokenizer.pad_token_id)
        inputs["old_per_token_logps"] = torch.nn.utils.rnn.pad_sequence(list(old), batch_first=True)
    ours, our_gradient, clipped = our_update(batch, config=config, settings=settings, old=old)
    assert (clipped > 0) == moved

    model = make_student(scale=LIVELY)
    trainer = trl.GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=trl.GRPOConfig(
            **plain_arguments(str(tmp_path), learning_rate=1e-9, max_steps=1),
            per_device_train_batch_size=len(batch.scored),
            num_generations=GROUP_SIZE,
            max_completion_length=settings.max_new_tokens,
            loss_type=objective,
            scale_rewards=False,
            beta=0.0,
        ),
        train_dataset=Dataset.from_list([{"prompt": "1+1=?"}] * 3),
        processing_class=tokenizer,
    )
    model.train()
    trainer.current_gradient_accumulation_steps = 1
    loss = trainer.compute_loss(model, inputs)
    loss.backward()
    # Where every ratio is 1 the loss is the weighted sum of advantages, which centring makes small or zero.
    assert ours == pytest.approx(float(loss.detach()), abs=TOLERANCE)
    theirs = gradients(model)
    assert float(theirs.norm()) > 0.01
    assert float((our_gradient - theirs).norm() / theirs.norm()) < TOLERANCE


def nudged(model: Qwen2ForCausalLM) -> Qwen2ForCausalLM:
    """The model with weights a little off."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * parameter.std() * torch.randn(parameter.shape, generator=generator))
    return model


def our_update(batch: Any, *, config: Any, settings: Any, old: Any) -> tuple[float, torch.Tensor, float]:
    """Loss, gradient and clip fraction of `update_policy`; the optimiser only looks."""
    from tests.specimens import GradientRecorder
    from thinkless_core.rl.policy_update import update_policy
    from thinkless_core.training.acceleration import single_process_accelerator

    model = make_student(scale=LIVELY).train()
    recorder = GradientRecorder(model)
    unclipped = config.optimizer.model_copy(update={"max_grad_norm": 1e9})
    numbers = update_policy(
        model,
        batch,
        objective=config.objective.build(),
        old_logprobs=old,
        reference=None,
        optimizer=recorder,
        accelerator=single_process_accelerator(),
        config=config.model_copy(update={"micro_batch_tokens": 128, "optimizer": unclipped}),
        settings=settings,
        pad_id=tiny_tokenizer().pad_token_id,
    )
    (gradient,) = recorder.gradients
    return numbers["loss"], torch.cat([g.reshape(-1) for g in gradient.values()]), numbers["clip_fraction"]
