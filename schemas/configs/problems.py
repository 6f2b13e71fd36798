"""Configuration of stage `problems`: where training problems and benchmarks come from."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.configs.source import Licence, Source, SourceConfig
from schemas.configs.stage import LocalPath, StageConfig
from schemas.configs.verifier import VerifierConfig, choose_verifier

OWN_LICENCE = "Apache-2.0"
"""Licence of this program, and of what it makes up."""


class ProceduralSource(SourceConfig):
    """Chains of + - * on two-digit numbers, last digit asked for; the difficulty is the number of operations."""

    implementation: ClassVar[str | None] = "thinkless_core.problems.procedural:ChainProblems"
    made_by_a_program: ClassVar[bool] = True

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

    def display_name(self) -> str:
        """See SourceConfig.display_name."""
        return "chains of arithmetic"

    def few(self, num_problems: int, *, streaming: bool = True) -> Self:
        """See SourceConfig.few."""
        return self.model_copy(update={"num_problems": min(self.num_problems, num_problems)})

    def most_problems(self) -> int:
        """See SourceConfig.most_problems."""
        return self.num_problems

    def licence(self) -> Licence:
        """See SourceConfig.licence."""
        return Licence(self.display_name(), OWN_LICENCE, "made by thinkless-flows")


class RowSource(SourceConfig):
    """What both kinds of rows have in common: which field holds what.

    A field inside another is written with points, list items by number: `conversations.-1.value`.
    """

    replayable: ClassVar[bool] = True

    prompt_field: str = "prompt"
    """Field with the problem's text."""
    answer_field: str = "answer"
    """Field with the reference answer, or with a worked solution that ends in it."""
    answer_format: Literal["auto", "plain", "mark", "boxed"] = "auto"
    """How the answer field holds the value: as all of it (`plain`), after `####` (`mark`), in the last `\\boxed{}`
    (`boxed`); `auto` takes what follows a mark, else the whole text."""
    difficulty_field: str | None = None
    """Field with a whole-number difficulty, if there is one."""
    subject_field: str | None = None
    """Field with the subject, as a name (`Algebra`) or as a path (`test/algebra/24.json`)."""
    subject: str | None = None
    """Keep only problems of this subject, such as `algebra`; needs `subject_field`."""
    trace_field: str | None = None
    """Field with a recorded reasoning trace, or with a list of them; only a recorded teacher reads it."""
    trace_correct_field: str | None = None
    """Field with one truth value per trace of a list: the first correct trace is taken."""
    limit: int | None = Field(None, ge=1)
    """Read at most this many rows (of the subject, if one is set)."""
    max_unreadable_share: float = Field(0.01, ge=0, le=1)
    """Rows that cannot be used are dropped, counted and listed; more than this share stops the run. Their answer cannot
    be extracted, or answer or problem is missing (no such field, null, NaN, empty), no text, or damaged."""

    @model_validator(mode="after")
    def _fields_go_together(self) -> Self:
        if self.subject is not None and self.subject_field is None:
            raise ValueError(f"subject={self.subject!r} needs subject_field, the field that holds the subject")
        if self.trace_correct_field is not None and self.trace_field is None:
            raise ValueError("trace_correct_field needs trace_field, the field with the list of traces")
        return self

    def few(self, num_problems: int, *, streaming: bool = True) -> Self:
        """See SourceConfig.few; no share of unreadable answers stops the reading."""
        limit = min(self.limit or num_problems, num_problems)
        return self.model_copy(update={"limit": limit, "max_unreadable_share": 1.0})

    def most_problems(self) -> int | None:
        """See SourceConfig.most_problems."""
        return self.limit


class LocalSource(RowSource):
    """A local .jsonl, .json or .parquet file with one problem per row."""

    implementation: ClassVar[str | None] = "thinkless_core.problems.source_files:FileReader"

    kind: Literal["local"] = "local"
    path: LocalPath = Field(min_length=1)
    """The file, relative to the current directory or absolute; its content is part of the stage's key."""

    def local_paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def display_name(self) -> str:
        """See SourceConfig.display_name."""
        return PurePath(self.path).name

    def place(self) -> str:
        """See SourceConfig.place."""
        return self.path

    def licence(self) -> Licence:
        """See SourceConfig.licence."""
        return Licence(self.display_name(), None, "a file of your own")


