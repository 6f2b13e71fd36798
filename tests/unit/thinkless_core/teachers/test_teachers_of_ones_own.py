"""A teacher of a user's own: by file, by package, and what it may do wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from flows.doctor.needs import gpus, hub_models, optional_packages
from schemas.configs.loading import load_config
from schemas.configs.teach import TeacherSide
from schemas.configs.teacher import SampleRules
from schemas.errors import ConfigError, TeacherError
from schemas.mode import Mode
from tests.plugins import write_package
from tests.specimens import make_problem
from thinkless_core.teachers.asking import DroppedAnswer, ask_teacher

LOOKUP = '''
from schemas.configs.teacher import TeacherConfig

class Lookup(TeacherConfig):
    """Knows one answer."""

    known: str = "11+22=?"
    """The question it knows."""

    def reply(self, problem, *, mode, seed):
        if problem.question != self.known:
            return None
        return "1+2=3</think>3" if mode == "think" else "3"
'''


@pytest.fixture
def by_file(tmp_path: Path) -> str:
    """The teacher's class in a file."""
    (tmp_path / "my_teacher.py").write_text(LOOKUP)
    return f"{tmp_path / 'my_teacher.py'}:Lookup"


def side(kind: str) -> TeacherSide:
    """The short side with this teacher."""
    return load_config("tiny", overrides=[f"teach.short.teacher.kind={kind}"]).teach.short


def test_a_teacher_in_a_file_answers_is_judged_and_cut(by_file: str, tokenizer: PreTrainedTokenizerFast) -> None:
    teacher = side(by_file).teacher.build(tokenizer=tokenizer)
    known, other = make_problem("11+22=?"), make_problem("11+33=?")
    dropped: list[DroppedAnswer] = []
    (short,) = ask_teacher(teacher, [known, other], mode=Mode.SHORT, max_tokens=8, seed=0, on_drop=dropped.append)
    assert (short.completion, short.correct, short.num_tokens, short.teacher) == ("<short>3", True, 3, "Lookup")
    assert [(answer.problem_id, answer.reason) for answer in dropped] == [("p-11+33=?", "no_reply")]
    (cut,) = ask_teacher(teacher, [known], mode=Mode.THINK, max_tokens=5, seed=0)
    assert (cut.completion, cut.truncated, cut.num_tokens) == ("<think>1+2=", True, 5)


def test_a_teacher_of_an_installed_package_is_chosen_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: PreTrainedTokenizerFast
) -> None:
    write_package(tmp_path, "lookup_pack", LOOKUP, entry_points={"thinkless.teachers": {"lookup": "Lookup"}})
    monkeypatch.syspath_prepend(tmp_path)
    chosen = side("lookup")
    assert chosen.teacher.model_dump(mode="json") == {"kind": "lookup", "known": "11+22=?"}
    assert TeacherSide.model_validate(chosen.model_dump(mode="json")) == chosen
    teacher = chosen.teacher.build(tokenizer=tokenizer)
    assert ask_teacher(teacher, [make_problem("11+22=?")], mode=Mode.SHORT, max_tokens=8, seed=0)[0].correct
    with pytest.raises(ConfigError, match=r"teach.short.teacher: unknown kind 'lokup'; did you mean 'lookup'\?"):
        side("lokup")


def test_it_has_a_default_for_all_that_is_asked_of_a_teacher(by_file: str) -> None:
    teacher = side(by_file).teacher
    assert teacher.rules() == SampleRules(1, False)
    assert teacher.licence() == ("Lookup", None, "a teacher of your own")
    assert (teacher.replayed(), teacher.weights(), teacher.endpoint(), teacher.local_paths()) == (None, None, None, ())
    assert list(type(teacher).source_files()) == ["my_teacher.py"]
    assert type(teacher).modules() == ("thinkless_core.teachers.one_by_one",)
    config = load_config("tiny", overrides=[f"teach.short.teacher.kind={by_file}"])
    assert list(hub_models(config)) == list(optional_packages(config)) == []
    assert "teach.short" not in gpus(config)


WRONG = {
    "no method": ("pass", "teacher Mine has no method `reply`"),
    "a number": ("def reply(self, problem, *, mode, seed): return 3", "p-11[+]22=[?] got 3, expected the text"),
    "nothing but white space": ('def reply(self, problem, *, mode, seed): return " "', "got ' ', expected the text"),
    "a failure": (
        "def reply(self, problem, *, mode, seed): return {}[1]",
        "KeyError on problem p-11.*mend its `reply`",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_teacher_of_ones_own_does_wrong_is_said_with_the_way_out(
    name: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    body, said = WRONG[name]
    head = "from schemas.configs.teacher import TeacherConfig\nclass Mine(TeacherConfig):\n    "
    (tmp_path / "mine.py").write_text(head + body + "\n")
    teacher = side(f"{tmp_path / 'mine.py'}:Mine").teacher.build(tokenizer=tokenizer)
    with pytest.raises(TeacherError, match=said):
        ask_teacher(teacher, [make_problem("11+22=?")], mode=Mode.SHORT, max_tokens=8, seed=0)


def test_a_source_without_recorded_answers_cannot_be_replayed() -> None:
    source = '{kind="procedural", num_problems=3, mix=[1.0]}'
    for kind in ("recorded", "worked_solutions"):
        with pytest.raises(ConfigError, match="chains of arithmetic holds no recorded answers; give a data set"):
            load_config("tiny", overrides=[f"teach.think.teacher.kind={kind}", f"teach.think.teacher.source={source}"])
