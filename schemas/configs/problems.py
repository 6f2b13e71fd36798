"""Configuration of stage `problems`: where training problems and benchmarks come from.

A source is a program, a local file, a data set on the Hugging Face Hub, or a preset that names one of the latter two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from schemas.configs.stage import StageConfig, Table

PresetName = Literal[
    "deepscaler", "openthoughts2", "openr1_math", "gsm8k", "math", "math500", "aime24", "minerva_algebra"
]


class ProceduralSource(Table):
    """Chains of + - * on two-digit numbers, last digit asked for; the difficulty is the number of operations."""

    kind: Literal["procedural"] = "procedural"
    num_problems: int = Field(ge=1)
    """Distinct problems to make."""
    mix: tuple[float, ...] = Field(min_length=1, max_length=8)
    """Share of problems with 1, 2, 3, ... operations; adds up to 1."""

    @field_validator("mix")
    @classmethod
    def _is_a_distribution(cls, mix: tuple[float, ...]) -> tuple[float, ...]:
        if min(mix) < 0 or abs(sum(mix) - 1) > 1e-6:
            raise ValueError(f"shares must be >= 0 and add up to 1, got {mix} (sum {sum(mix):g})")
        return mix


class RowSource(Table):
    """What both kinds of rows have in common: which field holds what.

    A field inside another is written with points, list items by number: `conversations.-1.value`.
    """

    prompt_field: str = "prompt"
    """Field with the problem's text."""
    answer_field: str = "answer"
    """Field with the reference answer, or with a worked solution that ends in it."""
    answer_format: Literal["auto", "plain", "mark", "boxed"] = "auto"
    """Where the value stands in the answer field: all of it (`plain`), after `####` (`mark`), in the last `\\boxed{}`
    (`boxed`); `auto` takes what follows a mark, else the whole text."""
    difficulty_field: str | None = None
    """Field with a whole-number difficulty, if there is one."""
    subject_field: str | None = None
    """Field with the subject, as a name (`Algebra`) or as a path (`test/algebra/24.json`)."""
    subject: str | None = None
    """Keep only problems of this subject, such as `algebra`; needs `subject_field`."""
    trace_field: str | None = None
    """Field with a recorded reasoning trace, or with a list of them; read where this source is a recorded teacher."""
    trace_correct_field: str | None = None
    """Field with one truth value per trace of a list: the first correct trace is taken."""
    limit: int | None = Field(None, ge=1)
    """Read at most this many rows (of the subject, where one is asked for)."""
    max_unreadable_share: float = Field(0.01, ge=0, le=1)
    """Rows whose answer cannot be extracted are dropped, counted and listed; more than this share stops the run."""

    @model_validator(mode="after")
    def _fields_go_together(self) -> RowSource:
        if self.subject is not None and self.subject_field is None:
            raise ValueError(f"subject={self.subject!r} needs subject_field, the field that holds the subject")
        if self.trace_correct_field is not None and self.trace_field is None:
            raise ValueError("trace_correct_field needs trace_field, the field with the list of traces")
        return self

    def problem_fields(self) -> tuple[str, ...]:
        """Fields a problem is made from."""
        return self._set(self.prompt_field, self.answer_field, self.difficulty_field)

    def trace_fields(self) -> tuple[str, ...]:
        """Fields a recorded trace is made from."""
        return self._set(self.prompt_field, self.trace_field, self.trace_correct_field)

    def _set(self, *fields: str | None) -> tuple[str, ...]:
        subject = self.subject_field if self.subject is not None else None
        return tuple(field for field in (*fields, subject) if field is not None)


class LocalSource(RowSource):
    """A local .jsonl, .json or .parquet file with one problem per row."""

    kind: Literal["local"] = "local"
    path: str = Field(min_length=1)
    """The file, relative to the current directory or absolute; its content is part of the stage's key."""


