"""The data sets of the paper and its benchmarks, by name: their ids on the Hub, fields, licences, sizes, local copies.

PresetSource -> HubSource, or with `path` LocalSource (local copies may name fields otherwise)

Differs from the Hub with `path`: `minerva_algebra` then takes the algebra problems of a file in the layout of MATH-500
(124 of the 500), `math` reads a file of all subjects that already has its answers extracted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from schemas.configs.problems import HubSource, LocalSource, RowSource
from schemas.configs.source import Licence, LocalCopy, Recorded, SourceConfig, SourceProblem
from schemas.configs.stage import LocalPath
from schemas.errors import ConfigError, nearest

if TYPE_CHECKING:
    from schemas.records.unreadable_answers import UnreadableAnswer

MATH_SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
    "precalculus",
)  # fmt: skip


class Preset(NamedTuple):
    """One data set."""

    hub: HubSource
    rows: Mapping[str, int]
    """Split -> rows on the Hub, as its page says; an upper bound of the problems."""
    local: Mapping[str, str | None] = {}
    """Fields that a local copy names otherwise; None if it has no such field."""
    licence: str | None = None
    """As its page on the Hub or its repository says; None if only the page tells."""
    copies: Mapping[str, str] = {}
    """Split -> usual name of a local copy."""


_MATH = {"prompt_field": "problem", "answer_field": "solution", "answer_format": "boxed", "subject_field": "type"}
_PROBLEM = {"prompt_field": "problem", "answer_format": "plain"}

PRESETS: Mapping[str, Preset] = {
    "deepscaler": Preset(
        HubSource(id="agentica-org/DeepScaleR-Preview-Dataset", **_PROBLEM), rows={"train": 40_315}, licence="MIT"
    ),
    # Mathematics, science, code and puzzles: what has no boxed value cannot be checked and is left out, and counted.
    "openthoughts2": Preset(
        HubSource(
            id="open-thoughts/OpenThoughts2-1M",
            prompt_field="question",
            answer_field="conversations.-1.value",
            answer_format="boxed",
            trace_field="conversations.-1.value",
            max_unreadable_share=0.9,
        ),
        rows={"train": 1_143_205},
        licence="Apache-2.0",
    ),
    "openr1_math": Preset(
        HubSource(
            id="open-r1/OpenR1-Math-220k",
            config_name="default",
            trace_field="generations",
            trace_correct_field="correctness_math_verify",
            **_PROBLEM,
        ),
        rows={"train": 93_733},
        licence="Apache-2.0",
    ),
    "gsm8k": Preset(
        HubSource(id="openai/gsm8k", config_name="main", split="test", prompt_field="question", answer_format="mark"),
        rows={"train": 7_473, "test": 1_319},
        licence="MIT",
        copies={"train": "gsm8k_train.jsonl", "test": "gsm8k_test.jsonl"},
    ),
    "math": Preset(
        HubSource(id="EleutherAI/hendrycks_math", config_name=MATH_SUBJECTS, **_MATH),
        rows={"train": 7_500},
        local={"answer_field": "answer", "answer_format": "plain", "difficulty_field": "difficulty"},
        licence="MIT",
        copies={"train": "math_train.json"},
    ),
    "math500": Preset(
        HubSource(
            id="HuggingFaceH4/MATH-500", split="test", difficulty_field="level", subject_field="subject", **_PROBLEM
        ),
        rows={"test": 500},
        local={"difficulty_field": "difficulty", "subject_field": "unique_id"},
        licence="MIT",
        copies={"test": "math500.json"},
    ),
    "aime24": Preset(
        HubSource(id="HuggingFaceH4/aime_2024", **_PROBLEM), rows={"train": 30}, copies={"train": "aime24.json"}
    ),
    "minerva_algebra": Preset(
        HubSource(id="EleutherAI/hendrycks_math", config_name="algebra", split="test", **_MATH),
        rows={"test": 1_187},
        local={
            "answer_field": "answer",
            "answer_format": "plain",
            "difficulty_field": "difficulty",
            "subject_field": "unique_id",
            "subject": "algebra",
        },
        licence="MIT",
        copies={"test": "math500.json"},
    ),
}


class PresetSource(SourceConfig):
    """A well-known data set by name: its id on the Hub and its fields are in schemas/configs/presets.py."""

    replayable: ClassVar[bool] = True

    kind: Literal["preset"] = "preset"
    name: str
    """Which one."""
    path: LocalPath | None = Field(None, min_length=1)
    """Read the same data from this local file (.jsonl, .json, .parquet); its content is part of the stage's key."""
    split: str | None = Field(None, min_length=1)
    """Another split than the preset's own, such as GSM8K's `train`."""
    subject: str | None = None
    """Keep only problems of this subject, such as `geometry` of `math500`; only for a data set with subjects."""
    revision: str | None = None
    """Branch, tag or commit on the Hub; the newest `main` if not set."""
    streaming: bool = False
    """Read rows as they arrive, without a copy of the data set on disk."""
    limit: int | None = Field(None, ge=1)
    """Read at most this many rows."""
    max_unreadable_share: float | None = Field(None, ge=0, le=1)
    """Share of rows without a readable answer that stops the run; the preset's own if not set."""

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in PRESETS:
            raise ValueError(f"unknown preset; {nearest(name, PRESETS)} (for other data sets: kind = hub or local)")
        return name

    def unused_fields(self) -> dict[str, str]:
        """A local file has no split, revision or stream."""
        if self.path is None:
            return {}
        return dict.fromkeys(("split", "revision", "streaming"), "path reads one local file, all of it")

    def resolved(self) -> LocalSource | HubSource:
        """The file or Hub data set, with the settings made here in place of the preset's; may raise ConfigError."""
        hub, local = PRESETS[self.name].hub, PRESETS[self.name].local
        own = {"subject": self.subject, "max_unreadable_share": self.max_unreadable_share, "limit": self.limit}
        fields = {name: getattr(hub, name) for name in RowSource.model_fields if name != "kind"}
        fields["verifier"] = self.verifier
        if self.subject is not None and hub.subject_field is None:
            raise ConfigError(
                f"preset {self.name!r} knows no subjects, got subject={self.subject!r}; leave subject out"
            )
        made_here = {name: value for name, value in own.items() if value is not None}
        if self.path is not None:
            return LocalSource.model_validate({**fields, **local, **made_here, "path": self.path})
        place = {"id": hub.id, "config_name": hub.config_name, "split": self.split or hub.split}
        reading = {"revision": self.revision, "streaming": self.streaming}
        return HubSource.model_validate({**fields, **place, **reading, **made_here})

    @classmethod
    def modules(cls) -> tuple[str, ...]:
        """See Kind.modules: those of a file and of the Hub."""
        return (*super().modules(), *LocalSource.modules(), *HubSource.modules())

    def problems(self, *, name: str, seed: int) -> Iterator[SourceProblem | UnreadableAnswer]:
        """See SourceConfig.problems."""
        return self.resolved().problems(name=name, seed=seed)

    def traces(self, *, field: str | None = None, thinking_field: str | None = None) -> Iterator[tuple[str, Recorded]]:
        """See SourceConfig.traces."""
        return self.resolved().traces(field=field, thinking_field=thinking_field)

    def solutions(self, *, field: str) -> Iterator[tuple[str, str | None]]:
        """See SourceConfig.solutions."""
        return self.resolved().solutions(field=field)

    def local_paths(self) -> tuple[str, ...]:
        """The file, if it reads one."""
        return () if self.path is None else (self.path,)

    def display_name(self) -> str:
        """See SourceConfig.display_name."""
        return self.name

    def place(self) -> str:
        """See SourceConfig.place."""
        return self.resolved().place()

    def few(self, num_problems: int, *, streaming: bool = True) -> LocalSource | HubSource:
        """See SourceConfig.few."""
        return self.resolved().few(num_problems, streaming=streaming)

    def most_problems(self) -> int | None:
        """See SourceConfig.most_problems."""
        preset = PRESETS[self.name]
        known = (self.limit, preset.rows.get(self.split or preset.hub.split))
        return min((number for number in known if number is not None), default=None)

    def hub_data(self) -> str | None:
        """See SourceConfig.hub_data."""
        return PRESETS[self.name].hub.id if self.path is None else None

    def local_copy(self) -> LocalCopy | None:
        """See SourceConfig.local_copy."""
        preset = PRESETS[self.name]
        return LocalCopy(self.name, preset.copies.get(self.split or preset.hub.split)) if self.path is None else None

    def licence(self) -> Licence:
        """See SourceConfig.licence."""
        preset = PRESETS[self.name]
        return Licence(preset.hub.id, preset.licence, f"https://huggingface.co/datasets/{preset.hub.id}")
