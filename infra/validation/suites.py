"""Rules of each table, checked before it is published: one suite per table.

problems, generations, pairs, rollouts, eval_completions: each is the shape of its record (checks.shape) and
the rules that the record alone cannot state. A bad completion is data, and its stage counts or drops it; what
these suites refuse is a table that says one thing and holds another, such as short answers named `think`.
"""

from __future__ import annotations

from collections.abc import Iterable

from infra.validation.checks import (
    Check,
    Suite,
    between,
    has_every,
    holds,
    in_set,
    never,
    not_blank,
    shape,
    unique_together,
    visible,
)
from schemas.configs.evaluate import MODELS
from schemas.finish_reason import FinishReason
from schemas.mode import THINK_END, EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.rollouts import RolloutRecord

ADVANTAGE_TOLERANCE = 1e-4
"""Per rollout of a group: advantages are float32, and may be divided by a small deviation."""

_CELLS = (
    "select concat_ws('/', model, benchmark, mode) || ' ' || count(*) from {batch} "
    "group by model, benchmark, mode order by count(*), 1 limit 9"
)


def problems_suite(*, benchmarks: Iterable[str]) -> Suite:
    """Training problems and the held-out problems of exactly these benchmarks, with no prompt in both."""
    names = sorted(benchmarks)
    same_prompt = r"trim(regexp_replace(nfc_normalize(prompt), '\s+', ' ', 'g'))"
    return Suite(
        "problems",
        "problem_id",
        (
            *shape(Problem, id_column="problem_id"),
            not_blank("prompt"),
            not_blank("answer"),
            in_set("split", ProblemSplit),
            has_every("split", ProblemSplit),
            in_set("benchmark", names),
            has_every("benchmark", names),
            holds("benchmark_is_set_for_test_only", "(benchmark is not null) = (split = 'test')"),
            never(
                "training_prompt_is_in_no_benchmark",
                f"split is distinct from 'test' and {same_prompt} in "
                f"(select {same_prompt} from {{batch}} where split = 'test')",
            ),
            never(
                "training_prompt_is_not_repeated",
                "split is distinct from 'test' and prompt in (select prompt from {batch} "
                "where split is distinct from 'test' group by prompt having count(*) > 1)",
            ),
        ),
    )


def generations_suite(*, mode: Mode, num_problems: int | None = None) -> Suite:
    """One teacher's completions in one mode; with `num_problems`, as many as problems were asked."""
    return Suite(
        "generations",
        "generation_id",
        (
            *shape(Generation, id_column="generation_id", num_rows=num_problems),
            not_blank("prompt"),
            in_set("mode", [mode]),
            unique_together("problem_is_answered_once", "problem_id", "mode"),
            *_completion_checks("completion", "'<' || mode || '>'"),
            *_reasoning_checks("completion", mode, truncated="truncated"),
            between("num_tokens_is_positive", "num_tokens", 1),
            in_set("finish_reason", FinishReason),
            holds("truncated_means_finish_reason_length", "truncated = (finish_reason = 'length')"),
            holds("finished_generation_has_an_answer", f"truncated or coalesce({visible('answer')}, false)"),
            holds("correct_generation_is_finished", "not (correct and truncated)"),
        ),
    )


def pairs_suite() -> Suite:
    """Both sides of every problem, each behind its own token, and something to train on."""
    return Suite(
        "pairs",
        "problem_id",
        (
            *shape(Pair, id_column="problem_id"),
            not_blank("prompt"),
            not_blank("answer"),
            in_set("split", ("train", "validation")),
            has_every("split", ("train",)),
            *(
                check
                for mode in Mode
                for check in (
                    *_completion_checks(f"{mode}_completion", f"'{mode.token}'"),
                    *_reasoning_checks(f"{mode}_completion", mode, truncated=f"{mode}_truncated"),
                    between(f"{mode}_tokens_is_positive", f"{mode}_tokens", 1),
                )
            ),
        ),
    )


def rollouts_suite(
    *, group_size: int, rewards: tuple[float, float] | None = (-1.0, 1.0), advantages_cancel: bool = True
) -> Suite:
    """Scored rollouts in complete groups, one group per step and problem.

    `rewards` are the least, which a malformed rollout earns, and the most; None if the reward does not say.
    `advantages_cancel` is false for an objective that compares with something other than the group.
    """
    tolerance = ADVANTAGE_TOLERANCE * group_size
    cancel = _groups(
        "advantages_of_a_group_cancel",
        # NaN is above every number in DuckDB, so it does not pass as small.
        f"abs(sum(advantage)) > {tolerance:.9f}",
        "'sum ' || sum(advantage)",
    )
    return Suite(
        "rollouts",
        "rollout_id",
        (
            *shape(RolloutRecord, id_column="rollout_id"),
            in_set("mode", Mode),
            in_set("finish_reason", FinishReason),
            between("num_tokens_is_positive", "num_tokens", 1),
            holds(
                "completion_begins_with_its_control_token",
                "mode is null or starts_with(completion, '<' || mode || '>')",
            ),
            holds("malformed_means_no_mode", "malformed = (mode is null)"),
            holds("forced_rollout_has_a_mode", "not (forced and malformed)"),
            holds("fake_short_is_short", "not fake_short or coalesce(mode = 'short', false)"),
            holds("reward_and_advantage_are_finite", "isfinite(reward) and isfinite(advantage)"),
            *(_within(*rewards) if rewards is not None else ()),
            unique_together("sample_is_not_repeated", "step", "problem_id", "sample"),
            _groups("group_is_complete", f"count(*) <> {group_size}", "count(*) || ' rollouts'"),
            *((cancel,) if advantages_cancel else ()),
        ),
    )


