"""`--data DIR`: presets read their copies there, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli import main
from flows.local_copies import local_copy_overrides
from schemas.configs.loading import load_config
from schemas.errors import ConfigError

PRESETS = (
    'problems.source={kind="preset", name="gsm8k", split="train"}',
    'problems.benchmarks={gsm8k={kind="preset", name="gsm8k"}, aime={kind="preset", name="aime24"}}',
)


def test_presets_whose_copy_is_there_read_it(tmp_path: Path) -> None:
    for name in ("gsm8k_train.jsonl", "gsm8k_test.jsonl"):
        (tmp_path / name).touch()
    made = local_copy_overrides("tiny", overrides=PRESETS, folder=tmp_path)
    config = load_config("tiny", overrides=[*PRESETS, *made])
    assert config.problems.source.path == str(tmp_path / "gsm8k_train.jsonl")  # type: ignore[union-attr]
    assert config.problems.benchmarks["gsm8k"].path == str(tmp_path / "gsm8k_test.jsonl")  # type: ignore[union-attr]
    assert config.problems.benchmarks["aime"].path is None  # type: ignore[union-attr]


def test_a_path_that_was_given_stays(tmp_path: Path) -> None:
    (tmp_path / "gsm8k_train.jsonl").touch()
    given = [
        *PRESETS,
        "problems.source.path=mine.jsonl",
        'problems.rl_source={kind="preset", name="gsm8k", split="train"}',
    ]
    made = local_copy_overrides("tiny", overrides=given, folder=tmp_path)
    assert [key.partition("=")[0] for key in made] == ["problems.rl_source.path"]


def test_a_folder_without_a_copy_or_no_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"holds no copy.*aime24 \(aime24.json\), gsm8k \(gsm8k_test.jsonl\)"):
        local_copy_overrides("tiny", overrides=PRESETS, folder=tmp_path)
    with pytest.raises(ConfigError, match="reads no preset that lacks a path"):
        local_copy_overrides("tiny", overrides=(), folder=tmp_path)
    assert main(["doctor", "--data", str(tmp_path / "missing")]) == 2
    assert "is no folder" in capsys.readouterr().err
