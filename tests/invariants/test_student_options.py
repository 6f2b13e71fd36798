"""Adapters, mixed precision, gradient checkpointing in whole trainings: they learn, and resume to the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from safetensors import safe_open
from torch import Tensor

from schemas.configs.rl import RlConfig
from schemas.configs.sft import SftConfig
from schemas.configs.training import LoraConfig
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from tests.specimens import (
    ScriptedSampler,
    identical,
    make_pairs,
    make_problems,
    make_student,
    mixed_script,
    optimizer_config,
    rl_config,
    sft_config,
    weights_of,
)
from thinkless_core.progress import Progress, no_progress
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.sampling.sampling_copy import SamplingCopy
from thinkless_core.student.model_files import load_model, save_folder
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.precision import frozen_for, merge_student, prepare_student
from thinkless_core.training.sft_trainer import train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs

LORA = LoraConfig(rank=8, alpha=16, dropout=0.1)
OPTIONS: dict[str, dict[str, object]] = {
    "lora": {"lora": LORA},
    "mixed": {"precision": "mixed"},
    "all": {"lora": LORA, "precision": "mixed", "gradient_checkpointing": True},
}
ONE_BY_ONE = [option if option == "all" else pytest.param(option, marks=pytest.mark.slow) for option in OPTIONS]
MOVING = optimizer_config(learning_rate=1e-2, warmup_steps=2)


class CrashError(RuntimeError):
    """What a crash looks like from inside."""


def crash_at(step: int | None) -> Progress:
    """Progress that crashes once `step` is done; None never does."""

    def progress(done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        if done == step:
            raise CrashError

    return progress


def values(log: Sequence[Metric], name: str) -> list[float]:
    return [metric.value for metric in log if metric.name == name]


def run_sft(
    scratch: Path, pairs: Sequence[Pair], config: SftConfig, *, crash: int | None = None
) -> tuple[dict[str, Tensor], list[Metric]]:
    """The merged weights and the metrics of one launch."""
    model, tokenizer = make_student(), tiny_tokenizer()
    prepare_student(model, config, tokenizer=tokenizer)
    tokens = TokenisedPairs.of(pairs, tokenizer=tokenizer)
    log = train_sft(model, tokenizer=tokenizer, pairs=tokens, config=config, scratch=scratch, progress=crash_at(crash))
    merge_student(model)
    return weights_of(model), list(log)


def run_rl(
    scratch: Path,
    problems: Sequence[Problem],
    config: RlConfig,
    *,
    crash: int | None = None,
    own_reference: bool = False,
) -> tuple[dict[str, Tensor], list[Metric]]:
    """The same for RL, on scripted completions; adapters serve as their own reference, unless there is an own one."""
    policy, tokenizer = make_student(), tiny_tokenizer()
    prepare_student(policy, config, tokenizer=tokenizer)
    adapted = config.lora is not None and not own_reference
    logs = train_rl(
        policy,
        reference=policy if adapted else make_student(),
        tokenizer=tokenizer,
        sampler=ScriptedSampler(tokenizer, mixed_script),
        problems=problems,
        config=config,
        scratch=scratch,
        progress=crash_at(crash),
    )
    merge_student(policy)
    return weights_of(policy), list(logs.metrics)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return make_pairs(10, validation_share=0.2)


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return make_problems(8)


def sft_with(option: str) -> SftConfig:
    return sft_config(steps=12, checkpoint_every=5, optimizer=MOVING, **OPTIONS[option])


def rl_with(option: str) -> RlConfig:
    return rl_config(steps=4, checkpoint_every=2, kl_coef=0.1, updates_per_step=2, optimizer=MOVING, **OPTIONS[option])


@pytest.mark.parametrize("option", ONE_BY_ONE)
def test_sft_learns_and_resumes_to_the_same_bits(tmp_path: Path, pairs: list[Pair], option: str) -> None:
    config = sft_with(option)
    weights, log = run_sft(tmp_path / "whole", pairs, config)
    # Adapters beside random weights learn little: there is nothing to adapt.
    assert values(log, "loss")[-1] < 0.9 * values(log, "loss")[0]
    with pytest.raises(CrashError):
        run_sft(tmp_path / "broken", pairs, config, crash=7)
    resumed, resumed_log = run_sft(tmp_path / "broken", pairs, config)
    assert resumed_log == log
    assert identical(resumed, weights)


@pytest.mark.parametrize("option", ONE_BY_ONE)
def test_rl_moves_away_from_its_reference_and_resumes_to_the_same_bits(
    tmp_path: Path, problems: list[Problem], option: str
) -> None:
    config = rl_with(option)
    weights, log = run_rl(tmp_path / "whole", problems, config)
    assert not identical(weights, weights_of(make_student()))
    assert values(log, "kl")[-1] > 0
    with pytest.raises(CrashError):
        run_rl(tmp_path / "broken", problems, config, crash=3)
    resumed, resumed_log = run_rl(tmp_path / "broken", problems, config)
    assert resumed_log == log
    assert identical(resumed, weights)


@pytest.mark.parametrize("option", [pytest.param("lora", marks=pytest.mark.slow), "all"])
def test_adapters_switched_off_are_the_same_reference_as_a_second_model(
    tmp_path: Path, problems: list[Problem], option: str
) -> None:
    own, second = (
        run_rl(tmp_path / str(own_reference), problems, rl_with(option), own_reference=own_reference)
        for own_reference in (False, True)
    )
    assert own[1] == second[1]
    assert identical(own[0], second[0])


def test_the_policy_agrees_with_a_rounded_reference_before_it_moves(tmp_path: Path, problems: list[Problem]) -> None:
    config = rl_with("mixed").model_copy(update={"steps": 1, "updates_per_step": 1})
    assert values(run_rl(tmp_path, problems, config)[1], "kl") == [0.0]


def test_gradient_checkpointing_changes_no_bit_of_a_training(tmp_path: Path, pairs: list[Pair]) -> None:
    plain, checkpointed = (
        run_sft(tmp_path / str(on), pairs, sft_config(steps=3, optimizer=MOVING, gradient_checkpointing=on))
        for on in (False, True)
    )
    assert plain[1] == checkpointed[1]
    assert identical(plain[0], checkpointed[0])


def test_checkpoints_hold_what_is_trained_and_nothing_else(tmp_path: Path, pairs: list[Pair]) -> None:
    run_sft(tmp_path, pairs, sft_with("lora"))
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    with safe_open(checkpoint / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert names
    assert all(".lora_" in name or name == "model.embed_tokens.control_rows" for name in names)


@pytest.mark.slow
def test_rl_goes_on_from_plain_weights_that_adapters_were_merged_into(
    tmp_path: Path, pairs: list[Pair], problems: list[Problem]
) -> None:
    model, tokenizer = make_student(), tiny_tokenizer()
    config = sft_with("all")
    prepare_student(model, config, tokenizer=tokenizer)
    tokens = TokenisedPairs.of(pairs, tokenizer=tokenizer)
    train_sft(model, tokenizer=tokenizer, pairs=tokens, config=config, scratch=tmp_path, progress=no_progress)
    merge_student(model)
    save_folder(model, tokenizer, tmp_path / "model")
    warm_up = load_model(tmp_path / "model")
    assert identical(weights_of(warm_up), weights_of(model))
    settings = rl_with("all")
    prepare_student(warm_up, settings, tokenizer=tokenizer)
    logs = train_rl(
        warm_up,
        reference=warm_up,
        tokenizer=tokenizer,
        sampler=SamplingCopy(warm_up, tokenizer.pad_token_id, tokenizer.eos_token_id),
        problems=problems,
        config=settings,
        scratch=tmp_path / "rl",
        progress=no_progress,
    )
    assert values(list(logs.metrics), "loss")


def test_a_second_frozen_reference_is_left_as_it_was(problems: list[Problem], tmp_path: Path) -> None:
    reference, policy, tokenizer = make_student(), make_student(), tiny_tokenizer()
    config = rl_with("mixed")
    train_rl(
        policy,
        reference=reference,
        tokenizer=tokenizer,
        sampler=SamplingCopy(policy, tokenizer.pad_token_id, tokenizer.eos_token_id),
        problems=problems,
        config=config,
        scratch=tmp_path,
        progress=no_progress,
    )
    assert identical(weights_of(reference), weights_of(frozen_for("mixed", make_student())))
