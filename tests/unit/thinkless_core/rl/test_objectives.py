"""Every objective against its oracle and by hand, and what the configuration says about them."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
import torch

from schemas.configs.loading import load_config
from schemas.configs.objective import ALIASES, OBJECTIVES, unread_fields
from schemas.configs.rl import RlConfig
from schemas.errors import ConfigError
from schemas.mode import Mode
from tests.invariants import objective_checks
from tests.invariants.objective_checks import float64_by_default, groups_of
from tests.specimens import rl_config
from thinkless_core.grading.fake_short import is_fake_short
from thinkless_core.rl import mode_assignment
from thinkless_core.rl.mode_assignment import AssignedMode
from thinkless_core.rl.objectives import ada_grpo, adaptthink, hgpo, registry
from thinkless_core.rl.policy_loss import StepCounts
from thinkless_core.rl.rewards import Verdict
from thinkless_core.rl.schedules import settings_at


def module_of(name: str) -> ModuleType:
    """The file of an objective."""
    return importlib.import_module(f"thinkless_core.rl.objectives.{name.replace('-', '_')}")


def test_every_name_of_the_configuration_has_one_file_and_one_objective() -> None:
    assert tuple(registry.OBJECTIVES) == OBJECTIVES
    for name, objective in registry.OBJECTIVES.items():
        assert objective is objective_checks.objective_of(module_of(name))
        assert objective.name == name


@pytest.mark.parametrize("name", OBJECTIVES)
def test_token_weights_equal_the_oracle_however_a_step_is_split(name: str) -> None:
    objective_checks.weights_equal_the_oracle(module_of(name))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_rewards_equal_the_oracle(name: str) -> None:
    objective_checks.rewards_equal_the_oracle(module_of(name))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_advantages_equal_the_oracle(name: str) -> None:
    objective_checks.advantages_equal_the_oracle(module_of(name))


def test_token_weights_are_those_of_the_table() -> None:
    """Two rollouts: a control token and 3 response tokens, a control token and 1; alpha 0.3, limit 10."""
    expected = {
        # 1/(B (T+1)) = 1/(2*4) and 1/(2*2), alpha has no part in it
        "grpo": [[0.125] * 4, [0.25] * 2],
        "ada-grpo": [[0.125] * 4, [0.25] * 2],
        # alpha/B = 0.3/2; 1/(B T) = 1/(2*3) and 1/(2*1)
        "degrpo-paper": [[0.15, 1 / 6, 1 / 6, 1 / 6], [0.15, 0.5]],
        # alpha/B = 0.3/2; 1/sum T = 1/(3+1)
        "degrpo-token": [[0.15, 0.25, 0.25, 0.25], [0.15, 0.25]],
        # 1/(B L) = 1/(2*10)
        "dr_grpo": [[0.05] * 4, [0.05] * 2],
        "adaptthink": [[0.05] * 4, [0.05] * 2],
        "hgpo": [[0.05] * 4, [0.05] * 2],
        # nothing on the control token; 1/sum T
        "length-truncation": [[0.0, 0.25, 0.25, 0.25], [0.0, 0.25]],
    }
    mask_BT = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    with float64_by_default():
        for name in OBJECTIVES:
            weights = registry.OBJECTIVES[name].token_weights(mask_BT, control_weight=0.3, counts=StepCounts(2, 4, 10))
            rows = [row[: len(e)].tolist() for row, e in zip(weights.policy_BT, expected[name], strict=True)]
            assert rows == [pytest.approx(row) for row in expected[name]], name
            # The KL term weighs all tokens it weighs as one mean, whatever the objective.
            assert float(weights.kl_BT.sum()) == pytest.approx(1.0)


def test_a_control_token_alone_has_no_response_term_and_divides_by_nothing() -> None:
    alone = {"degrpo-paper": 0.3, "degrpo-token": 0.3, "grpo": 1.0, "ada-grpo": 1.0, "length-truncation": 0.0}
    for name in OBJECTIVES:
        weights = registry.OBJECTIVES[name].token_weights(
            torch.ones(1, 1, dtype=torch.bool), control_weight=0.3, counts=StepCounts(1, 0, 10)
        )
        assert weights.policy_BT.tolist() == [[pytest.approx(alone.get(name, 0.1))]], name


def test_hgpo_prefers_the_mode_that_is_better_by_more_than_the_margin() -> None:
    objective_checks.hgpo_hand_cases_hold(hgpo)


def test_ada_grpo_pays_what_is_right_and_rare_more_at_first_and_alike_at_last() -> None:
    objective_checks.ada_grpo_hand_cases_hold(ada_grpo)


def test_adaptthink_compares_with_the_reference_and_says_how_modes_were_drawn() -> None:
    objective_checks.adaptthink_hand_cases_hold(adaptthink)


def test_who_chooses_the_modes() -> None:
    free = (None,) * 6
    halves = (Mode.SHORT,) * 3 + (Mode.THINK,) * 3
    expected = dict.fromkeys(OBJECTIVES, (free, {None})) | {
        "adaptthink": (halves, {0.5}),
        "hgpo": (halves, {None}),
        "length-truncation": ((Mode.THINK,) * 6, {None}),
    }
    for name, objective in registry.OBJECTIVES.items():
        assigned = objective.assign_modes(6)
        assert (tuple(choice.mode for choice in assigned), {choice.probability for choice in assigned}) == expected[
            name
        ]


def test_the_importance_weight_makes_half_and_half_equal_the_policys_own_choice() -> None:
    """E_q[ pi_old/q A grad log pi ] = E_pi[ A grad log pi ], summed over both modes instead of sampled."""
    logit = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    advantages = {Mode.SHORT: 0.4, Mode.THINK: -0.9}

    def logprob(mode: Mode) -> torch.Tensor:
        return torch.nn.functional.logsigmoid(logit if mode is Mode.THINK else -logit)

    own = sum(logprob(mode).exp().detach() * advantages[mode] * logprob(mode) for mode in Mode)
    (expected,) = torch.autograd.grad(own, logit)
    assigned = registry.OBJECTIVES["adaptthink"].assign_modes(4)
    forced = sum(
        logprob(choice.mode).exp().detach() / choice.probability * advantages[choice.mode] * logprob(choice.mode)
        for choice in assigned
    ) / len(assigned)
    (actual,) = torch.autograd.grad(forced, logit)
    torch.testing.assert_close(actual, expected)


def test_the_guard_forces_the_end_of_a_free_group_and_leaves_an_assigned_one_alone() -> None:
    forced = mode_assignment.force_rare(mode_assignment.free_choice(5), forced=(Mode.THINK, 2))
    assert forced == (AssignedMode(),) * 3 + (AssignedMode(Mode.THINK),) * 2
    halves = mode_assignment.in_halves(4, probability=0.5)
    assert mode_assignment.force_rare(halves, forced=(Mode.THINK, 2)) == halves


# What the configuration says.


def behaviour(config: RlConfig) -> tuple[Any, ...]:
    """Everything that an objective makes of some fixed rollouts."""
    objective = registry.OBJECTIVES[config.objective]
    settings = settings_at(config, step=2)
    assigned = objective.assign_modes(config.group_size)
    modes = [choice.mode or (Mode.SHORT if i % 2 else Mode.THINK) for i, choice in enumerate(assigned)]
    verdicts = [
        Verdict(
            mode,
            correct=i > 1,
            fake_short=is_fake_short(
                mode, completion_ids=range(10, 18 + i), think_end_id=7, short_max_tokens=config.short_max_tokens
            ),
        )
        for i, mode in enumerate(modes)
    ]
    rewards = [objective.reward(verdict, config=config, settings=settings) for verdict in verdicts]
    groups = groups_of([rewards], [[str(mode) for mode in modes]], reference=[1 / max(config.reference_samples, 1)])
    advantages = objective.advantages(groups, config=config, settings=settings)
    weights = objective.token_weights(
        torch.ones(2, 5, dtype=torch.bool), control_weight=settings.alpha, counts=StepCounts(2, 8, 16)
    )
    return rewards, *(t.tolist() for t in (*advantages, *weights))


CHANGES: dict[str, tuple[object, object]] = {
    "alpha": (0.5, 0.7),
    "gamma": (0.5, 0.3),
    "advantage": ("mean", "mean_std"),
    "short_max_tokens": (9, 16),
    "adaptthink_delta": (0.05, 0.1),
    "hgpo_margin": (0.2, 0.9),
    "reference_samples": (2, 4),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_field_is_said_to_be_unread_exactly_where_it_changes_nothing(name: str) -> None:
    without_effect = set()
    for field, (one, other) in CHANGES.items():
        settings = {key: values[0] for key, values in CHANGES.items()}
        before, after = (
            behaviour(rl_config(objective=name, group_size=8, **(settings | {field: value}))) for value in (one, other)
        )
        if before == after:
            without_effect.add(field)
    assert without_effect == set(unread_fields(name)) - {"guard"}
    assert ("guard" in unread_fields(name)) == (not registry.OBJECTIVES[name].leaves_the_choice())


def test_short_names_are_replaced_before_the_key_is_made() -> None:
    for alias, name in ALIASES.items():
        short, full = rl_config(objective=alias), rl_config(objective=name)
        assert short == full
        assert short.model_dump() == full.model_dump()


BAD = {
    "misspelt": (
        ["rl.objective=adathink"],
        r"rl\.objective: unknown objective 'adathink'; did you mean 'adaptthink'\?",
    ),
    "nothing like any": (["rl.objective=x"], r"unknown objective 'x'; known: ada-grpo, adaptthink, .*token"),
    "adaptthink without reference accuracies": (
        ["rl.objective=adaptthink"],
        r"'adaptthink' needs the accuracy of the warm-up model's thinking, and reference_samples=0 .*; set rl\.ref",
    ),
    "an odd group in halves": (
        ["rl.objective=hgpo", "rl.group_size=7"],
        r"group_size=7 cannot be split .* even number",
    ),
    "halves of one": (["rl.objective=hgpo", "rl.group_size=2"], r"group_size=2 cannot be split .* from 4 on"),
    "alpha of dr_grpo": (
        ["rl.objective=dr_grpo", "rl.alpha=0.1"],
        r"rl\.alpha would have no effect: objective 'dr_grpo' weighs control and response tokens alike",
    ),
    "a margin without hgpo": (["rl.hgpo_margin=0.1"], r"rl\.hgpo_margin would have no effect: objective 'hgpo' alone"),
    "reference samples without adaptthink": (
        ["rl.reference_samples=4"],
        r"rl\.reference_samples would have no effect: objective 'adaptthink' alone reads it",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_an_objective_that_cannot_work_as_configured_is_refused_before_the_run(what: str) -> None:
    overrides, message = BAD[what]
    with pytest.raises(ConfigError, match=message):
        load_config("tiny", overrides=overrides)


def test_each_file_says_where_it_comes_from_and_how_it_differs() -> None:
    for name in OBJECTIVES:
        text = module_of(name).__doc__ or ""
        assert "Source: " in text
        assert "Differs from" in text
