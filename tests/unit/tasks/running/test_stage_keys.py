"""The key of a stage counts what a plug-in is made of, and the file that a launch reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.fingerprint import plugin_hashes
from schemas.artifact import Artifact
from schemas.configs.loading import load_config
from tasks.running.stage import StagePlan
from tasks.train_rl import TrainRl

OWN_OBJECTIVE = """
from thinkless_core.rl.objectives.hgpo import Hgpo

import helper

class Mine(Hgpo):
    pass
"""


def rl_plan(*overrides: str) -> StagePlan[object]:
    """The plan of stage rl in profile tiny, over inputs that nobody reads."""
    config, stage = load_config("tiny", overrides=overrides), TrainRl()
    done = {
        label: Artifact(stage=label, key="0" * 20, digest="0" * 64, path="", rows=0) for label in stage.inputs(config)
    }
    return stage.plan(config, done)  # type: ignore[return-value]


def test_a_plug_in_brings_what_it_imports_and_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(OWN_OBJECTIVE + f"# {folder}\n")
    (tmp_path / "one" / "helper.py").write_text("X = 1\n")
    hashes, modules = plugin_hashes([("mine.py", tmp_path / name / "mine.py") for name in ("one", "other")])
    assert sorted(hashes) == ["helper.py", "mine.py", "other/mine.py"]
    assert len(set(hashes.values())) == 3
    assert "thinkless_core.rl.objectives.hgpo" in modules


def test_a_package_may_import_within_itself(tmp_path: Path) -> None:
    files = {"kinds/__init__.py": "from .deep.mine import Mine\n", "kinds/deep/mine.py": "from ..helper import X\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "from thinkless_core.rl.rewards import Reward\n")
    hashes, modules = plugin_hashes((name, tmp_path / name) for name in files)
    assert list(hashes) == list(files)
    assert modules[-1] == "thinkless_core.rl.rewards"


def test_a_shipped_class_that_a_plug_in_builds_on_is_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(OWN_OBJECTIVE)
    (tmp_path / "helper.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    hgpo = "thinkless_core.rl.objectives.hgpo"
    assert hgpo not in rl_plan().sources
    plan = rl_plan(f"rl.objective={tmp_path}/mine.py:Mine")
    assert {hgpo, "mine.py", "helper.py"} <= plan.sources.keys()
    (tmp_path / "helper.py").write_text("X = 2\n")
    assert rl_plan(f"rl.objective={tmp_path}/mine.py:Mine").key != plan.key


def test_the_configuration_of_a_launch_is_in_the_key_and_only_of_a_launch(tmp_path: Path) -> None:
    def launched(config: str) -> StagePlan[object]:
        return rl_plan(f'rl.launch={{processes=2, accelerate_config="{config}"}}')

    assert not [name for name in rl_plan().sources if "accelerate/" in name]
    assert "infra/processes/accelerate/ddp.yaml" in launched("ddp").sources
    own = tmp_path / "own.yaml"
    own.write_text("distributed_type: MULTI_CPU\n")
    before = launched(str(own)).key
    own.write_text("distributed_type: FSDP\n")
    assert launched(str(own)).key != before
