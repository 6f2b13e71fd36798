"""Options that stand for overrides, of the command line and of a deployment's form."""

from __future__ import annotations

from pathlib import Path

from flows.shorthand import spelled_out
from schemas.configs.loading import load_config


def test_each_option_is_the_override_it_stands_for() -> None:
    given = ["rl.objective.alpha=0.5", "evaluate.limit=9"]
    made = spelled_out("tiny", overrides=given, objective="degrpo-token", limit=5)
    assert made == [*given, "rl.objective=degrpo-token", "evaluate.limit=5"]
    config = load_config("tiny", overrides=made)
    assert config.evaluate.limit == 5
    assert (config.rl.objective.name, config.rl.objective.alpha) == ("degrpo-token", 0.5)  # type: ignore[attr-defined]


def test_without_options_the_overrides_stay_and_data_reads_what_they_choose(tmp_path: Path) -> None:
    preset = 'problems.source={kind="preset", name="gsm8k", split="train"}'
    assert spelled_out("tiny", overrides=[preset]) == [preset]
    (tmp_path / "gsm8k_train.jsonl").touch()
    (_, path) = spelled_out("tiny", overrides=[preset], data=str(tmp_path))
    assert path.startswith("problems.source.path=")
