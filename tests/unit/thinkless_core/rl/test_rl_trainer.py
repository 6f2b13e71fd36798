"""The loop of all objectives: who is forced, what is learned, what is logged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from schemas.mode import Mode
from schemas.records.rollouts import RolloutRecord
from tests.oracles.objectives import NAMES
from tests.specimens import (
    ScriptedSampler,
    identical,
    make_problems,
    make_student,
    mixed_script,
    objective_table,
    optimizer_config,
    rl_config,
    weights_of,
)
from thinkless_core.progress import no_progress
from thinkless_core.rl.reference_accuracy import measure_reference_accuracy, visited_problems
from thinkless_core.rl.rl_logs import RlLogs
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.training.acceleration import training_accelerator


class Watched:
    """A scripted sampler that remembers what it was asked."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._sampler = ScriptedSampler(tokenizer, mixed_script)
        self.requests: list[list[SampleRequest]] = []
        self.limits: list[int] = []
        self.temperatures: list[float] = []

    def sample(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float = 1.0
    ) -> list[SampledCompletion]:
        self.requests.append(list(requests))
        self.limits.append(max_new_tokens)
        self.temperatures.append(temperature)
        return self._sampler.sample(requests, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p)


def train(
    scratch: Path, tokenizer: PreTrainedTokenizerFast, **changes: Any
) -> tuple[RlLogs, Watched, dict[str, torch.Tensor]]:
    """Three steps on a fresh student; logs, what was sampled, and the weights after."""
    model, sampler = make_student(), Watched(tokenizer)
    settings: dict[str, Any] = {
        "steps": 3,
        "optimizer": optimizer_config(learning_rate=1e-3, max_grad_norm=1.0),
    }
    logs = train_rl(
        model,
        reference=make_student(),
        tokenizer=tokenizer,
        sampler=sampler,
        problems=make_problems(20),
        config=rl_config(**(settings | changes)),
        scratch=scratch,
        progress=no_progress,
    )
    return logs, sampler, weights_of(model)


def of_group(rollouts: list[RolloutRecord]) -> list[RolloutRecord]:
    """The first group of the first step."""
    return rollouts[:4]


@pytest.mark.parametrize("objective", NAMES)
def test_every_objective_trains_with_the_modes_it_assigns(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, objective: str
) -> None:
    table = objective_table(objective, **({"reference_samples": 2} if objective == "adaptthink" else {}))
    logs, sampler, weights = train(tmp_path, tokenizer, objective=table)
    rollouts = list(logs.rollouts)
    assert len(rollouts) == 3 * 4 * 4
    modes = {"adaptthink": "sstt", "hgpo": "sstt", "length-truncation": "tttt"}.get(objective)
    assert {r.forced for r in rollouts} == {modes is not None}
    if modes is not None:
        for start in range(0, len(rollouts), 4):
            assert "".join(str(r.mode)[0] for r in rollouts[start : start + 4]) == modes
    before = weights_of(make_student())
    assert not any((weights[name] == before[name]).all() for name in before if "norm" not in name)
    # Reference answers come first, all of them thinking, and only where they are needed.
    measured = [r for call in sampler.requests for r in call if r.stream[0] == "reference"]
    assert len(measured) == (2 * 12 if objective == "adaptthink" else 0), "2 samples of 12 visited problems"
    assert {r.forced_id for r in measured} <= {tokenizer.convert_tokens_to_ids(Mode.THINK.token)}


