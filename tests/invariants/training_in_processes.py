"""What one of several processes computes, for tests that compare it with one process alone.

`main` in each process, with a FOLDER and cases -> FOLDER/<case>-<rank>.pt
The same cases, called in the tests' own process, are what one process computes.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from schemas.configs.rl import RlConfig
from schemas.configs.sft import SftConfig
from schemas.errors import TrainingError
from tests.specimens import (
    GradientRecorder,
    make_batch,
    make_pairs,
    make_problems,
    make_student,
    optimizer_config,
    ragged_samples,
    rl_config,
    sft_config,
)
from thinkless_core.rl.policy_update import sampling_logprobs, update_policy
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.rl.schedules import settings_at
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.acceleration import training_accelerator
from thinkless_core.training.optimization import clip_gradients
from thinkless_core.training.precision import merge_student, prepare_student
from thinkless_core.training.processes import leave_group, sum_gradients
from thinkless_core.training.sft_trainer import accumulate_sft_loss, train_sft
from thinkless_core.training.sharding import shard_layers, whole
from thinkless_core.training.sided_samples import pair_samples
from thinkless_core.training.tokenised_pairs import TokenisedPairs

MOVING = optimizer_config(learning_rate=1e-3, warmup_steps=2, weight_decay=0.1, max_grad_norm=1.0)
SFT = sft_config(
    steps=6, pairs_per_step=5, micro_batch_tokens=64, checkpoint_every=4, validate_every=3, optimizer=MOVING
)
RL = rl_config(
    steps=6,
    prompts_per_step=4,
    group_size=4,
    updates_per_step=2,
    micro_batch_tokens=64,
    kl_coef=0.05,
    max_new_tokens=12,
    checkpoint_every=4,
    probe_every=2,
    optimizer=MOVING,
)
LIKELY = {1: 2.0, 5: 6.0, 6: 6.0}
"""Added to the logits of the end token and of both control tokens, so that a student as made says something."""
SAMPLES, ADVANTAGES = (
    ragged_samples(15),
    [0.9, -0.4, 0.3, -1.0, 0.6, 0.2, -0.7, 0.5, 0.1, -0.2, 0.8, -0.9, 0.4, -0.3, 0.7],
)


@dataclass(frozen=True)
class Computed:
    """What a case came to, in one process."""

    numbers: Mapping[str, float]
    tensors: Mapping[str, Tensor]
    """Gradients or weights, whole."""
    said: str = ""


KEPT = "at-step-4"


@dataclass(frozen=True)
class KeepingStep4:
    """A progress callback that copies the folder of a run as it is after step 4, its checkpoint included."""

    folder: Path

    def __call__(self, done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        if done == 4:
            shutil.copytree(self.folder, self.folder / KEPT)


def _prepared(model: PreTrainedModel, *, sharded: bool) -> PreTrainedModel:
    if sharded:
        shard_layers(model)
    return model.train()


def sft_gradient(folder: Path, *, sharded: bool = False) -> Computed:
    """Losses and gradient of one warm-up step."""
    model, tokenizer = _prepared(make_student(scale=2.0), sharded=sharded), tiny_tokenizer()
    batch = pair_samples(make_pairs(6, mix=(0.4, 0.3, 0.3)), tokenizer=tokenizer)
    accelerator = training_accelerator()
    losses = accumulate_sft_loss(model, batch, pad_id=0, micro_batch_tokens=64, accelerator=accelerator)
    sum_gradients(model, accelerator=accelerator)
    norm = clip_gradients(model, max_norm=1e9)
    gradient = {name: whole(p.grad).clone() for name, p in model.named_parameters() if p.grad is not None}
    return Computed({"all": losses.all, "think": losses.think, "short": losses.short, "norm": norm}, gradient)


def rl_gradient(folder: Path, *, sharded: bool = False, advantages: list[float] | None = None) -> Computed:
    """Numbers and gradient of one policy update, with a policy that has moved and a reference."""
    model = _prepared(make_student(scale=2.0), sharded=sharded)
    reference = _prepared(make_student(seed=2, scale=2.0).requires_grad_(requires_grad=False), sharded=sharded)
    sampled_by = _prepared(make_student(seed=1, scale=2.0), sharded=sharded)
    config = rl_config(micro_batch_tokens=64, kl_coef=0.5, temperature=0.8)
    batch, settings = make_batch(SAMPLES, advantages or ADVANTAGES), settings_at(config, step=1)
    accelerator, recorder = training_accelerator(), GradientRecorder(model)
    old = sampling_logprobs(sampled_by, batch, config=config, settings=settings, pad_id=0, accelerator=accelerator)
    numbers = update_policy(
        model,
        batch,
        objective=config.objective.build(),
        old_logprobs=old,
        reference=reference,
        optimizer=recorder,
        accelerator=accelerator,
        config=config,
        settings=settings,
        pad_id=0,
    )
    return Computed(numbers, {name: whole(gradient) for name, gradient in recorder.gradients[0].items()})


def nan_update(folder: Path) -> Computed:
    """A rollout whose advantage is not a number, in one process's share."""
    try:
        rl_gradient(folder, advantages=[*ADVANTAGES[:-1], float("nan")])
    except TrainingError as error:
        return Computed({}, {}, said=str(error))
    return Computed({}, {})


