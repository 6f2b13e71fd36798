"""`thinkless doctor` as a user calls it: without a network, with a small Hub, and what it prints."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.closed_address import closed_address
from tests.hub_server import hub_server
from tests.integration.processes import Said
from tests.real_data import real_data

Thinkless = Callable[..., Said]


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The Hub's client with an empty cache, and a Hub that is not there."""
    return {"HF_HOME": str(tmp_path_factory.mktemp("hf")), "HF_ENDPOINT": closed_address(), "HF_HUB_OFFLINE": ""}


def failures(answer: Said) -> list[str]:
    """Names of what is missing."""
    return re.findall(r"^FAIL  (\S+)", answer.out, flags=re.MULTILINE)


@pytest.mark.slow
def test_the_paper_without_network_lists_each_missing_thing_once(
    thinkless: Thinkless, tmp_path: Path, apart: dict[str, str]
) -> None:
    began = time.monotonic()
    answer = thinkless(tmp_path / "home", "doctor", "--profile", "paper", **apart)
    assert time.monotonic() - began < 120, "a client that tries again and again takes many minutes"
    assert answer.code == 2, answer.err
    missing = failures(answer)
    assert len(missing) == len(set(missing))
    assert "Hub" in missing
    for name in (
        "model deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B (base.model)",
        "model Qwen/Qwen2.5-Math-1.5B-Instruct (teach.short)",
        "data set open-thoughts/OpenThoughts2-1M (source, teach.think)",
        "data set agentica-org/DeepScaleR-Preview-Dataset (rl_source)",
        "data set HuggingFaceH4/aime_2024 (aime24)",
        "data set EleutherAI/hendrycks_math (minerva_algebra)",
        "data set HuggingFaceH4/MATH-500 (math500)",
        "data set openai/gsm8k (gsm8k)",
    ):
        assert answer.out.count(name) == 1, answer.out
    assert answer.out.count("cannot be reached") == 1
    for heading in ("memory at the worst moment of a stage", "work on"):
        assert heading in answer.out
    assert "things would stop this run" in answer.out.splitlines()[-1]
    assert "Traceback" not in answer.err


@pytest.mark.slow
def test_copies_take_the_place_of_the_network(thinkless: Thinkless, tmp_path: Path, apart: dict[str, str]) -> None:
    folder = real_data("gsm8k_train.jsonl").parent
    answer = thinkless(tmp_path / "home", "doctor", "--profile", "one_gpu", "--data", str(folder), **apart)
    assert "data set open-r1/OpenR1-Math-220k (source, teach.think)" in answer.out
    for have in ("openai/gsm8k", "HuggingFaceH4", "hendrycks_math"):
        assert have not in answer.out
    assert re.search(r"^ok    rl_source +.*gsm8k_train\.jsonl, line 1: ", answer.out, flags=re.MULTILINE)


@pytest.mark.slow
def test_a_hub_that_answers_gives_the_first_rows_and_its_refusals(
    thinkless: Thinkless, tmp_path: Path, apart: dict[str, str]
) -> None:
    with hub_server() as address:
        answer = thinkless(
            tmp_path / "home", "doctor",
            "--set", 'problems.source={kind="hub", id="o/sums", config_name="easy", prompt_field="problem"}',
            "--set", 'problems.benchmarks={}',
            "--set", 'problems.benchmarks.good={kind="hub", id="o/sums", config_name="hard", prompt_field="problem"}',
            "--set", 'problems.benchmarks.misspelt={kind="hub", id="o/sums", config_name="hard"}',
            "--set", 'problems.benchmarks.closed={kind="hub", id="o/gated"}',
            **{**apart, "HF_ENDPOINT": address},
        )  # fmt: skip
    assert answer.code == 2, answer.err
    assert failures(answer) == ["misspelt", "closed"], answer.out
    assert "'easy train 0' -> '0'" in answer.out
    assert "'hard train 0' -> '0'" in answer.out
    assert "is gated; accept its terms" in answer.out


def test_limit_is_a_quick_look_at_every_benchmark(thinkless: Thinkless, tmp_path: Path) -> None:
    refused = thinkless(tmp_path / "home", "run", "--limit", "0")
    assert refused.code == 2
    assert "evaluate.limit: Input should be greater than or equal to 1, got 0" in refused.err
    done = thinkless(tmp_path / "home", "run", "--limit", "6", "--until", "base", "--no-prefect")
    assert done.code == 0, done.err
    query = "select config::json->'evaluate'->>'limit' as evaluated from runs"
    assert thinkless(tmp_path / "home", "sql", query, "--format", "csv").out.split() == ["evaluated", "6"]
