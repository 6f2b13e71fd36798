"""The data sets of the paper and its benchmarks, by name: where they are on the Hub and which field holds what.

PresetSource -> HubSource, or with `path` LocalSource (the layout of the local copies may name fields otherwise)

Differs from the Hub where `path` is given: `minerva_algebra` then takes the algebra problems of a file in the layout of
MATH-500 (124 of the 500), `math` reads a file of all subjects that already has its answers extracted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.configs.problems import HubSource, LocalSource, PresetName, PresetSource, RowSource
from schemas.errors import ConfigError

MATH_SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
    "precalculus",
)  # fmt: skip


class Preset(NamedTuple):
    """One data set."""

    hub: HubSource
    local: Mapping[str, str | None] = {}
    """Fields that a local copy names otherwise; None where it has no such field."""
    licence: str = "see the data set's page"
    """As its page on the Hub or its repository says."""
    copies: Mapping[str, str] = {}
    """Split -> usual name of a local copy."""


_MATH = {"prompt_field": "problem", "answer_field": "solution", "answer_format": "boxed", "subject_field": "type"}
_PROBLEM = {"prompt_field": "problem", "answer_format": "plain"}

PRESETS: Mapping[PresetName, Preset] = {
    "deepscaler": Preset(HubSource(id="agentica-org/DeepScaleR-Preview-Dataset", **_PROBLEM), licence="MIT"),
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
        licence="Apache-2.0",
    ),
    "gsm8k": Preset(
        HubSource(id="openai/gsm8k", config_name="main", split="test", prompt_field="question", answer_format="mark"),
        licence="MIT",
        copies={"train": "gsm8k_train.jsonl", "test": "gsm8k_test.jsonl"},
    ),
    "math": Preset(
        HubSource(id="EleutherAI/hendrycks_math", config_name=MATH_SUBJECTS, **_MATH),
        local={"answer_field": "answer", "answer_format": "plain", "difficulty_field": "difficulty"},
        licence="MIT",
        copies={"train": "math_train.json"},
    ),
    "math500": Preset(
        HubSource(
            id="HuggingFaceH4/MATH-500", split="test", difficulty_field="level", subject_field="subject", **_PROBLEM
        ),
        local={"difficulty_field": "difficulty", "subject_field": "unique_id"},
        licence="MIT",
        copies={"test": "math500.json"},
    ),
    "aime24": Preset(HubSource(id="HuggingFaceH4/aime_2024", **_PROBLEM), copies={"train": "aime24.json"}),
    "minerva_algebra": Preset(
        HubSource(id="EleutherAI/hendrycks_math", config_name="algebra", split="test", **_MATH),
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


def copy_name(source: PresetSource) -> str | None:
    """Usual name of a local copy of what a preset reads; None where there is none."""
    preset = PRESETS[source.name]
    return preset.copies.get(source.split or preset.hub.split)


def resolve_preset(source: PresetSource) -> LocalSource | HubSource:
    """The file or Hub data set a preset stands for, with what the source says itself put in; may raise ConfigError."""
    preset = PRESETS[source.name]
    wishes = {"subject": source.subject, "max_unreadable_share": source.max_unreadable_share, "limit": source.limit}
    said = {name: value for name, value in wishes.items() if value is not None}
    fields = {name: getattr(preset.hub, name) for name in RowSource.model_fields}
    if source.subject is not None and fields["subject_field"] is None:
        raise ConfigError(
            f"preset {source.name!r} knows no subjects, got subject={source.subject!r}; leave subject out"
        )
    if source.path is not None:
        return LocalSource.model_validate({**fields, **preset.local, **said, "path": source.path})
    place = {"id": preset.hub.id, "config_name": preset.hub.config_name, "split": source.split or preset.hub.split}
    reading = {"revision": source.revision, "streaming": source.streaming}
    return HubSource.model_validate({**fields, **place, **reading, **said})