def sft_run(folder: Path, *, sharded: bool = False, config: SftConfig = SFT) -> Computed:
    """A whole warm-up."""
    model, tokenizer = make_student(), tiny_tokenizer()
    pairs = TokenisedPairs.of(make_pairs(9, validation_share=0.3), tokenizer=tokenizer)
    prepare_student(model, config, tokenizer=tokenizer)
    log = train_sft(
        model,
        tokenizer=tokenizer,
        pairs=pairs,
        config=config,
        scratch=folder,
        progress=KeepingStep4(folder),
        sharded=sharded,
    )
    return _after(model, {f"{m.name}/{m.step}": m.value for m in log})


def rl_run(folder: Path, *, sharded: bool = False, config: RlConfig = RL) -> Computed:
    """A whole RL run with true sampling."""
    model, tokenizer = make_student(bias=LIKELY), tiny_tokenizer()
    prepare_student(model, config, tokenizer=tokenizer)
    logs = train_rl(
        model,
        reference=model if config.lora is not None else make_student(bias=LIKELY),
        tokenizer=tokenizer,
        sampler=TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id),
        problems=make_problems(12),
        config=config,
        scratch=folder,
        progress=KeepingStep4(folder),
        sharded=sharded,
    )
    said = json.dumps([[row.step, row.problem_id, row.completion] for row in logs.rollouts])
    return _after(model, {f"{m.name}/{m.step}": m.value for m in logs.metrics}, said=said)


def _after(model: PreTrainedModel, numbers: Mapping[str, float], *, said: str = "") -> Computed:
    keeps = training_accelerator().is_main_process
    if keeps:
        merge_student(model)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()} if keeps else {}
    return Computed(numbers, weights, said)


CASES: Mapping[str, Callable[..., Computed]] = {
    "sft_gradient": sft_gradient,
    "rl_gradient": rl_gradient,
    "sft_run": sft_run,
    "rl_run": rl_run,
}
"""Each can be sharded too."""
ADAPTERS: dict[str, object] = {
    "lora": {"rank": 4, "alpha": 8.0},
    # They begin at 0, and would hardly have moved at the rate of whole weights.
    "optimizer": MOVING.model_copy(update={"learning_rate": 1e-2}),
}
if find_spec("peft") is not None:
    CASES = {
        **CASES,
        "sft_run_lora": partial(sft_run, config=sft_config(**(SFT.model_dump() | ADAPTERS))),
        "rl_run_lora": partial(rl_run, config=rl_config(**(RL.model_dump() | ADAPTERS))),
    }


def main() -> None:
    """The cases asked for, plain and sharded; runs once as a whole, and once more from the checkpoint of step 4."""
    torch.set_num_threads(1)
    folder, cases = Path(sys.argv[1]), sys.argv[2:]
    rank = training_accelerator().process_index
    for kind in ("", "-sharded"):
        for name in sorted(CASES.keys() & set(cases)):
            scratch = folder / f"{name}{kind}"
            sharded = kind == "-sharded"
            computed = [CASES[name](scratch, sharded=sharded)]
            if "run" in name:
                computed.append(CASES[name](scratch / KEPT, sharded=sharded))
            torch.save(computed, folder / f"{scratch.name}-{rank}.pt")
    if "nan_update" in cases:
        torch.save([nan_update(folder)], folder / f"nan_update-{rank}.pt")
    leave_group()
