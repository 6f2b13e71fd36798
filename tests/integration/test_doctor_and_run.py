"""`thinkless doctor` and `thinkless run` say the same sentence about every bad input; the doctor builds nothing.

A case is the settings that bring the bad input in, and what has to be said. Bad files are those of the tests of the
stages themselves (test_problem_files.py, test_teachers.py), so that a new one there is tried here too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.errors import ThinklessError
from tests.integration.driver import SMALL, run_pipeline
from tests.integration.processes import Said
from tests.integration.test_bad_input import WRONG_RUNS
from tests.integration.test_problem_files import FAULTS
from tests.unit.thinkless_core.teachers.test_teachers import BAD_RECORDINGS

Thinkless = Callable[..., Said]


class Case(NamedTuple):
    """Files by name and their content (None: it is not there), settings with {folder}, and what is said."""

    files: Mapping[str, str | bytes | None]
    settings: Sequence[str]
    said: str
    until: str = "problems"
    """The stage that a run meets it in."""


def lines(*rows: object) -> str:
    """A file of JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


PROBLEMS = lines(*({"prompt": f"1+{n}=?", "answer": str((1 + n) % 10)} for n in range(8)))
LOCAL = ("problems.source={kind='local', path='{folder}/p.jsonl'}",)
THINK = ("teach.think.teacher={kind='recorded', path='{folder}/r.jsonl'}",)
DATA_SET = (
    "teach.think.teacher={kind='recorded', completion_field='trace', source={kind='local', path='{folder}/d.jsonl'}}",
)
TRACES = [{"prompt": f"1+{n}=?", "answer": "x", "trace": "<think>1</think>2"} for n in range(8)]


def problem_file(fault: str) -> Case:
    """A training file that test_problem_files.py knows as bad."""
    name, content, said = FAULTS[fault]
    return Case({name: content}, (f"problems.source={{kind='local', path='{{folder}}/{name}'}}",), said)


def recording(name: str) -> Case:
    """A recording that test_teachers.py knows as bad."""
    rows, said = BAD_RECORDINGS[name]
    written = [
        row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode() for row in rows
    ]
    part = "holds no think completion" if name == "a problem nobody recorded" else said[0]
    return Case({"p.jsonl": PROBLEMS, "r.jsonl": b"\n".join(written)}, (*LOCAL, *THINK), part, "teach")


CASES = {
    **{f"problems: {fault}": problem_file(fault) for fault in FAULTS},
    **{f"recording: {name}": recording(name) for name in BAD_RECORDINGS},
    "a model that is not there": Case(
        {}, ("base.model={kind='pretrained', path='./absent'}",), "base.model.path: './absent'", "base"
    ),
    "a model of a package that is not installed": Case(
        {},
        ("base.model={kind='pretrained', path='package:absent_here'}",),
        "names the Python package 'absent_here', which is not installed here",
        "base",
    ),
    "a model without a tokenizer": Case(
        {"config.json": '{"model_type": "qwen2"}'},
        ("base.model={kind='pretrained', path='{folder}'}",),
        "base.model.path: ",
        "base",
    ),
    "a benchmark without its file": Case(
        {}, ("problems.benchmarks.mine={kind='local', path='{folder}/b.jsonl'}",), "b.jsonl: no such file"
    ),
    "a benchmark that holds all problems": Case(
        {"p.jsonl": PROBLEMS},
        (*LOCAL, "problems.benchmarks.mine={kind='local', path='{folder}/p.jsonl'}"),
        "no training problems are left of 8",
    ),
    "a recording that is not there": Case(
        {"p.jsonl": PROBLEMS}, (*LOCAL, *THINK), "recording {folder}/r.jsonl: [Errno 2] No such file", "teach"
    ),
    "a recording of one problem": Case(
        {"p.jsonl": PROBLEMS, "r.jsonl": lines({"prompt": "1+1=?", "completion": "1+1</think>2"})},
        (*LOCAL, *THINK),
        "holds no think completion for prompt",
        "teach",
    ),
    "a recording in a notation nobody knows": Case(
        {
            "p.jsonl": PROBLEMS,
            "r.jsonl": lines(*({"prompt": f"1+{n}=?", "completion": "<ponder>1</ponder>2"} for n in range(8))),
        },
        (*LOCAL, *THINK),
        "think answers can be used: {{'unknown_notation:<ponder>': ",
        "teach",
    ),
    "a data set of other problems": Case(
        {"p.jsonl": PROBLEMS, "d.jsonl": lines({"prompt": "2+2=?", "answer": "4", "trace": "<think>2</think>4"})},
        (*LOCAL, *DATA_SET),
        "think answers can be used: {{'not_recorded': ",
        "teach",
    ),
    "a data set without traces": Case(
        {"p.jsonl": PROBLEMS, "d.jsonl": lines(*({**row, "trace": None} for row in TRACES))},
        (*LOCAL, *DATA_SET),
        "think answers can be used: {{'empty': ",
        "teach",
    ),
    "a data set without the field": Case(
        {"p.jsonl": PROBLEMS, "d.jsonl": lines({"prompt": "1+1=?", "answer": "2"})},
        (*LOCAL, *DATA_SET),
        "d.jsonl, line 1: no column 'trace'",
        "teach",
    ),
    "problems that a program cannot work out": Case(
        {"p.jsonl": lines(*({"prompt": f"How many are {n}?", "answer": "2"} for n in range(8)))},
        LOCAL,
        "the procedural teacher works out chains",
        "teach",
    ),
    "no pair is right": Case(
        {"p.jsonl": lines(*({"prompt": f"1+{n}=?", "answer": "77"} for n in range(8)))},
        LOCAL,
        "no pair is left of",
        "pairs",
    ),
    "pairs over the context": Case(
        {
            "p.jsonl": PROBLEMS,
            "r.jsonl": lines(
                *({"prompt": f"1+{n}=?", "completion": "1+1," * 90 + f"</think>{(1 + n) % 10}"} for n in range(8))
            ),
        },
        (*LOCAL, *THINK, "teach.think.max_tokens=400"),
        "pairs are longer than the model's context of 256 tokens",
        "sft",
    ),
}
SLOW = {
    "a prompt of RL over the context": Case(
        {"p.jsonl": lines(*({"prompt": f"{'1+' * 120}{n}=?", "answer": "1"} for n in range(40)))},
        ("problems.rl_source={kind='local', path='{folder}/p.jsonl'}",),
        "prompts are too long for the model: the longest has ",
        "rl",
    ),
    "too few problems for a step": Case(
        {"p.jsonl": lines(*({"prompt": f"21+{n}=?", "answer": "1"} for n in range(10, 13)))},
        ("problems.rl_source={kind='local', path='{folder}/p.jsonl'}",),
        "3 problems in split `rl`, fewer than rl.prompts_per_step=8",
        "rl",
    ),
    "a prompt of a benchmark over the context": Case(
        {"p.jsonl": lines(*({"prompt": f"{'1+' * 120}{n}=?", "answer": "1"} for n in range(3)))},
        ("problems.benchmarks={mine={kind='local', path='{folder}/p.jsonl'}}",),
        "prompts are too long for the model: the longest has ",
        "evaluate",
    ),
}


