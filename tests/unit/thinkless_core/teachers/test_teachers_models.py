"""Teachers that are models in this process: transformers on the tiny student; vLLM only as far as it is absent."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from schemas.configs.teach import TransformersTeacher, VllmTeacher
from schemas.errors import TeacherError
from schemas.mode import Mode
from schemas.records.generations import Generation
from tests.specimens import LIVELY, make_problem, make_problems
from thinkless_core.student.model_files import save_folder
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.teachers.asking import DroppedAnswer, ask_teacher


@pytest.fixture
def folder(tmp_path: Path, student: Callable[..., Qwen2ForCausalLM], tokenizer: PreTrainedTokenizerFast) -> Path:
    """A lively tiny student; hot, it ends some of its answers."""
    save_folder(student(scale=LIVELY), tokenizer, tmp_path / "teacher")
    return tmp_path / "teacher"


def ask(
    folder: Path, tokenizer: PreTrainedTokenizerFast, *, mode: Mode, num: int = 12, seed: int = 0, **changes: Any
) -> tuple[list[Generation], list[DroppedAnswer]]:
    """What the folder's model answers to some problems, and what of it is dropped."""
    config = TransformersTeacher(**({"model": str(folder), "instruction": "", "top_p": None} | changes))
    teacher = config.build(tokenizer=tokenizer)
    dropped: list[DroppedAnswer] = []
    try:
        answers = ask_teacher(teacher, make_problems(num), mode=mode, max_tokens=12, seed=seed, on_drop=dropped.append)
    finally:
        teacher.close()
    return answers, dropped


def test_a_model_with_control_tokens_is_asked_by_them(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    for mode in Mode:
        answers, dropped = ask(folder, tokenizer, mode=mode)
        assert len(answers) + len(dropped) == 12
        assert answers
        assert {a.teacher for a in answers} == {"transformers:teacher"}
        for answer in answers:
            assert answer.completion.startswith(mode.token)
            assert not answer.truncated or answer.num_tokens == 12


def test_answers_end_by_the_models_own_end_token_or_are_truncated(
    folder: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    answers, _ = ask(folder, tokenizer, mode=Mode.SHORT, num=300, temperature=100.0, batch_size=300)
    finished = [answer for answer in answers if not answer.truncated]
    assert 0 < len(finished) < len(answers)
    assert all(tokenizer.eos_token not in answer.completion and answer.answer for answer in finished)
    assert min(answer.num_tokens for answer in finished) < 12


def test_batches_never_change_what_a_teacher_says_and_seeds_do(
    folder: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    together = ask(folder, tokenizer, mode=Mode.THINK)
    assert ask(folder, tokenizer, mode=Mode.THINK, batch_size=5) == together
    assert ask(folder, tokenizer, mode=Mode.THINK, seed=1) != together


def test_a_template_that_opens_the_thought_gets_no_control_token(folder: Path, tmp_path: Path) -> None:
    opening = tiny_tokenizer()
    opening.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}<think>"
    opening.save_pretrained(folder)
    answers, dropped = ask(folder, tiny_tokenizer(), mode=Mode.THINK, num=40, temperature=3.0)
    assert answers
    for answer in answers:
        assert answer.completion.count("<think>") == 1
    answers, dropped = ask(folder, tiny_tokenizer(), mode=Mode.SHORT, num=40, temperature=3.0)
    assert {answer.reason for answer in dropped} == {"short_reasoned"}
    assert len(dropped) > 30  # the others end their thought at once


def test_a_prompt_over_the_models_context_is_refused(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    teacher = TransformersTeacher(model=str(folder), instruction="").build(tokenizer=tokenizer)
    with pytest.raises(TeacherError, match=r"p-long: its prompt has \d+ tokens, .* the 128 .*; lower teach\.short\."):
        ask_teacher(
            teacher, [make_problem("1" * 130, name="p-long", answer="3")], mode=Mode.SHORT, max_tokens=8, seed=0
        )


def test_a_model_that_cannot_be_loaded_or_asked_is_refused(
    folder: Path, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    silent = tiny_tokenizer()
    silent.chat_template = None
    shutil.copytree(folder, tmp_path / "silent")
    (tmp_path / "silent" / "chat_template.jinja").unlink(missing_ok=True)
    silent.save_pretrained(tmp_path / "silent")
    (tmp_path / "empty").mkdir()
    for name, said in (("empty", "cannot be loaded as a causal language model"), ("silent", "has no chat template")):
        teacher = TransformersTeacher(model=str(tmp_path / name)).build(tokenizer=tokenizer)
        with pytest.raises(TeacherError, match=said):
            ask_teacher(teacher, make_problems(1), mode=Mode.SHORT, max_tokens=8, seed=0)


def test_vllm_is_asked_for_by_name_only_where_it_is_installed(tokenizer: PreTrainedTokenizerFast) -> None:
    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("needs an environment without vLLM")
    teacher = VllmTeacher(model="m").build(tokenizer=tokenizer)
    assert teacher.name == "vllm:m"
    with pytest.raises(TeacherError, match=r"needs vLLM, .*; install vllm .* or serve the model with `vllm serve`"):
        ask_teacher(teacher, make_problems(1), mode=Mode.SHORT, max_tokens=8, seed=0)
    teacher.close()
