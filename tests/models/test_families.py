"""Gemma 3 and Qwen3 through every stage, at the true size of their vocabularies, on two cores and within 8 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.integration.processes import ROOT, environment
from tests.models.families import FAMILIES, write_family
from thinkless_core.student.limits import KEY, Limit

MOST_GB = 8.0
SETTINGS = (
    "problems.source.num_problems=60",
    "problems.rl_source.num_problems=40",
    "problems.benchmarks.tiny-easy.num_problems=4",
    "problems.benchmarks.tiny-mixed.num_problems=4",
    "problems.benchmarks.tiny-hard.num_problems=4",
    "sft.steps=2",
    "sft.pairs_per_step=16",
    "sft.optimizer.warmup_steps=1",
    "rl.steps=1",
    "rl.prompts_per_step=4",
    "rl.group_size=4",
    "rl.max_new_tokens=32",
    "rl.probe_problems=4",
    "rl.kl_coef=0.01",
    "evaluate.limit=1",
    "evaluate.num_samples=1",
    "evaluate.max_new_tokens=16",
    "report.examples=1",
)
"""Of one micro-batch, all logits would be hundreds of millions of numbers, several times over."""
LORA = ('rl.lora={rank=4, target_modules=["q_proj", "v_proj"]}',)
"""Gemma's embedding is scaled: adapters and rows of control tokens stand beside it in RL."""


@dataclass(frozen=True)
class Outcome:
    """What a run of a family left behind."""

    name: str
    folder: Path
    """The exported policy."""
    peak_gib: float
    said: str


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Base, SFT, RL, evaluation and export of one family, in a process of its own."""
    family, folder = FAMILIES[request.param], tmp_path_factory.mktemp(request.param)
    assert 40_000_000 <= write_family(family, folder / "given") <= 60_000_000
    settings = [*SETTINGS, f"base.model={{kind='pretrained', path='{folder / 'given'}'}}"]
    settings += LORA if request.param == "gemma3" else ()
    finished = subprocess.run(
        [
            sys.executable, "-m", "tests.integration.driver", "--not-small", "--home", str(folder / "home"),
            "--export", str(folder / "export"), "--set", *settings,
        ],
        cwd=ROOT, env=environment(folder / "home"), capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-4000:]
    peak = float(finished.stdout.rpartition("peak memory, GiB:")[2])
    print(f"{request.param}: peak {peak:.2f} GiB")
    return Outcome(request.param, folder / "export", peak, finished.stderr)


@pytest.mark.slow
def test_every_stage_runs_in_less_memory_than_small_machines_have(outcome: Outcome) -> None:
    assert 0.5 < outcome.peak_gib < MOST_GB * 1e9 / 2**30


@pytest.mark.slow
def test_the_export_loads_in_plain_transformers_and_writes_prompts_as_the_family_does(outcome: Outcome) -> None:
    family = FAMILIES[outcome.name]
    model = AutoModelForCausalLM.from_pretrained(outcome.folder)
    tokenizer = AutoTokenizer.from_pretrained(outcome.folder)
    assert type(model.config) is type(family.config())
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    asked = [{"role": "user", "content": "1+2=?"}]
    texts = {
        tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False, **arguments)
        for arguments in ({}, {"enable_thinking": True}, {"enable_thinking": False})
    }
    assert len(texts) == 1, "an argument of the template chose the mode"
    assert texts.pop().endswith(family.answer_opening)
    answer = "<think>one and two</think>3"
    history = [*asked, {"role": "assistant", "content": answer}, *asked]
    assert family.answer_opening + answer in tokenizer.apply_chat_template(history, tokenize=False)
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert bool(model(input_ids=ids).logits.isfinite().all())
    for text in ("<short>", "<think>", "</think>"):
        assert len(tokenizer(text, add_special_tokens=False).input_ids) == 1


@pytest.mark.slow
def test_windows_are_padded_and_that_is_said_once(outcome: Outcome) -> None:
    limits = json.loads((outcome.folder / "config.json").read_text()).get(KEY, {})
    said = (
        "training pads samples instead of packing them, which is slower (5 of its 6 layers see a window of 16 tokens)"
    )
    if outcome.name == "gemma3":
        assert set(limits) == {Limit.PACKING}
        assert outcome.said.count(said) == 1
    else:
        assert limits == {}
        assert "pads samples" not in outcome.said
