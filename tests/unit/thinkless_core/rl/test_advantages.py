"""Group-relative advantages, against the oracle and by hand."""

from __future__ import annotations

import pytest
import torch

from tests.invariants import rollout_checks
from thinkless_core.rl.objectives import objective
from thinkless_core.rl.objectives.objective import group_relative_advantages


def test_advantages_equal_the_oracle() -> None:
    rollout_checks.advantages_equal_the_oracle(objective)


@pytest.mark.parametrize("baseline", ["mean", "mean_std"])
def test_a_group_of_one_is_refused(baseline: str) -> None:
    with pytest.raises(ValueError, match=r"group of 1 .* group_size >= 2"):
        group_relative_advantages(torch.ones(3, 1), baseline=baseline)


def test_all_short_and_all_right_teaches_nothing() -> None:
    # Every reward is 1, their mean is 1: the paper's own failure mode, no gradient at all.
    assert not group_relative_advantages(torch.ones(2, 8)).any()


def test_a_constant_added_to_all_rewards_changes_nothing() -> None:
    rewards_PG = torch.tensor([[1.0, 0.5, -1.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(group_relative_advantages(rewards_PG + 3), group_relative_advantages(rewards_PG))
