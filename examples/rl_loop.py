"""DeGRPO as one loop: a tiny model learns when to think, in the order of the paper (Thinkless, arXiv 2505.13379).

    python examples/rl_loop.py                                  a minute of one CPU core

Printed: the share of think answers, at first 0.44 of easy and 0.46 of hard problems, is 0.03 and 0.66 after 30 steps.

warm-up on both modes (section 3.1) -> sample -> reward -> advantage -> loss -> step (section 3.2)

The trainer (thinkless_core/rl/rl_trainer.py) calls the same functions. Simpler here: one process, one optimiser step
per batch, no KL term and so no reference model, no schedules, guard, logs or checkpoints.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

from accelerate import Accelerator

from schemas.configs.base_model import TinyModel
from schemas.configs.rl import RlConfig
from schemas.configs.stage import OptimizerConfig
from schemas.mode import Mode
from schemas.records.problems import Problem, ProblemSplit
from thinkless_core.problems.procedural import draw_distinct_chains, work_out
from thinkless_core.rl.metrics import rollout_numbers
from thinkless_core.rl.objectives.degrpo_paper import DegrpoPaper
from thinkless_core.rl.policy_batch import build_policy_batch
from thinkless_core.rl.policy_loss import policy_loss
from thinkless_core.rl.rewards import Thinkless
from thinkless_core.rl.schedules import settings_at
from thinkless_core.rl.scoring import sample_groups, score_rollouts
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.seeding import batch_indices, random_stream
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import Sample, render_completion, render_prompt
from thinkless_core.student.tiny_model import tiny_model, tiny_tokenizer
from thinkless_core.training.logprobs import collate, completion_logprobs
from thinkless_core.training.optimization import build_optimizer, clip_gradients
from thinkless_core.training.sft_trainer import accumulate_sft_loss
from thinkless_core.training.sided_samples import SidedSamples


def main(*, warm_up_steps: int = 300, rl_steps: int = 30) -> list[dict[str, float]]:
    """Warm up, then reinforce; the metrics of every RL step."""
    tokenizer = tiny_tokenizer()
    size = TinyModel(hidden_size=64, intermediate_size=192, num_hidden_layers=2)
    model = tiny_model(size, tokenizer=tokenizer, seed=0)
    control, pad_id = ControlTokens.of(tokenizer), tokenizer.pad_token_id

    # Problems: chains such as 37+48*12-59=?. Those with one operation are easy, those with three are hard.
    problems: list[Problem] = []
    samples: list[Sample] = []
    for text, difficulty in draw_distinct_chains(random_stream("rl-loop"), num_problems=1200, mix=(0.6, 0.0, 0.4)):
        working = work_out(text)
        assert working is not None
        problems.append(
            Problem(
                problem_id=text,
                prompt=text,
                answer=working.answer,
                difficulty=difficulty,
                split=ProblemSplit.RL,
                benchmark=None,
                source="rl_loop",
            )
        )
        prompt_ids = render_prompt(tokenizer, text)
        for completion in (f"<short>{working.answer}", f"<think>{','.join(working.steps)}</think>{working.answer}"):
            samples.append(Sample(prompt_ids, render_completion(tokenizer, completion, finished=True)))

    # Warm-up: the model learns both modes side by side.
    optimizer, accelerator = build_optimizer(model, OptimizerConfig(learning_rate=3e-3)), Accelerator()
    for step in range(warm_up_steps):
        chosen = batch_indices(len(samples), batch_size=64, step=step, seed=0)
        sides = tuple((Mode.SHORT, Mode.THINK)[i % 2] for i in chosen)
        pairs = SidedSamples(tuple(samples[i] for i in chosen), sides)
        sft = accumulate_sft_loss(model, pairs, pad_id=pad_id, micro_batch_tokens=4096, accelerator=accelerator)
        clip_gradients(model, max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()
    print(f"warm-up: loss {sft.all:.3f}, short {sft.short:.3f}, think {sft.think:.3f}")

    objective = DegrpoPaper(alpha=1.0)  # or Grpo(), Hgpo(), one of your own
    reward = Thinkless()  # or Correct(), ShortBonus(delta=0.1), one of your own
    config = RlConfig(
        steps=rl_steps,
        prompts_per_step=16,
        group_size=8,
        gamma=0.6,
        max_new_tokens=24,
        short_max_tokens=6,
        optimizer=OptimizerConfig(learning_rate=5e-4, weight_decay=0.0),
    )
    sampler = TransformersSampler(model, pad_id, tokenizer.eos_token_id)
    optimizer = build_optimizer(model, config.optimizer)
    history: list[dict[str, float]] = []
    for step in range(1, rl_steps + 1):
        settings = settings_at(config, step=step)  # gamma, temperature, ...: what a schedule may change
        chosen = batch_indices(len(problems), batch_size=config.prompts_per_step, step=step, seed=0)

        # Sample a group of completions per problem. The policy chooses the mode of each: it is token 0.
        rollouts = sample_groups(
            sampler,
            [problems[i] for i in chosen],
            assigned=objective.assign_modes(config.group_size),
            tokenizer=tokenizer,
            config=config,
            settings=settings,
        )
        # Reward: 1 if right and short, 1 - gamma if right and think, else -1.
        scored = score_rollouts(rollouts, reward=reward, control=control, config=config, settings=settings)
        # Advantage: the reward less the mean of the group.
        batch = build_policy_batch(scored, objective=objective, group_size=config.group_size, settings=settings)
        # Loss: clipped policy gradient, a weight per token. Micro-batches add up to the step.
        for indices in batch.micro_batches(model=model, max_tokens=4096, skip_zero_advantage=True):
            micro = collate([batch.sample(i) for i in indices], model=model, pad_id=pad_id)
            logprobs_BT, _ = completion_logprobs(model, micro, temperature=settings.temperature)
            loss = policy_loss(
                logprobs_BT,
                old_logprobs_BT=logprobs_BT.detach(),  # the policy has not moved since it sampled: every ratio is 1
                ref_logprobs_BT=None,
                control_advantages_B=batch.control_advantages_B[indices],
                response_advantages_B=batch.advantages_B[indices],
                completion_mask_BT=micro.completion_mask_BT,
                # The control token weighs alpha / B, a response token 1 / (B T).
                weights=objective.token_weights(micro.completion_mask_BT, over=batch.denominators, step=settings),
                clip_low=config.clip_low,
                clip_high=config.clip_high,
                kl_coef=0.0,
            )
            accelerator.backward(loss.total)
        # Step.
        clip_gradients(model, max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()

        numbers = rollout_numbers(scored, group_size=config.group_size)
        for name, difficulty in (("easy_think_share", 1), ("hard_think_share", 3)):
            modes = [s.mode for s in scored if s.problem.difficulty == difficulty]
            numbers[name] = modes.count(Mode.THINK) / max(len(modes), 1)
        history.append(numbers)
        shown = ("reward_mean", "accuracy", "mean_tokens", "easy_think_share", "hard_think_share")
        print(f"step {step:3d}", *(f"{name} {numbers[name]:5.2f}" for name in shown))
    return history


if __name__ == "__main__":
    main()