def _within(least: float, most: float) -> tuple[Check, ...]:
    return (
        holds("malformed_rollout_earns_the_least", f"not malformed or reward = {least!r}"),
        between("reward_is_in_range", "reward", least, most),
    )


def eval_completions_suite(*, benchmarks: Iterable[str], models: Iterable[str] = MODELS) -> Suite:
    """Every model in every mode on the same problems of every benchmark."""
    names, model_names = sorted(benchmarks), tuple(models)
    num_cells = len(model_names) * len(EvalMode)
    asked = "benchmark, problem_id, sample"
    return Suite(
        "eval_completions",
        "completion_id",
        (
            *shape(EvalCompletion, id_column="completion_id"),
            in_set("model", model_names),
            in_set("benchmark", names),
            has_every("benchmark", names),
            in_set("mode", EvalMode),
            in_set("chosen_mode", Mode),
            holds("forced_mode_is_the_chosen_one", "mode = 'auto' or coalesce(chosen_mode = mode, false)"),
            holds("malformed_means_no_mode", "malformed = (chosen_mode is null)"),
            holds(
                "completion_begins_with_its_control_token",
                "chosen_mode is null or starts_with(completion, '<' || chosen_mode || '>')",
            ),
            holds("correct_completion_is_not_malformed", "not (correct and malformed)"),
            holds("correct_completion_is_finished", "not (correct and truncated)"),
            holds("correct_completion_has_an_answer", f"not correct or coalesce({visible('answer')}, false)"),
            holds("fake_short_is_short", "not fake_short or coalesce(chosen_mode = 'short', false)"),
            between("num_tokens_is_positive", "num_tokens", 1),
            between("p_think_is_a_probability", "p_think", 0, 1),
            # One reading per prompt, whatever the mode: routers and curves take it for all of them.
            never(
                "p_think_is_the_prompts_own",
                "(model, benchmark, problem_id) in (select model, benchmark, problem_id from {batch} "
                "group by all having max(p_think) - min(p_think) > 1e-6)",
            ),
            not_blank("grader"),
            never(
                "verdicts_are_by_one_grader",
                "(benchmark, grader) not in (select (benchmark, mode(grader)) from {batch} group by benchmark)",
            ),
            unique_together("problem_is_not_asked_twice", "model", "mode", "benchmark", "problem_id", "sample"),
            never(
                "every_model_and_mode_is_there",
                "benchmark in (select benchmark from {batch} group by benchmark "
                f"having count(distinct (model, mode)) <> {num_cells})",
                detail=_CELLS,
            ),
            never(
                "cells_have_equally_many_rows",
                "(model, benchmark, mode) in (select model, benchmark, mode from "
                "(select model, benchmark, mode, count(*) as n from {batch} group by model, benchmark, mode) "
                "qualify n < max(n) over (partition by benchmark))",
                detail=_CELLS,
            ),
            never(
                "problem_is_asked_in_every_cell",
                f"({asked}) in (select {asked} from {{batch}} group by {asked} "
                f"having count(distinct (model, mode)) <> {num_cells})",
            ),
        ),
    )


def _completion_checks(column: str, token: str) -> tuple[Check, ...]:
    """A whole completion: its control token first, then something, and no second control token."""
    body = f"substr({column}, length({token}) + 1)"
    tokens = " or ".join(f"contains({body}, '{mode.token}')" for mode in Mode)
    return (
        holds(f"{column}_begins_with_its_control_token", f"starts_with({column}, {token})"),
        holds(f"{column}_is_not_empty", visible(body)),
        holds(f"{column}_has_no_second_control_token", f"not ({tokens})"),
    )


def _reasoning_checks(column: str, mode: Mode, *, truncated: str) -> tuple[Check, ...]:
    """A think completion ends its reasoning once, a short one has none; else the teacher swapped modes."""
    if mode is Mode.SHORT:
        return (holds(f"{column}_does_not_reason", f"not contains({column}, '{THINK_END}')"),)
    times = f"len(string_split({column}, '{THINK_END}')) - 1"
    return (
        holds(f"{column}_ends_its_reasoning", f"{truncated} or contains({column}, '{THINK_END}')"),
        holds(f"{column}_ends_its_reasoning_once", f"{times} <= 1"),
    )


def _groups(name: str, having: str, shown: str) -> Check:
    """A condition that no group of rollouts, one problem at one step, may fulfil."""
    groups = f"from {{batch}} group by step, problem_id having {having}"
    return never(
        name,
        f"(step, problem_id) in (select step, problem_id {groups})",
        detail=f"select 'step ' || step || ' problem ' || problem_id || ': ' || {shown} {groups} "
        "order by step, problem_id limit 5",
    )
