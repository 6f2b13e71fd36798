"""From problems to scored rollouts: sample groups, read the mode off token 0, grade, reward.

problems -> SampleRequests (G per problem) -> SampledCompletions -> Rollouts -> ScoredRollouts
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from schemas.configs.rl import RlConfig
from schemas.records import FinishReason, Problem
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.grading import extract_answer, is_correct
from thinkless_core.rendering import decode_completion, render_prompt
from thinkless_core.rewards import RewardTable, is_fake_short
from thinkless_core.rollouts import Rollout, Sampler, SampleRequest, ScoredRollout


def sample_groups(
    sampler: Sampler,
    problems: Sequence[Problem],
    *,
    tokenizer: PreTrainedTokenizerBase,
    config: RlConfig,
    step: int,
) -> list[Rollout]:
    """`group_size` rollouts of each problem, those of one problem side by side."""
    control = ControlTokens.of(tokenizer)
    asked = [
        (problem, sample, render_prompt(tokenizer, problem.prompt))
        for problem in problems
        for sample in range(config.group_size)
    ]
    requests = [
        SampleRequest(prompt_ids, stream=("rollout", config.seed, step, problem.problem_id, sample))
        for problem, sample, prompt_ids in asked
    ]
    completions = sampler.sample(requests, max_new_tokens=config.max_new_tokens, temperature=config.temperature)
    return [
        Rollout(
            problem=problem,
            sample=sample,
            prompt_ids=prompt_ids,
            completion_ids=completion.token_ids,
            completion=decode_completion(tokenizer, completion.token_ids),
            finish_reason=completion.finish_reason,
            mode=control.mode_of(completion.token_ids[0]),
        )
        for (problem, sample, prompt_ids), completion in zip(asked, completions, strict=True)
    ]


def score_rollouts(rollouts: Sequence[Rollout], *, control: ControlTokens, config: RlConfig) -> list[ScoredRollout]:
    """Grade and reward every rollout; one that is malformed or ran into the token limit is wrong."""
    table = RewardTable(gamma=config.gamma)
    scored = []
    for rollout in rollouts:
        whole = rollout.mode is not None and rollout.finish_reason is FinishReason.STOP
        correct = whole and is_correct(extract_answer(rollout.completion), reference=rollout.problem.answer)
        fake_short = is_fake_short(
            rollout.mode,
            completion_ids=rollout.completion_ids,
            think_end_id=control.think_end_id,
            short_max_tokens=config.short_max_tokens,
        )
        reward = table.reward(rollout.mode, correct=correct, fake_short=fake_short)
        scored.append(ScoredRollout(rollout, correct=correct, fake_short=fake_short, reward=reward))
    return scored
