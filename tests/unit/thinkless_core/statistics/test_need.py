"""Levels where thinking is needed and where it is not, from completions made by hand."""

from __future__ import annotations

import pytest

from schemas.configs.study import ClaimCheck, StudyBenchmarks
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_summary import EvalSummary
from schemas.records.study_claims import StudyClaim
from thinkless_core.statistics.claims import measure_claim
from thinkless_core.statistics.member_results import MemberResults
from thinkless_core.statistics.need import choice_by_need, levels_of


def answers(
    task: str | None, level: int | None, *, short: int, think: int, thinks: int, of: int = 10, benchmark: str = "mixed"
) -> list[EvalCompletion]:
    """`of` problems of one level: how many a forced short and a forced think answer solve, and how many are thought
    about."""
    rows = []
    for mode, right in ((EvalMode.AUTO, 0), (EvalMode.SHORT, short), (EvalMode.THINK, think)):
        for number in range(of):
            chosen = mode.forced or (Mode.THINK if number < thinks else Mode.SHORT)
            rows.append(
                EvalCompletion(
                    completion_id=f"{task}-{level}-{mode}-{number}", model="rl", benchmark=benchmark, mode=mode,
                    problem_id=f"{task}-{level}-{number}", difficulty=level, sample=0, chosen_mode=chosen,
                    completion="", answer=None, correct=number < right, num_tokens=1, truncated=False,
                    malformed=False, fake_short=False, p_think=0.5, grader="gym", correct_paper=False, task=task,
                )
            )  # fmt: skip
    return rows


def cell(mode: EvalMode, *, accuracy: float, tokens: float) -> EvalSummary:
    """One cell of the result table."""
    return EvalSummary(
        model="rl", benchmark="mixed", mode=mode, n=40, accuracy=accuracy, accuracy_stderr=0.01, think_share=0.5,
        mean_tokens=tokens, truncated_share=0.0, malformed_share=0.0, fake_short_share=0.0, grader="gym",
        accuracy_paper=accuracy,
    )  # fmt: skip


ROUTED = [
    *answers("needle", 1, short=9, think=10, thinks=1),
    *answers("leap years", 2, short=10, think=10, thinks=1, of=10),
    *answers("sums", 3, short=4, think=8, thinks=9),
    *answers("letters", 1, short=8, think=9, thinks=5),
    *answers("words", 4, short=0, think=0, thinks=2),
]


def test_easy_is_what_short_does_and_hard_is_what_only_thought_does() -> None:
    choice = choice_by_need(ROUTED, "mixed")
    assert choice.easy is not None
    assert [level.name for level in choice.easy.levels] == ["leap years 2", "needle 1"]
    assert choice.hard is not None
    assert str(choice.hard) == "sums 3 90%", "what nobody solves needs nothing, and letters lie between"
    assert (choice.easy.mean, choice.hard.mean) == (pytest.approx(0.1), pytest.approx(0.9))


def test_levels_weigh_by_their_answers() -> None:
    rows = [*answers("a", 1, short=20, think=20, thinks=0, of=20), *answers("b", 1, short=5, think=5, thinks=5, of=5)]
    choice = choice_by_need(rows, "mixed")
    assert choice.easy is not None
    assert choice.easy.mean == pytest.approx(0.2)
    assert choice.hard is None


def test_other_benchmarks_and_levels_without_all_modes_do_not_count() -> None:
    rows = answers("a", 1, short=9, think=9, thinks=0, benchmark="unseen")
    assert levels_of([*rows, *(row for row in ROUTED if row.mode is not EvalMode.SHORT)], "mixed") == []


def test_problems_without_a_task_are_grouped_by_difficulty() -> None:
    rows = [*answers(None, 1, short=10, think=10, thinks=0), *answers(None, 4, short=0, think=9, thinks=10)]
    assert [level.name for level in levels_of(rows, "mixed")] == ["difficulty 1", "difficulty 4"]


@pytest.mark.parametrize(
    ("thinks", "accuracy", "tokens", "verdicts"),
    [
        ((1, 9), 0.84, 30.0, ["holds", "holds", "holds", "holds"]),
        ((5, 5), 0.80, 45.0, ["fails", "fails", "fails", "fails"]),
    ],
)
def test_the_claim_reads_choice_accuracy_and_tokens(
    thinks: tuple[int, int], accuracy: float, tokens: float, verdicts: list[str]
) -> None:
    easy, hard = thinks
    policy = []
    for seed in range(3):
        rows = [
            *answers("needle", 1, short=100, think=100, thinks=10 * easy + seed, of=100),
            *answers("sums", 3, short=0, think=80, thinks=10 * hard - seed, of=100),
        ]
        cells = [
            cell(EvalMode.AUTO, accuracy=accuracy + 0.001 * seed, tokens=tokens + 0.1 * seed),
            cell(EvalMode.THINK, accuracy=0.85, tokens=50.0),
        ]
        policy.append(MemberResults("policy", seed, cells, [], rows, {}))
    measured = claimed(policy)
    assert [row.verdict for row in measured] == verdicts
    assert measured[0].note == "; ".join(f"seed {seed}: needle 1 {10 * easy + seed}%" for seed in range(3))


def test_a_policy_without_an_easy_level_has_no_row_about_it() -> None:
    cells = [cell(EvalMode.AUTO, accuracy=0.8, tokens=30.0), cell(EvalMode.THINK, accuracy=0.8, tokens=50.0)]
    policy = [MemberResults("policy", 0, cells, [], answers("sums", 3, short=0, think=8, thinks=9), {})]
    assert [row.quantity.split(" on ")[0] for row in claimed(policy)] == ["think share", "accuracy", "tokens"]


def claimed(policy: list[MemberResults]) -> list[StudyClaim]:
    """The rows of the claim."""
    check = ClaimCheck(claim="chooses-by-need", conditions={"policy": "policy"})
    on = StudyBenchmarks(easy="easy", mixed="mixed", hard="hard")
    return measure_claim(check, study="s", members={"policy": policy}, benchmarks=on, num_seeds={"policy": 3})
