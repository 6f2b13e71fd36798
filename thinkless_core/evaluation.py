"""What a model does on held-out problems: one graded completion per problem, sample and mode.

problems -> requests (mode free or forced) -> completions -> EvalCompletions -> EvalSummary per cell
All models and modes of one problem share their random stream, so that differences between cells are paired, and a
forced completion equals the free one that chose the same mode: what any other choice of mode would have come to is
computed from these rows (routers, pareto) and not sampled again.
Each completion has two verdicts: `correct`, strict, and `correct_paper` by the reference code's lenient rules, which
also read an answer off a truncated or malformed completion.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.evaluate import EvaluateConfig
from schemas.errors import EvaluationError
from schemas.mode import EvalMode, Mode
from schemas.records import EvalCompletion, EvalSummary, FinishReason, Problem
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.grading import GRADER, extract_answer, grade_batch, is_correct_paper
from thinkless_core.rendering import decode_completion, render_prompt
from thinkless_core.rewards import is_fake_short
from thinkless_core.rollouts import Sampler, SampleRequest
from thinkless_core.think_probability import think_probabilities


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
) -> list[EvalCompletion]:
    """Completions of one model in one mode on one benchmark. Raises EvaluationError for zero problems."""
    if not problems:
        raise EvaluationError(
            f"benchmark {benchmark!r} has no problems to evaluate {model_name} on; an accuracy of nothing is no "
            "number. Check problems.benchmarks and evaluate.limit"
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
    sampled = sampler.sample(
        requests, max_new_tokens=config.max_new_tokens, temperature=config.temperature, top_p=config.top_p
    )
    texts = [decode_completion(tokenizer, completion.token_ids) for completion in sampled]
    chosen_modes = [control.mode_of(completion.token_ids[0]) for completion in sampled]
    answers = []
    for text, completion, chosen in zip(texts, sampled, chosen_modes, strict=True):
        truncated = completion.finish_reason is FinishReason.LENGTH
        answers.append(None if truncated or chosen is None else extract_answer(text))
    verdicts = grade_batch(answers, [problem.answer for problem, _, _ in asked])
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
            answer=answer,
            correct=correct,
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
            grader=GRADER,
            correct_paper=is_correct_paper(text, reference=problem.answer),
        )
        for (problem, p_think, sample), completion, text, chosen, answer, correct in zip(
            asked, sampled, texts, chosen_modes, answers, verdicts, strict=True
        )
    ]


def summarise_cell(completions: Sequence[EvalCompletion]) -> EvalSummary:
    """One row of the result table; standard error clustered by problem. Raises EvaluationError for zero rows."""
    if not completions:
        raise EvaluationError("no completions to summarise; an accuracy of nothing is no number")
    first, n = completions[0], len(completions)
    return EvalSummary(
        model=first.model,
        benchmark=first.benchmark,
        mode=first.mode,
        n=n,
        accuracy=sum(c.correct for c in completions) / n,
        accuracy_stderr=clustered_stderr([(c.problem_id, float(c.correct)) for c in completions]),
        think_share=sum(c.chosen_mode is Mode.THINK for c in completions) / n,
        mean_tokens=sum(c.num_tokens for c in completions) / n,
        truncated_share=sum(c.truncated for c in completions) / n,
        malformed_share=sum(c.malformed for c in completions) / n,
        fake_short_share=sum(c.fake_short for c in completions) / n,
        grader=first.grader,
        accuracy_paper=sum(c.correct_paper for c in completions) / n,
    )


def clustered_stderr(scores: Sequence[tuple[str, float]]) -> float:
    """Standard error of the mean score, samples of one problem taken as one cluster.

    sqrt( C/(C-1) sum_clusters (sum_in_cluster (x - mean))^2 ) / n; with one sample per problem the ordinary standard
    error. 0 for a single cluster, about which nothing is known. Source: arXiv 2411.00640, section 2.2; differs from
    it by the small-sample factor C/(C-1).
    """
    n = len(scores)
    mean = sum(x for _, x in scores) / n
    residuals: dict[str, float] = defaultdict(float)
    for cluster, x in scores:
        residuals[cluster] += x - mean
    num_clusters = len(residuals)
    if num_clusters < 2:
        return 0.0
    return math.sqrt(num_clusters / (num_clusters - 1) * sum(r * r for r in residuals.values())) / n
