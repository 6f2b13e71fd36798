"""The learning rate as a function of the step, the optimiser's groups, and random streams by name."""

from __future__ import annotations

from collections import Counter

from tests.invariants import training_checks
from tests.specimens import make_student, optimizer_config
from thinkless_core.seeding import batch_indices, derive_seed, epoch_order, random_stream
from thinkless_core.torch_streams import torch_generator
from thinkless_core.training import optimization
from thinkless_core.training.optimization import build_optimizer, set_learning_rate


def test_the_rate_of_every_step_equals_the_oracle_and_the_last_step_runs_at_the_final_fraction() -> None:
    training_checks.rates_equal_the_oracle(optimization)


def test_weights_decay_on_matrices_only() -> None:
    model = make_student()
    optimizer = build_optimizer(model, optimizer_config(weight_decay=0.1))
    decayed, others = optimizer.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim == 1 for p in others["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_setting_the_rate_sets_it_for_every_group() -> None:
    optimizer = build_optimizer(make_student(), optimizer_config())
    set_learning_rate(optimizer, 0.123)
    assert [g["lr"] for g in optimizer.param_groups] == [0.123, 0.123]


def test_every_epoch_visits_every_item_once_in_its_own_order() -> None:
    epochs = [
        [i for step in range(4 * e, 4 * e + 4) for i in batch_indices(12, batch_size=3, step=step, seed=1)]
        for e in range(3)
    ]
    assert [sorted(e) for e in epochs] == [list(range(12))] * 3
    assert len({tuple(e) for e in epochs}) == 3


def test_no_batch_holds_an_item_twice_where_items_are_enough_for_one() -> None:
    """Two groups of one problem in one step would share their random streams, and so be one group twice."""
    for num_items in (3, 4, 7, 8):
        batches = [batch_indices(num_items, batch_size=3, step=step, seed=1) for step in range(40)]
        assert all(len(set(batch)) == 3 for batch in batches)
        assert {i for batch in batches for i in batch} == set(range(num_items)), "no item is left out for ever"


def test_fewer_items_than_a_batch_go_around_without_a_gap() -> None:
    visited = [i for step in range(3) for i in batch_indices(5, batch_size=10, step=step, seed=0)]
    assert [sorted(visited[i : i + 5]) for i in range(0, 30, 5)] == [list(range(5))] * 6
    assert Counter(batch_indices(3, batch_size=6, step=4, seed=0)) == {0: 2, 1: 2, 2: 2}


def test_the_items_of_a_step_depend_on_nothing_but_step_and_seed() -> None:
    first = batch_indices(50, batch_size=8, step=9, seed=3)
    batch_indices(50, batch_size=8, step=10, seed=3)
    assert batch_indices(50, batch_size=8, step=9, seed=3) == first
    assert batch_indices(50, batch_size=8, step=9, seed=4) != first


def test_streams_with_other_names_are_other_streams() -> None:
    names = [("a", 1), ("a", 2), ("b", 1), ("a", 1, 1), ("a", 11), ("a1", 1), ("a",)]
    assert len({derive_seed(*name) for name in names}) == len(names)
    assert all(0 <= derive_seed(*name) < 2**63 for name in names)
    assert random_stream("x", 1).random(4).tolist() == random_stream("x", 1).random(4).tolist()
    assert torch_generator("x", 1).initial_seed() == derive_seed("x", 1)


def test_a_longer_draw_from_a_stream_begins_like_a_shorter_one() -> None:
    assert random_stream("x").random(20).tolist()[:5] == random_stream("x").random(5).tolist()


def test_seeds_are_the_same_on_every_machine_and_in_every_version() -> None:
    """Stored artifacts depend on them."""
    assert derive_seed("rollout", 0, 1, "train-abc", 2) == 4916153398742382864
    assert epoch_order(6, seed=0, epoch=0) == [2, 0, 4, 5, 1, 3]
