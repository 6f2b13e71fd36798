"""What a model does on held-out problems: one graded completion per problem, sample and mode.

problems -> token 0 where the mode is free -> completions behind each wanted token 0 -> verdicts -> EvalCompletions
All models and modes of one problem share their random stream, so that differences between modes are paired, and a free
completion is the forced one of the mode it chose: it is sampled once, and stands in both rows. What any other choice of
mode would have come to is computed from these rows (routers, pareto) and not sampled again.
Each completion is judged twice: `correct` by the verifier that its problem names, and `correct_paper` by the reference
code's lenient rules, which also read an answer off a truncated or malformed completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from thinkless_core.student.rendering import decode_completion, render_prompts


@dataclass(frozen=True)
class _Question:
    """One sample of one problem, to be answered in every mode."""

    problem: Problem
    prompt_ids: tuple[int, ...]
    p_think: float
    sample: int


def evaluate_problems(
    model: PreTrainedModel,
    problems: Sequence[Problem],
    *,
    sampler: Sampler,
    tokenizer: PreTrainedTokenizerBase,
    model_name: str,
    benchmark: str,
    config: EvaluateConfig,
) -> list[EvalCompletion]:
    """Completions of one model on problems of one benchmark, mode by mode. Raises EvaluationError for zero problems."""
    if not problems:
        raise EvaluationError(
            f"benchmark {benchmark!r} has no problems to evaluate {model_name} on, so there is nothing to average; "
            "check problems.benchmarks"
        )
    control = ControlTokens.of(tokenizer)
    questions = _questions(model, problems, tokenizer=tokenizer, config=config)
    free = _sample(questions, [None] * len(questions), sampler=sampler, config=config, max_new_tokens=1)
    free_ids = [completion.token_ids[0] for completion in free]
    # Row of `questions` and token 0; what is no control token is wanted too, as the free completion of that row.
    wanted = list(
        dict.fromkeys(
            (row, token_id)
            for row, free_id in enumerate(free_ids)
            for token_id in (control.short_id, control.think_id, free_id)
        )
    )
    asked = [questions[row] for row, _ in wanted]
    sampled = _sample(
        asked,
        [token_id for _, token_id in wanted],
        sampler=sampler,
        config=config,
        max_new_tokens=config.max_new_tokens,
    )
    judged = _judged(asked, sampled, tokenizer=tokenizer, model_name=model_name, benchmark=benchmark, config=config)
    answers = dict(zip(wanted, judged, strict=True))
    return [
        _in_mode(mode, answers[row, free_id if mode.forced is None else control.id_of(mode.forced)])
        for mode in EvalMode
        for row, free_id in enumerate(free_ids)
    ]


def _in_mode(mode: EvalMode, answer: EvalCompletion) -> EvalCompletion:
    """The same completion as the answer in this mode."""
    completion_id = f"{answer.model}-{mode}-{answer.problem_id}-{answer.sample}"
    return answer.model_copy(update={"mode": mode, "completion_id": completion_id})


def _questions(
    model: PreTrainedModel,
    problems: Sequence[Problem],
    *,
    tokenizer: PreTrainedTokenizerBase,
    config: EvaluateConfig,
) -> list[_Question]:
    """All samples of a problem side by side."""
    probabilities = think_probabilities(
        model, [p.prompt for p in problems], tokenizer=tokenizer, batch_size=config.batch_size
    )
    prompts = render_prompts(tokenizer, [problem.prompt for problem in problems])
    return [
        _Question(problem, prompt_ids, p_think, sample)
        for problem, prompt_ids, p_think in zip(problems, prompts, probabilities, strict=True)
        for sample in range(config.num_samples)
    ]


def _sample(
    questions: Sequence[_Question],
    first_ids: Sequence[int | None],
    *,
    sampler: Sampler,
    config: EvaluateConfig,
    max_new_tokens: int,
) -> list[SampledCompletion]:
    """A completion per question, behind the token 0 that is given, if one is."""
    requests = [
        SampleRequest(
            question.prompt_ids,
            stream=("evaluate", config.seed, question.problem.problem_id, question.sample),
            forced_id=first_id,
        )
        for question, first_id in zip(questions, first_ids, strict=True)
    ]
    return sampler.sample(requests, max_new_tokens=max_new_tokens, temperature=config.temperature, top_p=config.top_p)


def _judged(
    questions: Sequence[_Question],
    sampled: Sequence[SampledCompletion],
    *,
    tokenizer: PreTrainedTokenizerBase,
    model_name: str,
    benchmark: str,
    config: EvaluateConfig,
) -> list[EvalCompletion]:
    """A row per completion; in which modes it stands, and so its id, is for `_in_mode` to say."""
    control = ControlTokens.of(tokenizer)
    texts = [decode_completion(tokenizer, completion.token_ids) for completion in sampled]
    chosen_modes = [control.mode_of(completion.token_ids[0]) for completion in sampled]
    cut = [completion.finish_reason is FinishReason.LENGTH for completion in sampled]
    # A truncated or malformed completion has no verdict.
    verdicts = judge_completions(
        [question.problem for question in questions],
        [
            None if truncated or chosen is None else text
            for text, chosen, truncated in zip(texts, chosen_modes, cut, strict=True)
        ],
    )
    paper = PaperVerifier()
    return [
        EvalCompletion(
            completion_id="",
            model=model_name,
            benchmark=benchmark,
            mode=EvalMode.AUTO,
            problem_id=question.problem.problem_id,
            difficulty=question.problem.difficulty,
            sample=question.sample,
            chosen_mode=chosen,
            completion=text,
            answer=None if verdict is None else verdict.answer,
            correct=verdict is not None and verdict.correct,
            num_tokens=len(completion.token_ids),
            truncated=truncated,
            malformed=chosen is None,
            fake_short=is_fake_short(
                chosen,
                completion_ids=completion.token_ids,
                think_end_id=control.think_end_id,
                short_max_tokens=config.short_max_tokens,
            ),
            p_think=question.p_think,
            grader=question.problem.verifier,
            correct_paper=paper.judge(question.problem, text).correct,
            task=question.problem.task,
            score=None if verdict is None else verdict.score,
        )
        for question, completion, text, chosen, truncated, verdict in zip(
            questions, sampled, texts, chosen_modes, cut, verdicts, strict=True
        )
    ]
