"""A data set as teacher: reasoning traces for the think side, worked solutions for the short one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Artifact
from schemas.configs.loading import load_config
from schemas.configs.presets import PresetSource
from schemas.configs.problems import LocalSource
from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.teach import TeachConfig, TeacherSide, TeachSideConfig
from schemas.errors import ConfigError, SourceError, TeacherError
from schemas.mode import Mode
from tasks.ask_teachers import AskTeachers
from tasks.running.stage import make_plan
from tests.integration.driver import run_pipeline
from tests.problem_rows import local
from tests.real_data import real_data
from tests.specimens import make_problem
from thinkless_core.problems.answer_fields import solution_completion
from thinkless_core.problems.problem_set import normalise
from thinkless_core.problems.problem_sources import read_source
from thinkless_core.teachers.asking import DroppedAnswer, ask_teacher

SOLUTIONS = {
    "a mark and calculations": (
        "48/2 = <<48/2=24>>24 in May.\n48+24 = <<48+24=72>>72 in all.\n#### 72",
        "48/2 = 24 in May.\n48+24 = 72 in all.\nThe answer is \\boxed{72}.",
    ),
    "a mark alone": ("#### 1,800", "The answer is \\boxed{1,800}."),
    "no mark": ("So $x=\\boxed{\\frac12}$. \n", "So $x=\\boxed{\\frac12}$."),
    "comparisons": ("2 << 3 and 3 >> 2\n#### 3", "2 << 3 and 3 >> 2\nThe answer is \\boxed{3}."),
    "nothing after the mark": ("48/2 ####", None),
    "nothing": (" \n", None),
}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_a_worked_solution_becomes_a_short_completion(name: str) -> None:
    solution, completion = SOLUTIONS[name]
    assert solution_completion(solution) == completion


def test_the_solutions_of_gsm8k_all_answer_their_own_problems(tokenizer: PreTrainedTokenizerFast) -> None:
    source = PresetSource(name="gsm8k", path=str(real_data("gsm8k_train.jsonl")))
    problems = [
        make_problem(normalise(p.prompt), answer=p.answer) for p in read_source(source, name="p", seed=0).problems
    ]
    teacher = RecordedTeacher(source=source, completion_field="answer").build(tokenizer=tokenizer)
    assert teacher.name == "recorded:gsm8k"
    answers = ask_teacher(teacher, problems, mode=Mode.SHORT, max_tokens=10_000, seed=0)
    teacher.close()
    assert len(answers) == 7473
    assert [a.generation_id for a in answers if not a.correct or a.truncated] == []
    assert not any("<<" in a.completion or "####" in a.completion for a in answers)


def trace_rows(tmp_path: Path) -> LocalSource:
    rows = [
        {"prompt": "11+22=?", "answer": "3", "trace": "<think>\n1+2 is</think>\n\n"},
        {"prompt": " 11+22=? ", "answer": "3", "trace": "<think>\n1+2=3\n</think>\n\n3"},
        {"prompt": "11+22=?", "answer": "3", "trace": "<think>later</think>3"},
        {"prompt": "11+33=?", "answer": "4", "trace": "<think>never ends"},
    ]
    return local(tmp_path / "traces.jsonl", rows)


def test_the_first_usable_trace_of_a_question_is_replayed_and_what_is_not_recorded_is_dropped(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    config = RecordedTeacher(source=trace_rows(tmp_path), completion_field="trace")
    teacher = config.build(tokenizer=tokenizer, scratch=tmp_path / "s")
    told = "\nPut it in a box."
    asked = make_problem("11+22=?").model_copy(update={"prompt": "11+22=?" + told, "instruction": told[1:]})
    dropped: list[DroppedAnswer] = []
    answers = ask_teacher(
        teacher,
        [asked, make_problem("11+33=?"), make_problem("11+44=?")],
        mode=Mode.THINK,
        max_tokens=64,
        seed=0,
        on_drop=dropped.append,
    )
    assert [(a.completion, a.correct, a.teacher) for a in answers] == [
        ("<think>1+2=3</think>3", True, "recorded:traces.jsonl")
    ]
    assert [(d.problem_id, d.reason) for d in dropped] == [
        ("p-11+33=?", "reasoning_not_ended"),
        ("p-11+44=?", "not_recorded"),
    ]
    assert dropped[1].text == "(no row of traces.jsonl asks this question)"
    cut = ask_teacher(teacher, [asked], mode=Mode.THINK, max_tokens=4, seed=0)[0]
    assert (cut.completion, cut.truncated, cut.num_tokens) == ("<think>1+2", True, 4)
    teacher.close()
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["recorded-think"], "the next teacher finds the rows"


def test_the_short_side_of_a_data_set_needs_the_name_of_its_solutions(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    source = trace_rows(tmp_path)
    teacher = RecordedTeacher(source=source, completion_field=None).build(tokenizer=tokenizer)
    with pytest.raises(TeacherError, match="only if completion_field names"):
        ask_teacher(teacher, [make_problem("11+22=?")], mode=Mode.SHORT, max_tokens=8, seed=0)
    side = TeacherSide(teacher=RecordedTeacher(source=source), max_tokens=8)
    with pytest.raises(ValidationError, match=r"short\.teacher\.completion_field is not set"):
        TeachConfig(think=side, short=side)
    with pytest.raises(SourceError, match=r"line 1: no column 'solution'.*set completion_field"):
        list(source.solutions(field="solution"))
    assert len(list(source.traces(field="trace"))) == 4
    with pytest.raises(SourceError, match="names no trace_field"):
        list(source.traces())


BAD_SETTINGS = {
    "both": (
        ["teach.think.teacher.path=x.jsonl", "teach.think.teacher.source={kind='preset', name='gsm8k'}"],
        "teach.think.teacher: needs path, a recording of your own, or source, a data set; got both",
    ),
    "a field of a recording": (
        ["teach.think.teacher.path=x.jsonl", "teach.think.teacher.completion_field=answer"],
        "completion_field names a field of source",
    ),
    "an unknown preset": (
        ["teach.think.teacher.source={kind='preset', name='gsm9k'}"],
        r"teach\.think\.teacher\.source\.name: .*'gsm8k'",
    ),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_settings_that_contradict_each_other_are_refused(name: str) -> None:
    settings, said = BAD_SETTINGS[name]
    with pytest.raises(ConfigError, match=said):
        load_config("tiny", overrides=["teach.think.teacher.kind=recorded", *settings])


def test_the_replayed_file_is_part_of_the_stages_key(tmp_path: Path) -> None:
    source = trace_rows(tmp_path)
    side = TeacherSide(teacher=RecordedTeacher(source=source, completion_field="trace"), max_tokens=8)
    artifact = Artifact(stage="base", key="k", digest="d", path="p", rows=1)

    def key() -> str:
        config = TeachSideConfig(mode=Mode.THINK, side=side, chunk_size=10)
        return make_plan(AskTeachers(Mode.THINK), config, inputs=(artifact, artifact)).key

    before = key()
    Path(source.path).write_text(Path(source.path).read_text() + "\n")
    assert key() != before


def test_a_run_replays_a_data_set_on_both_sides_and_counts_what_it_does_not_hold(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"What is {a}1+{b}2?",
            "solution": "1+2=<<1+2=3>>3\n#### 3",
            "trace": "<think>1+2=3</think>3" if b > 1 else None,
        }
        for a in range(1, 6)
        for b in range(1, 5)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = f"{{kind='local', path='{path}', prompt_field='question', answer_field='solution'}}"
    finished = run_pipeline(
        tmp_path / "home",
        f"problems.source={source}",
        *(
            f"teach.{side}.teacher={{kind='recorded', completion_field='{field}', source={source}}}"
            for side, field in (("think", "trace"), ("short", "solution"))
        ),
        "teach.short.max_tokens=72",
        until="pairs",
    )
    store = ArtifactStore(tmp_path / "home")
    think, short = (store.manifest("teach", finished.artifacts[f"teach-{side}"].key) for side in ("think", "short"))
    assert (think.rows, think.drops["empty"], short.rows) == (15, 5, 20)
    assert finished.artifacts["pairs"].rows == 15