class HubSource(RowSource):
    """A data set on the Hugging Face Hub."""

    implementation: ClassVar[str | None] = "thinkless_core.problems.hub_datasets:HubReader"

    kind: Literal["hub"] = "hub"
    id: LocalPath = Field(min_length=1)
    """`owner/name`; or a folder in the layout of a Hub data set, written with a leading `./` or as an absolute path."""
    revision: str | None = None
    """Branch, tag or commit; the newest `main` if not set. A commit makes the stage's key mean the same for ever."""
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
            page = re.search(r"huggingface\.co/datasets/([\w.-]+/[\w.-]+)|hf://datasets/([\w.-]+/[\w.-]+)", name)
            meant = f" (here: {page[1] or page[2]})" if page else ""
            raise ValueError(f"expected `owner/name` as on the Hub{meant}, or a folder with a leading ./")
        return name

    @property
    def is_folder(self) -> bool:
        """Whether `id` is a local folder."""
        return self.id.startswith((".", "/"))

    def local_paths(self) -> tuple[str, ...]:
        """The folder, if it reads one."""
        return (self.id,) if self.is_folder else ()

    def display_name(self) -> str:
        """See SourceConfig.display_name."""
        return PurePath(self.id).name if self.is_folder else self.id

    def place(self) -> str:
        """See SourceConfig.place."""
        return f"Hub data set {self.id!r}, split {self.split!r}"

    def few(self, num_problems: int, *, streaming: bool = True) -> Self:
        """See SourceConfig.few."""
        return super().few(num_problems).model_copy(update={"streaming": streaming})

    def hub_data(self) -> str | None:
        """See SourceConfig.hub_data."""
        return None if self.is_folder else self.id

    def licence(self) -> Licence:
        """See SourceConfig.licence; only the data set's page tells it."""
        page = "" if self.is_folder else f"https://huggingface.co/datasets/{self.id}"
        return Licence(self.display_name(), None, page)


class ProblemsConfig(StageConfig):
    """Training problems and held-out benchmarks."""

    source: Source
    """Training problems; those that a benchmark also holds are removed and counted."""
    rl_source: Source | None = None
    """Problems for RL alone, as in the paper, which warms up on one data set and reinforces on another. Those that
    `source` also holds are removed and counted."""
    rl_share: float = Field(0.3, gt=0, lt=1)
    """Without `rl_source`: share of the training problems kept for RL, so that it meets problems it was not taught."""
    benchmarks: dict[str, Source] = Field(min_length=1)
    """Held-out problems by benchmark name."""
    instruction: str = ""
    """Written below every problem for the student, in training and on benchmarks alike, such as `Please reason step by
    step, and put your final answer within \\boxed{}.` Teachers have an instruction of their own."""
    max_conflict_share: float = Field(0.01, ge=0, le=1)
    """Of rows with one question the first is kept. Those with another answer than the first are counted and listed as
    conflicts; more than this share of a source's rows stops the run."""
    ngram_words: int = Field(13, ge=0)
    """A training problem that shares this many words in a row with a problem of any benchmark is removed and listed
    (GPT-3's 13), if they weigh enough; 0 removes only the same text. Words are runs of letters or digits in lower
    case."""
    common_ngram_problems: int = Field(10, ge=1)
    """Shared words that more training problems than this contain are a turn of phrase (GPT-3's 10): they remove only
    problems of which they are half or more."""
    min_shared_share: float = Field(0.42, ge=0, le=1)
    """Shared words remove a problem if they are at least this share of the shorter of the two texts: the closing
    sentence of a competition is less, a benchmark problem with other numbers more (docs/profiles.md has figures); 0
    removes whatever shares `ngram_words` words."""

    @field_validator("instruction")
    @classmethod
    def _without_edges(cls, instruction: str) -> str:
        """White space around it would only make two keys of one instruction."""
        return instruction.strip()

    def unused_fields(self) -> dict[str, str]:
        """`rl_share` splits nothing if RL has a source of its own; without n-grams none is common or weighed."""
        unused = {}
        if self.rl_source is not None:
            unused["rl_share"] = "problems.rl_source gives RL its own problems"
        if self.ngram_words == 0:
            reason = "problems.ngram_words=0 compares whole texts only"
            unused |= dict.fromkeys(("common_ngram_problems", "min_shared_share"), reason)
        return unused

    def sources(self) -> dict[str, SourceConfig]:
        """Every source, by its place: `source`, `rl_source` and each benchmark by its name."""
        found: dict[str, SourceConfig] = {"source": self.source}
        if self.rl_source is not None:
            found["rl_source"] = self.rl_source
        return found | self.benchmarks

    def verifiers(self) -> tuple[VerifierConfig, ...]:
        """Verifiers that the problems name: their code counts for every stage that judges answers."""
        names = dict.fromkeys(source.verifier for source in self.sources().values())
        return tuple(choose_verifier(name) for name in names)
