"""What a model does on held-out problems: one graded completion per problem, sample and mode.

problems -> requests (mode free or forced) -> completions -> EvalCompletions -> EvalSummary per cell
All models and modes of one problem share their random stream, so that differences between cells are paired, and a
forced completion equals the free one that chose the same mode: what any other choice of mode would have come to is
computed from these rows (routers, pareto) and not sampled again.
Each completion is judged twice: `correct` by the verifier that its problem names, and `correct_paper` by the reference
code's lenient rules, which also read an answer off a truncated or malformed completion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.evaluate import EvaluateConfig
from schemas.errors import EvaluationError
from schemas.finish_reason import FinishReason
from schemas.mode import EvalMode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.problems import Problem
from thinkless_core.grading.fake_short import is_fake_short
from thinkless_core.grading.paper import PaperVerifier
from thinkless_core.grading.verifier import judge_completions
from thinkless_core.sampling.sampler import SampledCompletion, Sampler, SampleRequest
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import decode_completion, render_prompt

BATCHES_BETWEEN_NEWS = 4
"""Batches sampled in one call of the sampler, after which it is said how many answers there are."""


def evaluate_cell(
    model: PreTrainedModel,
    problems: Sequence[Problem],
    *,
    sampler: Sampler,
    tokenizer: PreTrainedTokenizerBase,
    model_name: str,
    benchmark: str,
    mode: EvalMode,
    config: EvaluateConfig,
    news: Callable[[int], None] = lambda num_sampled: None,
) -> list[EvalCompletion]:
    """Completions of one model in one mode on one benchmark. Raises EvaluationError for zero problems."""
    if not problems:
        raise EvaluationError(
            f"benchmark {benchmark!r} has no problems to evaluate {model_name} on, so there is nothing to average; "
            "check problems.benchmarks"
        )
    control = ControlTokens.of(tokenizer)
    probabilities = think_probabilities(
        model, [p.prompt for p in problems], tokenizer=tokenizer, batch_size=config.batch_size
    )
    asked = [
        (problem, p_think, sample)
        for problem, p_think in zip(problems, probabilities, strict=True)
        for sample in range(config.num_samples)
    ]
    forced_id = control.id_of(mode.forced) if mode.forced is not None else None
    requests = [
        SampleRequest(
            render_prompt(tokenizer, problem.prompt),
            stream=("evaluate", config.seed, problem.problem_id, sample),
            forced_id=forced_id,
        )
        for problem, _, sample in asked
    ]
    sampled = _sampled(requests, sampler, config=config, news=news)
    texts = [decode_completion(tokenizer, completion.token_ids) for completion in sampled]
    chosen_modes = [control.mode_of(completion.token_ids[0]) for completion in sampled]
    # A truncated or malformed completion has no verdict.
    judged = [
        text if chosen is not None and completion.finish_reason is not FinishReason.LENGTH else None
        for text, completion, chosen in zip(texts, sampled, chosen_modes, strict=True)
    ]
    verdicts = judge_completions([problem for problem, _, _ in asked], judged)
    paper = PaperVerifier()
    return [
        EvalCompletion(
            completion_id=f"{model_name}-{mode}-{problem.problem_id}-{sample}",
            model=model_name,
            benchmark=benchmark,
            mode=mode,
            problem_id=problem.problem_id,
            difficulty=problem.difficulty,
            sample=sample,
            chosen_mode=chosen,
            completion=text,
            answer=None if verdict is None else verdict.answer,
            correct=verdict is not None and verdict.correct,
            num_tokens=len(completion.token_ids),
            truncated=completion.finish_reason is FinishReason.LENGTH,
            malformed=chosen is None,
            fake_short=is_fake_short(
                chosen,
                completion_ids=completion.token_ids,
                think_end_id=control.think_end_id,
                short_max_tokens=config.short_max_tokens,
            ),
            p_think=p_think,
            grader=problem.verifier,
            correct_paper=paper.judge(problem, text).correct,
            task=problem.task,
            score=None if verdict is None else verdict.score,
        )
        for (problem, p_think, sample), completion, text, chosen, verdict in zip(
            asked, sampled, texts, chosen_modes, verdicts, strict=True
        )
    ]


def _sampled(
    requests: Sequence[SampleRequest], sampler: Sampler, *, config: EvaluateConfig, news: Callable[[int], None]
) -> list[SampledCompletion]:
    """One completion per request; `news` hears now and then how many there are."""
    sampled: list[SampledCompletion] = []
    size = BATCHES_BETWEEN_NEWS * config.batch_size
    for start in range(0, len(requests), size):
        sampled += sampler.sample(
            requests[start : start + size],
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
        )
        news(len(sampled))
    return sampled
