"""From problems to scored rollouts: sample groups, read the mode off token 0, judge, reward.

problems -> SampleRequests (G per problem) -> SampledCompletions -> Rollouts -> JudgedRollouts -> ScoredRollouts
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from transformers import PreTrainedTokenizerBase

from schemas.configs.rl import RlConfig
from schemas.errors import TrainingError
from schemas.finish_reason import FinishReason
from schemas.records.problems import Problem
from thinkless_core.grading.fake_short import is_fake_short
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import judge_completions
from thinkless_core.rl.mode_assignment import AssignedMode
from thinkless_core.rl.rewards import Reward
from thinkless_core.rl.rollouts import JudgedRollout, Rollout, ScoredRollout
from thinkless_core.rl.schedules import StepSettings
from thinkless_core.sampling.sampler import Sampler, SampleRequest
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import decode_completion, render_prompts


def sample_groups(
    sampler: Sampler,
    problems: Sequence[Problem],
    *,
    assigned: Sequence[AssignedMode],
    tokenizer: PreTrainedTokenizerBase,
    config: RlConfig,
    settings: StepSettings,
    stream: str = "rollout",
) -> list[Rollout]:
    """One rollout of each problem per entry of `assigned`, those of one problem side by side.

    `stream` names what they are for: other purposes draw other random numbers. A rollout's random stream does not
    depend on whether its mode is forced: a forced completion is the one that the policy would have sampled if it had
    chosen that mode.
    """
    control = ControlTokens.of(tokenizer)
    prompts = render_prompts(tokenizer, [problem.prompt for problem in problems])
    asked = [
        (problem, sample, choice, prompt_ids)
        for problem, prompt_ids in zip(problems, prompts, strict=True)
        for sample, choice in enumerate(assigned)
    ]
    requests = [
        SampleRequest(
            prompt_ids,
            stream=(stream, config.seed, settings.number, problem.problem_id, sample),
            forced_id=None if choice.mode is None else control.id_of(choice.mode),
        )
        for problem, sample, choice, prompt_ids in asked
    ]
    completions = sampler.sample(requests, max_new_tokens=settings.max_new_tokens, temperature=settings.temperature)
    return [
        Rollout(
            problem=problem,
            sample=sample,
            prompt_ids=prompt_ids,
            completion_ids=completion.token_ids,
            completion=decode_completion(tokenizer, completion.token_ids),
            finish_reason=completion.finish_reason,
            mode=control.mode_of(completion.token_ids[0]),
            forced=choice.mode is not None,
            assigned_probability=choice.probability,
            sampler_logprobs=completion.logprobs,
        )
        for (problem, sample, choice, prompt_ids), completion in zip(asked, completions, strict=True)
    ]


def score_rollouts(
    rollouts: Sequence[Rollout],
    *,
    reward: Reward,
    control: ControlTokens,
    config: RlConfig,
    settings: StepSettings,
) -> list[ScoredRollout]:
    """Judge and reward every rollout; the rollouts of a group stand side by side.

    Raises TrainingError for a reward that does not give each rollout a finite number.
    """
    scored: list[ScoredRollout] = []
    verdicts = judge_rollouts(rollouts)
    for start in range(0, len(rollouts), config.group_size):
        end = start + config.group_size
        group = [
            JudgedRollout(
                rollout,
                verdict,
                fake_short=is_fake_short(
                    rollout.mode,
                    completion_ids=rollout.completion_ids,
                    think_end_id=control.think_end_id,
                    short_max_tokens=config.short_max_tokens,
                ),
            )
            for rollout, verdict in zip(rollouts[start:end], verdicts[start:end], strict=True)
        ]
        earned = [float(value) for value in reward.rewards(group, step=settings)]
        if len(earned) != len(group) or not all(map(math.isfinite, earned)):
            raise TrainingError(
                f"reward {reward.name or type(reward).__name__!r} gave {earned} for the {len(group)} rollouts of "
                f"problem {group[0].problem.problem_id}, expected one finite number each; correct its `rewards`"
            )
        scored += [
            ScoredRollout(j.rollout, j.verdict, j.fake_short, value) for j, value in zip(group, earned, strict=True)
        ]
    return scored


def judge_rollouts(rollouts: Sequence[Rollout]) -> list[Verdict]:
    """Whether each rollout solves its problem, by the verifier that the problem names.

    One that is malformed or ran into the token limit is wrong, whatever it says.
    """
    unfit = [_unfit(rollout) for rollout in rollouts]
    texts = [rollout.completion if why is None else None for rollout, why in zip(rollouts, unfit, strict=True)]
    judged = judge_completions([rollout.problem for rollout in rollouts], texts)
    return [why or cast(Verdict, verdict) for why, verdict in zip(unfit, judged, strict=True)]


def _unfit(rollout: Rollout) -> Verdict | None:
    """The verdict on a rollout that no verifier is asked about."""
    if rollout.mode is None:
        return Verdict(Outcome.WRONG, None, "malformed: token 0 is no control token")
    if rollout.finish_reason is not FinishReason.STOP:
        return Verdict(Outcome.WRONG, None, "truncated at the token limit")
    return None
