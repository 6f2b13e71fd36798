"""From scored rollouts to batches: advantages in place, denominators, shares and skipped rollouts."""

from __future__ import annotations

import pytest
import torch

from schemas.mode import Mode
from tests.specimens import (
    RIGHT,
    make_batch,
    make_judged,
    make_objective,
    make_problem,
    make_rollout,
    make_student,
    objective_table,
    ragged_samples,
    rl_config,
)
from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective, ScoredGroups
from thinkless_core.rl.policy_batch import PolicyBatch, build_policy_batch
from thinkless_core.rl.rl_logs import rollout_records
from thinkless_core.rl.rollouts import ScoredRollout
from thinkless_core.rl.schedules import StepSettings, settings_at


def scored(rewards: list[float]) -> list[ScoredRollout]:
    """Rollouts of 1, 2, 3, ... completion tokens with these rewards."""
    return [
        ScoredRollout(make_rollout([5] * (i + 1), sample=i), RIGHT, fake_short=False, reward=reward)
        for i, reward in enumerate(rewards)
    ]


def built(rollouts: list[ScoredRollout], **changes: object) -> PolicyBatch:
    """A batch at the settings of step 1."""
    config = rl_config(**changes)
    return build_policy_batch(
        rollouts,
        objective=config.objective.build(),
        group_size=config.group_size,
        settings=settings_at(config, step=1),
    )


def test_advantages_are_taken_within_each_group() -> None:
    batch = built(scored([1.0, -1.0, 0.5, 0.5]), group_size=2)
    # Means 0 and 0.5.
    assert batch.advantages_B.tolist() == [1.0, -1.0, 0.0, 0.0]


def test_an_objective_sees_verdicts_lengths_and_modes_of_each_group() -> None:
    seen: list[ScoredGroups] = []

    class Sees(Objective):
        def advantages(self, groups: ScoredGroups, *, step: StepSettings) -> GroupAdvantages:
            """Keep what was handed over."""
            seen.append(groups)
            return super().advantages(groups, step=step)

    scored = [
        ScoredRollout(j.rollout, j.verdict, j.fake_short, reward=1.0)
        for j in (
            make_judged(Mode.SHORT, num_tokens=2),
            make_judged(Mode.THINK, num_tokens=5, correct=False),
            make_judged(None, num_tokens=1, correct=False),
            make_judged(Mode.THINK, num_tokens=7),
        )
    ]
    build_policy_batch(scored, objective=Sees(), group_size=2, settings=settings_at(rl_config(), step=1))
    (groups,) = seen
    assert groups.num_tokens_PG.tolist() == [[2, 5], [1, 7]]
    assert groups.correct_PG.tolist() == [[True, False], [False, True]]
    assert groups.think_PG.tolist() == [[False, True], [False, True]]
    assert [[verdict.correct for verdict in group] for group in groups.verdicts] == groups.correct_PG.tolist()


def test_the_configured_baseline_is_used() -> None:
    batch = built(scored([1.0, 0.5]), group_size=2, baseline="mean_std")
    # +-0.25 over a deviation of 0.25
    torch.testing.assert_close(batch.advantages_B, torch.tensor([1.0, -1.0]) * (0.25 / (0.25 + 1e-6)))


def test_denominators_are_those_of_the_whole_step() -> None:
    batch = built(scored([1.0, -1.0, 0.5, 0.5]), group_size=2)
    assert batch.denominators == (4, 0 + 1 + 2 + 3, 16)


def test_control_advantages_and_reference_accuracies_find_their_rollouts() -> None:
    """Two groups of two halves; the second problem's reference is another one."""
    problems = [make_problem("11+22=?"), make_problem("11+33=?")]
    rollouts = [
        ScoredRollout(
            make_rollout([5 if i < 2 else 6, 1], mode=Mode.SHORT if i < 2 else Mode.THINK, sample=i, problem=problem),
            RIGHT,
            fake_short=False,
            reward=float(i % 2),
        )
        for problem in problems
        for i in range(4)
    ]
    batch = build_policy_batch(
        rollouts,
        objective=make_objective("adaptthink"),
        group_size=4,
        settings=settings_at(rl_config(), step=1),
        reference_accuracy={problems[1].problem_id: 0.75, problems[0].problem_id: 0.25},
    )
    assert batch.advantages_B.tolist() == [-0.25, 0.75, -0.25, 0.75, -0.75, 0.25, -0.75, 0.25]
    # hgpo: within each mode one is right, +-1; the modes are alike, so short is better by the margin: +-inter_weight.
    batch = built(rollouts, objective=objective_table("hgpo", inter_weight=0.5))
    torch.testing.assert_close(batch.advantages_B, torch.tensor([-1.0, 1.0] * 4), rtol=0, atol=1e-5)  # deviation + 1e-6
    torch.testing.assert_close(batch.control_advantages_B, torch.tensor([-0.5, 1.5, -1.5, 0.5] * 2), rtol=0, atol=1e-5)
    (share, _) = batch.split(2, group_size=4)
    assert torch.equal(share.control_advantages_B, batch.control_advantages_B[:4])


def test_shares_are_equal_and_hold_whole_groups() -> None:
    batch = make_batch(ragged_samples(12), list(range(12)))
    shares = list(batch.split(3, group_size=2))
    assert [s.advantages_B.tolist() for s in shares] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert [s.scored for s in shares] == [batch.scored[i : i + 4] for i in (0, 4, 8)]
    with pytest.raises(AssertionError, match="12 rollouts do not split into 3 whole shares"):
        list(batch.split(3, group_size=3))


def test_rollouts_without_advantage_are_left_out_only_where_asked() -> None:
    batch = make_batch(ragged_samples(5), [1.0, 0.0, -1.0, 0.0, 0.5])
    kept = [i for m in batch.micro_batches(model=make_student(), max_tokens=64, skip_zero_advantage=True) for i in m]
    everything = [
        i for m in batch.micro_batches(model=make_student(), max_tokens=64, skip_zero_advantage=False) for i in m
    ]
    assert sorted(kept) == [0, 2, 4]
    assert sorted(everything) == [0, 1, 2, 3, 4]
    assert batch.denominators.num_rollouts == 5


def test_the_log_of_a_rollout_says_what_it_earned() -> None:
    batch = built(scored([1.0, -1.0]), group_size=2)
    records = rollout_records(batch, step=3)
    assert [(r.step, r.sample, r.num_tokens, r.reward, r.advantage) for r in records] == [
        (3, 0, 1, 1.0, 1.0),
        (3, 1, 2, -1.0, -1.0),
    ]
    assert len({r.rollout_id for r in records}) == 2
