"""Well-known data sets by name: on the Hub, and from local copies in the layouts they are found in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.configs.presets import PRESETS, PresetSource
from schemas.configs.problems import HubSource, LocalSource, ProblemsConfig
from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.stage import local_paths_in
from schemas.errors import ConfigError
from schemas.mode import Mode
from tests.real_data import real_data
from tests.specimens import make_problem
from thinkless_core.problems.problem_sources import read_source


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"unknown preset; did you mean 'gsm8k'\?"):
        PresetSource(name="gsm8")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_without_a_path_is_a_data_set_on_the_hub_and_with_one_a_file(name: str) -> None:
    hub = PresetSource(name=name, limit=5, revision="abc", streaming=True).resolved()
    assert isinstance(hub, HubSource)
    assert (hub.id, hub.limit, hub.revision, hub.streaming) == (PRESETS[name].hub.id, 5, "abc", True)
    local = PresetSource(name=name, path="copy.jsonl", limit=5).resolved()
    assert isinstance(local, LocalSource)
    assert (local.path, local.limit, local.prompt_field) == ("copy.jsonl", 5, hub.prompt_field)


def test_what_the_source_says_comes_before_the_preset() -> None:
    source = PresetSource(name="gsm8k", split="train", max_unreadable_share=0.5).resolved()
    assert isinstance(source, HubSource)
    assert (source.split, source.max_unreadable_share, source.config_name) == ("train", 0.5, "main")
    with pytest.raises(ConfigError, match="'gsm8k' knows no subjects"):
        PresetSource(name="gsm8k", subject="algebra").resolved()


def test_an_id_that_no_data_set_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="expected `owner/name` as on the Hub, or a folder"):
        HubSource(id="not/an/id")
    assert [HubSource(id=name).is_folder for name in ("gsm8k", "o/n", "./o/n/m", "/data/x")] == [
        False,
        False,
        True,
        True,
    ]


def test_fields_that_a_local_file_cannot_have_are_said_to_be_unused() -> None:
    assert set(PresetSource(name="gsm8k", path="x.jsonl").unused_fields()) == {"split", "revision", "streaming"}
    assert PresetSource(name="gsm8k").unused_fields() == {}


def test_the_files_of_all_sources_are_known() -> None:
    config = ProblemsConfig(
        source=PresetSource(name="gsm8k", path="a.jsonl"),
        rl_source=HubSource(id="./folder"),
        benchmarks={"x": LocalSource(path="b.json"), "y": PresetSource(name="aime24"), "z": HubSource(id="o/n")},
    )
    assert local_paths_in(config) == ("a.jsonl", "./folder", "b.json")


@pytest.mark.parametrize(
    ("settings", "file", "num_problems", "first_answer", "with_difficulty"),
    [
        ({"name": "gsm8k"}, "gsm8k_test.jsonl", 1319, "18", False),
        ({"name": "gsm8k"}, "gsm8k_train.jsonl", 7473, "72", False),
        ({"name": "math500"}, "math500.json", 500, r"\left( 3, \frac{\pi}{2} \right)", True),
        ({"name": "math500", "subject": "Geometry"}, "math500.json", 41, "5", True),
        ({"name": "minerva_algebra"}, "math500.json", 124, r"\frac{14}{3}", True),
        ({"name": "math"}, "math_train.json", 7470, "0", True),
        ({"name": "math", "subject": "counting_and_probability"}, "math_train.json", 767, "1000", True),
        ({"name": "aime24"}, "aime24.json", 30, "204", False),
    ],
)
def test_local_copies_are_read_in_their_own_layouts(
    settings: dict[str, str], file: str, num_problems: int, first_answer: str, with_difficulty: bool
) -> None:
    source = PresetSource.model_validate({**settings, "path": str(real_data(file))})
    found = read_source(source, name="b", seed=0)
    assert (len(found.problems), found.problems[0].answer) == (num_problems, first_answer)
    assert all((p.difficulty is not None) == with_difficulty for p in found.problems)


ROWS: dict[str, dict[str, object]] = {
    "openthoughts2": {
        "question": "What is 3+4?",
        "conversations": [
            {"from": "user", "value": "What is 3+4?"},
            {"from": "assistant", "value": "<think>\n3+4=7\n</think>\n\nIt is $\\boxed{7}$."},
        ],
        "source": "s",
        "id": 1,
    },
    "openr1_math": {
        "problem": "What is 3+4?",
        "answer": "7",
        "generations": ["<think>\n3+4=8\n</think>\n\n8", "<think>\n3+4=7\n</think>\n\nIt is $\\boxed{7}$."],
        "correctness_math_verify": [False, True],
    },
}


@pytest.mark.parametrize("name", ROWS)
def test_recorded_reasoning_gives_problems_and_a_teachers_completions(
    name: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[name]) + "\n", encoding="utf-8")
    source = PresetSource(name=name, path=str(path))
    (problem,) = read_source(source, name="train", seed=0).problems
    assert (problem.prompt, problem.answer) == ("What is 3+4?", "7")
    ((question, _),) = source.traces()
    assert question == "What is 3+4?"
    teacher = RecordedTeacher(source=source).build(tokenizer=tokenizer)
    (reply,) = teacher.answer([make_problem(question, answer="7")], mode=Mode.THINK, max_tokens=99, seed=0)
    assert reply.text == "3+4=7</think>It is $\\boxed{7}$."
