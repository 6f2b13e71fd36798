"""Licences of what a model was made from, as its card tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.report.cards.card_parts import licence_of
from infra.report.cards.dataset_card import dataset_card
from infra.report.cards.model_card import model_card
from infra.report.data.inputs import SourceLicence
from schemas.artifact import Manifest
from tasks.source_licences import source_licences
from tests.unit.infra.report.reported import complete_inputs, make_manifests

PROGRAM = {"kind": "procedural", "num_problems": 10, "mix": [1.0]}
CHAINS = {"kind": "procedural"}


def manifests(**configs: Mapping[str, object]) -> list[Manifest]:
    """Manifests with these configurations, a teacher's under `think` or `short`."""
    by_stage = {m.stage: m for m in make_manifests()}
    found = []
    for name, config in configs.items():
        teacher = name in ("think", "short")
        told = {"mode": name, "side": {"teacher": config}} if teacher else config
        found.append(by_stage["teach" if teacher else name].model_copy(update={"config": told}))
    return found


def licences(**configs: Mapping[str, object]) -> dict[str, tuple[str, str | None]]:
    return {s.part: (s.name, s.licence) for s in source_licences(manifests(**configs))}


def test_what_a_program_made_is_under_the_programs_licence() -> None:
    found = licences(base={"model": {"kind": "tiny"}}, problems={"source": PROGRAM, "rl_source": PROGRAM}, think=CHAINS)
    assert set(found) == {"base model", "problems", "RL problems", "think answers"}
    assert {licence for _, licence in found.values()} == {"Apache-2.0"}


def test_presets_know_their_licences_also_where_they_are_replayed() -> None:
    gsm8k = {"kind": "preset", "name": "gsm8k", "path": "/somewhere/private/train.jsonl"}
    found = licences(
        problems={"source": gsm8k, "rl_source": {"kind": "preset", "name": "aime24"}},
        think={"kind": "recorded", "source": {"kind": "preset", "name": "openthoughts2"}, "path": None},
        short={"kind": "recorded", "source": gsm8k, "completion_field": "answer"},
    )
    assert found == {
        "problems": ("openai/gsm8k", "MIT"),
        "RL problems": ("HuggingFaceH4/aime_2024", None),
        "think answers": ("open-thoughts/OpenThoughts2-1M", "Apache-2.0"),
        "short answers": ("openai/gsm8k", "MIT"),
    }


def test_what_nobody_told_is_not_known_and_no_folder_of_this_machine_is_named(tmp_path: Path) -> None:
    found = source_licences(
        manifests(
            base={"model": {"kind": "pretrained", "path": str(tmp_path / "student")}},
            problems={"source": {"kind": "local", "path": str(tmp_path / "mine.jsonl")}, "rl_source": None},
            think={"kind": "openai", "model": "r1", "base_url": "https://api.example.com/v1"},
            short={"kind": "recorded", "path": str(tmp_path / "short.jsonl"), "source": None},
        )
    )
    assert {s.licence for s in found} == {None}
    assert [s.name for s in found] == ["student", "mine.jsonl", "r1", "short.jsonl"]
    assert "api.example.com" in found[2].note
    assert str(tmp_path) not in str(found)


def test_a_folder_and_a_package_tell_the_licence_of_their_weights(tmp_path: Path) -> None:
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags: []\n---\nlicense: mit\n")
    base = {"model": {"kind": "pretrained", "path": str(folder)}}
    assert licences(base=base, short={"kind": "vllm", "model": str(folder)}) == {
        "base model": ("student", "apache-2.0"),
        "short answers": ("student", "apache-2.0"),
    }
    package = {"model": {"kind": "pretrained", "path": "package:pytest", "gguf_file": "Small-1B.Q4.gguf"}}
    assert licences(base=package) == {"base model": ("Small-1B.Q4", "MIT")}
    absent = {"model": {"kind": "pretrained", "path": "package:no_such_package"}}
    assert licences(base=absent) == {"base model": ("no_such_package", None)}
    assert licences(base={"model": {"kind": "pretrained", "path": "owner/name"}}) == {
        "base model": ("owner/name", None)
    }


def test_a_kind_that_is_not_installed_or_of_another_version_is_listed_and_not_dropped() -> None:
    found = source_licences(
        manifests(
            problems={
                "source": {"kind": "my_source.py:Riddles", "path": "r.tsv"},
                "rl_source": {"kind": "preset", "name": "gsm8k", "a_key_of_old": 1},
            },
            think={"kind": "oracle"},
        )
    )
    assert [(s.part, s.name, s.licence) for s in found] == [
        ("problems", "my_source.py:Riddles", None),
        ("RL problems", "gsm8k", None),
        ("think answers", "oracle", None),
    ]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (("MIT", "MIT"), "mit"),
        (("MIT", "Apache-2.0"), "other"),
        (("MIT", None), "unknown"),
        ((), "unknown"),
    ],
)
def test_a_licence_stands_in_front_only_where_all_sources_share_it(known: tuple[str | None, ...], said: str) -> None:
    assert licence_of([SourceLicence("problems", "x", licence) for licence in known]) == said


def test_the_card_of_the_pairs_leaves_out_what_gave_nothing_to_them(tmp_path: Path) -> None:
    sources = (
        SourceLicence("base model", "weights", None),
        SourceLicence("problems", "sums", "MIT", "page"),
        SourceLicence("think answers", "sums", "MIT"),
    )
    inputs = replace(complete_inputs(tmp_path), licences=sources)
    assert dataset_card(inputs).startswith("---\nlicense: mit\n")
    assert "weights" not in dataset_card(inputs).partition("## Licences")[2]
    assert "\nlicense: unknown\n" in model_card(inputs)
    assert "| base model | weights | not known to the program |  |" in model_card(inputs)


def test_a_card_with_a_folder_tells_the_instruction_and_asks_for_trust_where_the_base_needed_it(tmp_path: Path) -> None:
    inputs = complete_inputs(tmp_path)
    told = {
        "problems": {"instruction": "Put it in \\boxed{}."},
        "base": {"model": {"kind": "pretrained", "path": "owner/odd", "trust_remote_code": True}},
        "evaluate": {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 512, "precision": "bfloat16"},
    }
    changed = tuple(m.model_copy(update={"config": told.get(m.stage, m.config)}) for m in inputs.manifests)
    card = model_card(replace(inputs, manifests=changed), folder="/somewhere/private/out")
    for said in (
        "ended in a line that reads: Put it in \\boxed{}.",
        "from_pretrained(folder, trust_remote_code=True)",
        "vllm serve out --served-model-name thinkless-tiny --dtype bfloat16 --trust-remote-code",
        "temperature=0.6, top_p=0.95, top_k=0, max_new_tokens=512",
    ):
        assert said in card
    assert "/somewhere" not in card
