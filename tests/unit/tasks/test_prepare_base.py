"""Stage base says what a model cannot do, and refuses settings that it does not go with before the next stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from infra.settings import Settings
from schemas.artifact import Artifact
from schemas.configs.loading import load_config
from schemas.errors import ConfigError
from tasks.prepare_base import PrepareBase
from tasks.running.context import RunContext
from tests.unit.thinkless_core.probe.toys import toy_folder
from thinkless_core.progress import Progress, no_progress


def build(name: str, tmp_path: Path, *, progress: Progress = no_progress) -> Artifact:
    """The stage's workspace, as an artifact."""
    path = toy_folder(name, tmp_path / "given")
    config = load_config("tiny", overrides=[f'base.model={{kind="pretrained", path="{path}"}}'])
    stage, workspace = PrepareBase(), tmp_path / "workspace"
    workspace.mkdir()
    context = RunContext(run_id="r", profile="tiny", settings=Settings(home=tmp_path))
    stage.build(stage.plan(config, {}), context, workspace, progress)
    return Artifact(stage="base", key="0" * 16, digest="0" * 64, path=str(workspace), rows=1)


def test_what_is_replaced_is_said_in_one_line(tmp_path: Path) -> None:
    lines: list[str] = []

    def listen(_done: int, _total: int, _numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        lines.extend(note for note in notes if "limits" in note)

    build("rwkv", tmp_path, progress=listen)
    assert len(lines) == 1
    assert "the student has limits: sampling computes every token anew, which is slower (" in lines[0]


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_settings_are_refused_before_any_teacher_is_asked(stage: str, tmp_path: Path) -> None:
    artifact = build("qwen3_moe", tmp_path)
    PrepareBase().refuse(load_config("tiny"), artifact)
    asked = load_config("tiny", overrides=[f"{stage}.lora={{rank=2}}"])
    with pytest.raises(ConfigError, match=rf"{stage}\.lora\.target_modules: .* Qwen3MoeExperts .*name linear layers"):
        PrepareBase().refuse(asked, artifact)
    named = load_config("tiny", overrides=[f'{stage}.lora={{rank=2, target_modules=["q_proj"]}}'])
    PrepareBase().refuse(named, artifact)
