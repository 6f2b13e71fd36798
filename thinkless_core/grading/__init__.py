"""Grading: where a completion's final value stands, and whether it is right.

completion -> extract_answer -> final value -> is_correct (strict)
completion -> is_correct_paper (the reference code's lenient rules, for comparison)
"""

from thinkless_core.grading.extraction import extract_answer
from thinkless_core.grading.paper import GRADER_PAPER, is_correct_paper
from thinkless_core.grading.strict import GRADER, Grade, Reason, grade_batch, is_correct, judge_batch

__all__ = [
    "GRADER",
    "GRADER_PAPER",
    "Grade",
    "Reason",
    "extract_answer",
    "grade_batch",
    "is_correct",
    "is_correct_paper",
    "judge_batch",
]