def test_objectives_differ_in_what_they_learn_from_the_same_rollouts(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Those that leave the choice to the policy see the same scripted rollouts at their first step."""
    free = [name for name in NAMES if name not in ("adaptthink", "hgpo", "length-truncation")]
    after = {name: train(tmp_path / name, tokenizer, objective=name, steps=2, group_size=8)[2] for name in free}
    names = list(after)
    assert not any(identical(after[a], after[b]) for i, a in enumerate(names) for b in names[i + 1 :])


def test_generated_tokens_add_up_and_count_reference_answers(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    for objective in ("grpo", "adaptthink"):
        scratch = tmp_path / objective
        logs, _, _ = train(scratch, tokenizer, objective=objective)
        spent = 0
        if objective == "adaptthink":
            measured = measure_reference_accuracy(  # all there: nothing is sampled
                None,  # type: ignore[arg-type]
                visited_problems(make_problems(20), config=rl_config(steps=3)),
                num_samples=1,
                tokenizer=tokenizer,
                config=rl_config(steps=3),
                accelerator=training_accelerator(),
                scratch=scratch,
                progress=no_progress,
            )
            spent = measured.num_tokens
            assert spent > 0
        for step in (1, 2, 3):
            spent += sum(r.num_tokens for r in logs.rollouts if r.step == step)
            (value,) = [m.value for m in logs.metrics if m.name == "generated_tokens" and m.step == step]
            assert value == spent


def test_a_schedule_reaches_the_sampler_and_the_loss(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    logs, sampler, _ = train(
        tmp_path,
        tokenizer,
        max_new_tokens={"kind": "linear", "start": 16, "end": 8},
        temperature={"kind": "piecewise", "points": [[1, 1.0], [2, 0.5]]},
        objective=objective_table("degrpo-paper", alpha={"kind": "linear", "start": 1.0, "end": 0.5}),
        kl_coef={"kind": "piecewise", "points": [[2, 0.0], [3, 0.5]]},
    )
    assert sampler.limits == [16, 12, 8]
    assert sampler.temperatures == [1.0, 0.5, 0.5]
    metrics = {(m.name, m.step): m.value for m in logs.metrics}
    assert [metrics["schedule/alpha", step] for step in (1, 2, 3)] == [1.0, 0.75, 0.5]
    # The reference is asked at the one step where KL counts.
    assert [metrics["kl", step] > 0 for step in (1, 2, 3)] == [False, False, True]


def test_the_control_loss_follows_alpha_and_the_reward_follows_gamma(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """At the first step ratio is 1 whatever alpha: the control loss is proportional to it."""
    losses, rewards = [], []
    for alpha, gamma in ((0.5, 0.5), (1.0, 0.5), (0.5, 0.25)):
        objective = objective_table("degrpo-paper", alpha={"kind": "linear", "start": alpha, "end": 0.1})
        logs, _, _ = train(tmp_path / f"{alpha}-{gamma}", tokenizer, objective=objective, gamma=gamma)
        metrics = {m.name: m.value for m in logs.metrics if m.step == 1}
        losses.append(metrics["control_loss"])
        rewards.append(metrics["reward_mean"])
    assert losses[1] == pytest.approx(2 * losses[0])
    assert rewards[2] > rewards[0] == rewards[1]


def test_forced_rollouts_of_the_guard_are_learned_as_if_chosen(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Nothing is corrected: a forced rare token moves the policy like a sampled one would."""
    model = make_student(bias={tokenizer.convert_tokens_to_ids(Mode.SHORT.token): 30.0})
    logs = train_rl(
        model,
        reference=make_student(),
        tokenizer=tokenizer,
        sampler=TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id),
        problems=make_problems(20),
        config=rl_config(
            steps=4,
            max_new_tokens=6,
            guard={"policy": "force_split", "window": 1, "forced_per_group": 1, "max_forced_steps": 9},
            optimizer=optimizer_config(learning_rate=1e-9),
        ),
        scratch=tmp_path,
        progress=no_progress,
    )
    assert [(e.step, e.action, e.rare_mode) for e in logs.guard_events] == [(1, "force", Mode.THINK)]
    by_step = {step: [r for r in logs.rollouts if r.step == step] for step in (1, 2, 3, 4)}
    assert not any(r.forced for r in by_step[1])
    for step in (2, 3, 4):
        assert [r.forced for r in by_step[step]] == [False, False, False, True] * 4
        assert {r.mode for r in by_step[step] if r.forced} == {Mode.THINK}
    metrics = {(m.name, m.step): m.value for m in logs.metrics}
    assert metrics["free_think_count", 2] == 0
    assert metrics["think_count", 2] == 4


def test_only_problems_that_the_run_visits_are_measured() -> None:
    problems = make_problems(30)
    visited = visited_problems(problems, config=rl_config(steps=3, prompts_per_step=4))
    assert len(visited) == 12
    assert len(visited_problems(problems, config=rl_config(steps=99, prompts_per_step=4))) == 30
