"""Ways of choosing the mode, side by side on one model's own two modes: what is its choice worth?

completions in auto, short and think -> ModeOutcomes -> P(think) per problem, one way each -> RouterScores

    auto       the model itself, as sampled: its mode auto, malformed first tokens and all
    short      never thinks
    think      always thinks
    oracle     per problem the mode that is right more often over its samples; where both are equally often right (or
               wrong), the cheaper. It has seen the answers: a bound, and with one sample per problem a flattering one,
               since a lucky guess counts as ability. More samples (`evaluate.num_samples`) make it honest
    random     thinks about every problem with the probability that is auto's think share: auto without its judgement
    task       per task, all its levels together, the mode that is right more often, of equals the cheaper. It has seen
               the answers too, and chooses once per task. Only if problems have tasks; those without count as one
    task-level the same for each level of each task: what a lookup table of difficulty would reach
    threshold  thinks where P(think) > threshold. The threshold is fixed before anything is graded and never tuned on
               these problems; 0.5 is the model's own greedy choice

All but auto are exact expectations over the choice of mode, not draws. Hybrid accuracy is the share of choices that are
the oracle's (as expected, where the choice is random): a malformed first token chose neither mode and never counts.
Differs from the metric of arXiv 2505.14631: there modes whose mean scores differ by less than a margin are a tie, here
only equal ones are; both give a tie to the cheaper mode.

Shapes: P problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.errors import EvaluationError
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_routers import RouterScore
from thinkless_core.statistics.intervals import mean_per_problem, score_accuracy, score_tokens
from thinkless_core.statistics.mode_outcomes import Floats, ModeOutcomes, stderr_of_mean


def score_routers(completions: Sequence[EvalCompletion], *, threshold: float) -> list[RouterScore]:
    """One row per router; `completions` are one model's on one benchmark, in all three modes.

    Routers `task` and `task-level` have no row if no problem has a task.

    Raises EvaluationError if the modes were not asked the same problems.
    """
    outcomes = ModeOutcomes.of(completions)
    auto = _auto(outcomes, [c for c in completions if c.mode is EvalMode.AUTO])
    oracle_P = outcomes.oracle_choice().astype(np.float64)
    all_P = np.ones_like(oracle_P)
    tasks_P = outcomes.tasks_P
    grouped = {"task": tasks_P, "task-level": tuple(zip(tasks_P, outcomes.levels_P, strict=True))}
    return [
        auto,
        _score(outcomes, "short", 0 * all_P, chooses=False),
        _score(outcomes, "think", all_P, chooses=False),
        _score(outcomes, "oracle", oracle_P),
        _score(outcomes, "random", auto.think_share * all_P),
        *(
            _score(outcomes, router, outcomes.group_choice(groups_P).astype(np.float64))
            for router, groups_P in grouped.items()
            if any(task is not None for task in tasks_P)
        ),
        _score(outcomes, "threshold", (outcomes.p_think_P > threshold).astype(np.float64), threshold=threshold),
    ]


def _auto(outcomes: ModeOutcomes, completions: Sequence[EvalCompletion]) -> RouterScore:
    """What was sampled in mode auto, problem by problem."""
    accuracy, tokens = mean_per_problem(completions, score_accuracy), mean_per_problem(completions, score_tokens)
    if accuracy.keys() != set(outcomes.problem_ids):
        raise EvaluationError(
            f"{outcomes.model} on {outcomes.benchmark}: mode auto has {len(accuracy)} problems, the forced modes "
            f"{len(outcomes.problem_ids)}, expected the same; evaluate all three modes on the whole benchmark"
        )
    short = mean_per_problem(completions, lambda c: float(c.chosen_mode is Mode.SHORT))
    think = mean_per_problem(completions, lambda c: float(c.chosen_mode is Mode.THINK))
    accuracy_P, tokens_P, short_P, think_P = (
        np.array([scores[problem] for problem in outcomes.problem_ids]) for scores in (accuracy, tokens, short, think)
    )
    return _row(
        outcomes,
        "auto",
        accuracy_P=accuracy_P,
        tokens_P=tokens_P,
        think_P=think_P,
        hybrid_P=np.where(outcomes.oracle_choice(), think_P, short_P),
    )


def _score(
    outcomes: ModeOutcomes, router: str, think_P: Floats, *, threshold: float | None = None, chooses: bool = True
) -> RouterScore:
    """A router that thinks about each problem with probability `think_P`; short and think do not choose."""
    accuracy_P, tokens_P = outcomes.expected(think_P)
    hybrid_P = np.where(outcomes.oracle_choice(), think_P, 1 - think_P) if chooses else None
    return _row(
        outcomes,
        router,
        accuracy_P=accuracy_P,
        tokens_P=tokens_P,
        think_P=think_P,
        hybrid_P=hybrid_P,
        threshold=threshold,
    )


def _row(
    outcomes: ModeOutcomes,
    router: str,
    *,
    accuracy_P: Floats,
    tokens_P: Floats,
    think_P: Floats,
    hybrid_P: Floats | None,
    threshold: float | None = None,
) -> RouterScore:
    return RouterScore.model_validate(
        {
            "model": outcomes.model,
            "benchmark": outcomes.benchmark,
            "router": router,
            "threshold": threshold,
            "n": len(outcomes.problem_ids),
            "accuracy": float(accuracy_P.mean()),
            "accuracy_stderr": stderr_of_mean(accuracy_P),
            "think_share": float(think_P.mean()),
            "mean_tokens": float(tokens_P.mean()),
            "mean_tokens_stderr": stderr_of_mean(tokens_P),
            "hybrid_accuracy": None if hybrid_P is None else float(hybrid_P.mean()),
        }
    )
