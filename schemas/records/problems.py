"""Table `problems`: one problem with a checkable answer."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Record


class ProblemSplit(StrEnum):
    """Use of a problem: warm-up distillation, reinforcement learning, or a held-out benchmark."""

    SFT = "sft"
    RL = "rl"
    TEST = "test"


class Problem(Record):
    """One problem with a checkable answer."""

    TABLE = "problems"
    FILE = "problems.parquet"

    problem_id: str
    """Unique over all splits and benchmarks."""
    prompt: str
    """The user's turn, without chat template: the question, and below it the instruction, if there is one."""
    answer: str
    """Reference value that the verifier compares with."""
    difficulty: int | None
    """A whole number, such as the number of operations; null if the source knows none."""
    split: ProblemSplit
    """`sft` (warm-up), `rl`, or `test` (of a benchmark)."""
    benchmark: str | None
    """Name of the held-out benchmark for split `test`, else null."""
    source: str
    """Its origin: a generator's name, or a file and its line."""
    instruction: str = ""
    """Written below the question for the student; the prompt's last lines."""
    verifier: str = "strict"
    """The verifier of its answers: a name, FILE.py:Class or an import path, as in the settings of its source."""
    task: str | None = None
    """Its kind among the problems of a source that has several, such as `chain_sum`; its level is `difficulty`."""
    details: str | None = None
    """What its own verifier or teacher must know of it, as JSON."""

    @property
    def question(self) -> str:
        """The prompt without the instruction: the text of its source, which teachers get."""
        return self.prompt.removesuffix(f"\n{self.instruction}") if self.instruction else self.prompt
