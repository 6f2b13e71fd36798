"""Training learns what there is to learn, and nothing where there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from schemas.records.problems import Problem
from tests.specimens import (
    RoutedSampler,
    ScriptedSampler,
    identical,
    make_pairs,
    make_problems,
    make_student,
    objective_table,
    optimizer_config,
    rl_config,
    sft_config,
    weights_of,
)
from thinkless_core.problems.procedural import work_out
from thinkless_core.progress import no_progress
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.sampling.sampler import Sampler, SampleRequest
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.seeding import random_stream
from thinkless_core.training.sft_trainer import train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs

pytestmark = pytest.mark.learning


@pytest.fixture(scope="module")
def warmed_up(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """A student that has seen both modes, and takes either half of the time."""
    model = make_student()
    train_sft(
        model,
        tokenizer=tokenizer,
        pairs=TokenisedPairs.of(make_pairs(64), tokenizer=tokenizer),
        config=sft_config(steps=40, pairs_per_step=16, optimizer=optimizer_config(learning_rate=5e-3)),
        scratch=tmp_path_factory.mktemp("warm-up"),
        progress=no_progress,
    )
    return model


def reinforce(
    start: Qwen2ForCausalLM,
    scratch: Path,
    tokenizer: PreTrainedTokenizerFast,
    *,
    sampler: Sampler | None = None,
    problems: Sequence[Problem] | None = None,
    **changes: object,
) -> Qwen2ForCausalLM:
    """`start` after RL; the sampler is RoutedSampler where none is given."""
    scratch.mkdir(exist_ok=True)
    models = []
    for _ in range(2):
        model = make_student()
        model.load_state_dict(start.state_dict())
        models.append(model)
    settings: dict[str, object] = {
        "steps": 40,
        "prompts_per_step": 16,
        "group_size": 8,
        "objective": objective_table("degrpo-paper", alpha=1.0),
        "optimizer": optimizer_config(learning_rate=3e-3, max_grad_norm=1.0),
    }
    train_rl(
        models[0],
        reference=models[1],
        tokenizer=tokenizer,
        sampler=sampler or RoutedSampler(models[0], tokenizer),
        problems=problems or make_problems(200, mix=(0.65, 0.35), seed=3),
        config=rl_config(**(settings | changes)),
        scratch=scratch,
        progress=no_progress,
    )
    return models[0]


def mean_think_probability(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, *, num_operations: int
) -> float:
    """Mean P(think) over problems that training never saw."""
    mix = [0.0] * (num_operations - 1) + [1.0]
    probabilities = think_probabilities(
        model, [p.prompt for p in make_problems(100, mix=mix, seed=99)], tokenizer=tokenizer
    )
    return sum(probabilities) / len(probabilities)


def test_a_policy_learns_to_route_short_for_easy_and_think_for_hard(
    warmed_up: Qwen2ForCausalLM, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    before = [mean_think_probability(warmed_up, tokenizer, num_operations=n) for n in (1, 2)]
    assert all(0.3 < p < 0.7 for p in before), before
    # With gamma 0.7 and this mix, easy problems pull as hard towards short as the others pull towards think.
    routed = reinforce(warmed_up, tmp_path, tokenizer, gamma=0.7, steps=120)
    easy, hard = (mean_think_probability(routed, tokenizer, num_operations=n) for n in (1, 2))
    assert easy < 0.1
    assert hard > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [objective_table("hgpo", inter_weight=1.0), objective_table("adaptthink", delta=0.6, reference_samples=1)],
    ids=lambda table: table["name"],
)
def test_objectives_that_force_both_modes_learn_to_route_as_well(
    warmed_up: Qwen2ForCausalLM,
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    objective: dict[str, object],
) -> None:
    """Over seeds 0 to 2, hgpo ended at 0.00 / 1.00 and adaptthink at 0.00 / 0.70 to 0.93 (easy / hard)."""
    routed = reinforce(warmed_up, tmp_path, tokenizer, objective=objective, steps=60)
    easy, hard = (mean_think_probability(routed, tokenizer, num_operations=n) for n in (1, 2))
    assert easy < 0.1
    assert hard > 0.5


@pytest.mark.slow
def test_a_mode_that_was_lost_comes_back_under_force_split_where_it_pays_and_not_without(
    warmed_up: Qwen2ForCausalLM, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """A policy that thinks once in ten thousand times, on problems that short answers wrongly: 5120 rollouts in all."""
    lost = make_student()
    lost.load_state_dict(warmed_up.state_dict())
    train_sft(
        lost,
        tokenizer=tokenizer,
        pairs=TokenisedPairs.of(
            [p.model_copy(update={"think_completion": p.short_completion}) for p in make_pairs(64)], tokenizer=tokenizer
        ),
        config=sft_config(steps=160, pairs_per_step=16, optimizer=optimizer_config(learning_rate=5e-3)),
        scratch=tmp_path / "lost",
        progress=no_progress,
    )
    before = mean_think_probability(lost, tokenizer, num_operations=2)
    assert before < 1e-3
    after = {}
    for policy in ("warn", "force_split"):
        guard = {"policy": policy, "window": 2}
        trained = reinforce(
            lost,
            tmp_path / policy,
            tokenizer,
            guard=guard,
            steps=40,
            problems=make_problems(200, mix=(0.0, 1.0), seed=3),
        )
        after[policy] = mean_think_probability(trained, tokenizer, num_operations=2)
    assert after["warn"] < 0.05
    assert after["force_split"] > 0.9


def test_a_constant_reward_teaches_nothing_not_even_by_momentum(
    warmed_up: Qwen2ForCausalLM, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    wrong = ScriptedSampler(tokenizer, lambda prompt, request: f"<{('short', 'think')[request.stream[-1] % 2]}>no")
    for kl_coef in (0.0, 0.1):
        trained = reinforce(warmed_up, tmp_path / f"kl-{kl_coef}", tokenizer, sampler=wrong, kl_coef=kl_coef, steps=3)
        assert identical(weights_of(trained), weights_of(warmed_up))


def test_a_reward_apart_from_the_mode_does_not_route(
    warmed_up: Qwen2ForCausalLM, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """A coin decides what is right: whatever is learned, it is not that easy problems are short and hard ones long."""

    def toss(prompt: str, request: SampleRequest) -> str:
        coin = int(random_stream("coin", *request.stream).integers(2))
        working = work_out(prompt)
        return f"<think>x</think>{working.answer if coin else 'no'}"

    trained = reinforce(warmed_up, tmp_path, tokenizer, sampler=ScriptedSampler(tokenizer, toss), steps=10)
    easy, hard = (mean_think_probability(trained, tokenizer, num_operations=n) for n in (1, 2))
    assert abs(hard - easy) < 0.2


def test_a_strong_kl_keeps_the_policy_by_its_reference(
    warmed_up: Qwen2ForCausalLM, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    held = reinforce(warmed_up, tmp_path, tokenizer, kl_coef=30.0, steps=20)
    easy, hard = (mean_think_probability(held, tokenizer, num_operations=n) for n in (1, 2))
    assert 0.3 < easy < 0.7
    assert 0.3 < hard < 0.7


@pytest.mark.slow
def test_sft_overfits_64_pairs(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_student(seed=1)
    log = train_sft(
        model,
        tokenizer=tokenizer,
        pairs=TokenisedPairs.of(make_pairs(64), tokenizer=tokenizer),
        config=sft_config(
            steps=400,
            pairs_per_step=32,
            optimizer=optimizer_config(learning_rate=5e-3, warmup_steps=10, decay_fraction=0.5, max_grad_norm=1.0),
        ),
        scratch=tmp_path,
        progress=no_progress,
    )
    losses = [m.value for m in log if m.name == "loss"]
    # ln(104) = 4.64 at the start. In the end all is known by heart but the mode, which nothing predicts: ln(2) per
    # completion, 2 completions and 14.5 tokens per pair on average, is 0.095.
    assert losses[0] > 4
    assert 0.08 < losses[-1] < 0.13
