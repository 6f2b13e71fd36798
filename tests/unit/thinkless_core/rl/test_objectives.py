"""Every objective against its oracle and by hand, and what the configuration says about them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from schemas.configs.loading import load_config
from schemas.configs.objective import ObjectiveConfig, choose_objective
from schemas.configs.reward import RewardConfig
from schemas.configs.rl import RlConfig
from schemas.errors import ConfigError
from schemas.kinds import find_kind, kind_names
from schemas.mode import Mode
from tests.invariants import objective_checks
from tests.invariants.objective_checks import float64_by_default, groups_of
from tests.oracles.objectives import NAMES, REWARDS
from tests.specimens import make_judged, make_objective, objective_table, rl_config
from thinkless_core.grading.fake_short import is_fake_short
from thinkless_core.rl import mode_assignment
from thinkless_core.rl.mode_assignment import AssignedMode
from thinkless_core.rl.objectives import ada_grpo, adaptthink, hgpo
from thinkless_core.rl.objectives.objective import Denominators
from thinkless_core.rl.rewards import Thinkless
from thinkless_core.rl.schedules import settings_at

ALIASES = {"paper": "degrpo-paper", "token": "degrpo-token"}


def module_of(name: str) -> ModuleType:
    """The file of an objective."""
    return importlib.import_module(f"thinkless_core.rl.objectives.{name.replace('-', '_')}")


def test_every_name_stands_for_one_objective_in_one_file() -> None:
    assert set(kind_names(ObjectiveConfig)) == {*NAMES, *ALIASES}
    for name in NAMES:
        made = make_objective(name)
        assert made.name == name
        assert type(made).__module__ == module_of(name).__name__
    for alias, name in ALIASES.items():
        assert find_kind(ObjectiveConfig, alias) is find_kind(ObjectiveConfig, name)


def test_every_objective_has_the_reward_of_its_paper() -> None:
    assert {name: make_objective(name).default_reward().name for name in NAMES} == REWARDS
    assert set(kind_names(RewardConfig)) == set(REWARDS.values())


def test_a_configuration_with_any_objective_and_reward_loads_without_torch() -> None:
    script = """
import sys
from schemas.configs.loading import known_keys, load_config
for name in sys.argv[1:]:
    more = ["rl.objective.reference_samples=1"] if name == "adaptthink" else []
    config = load_config("tiny", overrides=[f"rl.objective={name}", *more])
    config.rl.chosen_reward().build()