def failures(home: Path, case: Case, folder: Path, thinkless_here: Thinkless) -> tuple[str, str]:
    """What the run says, and all that the doctor says is wrong."""
    for name, content in case.files.items():
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = [setting.replace("{folder}", str(folder)) for setting in case.settings]
    small = [one for one in SMALL if not any(s.startswith(one.partition(".num")[0] + "=") for s in settings)]
    if any(s.startswith("base.model=") for s in settings):
        small = [one for one in small if not one.startswith("base.model.")]
    if any(s.startswith("problems.benchmarks=") for s in settings):
        small = [one for one in small if not one.startswith("problems.benchmarks.")]
    with pytest.raises(ThinklessError) as caught:
        run_pipeline(home, *settings, small=small, until=case.until)
    answer = thinkless_here(home, "doctor", *(word for o in (*small, *settings) for word in ("--set", o)))
    assert answer.code == 2, answer.out
    return str(caught.value), answer.out


@pytest.mark.parametrize("name", CASES)
def test_the_doctor_says_what_the_run_would_say(
    name: str, shared_home: Path, tmp_path: Path, thinkless_here: Thinkless
) -> None:
    case = CASES[name]
    run, doctor = failures(shared_home, case, tmp_path, thinkless_here)
    said = case.said.replace("{folder}", str(tmp_path)).replace("{{", "{")
    assert said in run
    assert run in doctor


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_the_doctor_says_what_only_training_would_meet(
    name: str, shared_home: Path, tmp_path: Path, thinkless_here: Thinkless
) -> None:
    case = SLOW[name]
    run, doctor = failures(shared_home, case, tmp_path, thinkless_here)
    assert case.said in run
    assert run in doctor


OF_CONFIGURATIONS = [(arguments, said) for arguments, said in WRONG_RUNS if set(arguments) & {"--set", "--profile"}]


@pytest.mark.parametrize(("arguments", "said"), OF_CONFIGURATIONS, ids=[" ".join(a) for a, _ in OF_CONFIGURATIONS])
def test_a_bad_configuration_is_refused_by_both_in_the_same_words(
    arguments: list[str], said: str, thinkless_here: Thinkless, tmp_path: Path
) -> None:
    run = thinkless_here(tmp_path / "home", "run", *arguments)
    doctor = thinkless_here(tmp_path / "home", "doctor", *arguments)
    assert (run.code, doctor.code) == (2, 2)
    assert said in run.err
    assert doctor.err == run.err


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all cases: what is the same in them is built once."""
    return tmp_path_factory.mktemp("doctor") / "home"
