"""Studies as data: what a study file may say, what is refused, and which runs it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.configs.loading import load_config
from schemas.configs.study import load_study, study_names
from schemas.errors import ConfigError

GOOD = """
title = "Two settings"
overrides = ["rl.steps=5"]

[benchmarks]
easy = "tiny-easy"
mixed = "tiny-mixed"
hard = "tiny-hard"

[conditions.low]
about = "a low alpha"
overrides = ["rl.objective.alpha=0.1"]

[conditions.high]
about = "a high alpha"

[[claims]]
claim = "reaches-oracle"
conditions = { policy = "low" }

[[claims]]
claim = "grpo-loses-a-mode"
conditions = { grpo = "low", degrpo = "high" }
"""


def written(folder: Path, text: str) -> str:
    """Path of a study file with this text."""
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_study_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    study = load_study(written(tmp_path, GOOD))
    assert (study.name, list(study.conditions)) == ("mine", ["low", "high"])
    assert [check.claim for check in study.claims] == ["reaches-oracle", "grpo-loses-a-mode"]


def test_members_come_seed_by_seed_and_the_last_override_wins(tmp_path: Path) -> None:
    members = load_study(written(tmp_path, GOOD)).members(num_seeds=2, overrides=["rl.steps=7"])
    assert [member.label for member in members] == ["low-seed0", "high-seed0", "low-seed1", "high-seed1"]
    assert members[2].overrides == ("rl.steps=5", "rl.objective.alpha=0.1", "rl.steps=7", "rl.seed=1")
    config = load_config("tiny", overrides=members[2].overrides)
    assert (config.rl.steps, config.rl.seed, config.sft.seed) == (7, 1, 0)


def test_one_claim_alone_needs_only_its_conditions(tmp_path: Path) -> None:
    study = load_study(written(tmp_path, GOOD)).only("reaches-oracle")
    assert (list(study.conditions), len(study.claims)) == (["low"], 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("reaches-oracle", "reaches-orakel", "unknown claim 'reaches-orakel'; did you mean 'reaches-oracle'?"),
        ('policy = "low"', 'policy = "lo"', "names an unknown condition 'lo'; did you mean 'low'?"),
        ('policy = "low"', 'grpo = "low"', "claim 'reaches-oracle' has roles grpo, expected policy"),
        ('about = "a high alpha"', "", "conditions.high.about: Field required"),
        ("[benchmarks]", "[benchmark]", "benchmark: Extra inputs are not permitted"),
        ('title = "Two settings"', "title = ", "is not TOML"),
    ],
)
def test_a_study_file_that_cannot_be_meant_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_study(path)
    assert said in str(caught.value)
    assert "mine" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [("claim", "unknown study 'claim'; did you mean 'claims'?"), ("absent.toml", "absent.toml: No such file")],
)
def test_an_unknown_study_is_refused_with_the_nearest_name(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study(name)
    assert said in str(caught.value)


def test_a_claim_that_the_study_does_not_check_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no claim 'reaches-orakel'; did you mean 'reaches-oracle'"):
        load_study(written(tmp_path, GOOD)).only("reaches-orakel")


def test_a_study_without_seeds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--seeds is 0, expected at least 1"):
        load_study(written(tmp_path, GOOD)).members(num_seeds=0)


def test_a_condition_may_want_fewer_seeds_than_the_others(tmp_path: Path) -> None:
    study = load_study(
        written(tmp_path, GOOD.replace('about = "a high alpha"', 'about = "one will do"\nmost_seeds = 1'))
    )
    assert [member.label for member in study.members(num_seeds=2)] == ["low-seed0", "high-seed0", "low-seed1"]
    with pytest.raises(ConfigError, match=r"conditions\.high\.most_seeds"):
        load_study(written(tmp_path, GOOD.replace('about = "a high alpha"', 'about = "none"\nmost_seeds = 0')))


@pytest.mark.parametrize("name", study_names())
def test_every_member_of_a_shipped_study_is_a_valid_run_of_its_profile(name: str) -> None:
    study = load_study(name)
    benchmarks = load_config(study.profile).problems.benchmarks
    assert set(study.benchmarks.model_dump().values()) <= benchmarks.keys()
    configs = [load_config(study.profile, overrides=member.overrides) for member in study.members(num_seeds=1)]
    assert all("rl" in config.evaluate.models for config in configs)
    # No two conditions are the same run.
    assert len({config.model_dump_json() for config in configs}) == len(configs)


def test_the_shipped_studies_are_known_by_name() -> None:
    assert study_names() == ("claims", "compare", "graded")