assert "rl.objective.margin" in dict(known_keys())
print(sorted({"torch", "transformers", "accelerate"} & set(sys.modules)))
"""
    finished = subprocess.run([sys.executable, "-c", script, *NAMES], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout.strip()) == (0, "[]"), finished.stderr


@pytest.mark.parametrize("name", NAMES)
def test_token_weights_equal_the_oracle_however_a_step_is_split(name: str) -> None:
    objective_checks.weights_equal_the_oracle(module_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_advantages_equal_the_oracle(name: str) -> None:
    objective_checks.advantages_equal_the_oracle(module_of(name))


STEP = settings_at(rl_config(), step=1)


def weighing(name: str) -> Any:
    """An objective with alpha 0.3, if it has one."""
    return make_objective(name, **({"alpha": 0.3} if name.startswith("degrpo") else {}))


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
        for name in NAMES:
            weights = weighing(name).token_weights(mask_BT, over=Denominators(2, 4, 10), step=STEP)
            rows = [row[: len(e)].tolist() for row, e in zip(weights.policy_BT, expected[name], strict=True)]
            assert rows == [pytest.approx(row) for row in expected[name]], name
            # The KL term weighs all tokens it weighs as one mean, whatever the objective.
            assert float(weights.kl_BT.sum()) == pytest.approx(1.0)


def test_a_control_token_alone_has_no_response_term_and_divides_by_nothing() -> None:
    alone = {"degrpo-paper": 0.3, "degrpo-token": 0.3, "grpo": 1.0, "ada-grpo": 1.0, "length-truncation": 0.0}
    for name in NAMES:
        mask_BT = torch.ones(1, 1, dtype=torch.bool)
        weights = weighing(name).token_weights(mask_BT, over=Denominators(1, 0, 10), step=STEP)
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
    expected = dict.fromkeys(NAMES, (free, {None})) | {
        "adaptthink": (halves, {0.5}),
        "hgpo": (halves, {None}),
        "length-truncation": ((Mode.THINK,) * 6, {None}),
    }
    for name in NAMES:
        assigned = make_objective(name).assign_modes(6)
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
    assigned = make_objective("adaptthink").assign_modes(4)
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
    """Everything that an objective and its reward make of some fixed rollouts."""
    objective, reward = config.objective.build(), config.chosen_reward().build()
    step = settings_at(config, step=2)
    assigned = objective.assign_modes(config.group_size)
    modes = [choice.mode or (Mode.SHORT if i % 2 else Mode.THINK) for i, choice in enumerate(assigned)]
    group = [
        make_judged(
            mode,
            correct=i > 1,
            fake_short=is_fake_short(
                mode, completion_ids=range(10, 18 + i), think_end_id=7, short_max_tokens=config.short_max_tokens
            ),
        )
        for i, mode in enumerate(modes)
    ]
    rewards = list(reward.rewards(group, step=step))
    groups = groups_of([rewards], [[str(mode) for mode in modes]], reference=[0.5])
    advantages = objective.advantages(groups, step=step)
    weights = objective.token_weights(torch.ones(2, 5, dtype=torch.bool), over=Denominators(2, 8, 16), step=step)
    return rewards, *(t.tolist() for t in (*advantages, *weights))


CHANGES: dict[str, tuple[object, object]] = {
    "gamma": (0.5, 0.3),
    "baseline": ("mean", "mean_std"),
    "short_max_tokens": (9, 16),
}
OWN_CHANGES: dict[str, dict[str, object]] = {
    "degrpo-paper": {"alpha": 0.7},
    "degrpo-token": {"alpha": 0.7},
    "adaptthink": {"delta": 0.1},
    "hgpo": {"inter_weight": 0.7, "margin": 0.9},
}


@pytest.mark.parametrize("name", NAMES)
def test_a_field_is_said_to_be_unread_exactly_where_it_changes_nothing(name: str) -> None:
    without_effect = set()
    for field, (one, other) in CHANGES.items():
        settings = {key: values[0] for key, values in CHANGES.items()}
        before, after = (
            behaviour(rl_config(objective=name, group_size=8, **(settings | {field: value}))) for value in (one, other)
        )
        if before == after:
            without_effect.add(field)
    unused = set(rl_config(objective=name).unused_fields())
    assert without_effect == unused - {"guard"}
    free = all(choice.mode is None for choice in make_objective(name).assign_modes(4))
    assert ("guard" in unused) == (not free)


@pytest.mark.parametrize("name", OWN_CHANGES)
def test_each_field_of_an_objective_changes_what_is_learned(name: str) -> None:
    before = behaviour(rl_config(objective=name, group_size=8, short_max_tokens=9))
    for field, value in OWN_CHANGES[name].items():
        changed = objective_table(name, **{field: value})
        assert behaviour(rl_config(objective=changed, group_size=8, short_max_tokens=9)) != before, field
    # How many reference samples there are, the trainer's tests show.
    assert set(OWN_CHANGES[name]) == set(type(make_objective(name)).model_fields) - {"name", "reference_samples"}


def test_another_reward_takes_the_place_of_the_objectives_own() -> None:
    config = load_config("tiny", overrides=["rl.objective=hgpo", "rl.reward=thinkless", "rl.gamma=0.3"]).rl
    assert config.chosen_reward() == Thinkless()
    assert "gamma" not in config.unused_fields()
    own = ["rl.objective=adaptthink", "rl.objective.reference_samples=2", "rl.objective.delta=0.3"]
    assert load_config("tiny", overrides=own).rl.chosen_reward().delta == 0.3
    with pytest.raises(ConfigError, match=r"rl\.objective\.delta would have no effect: rl\.reward takes the place"):
        load_config("tiny", overrides=[*own, "rl.reward=short-bonus"])


def test_short_names_are_replaced_before_the_key_is_made() -> None:
    for alias, name in ALIASES.items():
        short, full = (rl_config(objective={"name": n, "alpha": 0.3}) for n in (alias, name))
        assert short == full
        assert short.model_dump() == full.model_dump()


def test_a_name_a_table_and_keys_one_by_one_choose_the_same_objective() -> None:
    choices = (
        ['rl.objective={name="hgpo", margin=0.1}'],
        ["rl.objective=hgpo", "rl.objective.margin=0.1"],
        ["rl.objective.margin=0.1", "rl.objective=hgpo"],
        ["rl.objective.margin=0.1", "rl.objective.name=hgpo"],
    )
    for overrides in choices:
        chosen = load_config("tiny", overrides=overrides).rl.objective
        assert chosen == make_objective("hgpo", margin=0.1, inter_weight=1.0), overrides


def test_a_changed_objective_keeps_the_fields_that_both_have() -> None:
    """The tiny profile sets alpha of degrpo-paper to 1."""
    assert load_config("tiny", overrides=["rl.objective=degrpo-token"]).rl.objective.alpha == 1.0
    assert load_config("tiny", overrides=["rl.objective=grpo"]).rl.objective == make_objective("grpo")
    assert load_config("tiny", overrides=["rl.objective.alpha=0.2"]).rl.objective == choose_objective(
        {"name": "degrpo-paper", "alpha": 0.2}
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_comes_back_from_json_with_its_objective_and_reward(name: str) -> None:
    config = rl_config(objective=name, reward={"name": "short-bonus", "delta": 0.2})
    assert RlConfig.model_validate_json(config.model_dump_json()) == config
    assert RlConfig.model_validate(config.model_dump(mode="json")) == config


BAD = {
    "misspelt": (
        ["rl.objective=adathink"],
        r"rl\.objective: unknown name 'adathink'; did you mean 'adaptthink'\?",
    ),
    "nothing like any": (["rl.objective=x"], r"unknown name 'x'; known: ada-grpo, adaptthink, .*token"),
    "adaptthink without reference accuracies": (
        ["rl.objective=adaptthink"],
        r"rl\.objective\.reference_samples: missing; set it in the profile or with --set",
    ),
    "an odd group in halves": (
        ["rl.objective=hgpo", "rl.group_size=7"],
        r"group_size=7 cannot be split .* even number",
    ),
    "halves of one": (["rl.objective=hgpo", "rl.group_size=2"], r"group_size=2 cannot be split .* from 4 on"),
    "alpha of dr_grpo": (
        ["rl.objective=dr_grpo", "rl.objective.alpha=0.1"],
        r"'rl\.objective\.alpha' does not belong to objective 'dr_grpo' \(got value 0\.1\); set the table's name",
    ),
    "a margin without hgpo": (
        ["rl.objective.margin=0.1"],
        r"margin' does not belong to objective 'degrpo-paper'",
    ),
    "a misspelt field": (
        ["rl.objective.alhpa=0.1"],
        r"unknown key .* did you mean 'rl\.objective\.alpha'",
    ),
    "gamma of hgpo": (
        ["rl.objective=hgpo", "rl.gamma=0.1"],
        r"rl\.gamma would have no effect: reward 'correct' has no discount of thinking",
    ),
    "a baseline of dr_grpo": (
        ["rl.objective=dr_grpo", "rl.baseline=mean_std"],
        r"rl\.baseline would have no effect: objective 'dr_grpo' has an advantage of its own",
    ),
    "a field of a reward that is not chosen": (
        ["rl.reward.delta=0.1"],
        r"rl\.reward: name is missing; set it",
    ),
    "an unknown reward": (["rl.reward=thinkles"], r"rl\.reward: unknown name 'thinkles'; did you mean 'thinkless'"),
}


@pytest.mark.parametrize("what", BAD)
def test_an_objective_that_cannot_work_as_configured_is_refused_before_the_run(what: str) -> None:
    overrides, message = BAD[what]
    with pytest.raises(ConfigError, match=message):
        load_config("tiny", overrides=overrides)


def test_each_file_says_where_it_comes_from_and_how_it_differs() -> None:
    for name in NAMES:
        text = module_of(name).__doc__ or ""
        assert "Source: " in text
        assert "Differs from" in text
