"""Faults a validation suite must refuse: table, what is wrong, a change of the clean table, what must fail.

What must fail is written `check id id; check id`, and nothing else may. An id may be a pattern (`*-easy-*`);
a check about no particular row has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from tests.cases.validation_tables import Row, Rows

Change = Callable[[Rows], object]


class Fault(NamedTuple):
    """A change of a clean table, and the checks that must fail because of it, with their rows."""

    table: str
    says: str
    change: Change
    expected: str


def put(row: int, **values: object) -> Change:
    """Other values in one row."""
    return lambda rows: rows[row].update(values)


def every(rows_changed: slice = slice(None), **values: object) -> Change:
    """Other values in many rows."""
    return lambda rows: [row.update(values) for row in rows[rows_changed]]


def keep(condition: Callable[[Row], bool]) -> Change:
    """Only some rows."""

    def change(rows: Rows) -> None:
        rows[:] = [row for row in rows if condition(row)]

    return change


def repeat(row: int, **values: object) -> Change:
    """One row more, like another."""
    return lambda rows: rows.append({**rows[row], **values})


def both(*changes: Change) -> Change:
    """One change after the other."""
    return lambda rows: [change(rows) for change in changes]


def no_baseline(rows: Rows) -> None:
    """Advantages of the last group are its rewards."""
    for row in rows[12:]:
        row["advantage"] = row["reward"]


# fmt: off
PROBLEMS = [  # p0-p7 sft, p8-p11 rl, p12-p15 test
    ("empty prompt", put(1, prompt=""), "prompt_is_not_blank p1"),
    ("white-space answer", put(1, answer=" \t\n\u00a0\u200b"), "answer_is_not_blank p1"),
    ("unknown split", put(1, split="train"), "split_is_known p1"),
    ("no rl problems", keep(lambda row: row["split"] != "rl"), "every_split_has_rows"),
    ("unknown benchmark", put(12, benchmark="gsm"), "benchmark_is_known p12"),
    ("a benchmark is empty", keep(lambda row: row["benchmark"] != "hard"), "every_benchmark_has_rows"),
    ("test without benchmark", put(12, benchmark=None), "benchmark_is_set_for_test_only p12"),
    ("training with benchmark", put(2, benchmark="hard"), "benchmark_is_set_for_test_only p2"),
    ("contamination", both(put(2, prompt="What is  X? "), put(9, prompt="What\nis X?"),
                           put(13, prompt="What is X?")), "training_prompt_is_in_no_benchmark p2 p9"),
    ("a prompt in sft and rl", put(9, prompt="1+1=?"), "training_prompt_is_not_repeated p1 p9"),
]
THINK = [  # g15 is truncated
    ("short answers named think", put(1, mode="short", completion="<short>2"),
     "mode_is_known g1; completion_ends_its_reasoning g1"),
    ("no reasoning", put(1, completion="<think>2"), "completion_ends_its_reasoning g1"),
    ("reasoning ends twice", put(1, completion="<think>1</think></think>2"),
     "completion_ends_its_reasoning_once g1"),
    ("the other token", put(1, completion="<short>1</think>2"),
     "completion_begins_with_its_control_token g1"),
    ("empty body", put(15, completion="<think>"), "completion_is_not_empty g15"),
    ("its token again", put(1, completion="<think>a<think>b</think>2"),
     "completion_has_no_second_control_token g1"),
    ("blank prompt", put(1, prompt=" "), "prompt_is_not_blank g1"),
    ("a problem twice", put(1, problem_id="p3"), "problem_is_answered_once g1 g3"),
    ("a problem missing", keep(lambda row: row["problem_id"] != "p3"), "row_count_is_the_asked_one"),
    ("no tokens", put(1, num_tokens=0), "num_tokens_is_positive g1"),
    ("unknown finish reason", put(1, finish_reason="eos"), "finish_reason_is_known g1"),
    ("unmarked cut", put(1, finish_reason="length"), "truncated_means_finish_reason_length g1"),
    ("no answer", put(1, answer=None), "finished_generation_has_an_answer g1"),
    ("correct though cut", put(15, correct=True), "correct_generation_is_finished g15"),
]
SHORT = [
    ("think answers named short", put(1, mode="think", completion="<think>1+1=2</think>2"),
     "mode_is_known g1; completion_does_not_reason g1"),
    ("hidden reasoning", put(1, completion="<short>1+1=2</think>2"), "completion_does_not_reason g1"),
    ("cut, but reasoning", put(15, completion="<short>1+1=2</think>"), "completion_does_not_reason g15"),
    ("no token", put(1, completion="2 is the answer"), "completion_begins_with_its_control_token g1"),
    ("a space first", put(1, completion=" <short>2"), "completion_begins_with_its_control_token g1"),
    ("empty body", put(1, completion="<short>"), "completion_is_not_empty g1"),
    ("white-space body", put(1, completion="<short> \n\u3000"), "completion_is_not_empty g1"),
    ("its token again", put(1, completion="<short><short>2"), "completion_has_no_second_control_token g1"),
    ("the other token inside", put(1, completion="<short>2<think>"),
     "completion_has_no_second_control_token g1"),
    ("blank prompt", put(1, prompt=" "), "prompt_is_not_blank g1"),
    ("a problem twice", put(1, problem_id="p3"), "problem_is_answered_once g1 g3"),
    ("a problem too many", repeat(1, generation_id="new", problem_id="p99"), "row_count_is_the_asked_one"),
    ("no tokens", put(1, num_tokens=-1), "num_tokens_is_positive g1"),
    ("unknown finish reason", put(1, finish_reason=""), "finish_reason_is_known g1"),
    ("marked but not cut", put(1, truncated=True, correct=False), "truncated_means_finish_reason_length g1"),
    ("blank answer", put(1, answer=" "), "finished_generation_has_an_answer g1"),
    ("correct though cut", put(15, correct=True), "correct_generation_is_finished g15"),
]
PAIRS = [  # p0 is validation, the think side of p15 is truncated
    ("blank prompt", put(1, prompt="\n"), "prompt_is_not_blank p1"),
    ("blank answer", put(1, answer=""), "answer_is_not_blank p1"),
    ("unknown split", put(1, split="test"), "split_is_known p1"),
    ("nothing to train on", every(split="validation"), "every_split_has_rows"),
    ("sides swapped", put(1, think_completion="<short>2", short_completion="<think>1+1=2</think>2"),
     "think_completion_begins_with_its_control_token p1; think_completion_ends_its_reasoning p1; "
     "short_completion_begins_with_its_control_token p1; short_completion_does_not_reason p1"),
    ("empty think side", put(15, think_completion="<think>"), "think_completion_is_not_empty p15"),
    ("empty short side", put(1, short_completion="<short>"), "short_completion_is_not_empty p1"),
    ("token inside think", put(1, think_completion="<think><short></think>2"),
     "think_completion_has_no_second_control_token p1"),
    ("token inside short", put(1, short_completion="<short><short>2"),
     "short_completion_has_no_second_control_token p1"),
    ("reasoning ends twice", put(1, think_completion="<think>1</think>2</think>"),
     "think_completion_ends_its_reasoning_once p1"),
    ("no tokens", put(1, think_tokens=0, short_tokens=-1),
     "think_tokens_is_positive p1; short_tokens_is_positive p1"),
]
ROLLOUTS = [  # s<step>-p<problem>-<sample>; samples are think, short, malformed, fake short
    ("unknown mode", put(1, mode="auto", completion="<auto>"), "mode_is_known s1-p0-1"),
    ("unknown finish reason", put(1, finish_reason=""), "finish_reason_is_known s1-p0-1"),
    ("no tokens", put(1, num_tokens=0), "num_tokens_is_positive s1-p0-1"),
    ("mode and token differ", put(1, completion="<think>2"),
     "completion_begins_with_its_control_token s1-p0-1"),
    ("malformed with a mode", put(2, mode="short", completion="<short>2"), "malformed_means_no_mode s1-p0-2"),
    ("no mode, not malformed", put(2, malformed=False), "malformed_means_no_mode s1-p0-2"),
    ("malformed is rewarded", put(2, reward=0.5), "malformed_rollout_earns_the_least s1-p0-2"),
    ("malformed though forced", put(2, forced=True), "forced_rollout_has_a_mode s1-p0-2"),
    ("fake short that thinks", put(0, fake_short=True), "fake_short_is_short s1-p0-0"),
    ("fake short, no mode", put(2, fake_short=True), "fake_short_is_short s1-p0-2"),
    ("infinite reward", put(1, reward=math.inf),
     "reward_and_advantage_are_finite s1-p0-1; reward_is_in_range s1-p0-1"),
    ("reward is not a number", put(1, reward=math.nan),
     "reward_and_advantage_are_finite s1-p0-1; reward_is_in_range s1-p0-1"),
    ("advantage is not a number", put(1, advantage=math.nan),
     "reward_and_advantage_are_finite s1-p0-1; advantages_of_a_group_cancel s1-p0-*"),
    ("reward too high", put(1, reward=1.5), "reward_is_in_range s1-p0-1"),
    ("reward too low", put(1, reward=-1.5), "reward_is_in_range s1-p0-1"),
    ("a sample twice", put(1, sample=0), "sample_is_not_repeated s1-p0-0 s1-p0-1"),
    ("incomplete group", both(lambda rows: rows.pop(3), every(slice(3), advantage=0.0)),
     "group_is_complete s1-p0-*"),
    ("group too large", repeat(4, rollout_id="new", sample=4, advantage=0.0),
     "group_is_complete new s1-p1-*"),
    ("advantages without baseline", no_baseline, "advantages_of_a_group_cancel s2-p1-*"),
]
EVAL = [  # rows 0-17 easy, 2 a cell; 18-26 hard, 1 a cell; cells base, sft, rl x auto, short, think
    ("unknown model", put(21, model="best"), "model_is_known sft-hard-auto-0"),
    ("unknown benchmark", every(slice(18, 27), benchmark="other"),
     "benchmark_is_known *-hard-*; every_benchmark_has_rows"),
    ("a benchmark is empty", keep(lambda row: row["benchmark"] == "easy"), "every_benchmark_has_rows"),
    ("unknown mode", put(21, mode="long"),
     "mode_is_known sft-hard-auto-0; forced_mode_is_the_chosen_one sft-hard-auto-0"),
    ("unknown chosen mode", put(21, chosen_mode="auto", completion="<auto>2"),
     "chosen_mode_is_known sft-hard-auto-0"),
    ("forced short, thought", put(19, chosen_mode="think", completion="<think>2"),
     "forced_mode_is_the_chosen_one base-hard-short-0"),
    ("forced short, malformed", put(19, chosen_mode=None, malformed=True, correct=False),
     "forced_mode_is_the_chosen_one base-hard-short-0"),
    ("malformed with a mode", put(21, malformed=True, correct=False),
     "malformed_means_no_mode sft-hard-auto-0"),
    ("mode and token differ", put(21, completion="<short>2"),
     "completion_begins_with_its_control_token sft-hard-auto-0"),
    ("correct though malformed", put(18, correct=True, answer="2"),
     "correct_completion_is_not_malformed base-hard-auto-0"),
    ("correct though cut", put(21, truncated=True), "correct_completion_is_finished sft-hard-auto-0"),
    ("correct without an answer", put(21, answer=None), "correct_completion_has_an_answer sft-hard-auto-0"),
    ("correct with a blank answer", put(21, answer=" "), "correct_completion_has_an_answer sft-hard-auto-0"),
    ("fake short that thinks", put(21, fake_short=True), "fake_short_is_short sft-hard-auto-0"),
    ("fake short, no mode", put(18, fake_short=True), "fake_short_is_short base-hard-auto-0"),
    ("no tokens", put(21, num_tokens=0), "num_tokens_is_positive sft-hard-auto-0"),
    ("p_think over 1", every(slice(21, 24), p_think=1.1), "p_think_is_a_probability sft-hard-*"),
    ("p_think under 0", every(slice(21, 24), p_think=-0.1), "p_think_is_a_probability sft-hard-*"),
    ("p_think not a number", put(21, p_think=math.nan),
     "p_think_is_a_probability sft-hard-auto-0; p_think_is_the_prompts_own sft-hard-*"),
    ("p_think of another prompt", put(21, p_think=0.51), "p_think_is_the_prompts_own sft-hard-*"),
    ("no grader", put(21, grader=" "),
     "grader_is_not_blank sft-hard-auto-0; verdicts_are_by_one_grader sft-hard-auto-0"),
    ("two graders", put(21, grader="lenient"), "verdicts_are_by_one_grader sft-hard-auto-0"),
    ("a problem asked twice", put(1, problem_id="easy0"),
     "problem_is_not_asked_twice base-easy-auto-?; problem_is_asked_in_every_cell "
     "base-easy-short-1 base-easy-think-1 sft-easy-*-1 rl-easy-*-1"),
    ("a cell missing", lambda rows: rows.pop(26),
     "every_model_and_mode_is_there *-hard-*; problem_is_asked_in_every_cell *-hard-*"),
    ("a row missing", lambda rows: rows.pop(1),
     "cells_have_equally_many_rows base-easy-auto-0; problem_is_asked_in_every_cell *-easy-*-1"),
    ("another problem in one cell", put(1, problem_id="easy9"), "problem_is_asked_in_every_cell *-easy-*-1"),
]
# fmt: on

FAULTS = [
    Fault(table, *fault)
    for table, faults in {
        "problems": PROBLEMS,
        "think": THINK,
        "short": SHORT,
        "pairs": PAIRS,
        "rollouts": ROLLOUTS,
        "eval": EVAL,
    }.items()
    for fault in faults
]
