"""Row `update-*`: the policy update alone, on the very same rollouts and advantages, beside TRL's GRPOTrainer.

Ours is `update_policy`: log-probabilities, loss, gradient, clipping of its norm, AdamW step, all numbers of the step.
TRL's trainer is handed the rollouts instead of sampling them; the clock runs over its step as its own loop makes it.
Both count prompt and completion tokens. `trl_batch` rollouts share one of its forward passes: all of them on the tiny
model, 16 on the larger, which were its fastest of several on two cores.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.benchmarks.contest import Contestant, SideResult
from tests.benchmarks.models import build_model
from tests.benchmarks.row import Row, Setting, megabytes, speed_up, spread, table
from tests.benchmarks.turns import Side, Spec, Turns

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from thinkless_core.student.rendering import Sample

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "prompts": 32,
        "max_new_tokens": 40,
        "steps_per_turn": 5,
        "warmup_steps": 2,
        "trl_batch": 256,
        "threads": 1,
    },
    "17M": {"prompts": 16, "max_new_tokens": 96, "steps_per_turn": 1, "warmup_steps": 1, "trl_batch": 16},
}
QUICK = {"tiny": {"steps_per_turn": 2}, "17M": {"prompts": 4, "trl_batch": 16}}
GROUP_SIZE = 8
LEARNING_RATE = 1e-9


class PreparedUpdate(NamedTuple):
    """One optimiser step on fixed rollouts, ready to be taken again and again."""

    step: Callable[[], object]
    model: PreTrainedModel
    samples: list[Sample]


def prepared_update(spec: Spec) -> PreparedUpdate:
    """`update_policy`, policy unmoved since it sampled."""
    from schemas.configs.loading import load_config
    from tests.benchmarks.fixed_rollouts import fixed_batch, update_config
    from thinkless_core.rl.policy_update import update_policy
    from thinkless_core.training.acceleration import single_process_accelerator
    from thinkless_core.training.optimization import build_optimizer

    changes = {"micro_batch_tokens": load_config("tiny").rl.micro_batch_tokens} if spec["size"] == "tiny" else {}
    config = update_config(
        prompts=spec["prompts"],
        group_size=GROUP_SIZE,
        max_new_tokens=spec["max_new_tokens"],
        objective="grpo",
        **changes,
    )
    batch, settings = fixed_batch(config)
    model, accelerator = build_model(spec["size"]), single_process_accelerator()
    model.to(accelerator.device).train()
    step = functools.partial(
        update_policy,
        model,
        batch,
        objective=config.objective.build(),
        old_logprobs=None,
        reference=None,
        optimizer=build_optimizer(model, config.optimizer),
        accelerator=accelerator,
        config=config,
        settings=settings,
        pad_id=model.config.pad_token_id,
    )
    return PreparedUpdate(step, model, [batch.sample(index) for index in range(len(batch.scored))])


def ours(spec: Spec, turns: Turns) -> None:
    """One update after the other."""
    from tests.benchmarks.flops import training_flops
    from tests.benchmarks.samples import num_tokens
    from thinkless_core.training.acceleration import use_threads

    use_threads(spec["threads"])
    update = prepared_update(spec)
    sums = {"tokens": num_tokens(update.samples), "flops": training_flops(update.model, update.samples)}
    while True:
        update.step()
        turns.step(**sums)


def trl(spec: Spec, turns: Turns) -> None:
    """GRPOTrainer with generation and scoring replaced by the fixed rollouts."""
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from tests.benchmarks.fixed_rollouts import as_trl_inputs, fixed_batch, update_config
    from tests.benchmarks.peer_loop import in_turns, plain_arguments
    from thinkless_core.student.tiny_model import tiny_tokenizer

    torch.set_num_threads(spec["threads"])
    config = update_config(
        prompts=spec["prompts"], group_size=GROUP_SIZE, max_new_tokens=spec["max_new_tokens"], objective="grpo"
    )
    batch, _ = fixed_batch(config)
    tokenizer = tiny_tokenizer()
    fixed = as_trl_inputs(batch, pad_id=tokenizer.pad_token_id)
    num_tokens = int(fixed["prompt_mask"].sum() + fixed["completion_mask"].sum())
    num_rollouts = spec["prompts"] * GROUP_SIZE
    share = min(spec["trl_batch"], num_rollouts)

    class FixedRollouts(in_turns(GRPOTrainer, turns)):  # type: ignore[misc]
        """GRPOTrainer that finds its rollouts made."""

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            self.sums["tokens"] = num_tokens
            items = fixed["completion_mask"].sum()
            return {k: v.to(self.accelerator.device) for k, v in fixed.items()} | {"num_items_in_batch": items}

    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            **plain_arguments(folder, learning_rate=LEARNING_RATE, max_steps=200),
            per_device_train_batch_size=share,
            gradient_accumulation_steps=num_rollouts // share,
            num_generations=GROUP_SIZE,
            max_completion_length=spec["max_new_tokens"],
            loss_type="grpo",
            scale_rewards=False,
            beta=0.0,
        )
        FixedRollouts(
            model=build_model(spec["size"]),
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=arguments,
            train_dataset=Dataset.from_list([{"prompt": "1+1=?"}] * spec["prompts"] * 4),
            processing_class=tokenizer,
        ).train()


SIDES: dict[str, Side] = {"ours": ours, "trl": trl}


def make_row(size: str) -> Row:
    """The row of one model size."""

    def contests(setting: Setting) -> list[list[Contestant]]:
        spec = {"threads": setting.threads, "size": size} | SIZES[size]
        spec |= QUICK[size] if setting.quick else {}
        return [
            [
                Contestant("update", "ours", spec, "ours, update_policy"),
                Contestant("update", "trl", spec, "TRL GRPOTrainer, rollouts given"),
                Contestant("flops", "matmul", spec | {"steps_per_turn": 1}, "matmul"),
            ]
        ]

    def describe(groups: Sequence[Sequence[SideResult]]) -> str:
        ((us, peer, matmul),) = groups
        lines = [
            [result.name, spread(result.seconds_per_step()), spread(result.rates("tokens")), megabytes(result)]
            for result in (us, peer)
        ]
        peak = matmul.per_step("peak_flops_per_second")
        achieved = us.rates("flops")
        shares = [100 * a / p for a, p in zip(achieved, peak, strict=True)]
        return (
            table(["side", "update, s", "tokens/s", "peak memory, MB"], lines)
            + f"\n\nOurs is {speed_up(us, peer)} times faster. It computes {spread([a / 1e9 for a in achieved])} "
            f"GFLOP/s of a matmul peak of {spread([p / 1e9 for p in peak])}: {spread(shares)} %."
        )

    return Row(f"update-{size}", f"Policy update alone, {size} model", contests, describe, 5 if size == "tiny" else 3)
