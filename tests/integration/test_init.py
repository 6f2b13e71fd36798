"""`thinkless init`: answers by flags and on a terminal; what it writes loads, and the doctor accepts it."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import Qwen3Config

from schemas.configs.loading import load_config
from tests.integration.processes import ROOT, Said, environment
from tests.models.families import FAMILIES, write_family

Thinkless = Callable[..., Said]


def flags(**answers: str) -> list[str]:
    """A command line's answers; those that a test does not name are from GSM8K on a CPU."""
    known = {"model": "owner/model", "problems": "gsm8k", "long_answers": "gsm8k", "machine": "cpu",
             "benchmark": "gsm8k"} | answers  # fmt: skip
    return [word for name, answer in known.items() for word in (f"--{name.replace('_', '-')}", answer) if answer]


@pytest.mark.parametrize(
    ("answers", "kinds"),
    [
        ({}, ("preset", "worked_solutions", "recorded", "preset")),
        ({"long_answers": "self", "machine": "gpu"}, ("preset", "transformers", "transformers", "preset")),
        ({"long_answers": "openr1_math"}, ("preset", "recorded", "transformers", "preset")),
        ({"long_answers": "http://localhost:8000/v1 big"}, ("preset", "openai", "openai", "preset")),
        ({"problems": "owner/data", "long_answers": "self"}, ("hub", "transformers", "transformers", "preset")),
        ({"problems": "gym:graded", "long_answers": "gym", "benchmark": "gym:graded"}, ("gym", "gym", "gym", "gym")),
    ],
)
def test_what_is_written_loads_and_every_key_has_its_meaning(
    answers: dict[str, str], kinds: tuple[str, ...], thinkless_here: Thinkless, tmp_path: Path
) -> None:
    path = tmp_path / "my.toml"
    answer = thinkless_here(tmp_path, "init", str(path), *flags(**answers))
    assert answer.code == 0, answer.err
    assert answer.out.endswith(f"thinkless run --profile {path} --dry-run; thinkless run --profile {path}\n")
    config = load_config(str(path))
    problems, teach = config.problems, config.teach
    chosen = (problems.source, teach.think.teacher, teach.short.teacher, problems.benchmarks["held_out"])
    assert tuple(one.model_dump()["kind"] for one in chosen) == kinds
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    assert len(keys) > 30
    assert all(re.match(r"# \S", lines[number - 1]) for number in keys)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"problems": "absent.jsonl"}, "problems 'absent.jsonl': no such file"),
        ({"long_answers": "absent.jsonl"}, "long answers 'absent.jsonl': no such file"),
        ({"long_answers": "http://localhost:8000/v1"}, "no model is named"),
        ({"model": "package:absent_here"}, "names the Python package 'absent_here', which is not installed"),
        ({"model": "package:json", "long_answers": "self"}, "cannot be its own teacher"),
        ({"benchmark": ""}, "--benchmark is missing"),
    ],
)
def test_an_answer_that_names_nothing_is_refused_and_nothing_is_written(
    answers: dict[str, str], said: str, thinkless_here: Thinkless, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        answer = thinkless_here(tmp_path, "init", str(tmp_path / "my.toml"), *flags(**answers))
    assert answer.code == 2
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten(thinkless_here: Thinkless, tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("mine", encoding="utf-8")
    answer = thinkless_here(tmp_path, "init", str(path), *flags())
    assert (answer.code, path.read_text(encoding="utf-8")) == (2, "mine")
    assert "exists and is not overwritten" in answer.err


def test_on_a_terminal_questions_are_asked(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"owner/model\ngsm8k\ngsm8k\ncpu\n")
    finished = subprocess.run(
        [sys.executable, "-m", "flows.cli", "init", str(tmp_path / "my.toml"), "--benchmark", "math500"],
        stdin=theirs, capture_output=True, text=True, cwd=ROOT, env=environment(tmp_path), timeout=120,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("?") == 4
    assert load_config(str(tmp_path / "my.toml")).problems.benchmarks["held_out"].display_name() == "math500"


def test_the_doctor_accepts_a_small_model_with_files_of_problems(thinkless_here: Thinkless, tmp_path: Path) -> None:
    small = dataclasses.replace(FAMILIES["qwen3"], num_tokens=300, config=small_qwen3)
    write_family(small, tmp_path / "model")
    for name, start in (("train", 0), ("held_out", 700)):
        rows = [{"question": f"What is {n} plus {n + 1}?", "answer": str(2 * n + 1)} for n in range(start, start + 700)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    profile = tmp_path / "my.toml"
    files = {"problems": str(tmp_path / "train.jsonl"), "benchmark": str(tmp_path / "held_out.jsonl")}
    made = thinkless_here(
        tmp_path, "init", str(profile), *flags(model=str(tmp_path / "model"), long_answers="self", **files)
    )
    assert made.code == 0, made.err
    answer = thinkless_here(tmp_path / "home", "doctor", "--profile", str(profile))
    assert answer.code == 0, answer.out
    assert answer.out.endswith("nothing is missing\n")


def small_qwen3() -> Qwen3Config:
    """Two narrow layers, 300 tokens, a context that the long answers fit into."""
    return Qwen3Config(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=2048, tie_word_embeddings=True,
    )  # fmt: skip