class HubSource(RowSource):
    """A data set on the Hugging Face Hub."""

    kind: Literal["hub"] = "hub"
    id: str = Field(min_length=1)
    """`owner/name`; or a folder in the layout of a Hub data set, written with a leading `./` or as an absolute path."""
    revision: str | None = None
    """Branch, tag or commit; the newest `main` where not set. A commit makes the stage's key mean the same for ever."""
    config_name: str | tuple[str, ...] | None = None
    """Configuration (subset) of the data set; several are read one after another."""
    split: str = Field("train", min_length=1)
    """Split to read."""
    streaming: bool = False
    """Read rows as they arrive, without a copy of the data set on disk: for a `limit` on a large one."""

    @field_validator("id")
    @classmethod
    def _is_an_id_or_a_folder(cls, name: str) -> str:
        if not name.startswith((".", "/")) and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
            raise ValueError("expected `owner/name` as on the Hub, or a folder with a leading ./")
        return name

    @property
    def is_folder(self) -> bool:
        """Whether `id` is a local folder."""
        return self.id.startswith((".", "/"))


class PresetSource(Table):
    """A well-known data set by name: its place on the Hub and its fields stand in
    thinkless_core/problems/presets.py."""

    kind: Literal["preset"] = "preset"
    name: PresetName
    """Which one."""
    path: str | None = Field(None, min_length=1)
    """Read the same data from this local file (.jsonl, .json, .parquet); its content is part of the stage's key."""
    split: str | None = Field(None, min_length=1)
    """Another split than the preset's own, such as GSM8K's `train`."""
    subject: str | None = None
    """Keep only problems of this subject, such as `geometry` of `math500`; only where the data set knows subjects."""
    revision: str | None = None
    """Branch, tag or commit on the Hub; the newest `main` where not set."""
    streaming: bool = False
    """Read rows as they arrive, without a copy of the data set on disk."""
    limit: int | None = Field(None, ge=1)
    """Read at most this many rows."""
    max_unreadable_share: float | None = Field(None, ge=0, le=1)
    """Share of rows without a readable answer that stops the run; the preset's own where not set."""

    def unused_fields(self) -> dict[str, str]:
        """A local file has no split, revision or stream."""
        if self.path is None:
            return {}
        return dict.fromkeys(("split", "revision", "streaming"), "path reads one local file, all of it")


Source = Annotated[ProceduralSource | LocalSource | HubSource | PresetSource, Field(discriminator="kind")]


class ProblemsConfig(StageConfig):
    """Training problems and held-out benchmarks."""

    source: Source
    """Training problems; those that also stand in a benchmark are removed and counted."""
    rl_source: Source | None = None
    """Problems for RL alone, as in the paper, which warms up on one data set and reinforces on another. Those that
    also stand in `source` are removed and counted."""
    rl_share: float = Field(0.3, gt=0, lt=1)
    """Without `rl_source`: share of the training problems kept for RL, so that it meets problems it was not taught."""
    benchmarks: dict[str, Source] = Field(min_length=1)
    """Held-out problems by benchmark name."""
    instruction: str = ""
    """Written below every problem for the student, in training and on benchmarks alike, such as `Please reason step by
    step, and put your final answer within \\boxed{}.` Teachers have an instruction of their own."""
    ngram_words: int = Field(13, ge=0)
    """A training problem that shares this many words in a row with a problem of any benchmark is removed and listed
    (GPT-3's 13); 0 removes only the same text. Words are runs of letters or digits in lower case."""
    common_ngram_problems: int = Field(10, ge=1)
    """Shared words that stand in more training problems than this are a turn of phrase (GPT-3's 10), and remove only
    problems that consist of them by half or more."""

    @field_validator("instruction")
    @classmethod
    def _without_edges(cls, instruction: str) -> str:
        """White space around it would only make two keys of one instruction."""
        return instruction.strip()

    def unused_fields(self) -> dict[str, str]:
        """`rl_share` splits nothing where RL has a source of its own; without n-grams none is common."""
        unused = {}
        if self.rl_source is not None:
            unused["rl_share"] = "problems.rl_source gives RL its own problems"
        if self.ngram_words == 0:
            unused["common_ngram_problems"] = "problems.ngram_words=0 compares whole texts only"
        return unused

    def local_paths(self) -> tuple[str, ...]:
        """Files and folders the sources read; their content decides what the stage makes."""
        sources = (self.source, self.rl_source, *self.benchmarks.values())
        return tuple(path for source in sources if source is not None for path in source_paths(source))


def source_paths(source: Source) -> Iterator[str]:
    """The local file or folder a source reads, if it reads one."""
    if isinstance(source, LocalSource | PresetSource) and source.path is not None:
        yield source.path
    elif isinstance(source, HubSource) and source.is_folder:
        yield source.id
