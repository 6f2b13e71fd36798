"""From problems to scored rollouts: sample groups, read the mode off token 0, grade, reward.

problems -> SampleRequests (G per problem) -> SampledCompletions -> Rollouts -> ScoredRollouts
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from schemas.configs.rl import RlConfig
from schemas.finish_reason import FinishReason
from schemas.records.problems import Problem
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.grading.fake_short import is_fake_short
from thinkless_core.grading.strict import is_correct
from thinkless_core.rl.mode_assignment import AssignedMode
from thinkless_core.rl.objectives.registry import OBJECTIVES
from thinkless_core.rl.rewards import Verdict
from thinkless_core.rl.rollouts import Rollout, ScoredRollout
from thinkless_core.rl.schedules import StepSettings
from thinkless_core.sampling.sampler import Sampler, SampleRequest
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import decode_completion, render_prompt


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

    `stream` names what they are for: other purposes draw other random numbers. A rollout's random stream does not know
    whether its mode is forced: a forced completion is the one that the policy would have sampled had it chosen that
    mode.
    """
    control = ControlTokens.of(tokenizer)
    asked = [
        (problem, sample, choice, render_prompt(tokenizer, problem.prompt))
        for problem in problems
        for sample, choice in enumerate(assigned)
    ]
    requests = [
        SampleRequest(
            prompt_ids,
            stream=(stream, config.seed, settings.step, problem.problem_id, sample),
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
    rollouts: Sequence[Rollout], *, control: ControlTokens, config: RlConfig, settings: StepSettings
) -> list[ScoredRollout]:
    """Grade and reward every rollout; one that is malformed or ran into the token limit is wrong."""
    objective = OBJECTIVES[config.objective]
    scored = []
    for rollout in rollouts:
        correct = is_solved(rollout)
        fake_short = is_fake_short(
            rollout.mode,
            completion_ids=rollout.completion_ids,
            think_end_id=control.think_end_id,
            short_max_tokens=config.short_max_tokens,
        )
        reward = objective.reward(Verdict(rollout.mode, correct, fake_short), config=config, settings=settings)
        scored.append(ScoredRollout(rollout, correct=correct, fake_short=fake_short, reward=reward))
    return scored


def is_solved(rollout: Rollout) -> bool:
    """Whether a rollout has its mode, ended by itself and gives the right answer."""
    whole = rollout.mode is not None and rollout.finish_reason is FinishReason.STOP
    return whole and is_correct(extract_answer(rollout.completion), reference=rollout.problem.answer)
