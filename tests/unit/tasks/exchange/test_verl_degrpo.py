"""The plug-in for verl, with stand-ins of the two functions of verl that it calls: verl does not install beside us."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from schemas.records.problems import Problem, ProblemSplit

REGISTERED: dict[str, Any] = {}


def agg_loss(
    *,
    loss_mat: torch.Tensor,
    loss_mask: torch.Tensor,
    loss_agg_mode: str,
    batch_num_tokens: int,
    global_batch_size: int,
) -> torch.Tensor:
    """verl 0.9's, of one process (trainer/ppo/core_algos.py): sums over what the whole step has."""
    if loss_agg_mode == "token-mean":
        return (loss_mat * loss_mask).sum() / batch_num_tokens
    assert loss_agg_mode == "seq-mean-token-sum"
    return (loss_mat * loss_mask).sum(dim=1).sum() / global_batch_size


def register_policy_loss(name: str) -> Any:
    """Keeps what is registered."""
    return lambda function: REGISTERED.setdefault(name, function)


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The plug-in, loaded as verl loads it."""
    for name in ("verl", "verl.trainer", "verl.trainer.ppo", "verl.trainer.ppo.core_algos"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    core: Any = sys.modules["verl.trainer.ppo.core_algos"]
    core.agg_loss, core.register_policy_loss = agg_loss, register_policy_loss
    REGISTERED.clear()
    monkeypatch.delitem(sys.modules, "tasks.exchange.verl_degrpo", raising=False)
    yield importlib.import_module("tasks.exchange.verl_degrpo")
    sys.modules.pop("tasks.exchange.verl_degrpo", None)


def test_the_loss_is_degrpo_token_whatever_the_micro_batches(plug_in: ModuleType) -> None:
    mask_BT = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]])
    advantages_BT = torch.tensor([0.5, -0.5, 1.0, -1.0])[:, None].expand(4, 4)
    old_BT = torch.full((4, 4), -1.0)
    new_BT = (old_BT + torch.linspace(-0.4, 0.4, 16).view(4, 4)).requires_grad_()
    info = {"batch_num_tokens": int(mask_BT.sum()), "global_batch_size": 4}
    config = SimpleNamespace(clip_ratio=0.2, global_batch_info=info)
    loss = REGISTERED["degrpo"]
    whole, parts = loss(old_BT, new_BT, advantages_BT, mask_BT, config=config)
    halves = [
        loss(old_BT[s], new_BT[s], advantages_BT[s], mask_BT[s], config=config)[0] for s in (slice(0, 2), slice(2, 4))
    ]
    assert info == {"batch_num_tokens": 10, "global_batch_size": 4}, "left as it was"
    control = response = 0.0
    for row in range(4):
        for place in range(4):
            if mask_BT[row, place]:
                ratio, advantage = float((new_BT - old_BT)[row, place].exp()), float(advantages_BT[row, place])
                term = -min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage)
                control += term / 4 if place == 0 else 0
                response += term / 6 if place else 0
    assert float(whole.detach()) == pytest.approx(1e-3 * control + response)
    assert parts == {"actor/control_loss": pytest.approx(control), "actor/response_loss": pytest.approx(response)}
    assert float(sum(halves).detach()) == pytest.approx(float(whole.detach()))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<short>The answer is \\boxed{4}.", 1.0),
        ("<think>2 and 2</think>The answer is \\boxed{4}.", 0.5),
        ("<short>The answer is \\boxed{5}.", -1.0),
        ("The answer is \\boxed{4}.", -1.0),
        ("", -1.0),
    ],
)
def test_the_reward_is_that_of_the_paper(plug_in: ModuleType, text: str, reward: float) -> None:
    problem = Problem(
        problem_id="p", prompt="2+2?", answer="4", difficulty=1, split=ProblemSplit.RL, benchmark=None, source="s"
    )
    extra = {"problem": problem.model_dump_json()}
    assert json.loads(extra["problem"])["answer"] == "4"
    assert plug_in.compute_score("thinkless", text, "4", extra) == reward
