"""Claims on member tables made by hand: what holds, what fails, and what a handful of seeds cannot tell.

Student's t for five seeds: the interval is mean +- 2.776 * deviation / sqrt(5) = mean +- 1.2415 * deviation.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from schemas.configs.study import CLAIM_ROLES, ClaimCheck, StudyBenchmarks
from schemas.errors import EvaluationError
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.guard_events import GuardEvent
from schemas.records.study_claims import StudyClaim
from thinkless_core.statistics.claims import CLAIMS, measure_claim
from thinkless_core.statistics.intervals import Interval
from thinkless_core.statistics.member_results import MemberResults, moving_average
from thinkless_core.statistics.readings import at_least, at_most

ON = StudyBenchmarks(easy="easy", mixed="mixed", hard="hard")
SEEDS = range(5)
Row = TypeVar("Row", EvalSummary, RouterScore, EvalCompletion)


def cell(benchmark: str, mode: EvalMode, *, accuracy: float = 0.9, think_share: float = 0.0, tokens: float = 10.0,
         model: str = "rl") -> EvalSummary:  # fmt: skip
    """One cell of a result table."""
    return EvalSummary(
        model=model, benchmark=benchmark, mode=mode, n=100, accuracy=accuracy, accuracy_stderr=0.01,
        think_share=think_share, mean_tokens=tokens, truncated_share=0.0, malformed_share=0.0, fake_short_share=0.0,
        grader="exact", accuracy_paper=accuracy,
    )  # fmt: skip


def router(name: str, *, accuracy: float, tokens: float, hybrid: float | None = None) -> RouterScore:
    """One router on the mixed benchmark."""
    return RouterScore.model_validate(
        {
            "model": "rl", "benchmark": "mixed", "router": name, "threshold": None, "n": 100, "accuracy": accuracy,
            "accuracy_stderr": 0.01, "think_share": 0.5, "mean_tokens": tokens, "mean_tokens_stderr": 0.1,
            "hybrid_accuracy": hybrid,
        }
    )  # fmt: skip


def completion(difficulty: int, p_think: float, number: int) -> EvalCompletion:
    """One problem of the mixed benchmark, as far as its P(think) counts."""
    return EvalCompletion(
        completion_id=f"c{number}", model="rl", benchmark="mixed", mode=EvalMode.AUTO, problem_id=f"p{number}",
        difficulty=difficulty, sample=0, chosen_mode=Mode.THINK, completion="<think>", answer=None, correct=False,
        num_tokens=1, truncated=False, malformed=False, fake_short=False, p_think=p_think, grader="exact",
        correct_paper=False,
    )  # fmt: skip


def member(
    condition: str = "a",
    seed: int = 0,
    *,
    summary: Sequence[EvalSummary] = (),
    routers: Sequence[RouterScore] = (),
    completions: Sequence[EvalCompletion] = (),
    curves: Mapping[str, Sequence[float]] | None = None,
    guard_events: Sequence[GuardEvent] = (),
) -> MemberResults:
    """One run with only what a claim looks at."""
    return MemberResults(condition, seed, summary, routers, completions, curves or {}, guard_events)


def counts(shares: Sequence[float], *, rollouts: int = 1000) -> dict[str, list[float]]:
    """Curves of a run whose free rollouts think in these shares."""
    return {
        "free_think_count": [share * rollouts for share in shares],
        "free_short_count": [(1 - share) * rollouts for share in shares],
    }


def measure(claim: str, *, num_seeds: int = 5, **members: Sequence[MemberResults]) -> list[StudyClaim]:
    """The rows of one claim, over runs that differ in their last digits, as real ones do."""
    parts = {part: [varied(run, random.Random(f"{part} {run.seed}")) for run in runs] for part, runs in members.items()}
    return measure_as_is(claim, num_seeds=num_seeds, **parts)


def varied(run: MemberResults, draw: random.Random) -> MemberResults:
    """The run with a millionth, at most, added to each of its numbers."""

    def moved(row: Row, *columns: str) -> Row:
        given = {name: getattr(row, name) for name in columns}
        return row.model_copy(update={name: v + 1e-6 * draw.random() for name, v in given.items() if v is not None})

    return replace(
        run,
        summary=[moved(row, "accuracy", "think_share", "mean_tokens") for row in run.summary],
        routers=[moved(row, "accuracy", "mean_tokens", "hybrid_accuracy") for row in run.routers],
        completions=[moved(row, "p_think") for row in run.completions],
        curves={name: [value + 1e-6 * draw.random() for value in curve] for name, curve in run.curves.items()},
    )


def measure_as_is(claim: str, *, num_seeds: int = 5, **members: Sequence[MemberResults]) -> list[StudyClaim]:
    """The rows of one claim, over exactly these runs; every part is played by the condition of its name."""
    check = ClaimCheck(claim=claim, conditions={role: role for role in CLAIM_ROLES[claim]})
    asked = dict.fromkeys(check.conditions.values(), num_seeds)
    return measure_claim(check, study="s", members=members, benchmarks=ON, num_seeds=asked)


def test_every_claim_that_a_study_can_name_is_measured() -> None:
    assert CLAIMS.keys() == CLAIM_ROLES.keys()


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.5, 0.7), "holds"), ((0.6, 0.7), "holds"), ((0.3, 0.499), "fails"), ((0.4, 0.6), "undecided"),
     ((-math.inf, math.inf), "undecided")],
)  # fmt: skip
def test_a_threshold_looks_at_the_whole_interval(interval: tuple[float, float], verdict: str) -> None:
    low, high = interval
    assert at_least(0.5).outcome(Interval((low + high) / 2, low, high)) == verdict
    # Mirrored, the same: at most -0.5.
    assert at_most(-0.5).outcome(Interval(-(low + high) / 2, -high, -low)) == verdict


def routed(shares: Sequence[float], *, lost: float) -> list[MemberResults]:
    """One run per share of thinking on easy and mixed problems, `lost` points of accuracy behind forced think."""
    return [
        member(
            seed=seed,
            summary=[
                cell(benchmark, mode, accuracy=0.9 - (lost if mode is EvalMode.AUTO else 0), think_share=share)
                for benchmark in ("easy", "mixed")
                for mode in (EvalMode.AUTO, EvalMode.THINK)
            ],
        )
        for seed, share in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("shares", "lost", "verdicts"),
    [
        ([0.1, 0.12, 0.1, 0.11, 0.12], 0.005, ["holds", "holds"]),
        ([0.8, 0.82, 0.8, 0.81, 0.82], 0.03, ["fails", "fails"]),
        # Falls of .1 .9 .1 .9 .5: mean .5, deviation .4, so .5 +- .497.
        ([0.9, 0.1, 0.9, 0.1, 0.5], 0.0, ["undecided", "holds"]),
    ],
)
def test_the_think_share_falls_or_does_not(shares: list[float], lost: float, verdicts: list[str]) -> None:
    rows = measure("think-share-falls", policy=routed(shares, lost=lost))
    assert [row.verdict for row in rows] == verdicts * 2
    assert rows[0].measured == pytest.approx(1 - sum(shares) / 5, abs=1e-6)
    assert rows[1].measured == pytest.approx(-lost, abs=1e-6)
    assert {row.condition for row in rows} == {"policy"}


def test_the_interval_is_students_over_seeds() -> None:
    shares = [0.1, 0.2, 0.3, 0.4, 0.5]
    (row, *_) = measure("think-share-falls", policy=routed(shares, lost=0.0))
    # Falls of .9 .8 .7 .6 .5: mean .7, deviation sqrt(.025) = .15811, half width 1.2415 * .15811 = .19630.
    assert (row.low, row.high) == (pytest.approx(0.50370, abs=1e-4), pytest.approx(0.89630, abs=1e-4))
    assert row.verdict == "holds"


def test_one_seed_alone_decides_nothing_and_says_how_many_are_missing() -> None:
    (row, *_) = measure("think-share-falls", policy=routed([0.0], lost=0.0))
    assert (row.verdict, row.num_seeds, row.note) == ("undecided", 1, "1 of 5 seeds")


@pytest.mark.parametrize("claim", ["think-share-falls", "hard-keeps-thinking"])
def test_a_claim_about_a_model_that_solves_nothing_is_undecided(claim: str) -> None:
    idle = [
        member(
            seed=n,
            summary=[
                cell(benchmark, mode, accuracy=0.0, think_share=0.01 * n if benchmark != "hard" else 1 - 0.001 * n)
                for benchmark in ("easy", "mixed", "hard")
                for mode in EvalMode
            ],
        )
        for n in SEEDS
    ]
    for row in measure_as_is(claim, policy=idle):
        assert row.verdict == "undecided"
        assert row.note == "policy solves no problem in any mode, so there is nothing to choose between"


def test_a_reading_that_is_the_same_under_every_seed_is_undecided() -> None:
    """Its interval has no width, so that it would lie on one side of every threshold."""
    policy = [member(seed=n, summary=[cell("hard", EvalMode.AUTO, think_share=1.0)]) for n in SEEDS]
    (row,) = measure_as_is("hard-keeps-thinking", policy=policy)
    assert (row.measured, row.low, row.high) == (1.0, 1.0, 1.0)
    assert (row.verdict, row.note) == (
        "undecided", "all 5 seeds give the same number, so the spread over seeds is not known",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("share", "num_problems", "interval", "verdict"),
    # z^2 = 3.8415: n / (n + z^2) is 0.9630 for n = 100 and 0.9124 for n = 40; the threshold is 0.95.
    [(1.0, 100, (0.9630, 1.0), "holds"), (1.0, 40, (0.9124, 1.0), "undecided"), (0.0, 40, (0.0, 0.0876), "fails")],
)
def test_a_share_of_problems_at_its_bound_under_every_seed_is_judged_over_the_problems(
    share: float, num_problems: int, interval: tuple[float, float], verdict: str
) -> None:
    twice = [completion(1, share, i % num_problems) for i in range(2 * num_problems)]
    answers = [row.model_copy(update={"benchmark": "hard", "problem_id": f"p{row.problem_id}"}) for row in twice]
    policy = [
        member(seed=n, summary=[cell("hard", EvalMode.AUTO, think_share=share)], completions=answers) for n in SEEDS
    ]
    (row,) = measure_as_is("hard-keeps-thinking", policy=policy)
    assert (row.low, row.high) == pytest.approx(interval, abs=1e-4)
    assert (row.verdict, row.measured) == (verdict, share)
    assert row.note == f"all 5 seeds give {share:.0f}: Wilson's interval over {num_problems} problems"


def test_levels_of_different_tasks_are_not_compared() -> None:
    """By level alone P(think) would fall from .6 to .5; within each task it rises by .1 and by .2."""
    kinds = [("sort", 1, 0.1), ("sort", 2, 0.2), ("count", 2, 0.8), ("count", 3, 1.0), ("count", 1, 0.6)]
    rows = [completion(level, p, n).model_copy(update={"task": task}) for n, (task, level, p) in enumerate(kinds)]
    assert member(completions=rows).smallest_step_in_difficulty("mixed") == pytest.approx(0.1)
    with pytest.raises(EvaluationError, match="1 difficulties of one kind of problem"):
        member(completions=rows[1:3]).smallest_step_in_difficulty("mixed")


def collapsing(
    seed: int, shares: Sequence[float], *, on_hard: float, guard_events: Sequence[GuardEvent] = ()
) -> MemberResults:
    """One run with its think shares in training, and the one on hard problems afterwards."""
    hard = cell("hard", EvalMode.AUTO, think_share=on_hard)
    return member(seed=seed, curves=counts(shares), summary=[hard], guard_events=guard_events)


def test_a_claim_without_finished_runs_has_no_row() -> None:
    assert measure("think-share-falls", policy=[]) == []
    lost = [collapsing(seed, [0.5] * 10 + [0.0] * 10, on_hard=0.0) for seed in SEEDS]
    assert [row.condition for row in measure("grpo-loses-a-mode", grpo=lost)] == ["grpo", "grpo"]


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [([1.0] * 5, "holds"), ([0.5, 0.52, 0.5, 0.51, 0.5], "fails"), ([1.0, 0.6, 1.0, 1.0, 1.0], "undecided")],
)
def test_hard_problems_keep_thinking_or_do_not(shares: list[float], verdict: str) -> None:
    policy = [member(seed=n, summary=[cell("hard", EvalMode.AUTO, think_share=s)]) for n, s in enumerate(shares)]
    (row,) = measure("hard-keeps-thinking", policy=policy)
    assert row.verdict == verdict


@pytest.mark.parametrize(
    ("ends", "verdict"), [([1.0] * 5, "holds"), ([0.5] * 5, "fails"), ([1.0, 1.0, 0.5, 1.0, 1.0], "undecided")]
)
def test_a_mode_is_lost_by_the_rarer_one_at_the_end(ends: list[float], verdict: str) -> None:
    """Either mode can be the lost one; what happened before the last ten steps does not count."""
    for flip in (False, True):
        grpo = [collapsing(n, [0.5] * 20 + [1 - end if flip else end] * 10, on_hard=0.2) for n, end in enumerate(ends)]
        degrpo = [collapsing(n, [0.4] * 30, on_hard=0.95) for n in SEEDS]
        rows = measure("grpo-loses-a-mode", grpo=grpo, degrpo=degrpo)
        assert [row.verdict for row in rows] == [verdict, "holds", "holds", "holds"]


def test_a_mode_that_problems_still_get_afterwards_is_not_lost() -> None:
    """0.6 of the hard problems under grpo is over its threshold of 0.5, 0.8 under degrpo below its 0.9."""
    grpo = [collapsing(n, [0.001] * 20, on_hard=0.6) for n in SEEDS]
    degrpo = [collapsing(n, [0.4] * 20, on_hard=0.8) for n in SEEDS]
    rows = measure("grpo-loses-a-mode", grpo=grpo, degrpo=degrpo)
    assert [row.verdict for row in rows] == ["holds", "holds", "fails", "fails"]


U_CURVE = [0.5] * 10 + [0.7] * 20 + [0.3] * 10
FALL = [0.5 - step / 200 for step in range(40)]
RIPPLED_FALL = [share + (0.06 if 10 <= step < 20 else 0) for step, share in enumerate(FALL)]
"""Its moving average rises by 0.01 at first."""


@pytest.mark.parametrize(
    ("curves", "verdicts"),
    [
        ([U_CURVE] * 5, ["holds", "holds"]),
        ([FALL, RIPPLED_FALL] * 3, ["fails", "holds"]),
        ([FALL[::-1], RIPPLED_FALL[::-1]] * 3, ["holds", "fails"]),
        ([U_CURVE, U_CURVE, [0.5] * 40, [0.5] * 40, U_CURVE], ["undecided", "undecided"]),
    ],
)
def test_a_u_curve_rises_and_then_falls(curves: list[list[float]], verdicts: list[str]) -> None:
    rows = measure("u-shaped-think-count", policy=[member(seed=n, curves=counts(c)) for n, c in enumerate(curves)])
    assert [row.verdict for row in rows] == verdicts


def test_the_rise_is_measured_on_the_moving_average() -> None:
    """0.5, then one step at 1.0: over ten steps the average climbs by 0.05 and comes back."""
    spike = member(curves=counts([0.5] * 15 + [1.0] + [0.5] * 15))
    assert spike.rise_and_fall() == (pytest.approx(0.05), pytest.approx(0.05))
    assert moving_average([1.0, 2.0, 3.0]) == [2.0]
    assert len(moving_average([0.0] * 12)) == 3


def settling(step: int, *, hybrid: float, seed: int) -> MemberResults:
    """A run whose choice has entropy 0.6 until `step`, then 0."""
    auto = router("auto", accuracy=0.9, tokens=20, hybrid=hybrid)
    entropy = [0.6] * step + [0.0] * (60 - step)
    return member(seed=seed, curves={"control_entropy": entropy}, routers=[auto])


def test_the_alpha_sweep_compares_seed_by_seed_with_the_middle() -> None:
    sweep = {
        "small": [settling(40 + n % 2, hybrid=0.7, seed=n) for n in SEEDS],
        "middle": [settling(20, hybrid=0.9, seed=n) for n in SEEDS],
        "large": [settling(12 + 10 * (n % 2) * n, hybrid=0.91, seed=n) for n in SEEDS],
    }
    rows = measure("alpha-sweep", **sweep)
    # Large settles 8 before the middle, 2 after, 8 before, 22 after, 8 before: mean 0, deviation 13.04, so 0 +- 16.2.
    assert [row.verdict for row in rows] == ["undecided", "holds", "fails", "holds"]
    assert [row.measured for row in rows] == pytest.approx([0, 20.4, 0.01, -0.2], abs=1e-6)


def test_the_choice_settles_where_the_smoothed_entropy_is_half() -> None:
    """Ten values averaged: five of 0.6 and five of 0 are half of what it began with."""
    assert settling(20, hybrid=1.0, seed=0).steps_to_commit() == 16
    assert member(curves={"control_entropy": [0.6] * 30}).steps_to_commit() == 22, "21 averages, and none is half"


@pytest.mark.parametrize(
    ("few", "verdict"),
    [([0.8] * 5, "holds"), ([0.9] * 5, "fails"), ([0.8, 0.95, 0.9, 0.9, 0.85], "undecided")],
)
def test_warm_up_scale_is_a_difference_of_the_same_seeds(few: list[float], verdict: str) -> None:
    def runs(accuracies: Sequence[float]) -> list[MemberResults]:
        modes = (EvalMode.AUTO, EvalMode.THINK)
        return [
            member(seed=n, summary=[cell("mixed", mode, accuracy=a) for mode in modes])
            for n, a in enumerate(accuracies)
        ]

    rows = measure("warm-up-scale", few=runs(few), all=runs([0.9] * 5))
    assert [row.verdict for row in rows] == [verdict] * 2


@pytest.mark.parametrize(
    ("chances", "one_more", "verdicts"),
    [
        ({1: 0.1, 2: 0.5, 3: 0.9}, 0.0, ["holds", "holds"]),
        ({1: 0.0, 2: 1.0, 3: 1.0}, 0.1, ["fails", "holds"]),
        ({1: 0.9, 2: 0.5, 3: 0.1}, 0.0, ["holds", "fails"]),
    ],
)
def test_p_think_is_smooth_or_two_heaps_or_upside_down(
    chances: dict[int, float], one_more: float, verdicts: list[str]
) -> None:
    """Every other seed has one problem more, of the first difficulty."""
    problems = [completion(d, p, number) for number, (d, p) in enumerate(list(chances.items()) * 4)]
    more = [*problems, completion(1, one_more, 12)]
    policy = [member(seed=n, completions=more if n % 2 else problems) for n in SEEDS]
    rows = measure("smooth-p-think", policy=policy)
    assert [row.verdict for row in rows] == verdicts


@pytest.mark.parametrize(
    ("after", "verdict"), [([40.0] * 5, "holds"), ([50.0] * 5, "fails"), ([45, 55, 50, 48, 46], "undecided")]
)
def test_long_chains_are_compared_on_the_same_problems(after: list[float], verdict: str) -> None:
    policy = [
        member(
            seed=n,
            summary=[
                cell("hard", EvalMode.THINK, tokens=tokens),
                cell("hard", EvalMode.THINK, tokens=50.0, model="sft"),
            ],
        )
        for n, tokens in enumerate(after)
    ]
    (row,) = measure("long-chains-shorten", policy=policy)
    assert row.verdict == verdict


def test_a_claim_about_the_warm_up_model_says_so_where_it_was_not_measured() -> None:
    with pytest.raises(EvaluationError, match=r"condition a, seed 0: no measurement of model sft.*evaluate\.models"):
        measure("long-chains-shorten", policy=[member(summary=[cell("hard", EvalMode.THINK)])])


def test_a_metric_that_was_not_logged_is_named() -> None:
    with pytest.raises(EvaluationError, match=r"training logged no 'free_think_count' \(it has reward_mean\)"):
        measure("u-shaped-think-count", policy=[member(curves={"reward_mean": [1.0]})])


@pytest.mark.parametrize(
    ("accuracies", "tokens", "verdicts", "both"),
    [
        ([0.99] * 5, [21.0] * 5, ["holds", "holds"], 5),
        ([0.9] * 5, [30.0] * 5, ["fails", "fails"], 0),
        ([0.99, 0.99, 0.99, 0.99, 0.9], [21.0, 21.0, 21.0, 21.0, 21.0], ["undecided", "holds"], 4),
    ],
)
def test_the_oracle_is_reached_in_accuracy_and_in_tokens(
    accuracies: list[float], tokens: list[float], verdicts: list[str], both: int
) -> None:
    policy = [
        member(seed=n, routers=[router("auto", accuracy=a, tokens=t), router("oracle", accuracy=0.995, tokens=20.0)])
        for n, (a, t) in enumerate(zip(accuracies, tokens, strict=True))
    ]
    rows = measure("reaches-oracle", policy=policy)
    assert [row.verdict for row in rows] == verdicts
    assert {row.note for row in rows} == {f"{both} of 5 seeds satisfy both"}


def test_a_guard_recovers_and_says_when_it_stepped_in() -> None:
    events = [
        GuardEvent(step=step, action=action, rare_mode=Mode.THINK, share=0.01, forced_per_group=2, reason="r")
        for step, action in ((12, "force"), (31, "release"))
    ]
    rows = measure(
        "guard-recovers",
        unguarded=[collapsing(n, [0.0] * 20, on_hard=0.1) for n in SEEDS],
        guarded=[collapsing(n, [0.0] * 10 + [0.4] * 10, on_hard=0.97, guard_events=events) for n in SEEDS],
    )
    assert [(row.condition, row.verdict) for row in rows] == [("unguarded", "holds"), ("guarded", "holds")]
    assert rows[1].note.startswith("seed 0: force at step 12, release at step 31; seed 1: ")


def test_steps_in_which_every_rollout_was_forced_are_left_out() -> None:
    curves = {"free_think_count": [5.0, 0.0, 8.0], "free_short_count": [5.0, 0.0, 2.0]}
    assert member(curves=curves).think_shares() == [0.5, 0.8]
