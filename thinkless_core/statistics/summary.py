"""Summary of one cell of the result table: means, and a standard error clustered by problem.

EvalCompletions of one model x benchmark x mode -> EvalSummary
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from schemas.errors import EvaluationError
from schemas.mode import Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_summary import EvalSummary


def summarise_cell(completions: Sequence[EvalCompletion]) -> EvalSummary:
    """One row of the result table; standard error clustered by problem. Raises EvaluationError for zero rows."""
    if not completions:
        raise EvaluationError("no completions to average; ask the benchmark before summarising it")
    first, num_completions = completions[0], len(completions)
    return EvalSummary(
        model=first.model,
        benchmark=first.benchmark,
        mode=first.mode,
        n=num_completions,
        accuracy=sum(c.correct for c in completions) / num_completions,
        accuracy_stderr=clustered_stderr([(c.problem_id, float(c.correct)) for c in completions]),
        think_share=sum(c.chosen_mode is Mode.THINK for c in completions) / num_completions,
        mean_tokens=sum(c.num_tokens for c in completions) / num_completions,
        truncated_share=sum(c.truncated for c in completions) / num_completions,
        malformed_share=sum(c.malformed for c in completions) / num_completions,
        fake_short_share=sum(c.fake_short for c in completions) / num_completions,
        grader=first.grader,
        accuracy_paper=sum(c.correct_paper for c in completions) / num_completions,
    )


def clustered_stderr(scores: Sequence[tuple[str, float]]) -> float:
    """Standard error of the mean score, samples of one problem taken as one cluster.

    sqrt( C/(C-1) sum_clusters (sum_in_cluster (x - mean))^2 ) / N; with one sample per problem the ordinary standard
    error. 0 for a single cluster, about which nothing is known. Source: arXiv 2411.00640, section 2.2; differs from
    it by the small-sample factor C/(C-1).
    """
    num_scores = len(scores)
    mean = sum(x for _, x in scores) / num_scores
    residuals: dict[str, float] = defaultdict(float)
    for cluster, x in scores:
        residuals[cluster] += x - mean
    num_clusters = len(residuals)
    if num_clusters < 2:
        return 0.0
    return math.sqrt(num_clusters / (num_clusters - 1) * sum(r * r for r in residuals.values())) / num_scores
