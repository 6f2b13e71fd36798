"""Objectives and rewards of one's own: by file and by package, from the profile to the weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from schemas.configs.loading import load_config
from schemas.configs.rl import RlConfig
from schemas.errors import ConfigError
from schemas.kinds import kinds_in
from tests.plugins import example_of
from tests.specimens import (
    ScriptedSampler,
    identical,
    make_problems,
    make_student,
    mixed_script,
    optimizer_config,
    rl_config,
    weights_of,
)
from thinkless_core.progress import no_progress
from thinkless_core.rl.objectives.hgpo import Hgpo
from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective, ScoredGroups
from thinkless_core.rl.rewards import Reward
from thinkless_core.rl.rl_logs import RlLogs
from thinkless_core.rl.rl_trainer import train_rl
from thinkless_core.rl.schedules import StepSettings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with both docstrings' examples as files."""
    (tmp_path / "my_rewards.py").write_text(example_of(Reward, "# my_rewards.py\n", "\nand is chosen"))
    (tmp_path / "my_objectives.py").write_text(example_of(Objective, "# my_objectives.py\n", "\nand is chosen"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


PACKAGE = '''
from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective
from thinkless_core.rl.rewards import Reward

class Signs(Objective):
    """Only whether a rollout did better or worse than the mean."""

    def advantages(self, groups, *, step):
        signs_PG = (groups.rewards_PG - groups.rewards_PG.mean(dim=1, keepdim=True)).sign()
        return GroupAdvantages(signs_PG, signs_PG)

class Brief(Reward):
    """Shorter is better, right or wrong."""

    def reward(self, rollout, *, step):
        return 1.0 / rollout.num_tokens
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that offers an objective and a reward by name."""
    site = tmp_path / "site"
    (site / "signs").mkdir(parents=True)
    (site / "signs" / "__init__.py").write_text(PACKAGE)
    info = site / "signs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: signs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[thinkless.objectives]\nsigns = signs:Signs\n[thinkless.rewards]\nbrief = signs:Brief\n"
    )
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("signs", None)


def train(scratch: Path, tokenizer: PreTrainedTokenizerFast, config: RlConfig) -> tuple[RlLogs, dict[str, Tensor]]:
    """A few steps on a fresh student."""
    model = make_student()
    logs = train_rl(
        model,
        reference=make_student(),
        tokenizer=tokenizer,
        sampler=ScriptedSampler(tokenizer, mixed_script),
        problems=make_problems(12),
        config=config,
        scratch=scratch,
        progress=no_progress,
    )
    return logs, weights_of(model)


MOVING = optimizer_config(learning_rate=1e-3, max_grad_norm=1.0)


@pytest.mark.usefixtures("folder")
def test_the_examples_in_the_docstrings_train_when_chosen_by_file(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    config = rl_config(
        steps=2,
        objective={"name": "my_objectives.py:LeaveOneOut", "control_factor": 0.5},
        reward={"name": "my_rewards.py:LengthBonus", "bonus": 0.25},
        optimizer=MOVING,
    )
    logs, weights = train(tmp_path / "scratch", tokenizer, config)
    rollouts = list(logs.rollouts)
    for start in range(0, len(rollouts), 4):
        group = rollouts[start : start + 4]
        longest = max(r.num_tokens for r in group)
        rewards = [r.correct * (1 + 0.25 * (1 - r.num_tokens / longest)) for r in group]
        assert [r.reward for r in group] == pytest.approx(rewards)
        # Of four, a reward less the mean of the other three.
        advantages = [r - (sum(rewards) - r) / 3 for r in rewards]
        assert [r.advantage for r in group] == pytest.approx(advantages, abs=1e-6)
    assert len({round(r.reward, 6) for r in rollouts}) > 3
    other = rl_config(steps=2, objective="grpo", reward="correct", optimizer=MOVING)
    assert not identical(weights, train(tmp_path / "other", tokenizer, other)[1])


@pytest.mark.usefixtures("package")
def test_names_that_a_package_offers_train_like_the_shipped_ones(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    config = rl_config(steps=2, objective="signs", reward="brief", optimizer=MOVING)
    logs, _ = train(tmp_path / "scratch", tokenizer, config)
    rollouts = list(logs.rollouts)
    assert [r.reward for r in rollouts] == [1.0 / r.num_tokens for r in rollouts]
    assert {r.advantage for r in rollouts} == {-1.0, 0.0, 1.0} or {r.advantage for r in rollouts} == {-1.0, 1.0}
    assert {"signs/__init__.py"} == {name for kind in kinds_in(config) for name in kind.source_files()}


def test_an_objective_with_advantages_of_its_own_says_itself_whether_they_cancel() -> None:
    class Unlike(Hgpo):
        def advantages(self, groups: ScoredGroups, *, step: StepSettings) -> GroupAdvantages:
            """Longer is better."""
            return GroupAdvantages(groups.num_tokens_PG, groups.num_tokens_PG)

    class Heavier(Hgpo):
        """Only the weights differ."""

    assert [kind().advantages_cancel for kind in (Hgpo, Heavier, Unlike)] == [True, True, False]


@pytest.mark.usefixtures("folder", "package")
def test_a_profile_chooses_both_and_a_launched_process_reads_them_from_json() -> None:
    for overrides in (
        ["rl.objective=my_objectives.py:LeaveOneOut", "rl.objective.control_factor=0.5", "rl.reward=brief"],
        ["rl.objective=signs", "rl.reward=my_rewards.py:LengthBonus", "rl.reward.bonus=0.3"],
    ):
        config = load_config("tiny", overrides=overrides).rl
        again = RlConfig.model_validate_json(config.model_dump_json())
        assert again == config
        assert (type(again.objective), type(again.reward)) == (type(config.objective), type(config.reward))


BAD = {
    "a file that is not there": (
        ["rl.reward=absent.py:X"],
        r"rl\.reward: name names the file absent\.py",
    ),
    "a class that is not there": (
        ["rl.reward=my_rewards.py:LenghtBonus"],
        r"rl\.reward: my_rewards\.py has no 'LenghtBonus'; did you mean 'LengthBonus'",
    ),
    "a reward for an objective": (
        ["rl.objective=my_rewards.py:LengthBonus"],
        r"expected a subclass of .*Objective",
    ),
    "a field out of range": (
        ["rl.reward=my_rewards.py:LengthBonus", "rl.reward.bonus=-1"],
        r"rl\.reward\.bonus: Input should be greater than or equal to 0, got -1",
    ),
    "a field it has not": (
        ["rl.reward=my_rewards.py:LengthBonus", "rl.reward.bonsu=1"],
        r"unknown key 'rl\.reward\.bonsu' \(got value 1\)",
    ),
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("what", BAD)
def test_a_plugin_that_cannot_be_used_is_refused_before_the_run(what: str) -> None:
    overrides, message = BAD[what]
    with pytest.raises(ConfigError, match=message):
        load_config("tiny", overrides=overrides)
