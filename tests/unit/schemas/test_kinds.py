"""Kinds are found by name, by file and by import path, and say what is wrong if they are not."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from schemas import kinds
from schemas.configs.objective import ObjectiveConfig
from schemas.configs.reward import RewardConfig, choose_reward
from schemas.configs.source import SourceConfig
from schemas.configs.teacher import TeacherConfig
from schemas.configs.verifier import VerifierConfig
from schemas.errors import ConfigError
from schemas.kinds import Kind, find_kind, is_plugin, kind_names, kinds_in, shipped_kinds

FILE = """
from thinkless_core.rl.rewards import Reward

class Flat(Reward):
    name: str = "flat"
    worth: float = 1.0

class NoReward:
    pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of the user's own."""
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_a_shipped_kind_has_its_name_and_modules_of_this_program() -> None:
    reward = choose_reward("thinkless")
    assert (reward.name, reward.modules(), reward.source_files()) == ("thinkless", ("thinkless_core.rl.rewards",), {})
    assert "thinkless" in kind_names(RewardConfig)


def test_a_copy_of_the_repository_that_is_not_installed_has_the_kinds_of_its_pyproject(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(kinds.metadata, "distribution", absent)
    found = {point.name: point for point in kinds._own_entry_points.__wrapped__()}
    assert found["thinkless"].group == RewardConfig.group
    assert found["thinkless"].load() is find_kind(RewardConfig, "thinkless")
    monkeypatch.setattr(kinds, "__file__", str(tmp_path / "schemas" / "kinds.py"))
    with pytest.raises(ConfigError, match=r"not installed, .*pip install -e"):
        kinds._own_entry_points.__wrapped__()


def test_a_class_of_a_file_is_found_again_from_its_own_dump_whatever_its_default_name(file: Path) -> None:
    reward = choose_reward({"name": f"{file}:Flat", "worth": 2.0})
    assert is_plugin(type(reward))
    assert choose_reward(reward.model_dump(mode="json")) == reward
    assert list(reward.source_files()) == ["mine.py"]
    assert list(kinds_in({"a": [reward]})) == [reward]


@pytest.mark.parametrize("base", [SourceConfig, TeacherConfig, VerifierConfig, RewardConfig, ObjectiveConfig])
def test_every_shipped_kind_can_be_built_on_and_chosen_by_file(base: type[Kind], tmp_path: Path) -> None:
    """The choice of a shipped one accepts one name only; that of a class on top of it is another."""
    shipped = shipped_kinds(base)
    assert len(shipped) >= 2
    for number, kind in enumerate(shipped):
        path = tmp_path / f"on_top_{number}.py"
        path.write_text(f"from {kind.__module__} import {kind.__name__}\n\nclass Mine({kind.__name__}):\n    pass\n")
        found = find_kind(base, f"{path}:Mine")
        assert issubclass(found, kind)
        assert found.model_fields[base.tag].annotation is str


def test_an_edited_file_is_another_class(file: Path) -> None:
    before = find_kind(RewardConfig, f"{file}:Flat")
    assert find_kind(RewardConfig, f"{file}:Flat") is before
    file.write_text(FILE.replace("1.0", "3.0"))
    assert find_kind(RewardConfig, f"{file}:Flat") is not before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("thinkles", r"unknown name 'thinkles'; did you mean 'thinkless'\?"),
        ("absent.py:Flat", "names the file absent.py, which does not exist"),
        ("no.such.module:Flat", "names module 'no.such.module', which cannot be imported"),
        ("{file}:Flatt", r"has no 'Flatt'; did you mean 'Flat'\?"),
        ("{file}:NoReward", "expected a subclass of schemas.configs.reward.RewardConfig"),
    ],
)
def test_a_kind_that_cannot_be_found_is_refused_with_the_way_out(name: str, message: str, file: Path) -> None:
    with pytest.raises(ValueError, match=message):
        find_kind(RewardConfig, name.format(file=file))


def test_a_file_that_fails_is_refused_with_its_own_error(file: Path) -> None:
    file.write_text("1 / 0")
    with pytest.raises(ValueError, match=r"mine\.py cannot be run: ZeroDivisionError"):
        find_kind(RewardConfig, f"{file}:Flat")
