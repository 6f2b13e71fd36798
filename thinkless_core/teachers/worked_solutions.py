"""Thinking aloud along a worked solution: its steps, then every calculation again, then the answer.

"48/2 = <<48/2=24>>24 in May.\\n...\\n#### 72"
    -> "Let me think. 48/2 = 24 in May.\\n...\\nLet me check. 48/2 is 24. ...\\nSo it is 72."
       "</think>The answer is \\boxed{72}."

A program's stand-in for a reasoning model: the text holds nothing that the solution does not.
"""

from __future__ import annotations

import re

from schemas.mode import THINK_END
from thinkless_core.problems.answer_fields import MARK, plain_steps

_CALCULATION = re.compile(r"<<([^<>\n]*)=([^<>=\n]*)>>")


def think_aloud(solution: str, *, rechecks: int) -> str | None:
    """A think completion without its control token; None where the solution has no value after its mark."""
    steps, mark, value = (part.strip() for part in solution.rpartition(MARK))
    if not mark or not value or not steps:
        return None
    calculations = [f"{left.strip()} is {right.strip()}." for left, right in _CALCULATION.findall(steps)]
    checks = [f"{again} {' '.join(calculations)}" for again in _again(rechecks)] if calculations else []
    thought = "\n".join([f"Let me think. {plain_steps(steps)}", *checks, f"So it is {value}."])
    return f"{thought}{THINK_END}The answer is \\boxed{{{value}}}."


def _again(times: int) -> list[str]:
    return ["Let me check.", *["Let me check once more."] * (times - 1)]
