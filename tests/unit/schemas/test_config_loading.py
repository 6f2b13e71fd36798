"""Configuration: profiles load, overrides apply, and what is wrong is said with what was got and the way out."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.configs.loading import MOVED, known_keys, load_config, profile_names
from schemas.configs.pipeline import STAGES
from schemas.configs.problems import LocalSource, ProceduralSource
from schemas.configs.teach import TeachSideConfig
from schemas.errors import ConfigError, Terminal
from schemas.mode import Mode
from tasks.ask_teachers import AskTeachers


@pytest.mark.parametrize("profile", profile_names())
def test_every_shipped_profile_loads(profile: str) -> None:
    config = load_config(profile)
    assert config.profile == profile
    assert config.rl.short_max_tokens <= config.rl.max_new_tokens


def test_the_tiny_profile_ships() -> None:
    assert "tiny" in profile_names()


def test_overrides_are_written_as_in_toml_and_text_needs_no_quotes() -> None:
    config = load_config(
        "tiny",
        overrides=[
            "rl.gamma=0.3",
            "rl.objective=token",
            'report.title="A title = with signs"',
            " sft.steps = 7 ",
            "problems.source.mix=[0.25, 0.75]",
            "evaluate.limit=10",
            "rl.optimizer.learning_rate=1e-5",
        ],
    )
    assert (config.rl.gamma, config.rl.objective.name, config.sft.steps) == (0.3, "degrpo-token", 7)
    assert config.report.title == "A title = with signs"
    assert isinstance(config.problems.source, ProceduralSource)
    assert config.problems.source.mix == (0.25, 0.75)
    assert config.evaluate.limit == 10
    assert config.rl.optimizer.learning_rate == 1e-5


def test_a_whole_number_is_a_number_and_text_is_a_path_a_choice_or_a_mode() -> None:
    config = load_config(
        "tiny",
        overrides=[
            "rl.optimizer.learning_rate=1",
            "problems.source.mix=[1]",
            "teach.think.teacher.kind=recorded",
            'teach.think.teacher.path="7"',
            'pairs.truncated="drop"',
        ],
    )
    assert config.rl.optimizer.learning_rate == 1.0
    assert isinstance(config.problems.source, ProceduralSource)
    assert config.problems.source.mix == (1.0,)
    assert config.teach.think.teacher.path == "7"
    side = TeachSideConfig(mode=Mode.THINK, side=config.teach.think, chunk_size=10)
    assert TeachSideConfig.model_validate_json(side.model_dump_json()) == side
    assert TeachSideConfig.model_validate(side.model_dump(mode="json")).mode is Mode.THINK


def test_the_last_of_two_overrides_of_one_key_wins() -> None:
    assert load_config("tiny", overrides=["rl.steps=3", "rl.steps=4"]).rl.steps == 4


def test_stages_take_the_seed_of_the_pipeline_unless_they_have_one() -> None:
    config = load_config("tiny", overrides=["seed=7", "rl.seed=3"])
    assert {name: getattr(config, name).seed for name in STAGES} == dict.fromkeys(STAGES, 7) | {"rl": 3}


def test_a_changed_kind_starts_its_table_afresh_in_whatever_order_it_is_written() -> None:
    for overrides in (
        ["problems.source.kind=local", "problems.source.path=a.jsonl"],
        ["problems.source.path=a.jsonl", "problems.source.kind=local"],
    ):
        source = load_config("tiny", overrides=overrides).problems.source
        assert source == LocalSource(path="a.jsonl")


def test_a_benchmark_of_ones_own_can_be_added() -> None:
    added = ["problems.benchmarks.mine.kind=local", "problems.benchmarks.mine.path=mine.json"]
    benchmarks = load_config("tiny", overrides=added).problems.benchmarks
    assert benchmarks["mine"] == LocalSource(path="mine.json")
    assert len(benchmarks) > 1


def test_a_profile_of_ones_own_is_a_toml_file(tmp_path: Path) -> None:
    tiny = Path(__file__).parents[3] / "schemas" / "profiles" / "tiny.toml"
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny.read_text() + '\ntitle = "mine"\n')
    config = load_config(str(mine))
    assert (config.profile, config.report.title) == ("mine", "mine")


BAD_OVERRIDES = {
    "a misspelt key": ("rl.gama=0.3", ["'rl.gama'", "0.3", "did you mean 'rl.gamma'?"]),
    "a misspelt stage": ("evalute.limit=3", ["'evalute'", "did you mean 'evaluate'?"]),
    "a misspelt key deep down": (
        "rl.optimizer.learnin_rate=1",
        ["'rl.optimizer.learnin_rate'", "did you mean 'rl.optimizer.learning_rate'?"],
    ),
    "no key at all": ("=3", ["'=3'", "key=value", "rl.gamma=0.3"]),
    "no equals sign": ("rl.gamma", ["'rl.gamma'", "key=value"]),
    "text for a number": ("rl.steps=many", ["rl.steps", "integer", "'many'"]),
    "a truth value for a whole number": ("rl.steps=true", ["rl.steps", "integer", "got True"]),
    "a truth value for a number": ("rl.gamma=false", ["rl.gamma", "number", "got False"]),
    "quoted digits for a whole number": ('rl.steps="7"', ["rl.steps", "integer", "got '7'"]),
    "quoted digits for a number": ('rl.optimizer.learning_rate="1e-3"', ["learning_rate", "number", "got '1e-3'"]),
    "quoted digits for a number or nothing": ('evaluate.limit="3"', ["evaluate.limit", "integer", "got '3'"]),
    "quoted digits in a list": ('problems.source.mix=["0.5", 0.5]', ["problems.source.mix", "number", "got '0.5'"]),
    "a truth value for a choice": ("pairs.truncated=true", ["pairs.truncated", "'drop'", "got True"]),
    "a truth value for text": ("report.title=true", ["report.title", "string", "got True"]),
    "a fraction for a whole number": ("rl.steps=1.5", ["rl.steps", "1.5"]),
    "an unknown benchmark": (
        'evaluate.benchmarks=["tiny-esy"]',
        ["evaluate.benchmarks names 'tiny-esy'", "did you mean 'tiny-easy'?"],
    ),
    "a value for a table": ("rl=3", ["rl:", "got 3"]),
    "a table for a value": ("rl.steps.x=3", ["rl.steps.x", "'steps' is a value, not a table"]),
    "a group of one": ("rl.group_size=1", ["rl.group_size", "greater than or equal to 2", "got 1"]),
    "alpha of zero": ("rl.objective.alpha=0", ["rl.objective.alpha", "greater than 0", "got 0"]),
    "alpha too large": ("rl.objective.alpha=11", ["rl.objective.alpha", "less than or equal to 10", "got 11"]),
    "gamma of one": ("rl.gamma=1", ["rl.gamma", "less than 1", "got 1"]),
    "gamma of zero": ("rl.gamma=0", ["rl.gamma", "greater than 0", "got 0"]),
    "no clip below": ("rl.clip_low=0", ["rl.clip_low", "greater than 0", "got 0"]),
    "a clip of everything below": ("rl.clip_low=1", ["rl.clip_low", "less than 1", "got 1"]),
    "a negative clip above": ("rl.clip_high=-0.2", ["rl.clip_high", "greater than 0", "got -0.2"]),
    "a negative KL": ("rl.kl_coef=-1", ["rl.kl_coef", "greater than or equal to 0", "got -1"]),
    "a temperature of zero": ("rl.temperature=0", ["rl.temperature", "greater than 0"]),
    "a nucleus of nothing": ("evaluate.top_p=0", ["evaluate.top_p", "greater than 0", "got 0"]),
    "an unknown objective": ("rl.objective=grop", ["rl.objective", "'grop'", "did you mean 'grpo'?"]),
    "an unknown rule": ("pairs.truncated=keep", ["pairs.truncated", "'keep_truncated' or 'drop'", "'keep'"]),
    "an unknown kind": (
        "problems.source.kind=web",
        ["problems.source: unknown kind 'web'", "known: gym, hub, local, preset, procedural (or FILE.py:Class)"],
    ),
    "a kind without what it needs": (
        "problems.source.kind=local",
        ["problems.source.path", "missing", "--set problems.source.path=..."],
    ),
    "a model without its path": ("base.model.kind=pretrained", ["base.model.path", "missing"]),
    "a recording without its path": (
        "teach.think.teacher.kind=recorded",
        ["teach.think.teacher: needs path", "or source", "got neither"],
    ),
    "shares that do not add up": ("problems.source.mix=[0.5, 0.2]", ["problems.source.mix", "add up to 1", "0.7"]),
    "a negative share": ("problems.source.mix=[1.5, -0.5]", ["problems.source.mix", ">= 0"]),
    "no benchmark": ("problems.benchmarks={}", ["problems.benchmarks", "at least 1"]),
    "a limit without effect": (
        "rl.short_max_tokens=5000",
        ["rl", "short_max_tokens=5000", "max_new_tokens", "no effect", "lower it"],
    ),
    "a limit without effect in evaluation": (
        "evaluate.short_max_tokens=1000",
        ["evaluate", "short_max_tokens=1000", "max_new_tokens", "no effect", "lower it"],
    ),
    "a share that is no number": ("problems.source.mix=[nan, 1.0]", ["problems.source.mix", "finite", "got nan"]),
    "an infinite learning rate": ("rl.optimizer.learning_rate=inf", ["rl.optimizer.learning_rate", "got inf"]),
    "an infinite temperature": ("rl.temperature=inf", ["rl.temperature", "finite", "got inf"]),
    "an infinite clip above": ("rl.clip_high=inf", ["rl.clip_high", "finite", "got inf"]),
    "no re-check weights": (
        "teach.think.teacher.recheck_weights=[]",
        ["teach.think.teacher.recheck_weights", "at least one weight above 0", "got []"],
    ),
    "re-check weights of nothing": (
        "teach.think.teacher.recheck_weights=[0.0]",
        ["teach.think.teacher.recheck_weights", "at least one weight above 0", "got [0.0]"],
    ),
    "a negative re-check weight": (
        "teach.think.teacher.recheck_weights=[-1.0, 2.0]",
        ["teach.think.teacher.recheck_weights", "none below", "got [-1.0, 2.0]"],
    ),
    "a width that heads cannot share": (
        "base.model.hidden_size=97",
        ["base.model", "hidden_size=97", "no multiple of 2 x num_attention_heads=4"],
    ),
    "a width with half a pair per head": ("base.model.hidden_size=100", ["hidden_size=100", "no multiple of 2 x"]),
    "a key of another kind": (
        "base.model.path=x",
        ["'base.model.path'", "does not belong to kind 'tiny'", "'x'", "set the table's kind as well"],
    ),
    "a misspelt key of a benchmark": (
        "problems.benchmarks.tiny-easy.num_problem=4",
        ["'problems.benchmarks.tiny-easy.num_problem'", "did you mean 'problems.benchmarks.tiny-easy.num_problems'?"],
    ),
    "a benchmark that is called like a kind": (
        "problems.benchmarks.local.kind=procedural",
        ["problems.benchmarks.local.num_problems: missing", "--set problems.benchmarks.local.mix=..."],
    ),
    "shares of prompts that are not whole": (
        "rl.updates_per_step=7",
        ["prompts_per_step=32", "updates_per_step=7", "choose a divisor"],
    ),
}


@pytest.mark.parametrize("name", BAD_OVERRIDES)
def test_a_bad_override_is_refused_with_what_was_got_and_the_way_out(name: str) -> None:
    override, said = BAD_OVERRIDES[name]
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", overrides=[override])
    missing = [text for text in said if text not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


def test_a_key_that_would_have_no_effect_is_refused_when_set_by_hand() -> None:
    with pytest.raises(ConfigError, match=r"rl\.baseline would have no effect: objective 'dr_grpo' .* leave it out"):
        load_config("tiny", overrides=["rl.objective=dr_grpo", "rl.baseline=mean"])
    assert load_config("tiny", overrides=["rl.objective=dr_grpo"]).rl.objective.name == "dr_grpo"


@pytest.mark.parametrize("old", MOVED)
def test_a_key_of_an_earlier_version_is_refused_with_its_new_place(old: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", overrides=[f"{old}=0.5"])
    assert str(caught.value) == f"key {old!r} (got value 0.5) is now {MOVED[old]}; write that instead"
    stage, _, name = old.partition(".")
    tiny = Path(__file__).parents[3] / "schemas" / "profiles" / "tiny.toml"
    (tmp_path / "mine.toml").write_text(tiny.read_text().replace(f"[{stage}]\n", f"[{stage}]\n{name} = 0.5\n", 1))
    with pytest.raises(ConfigError, match=rf"key {old!r} \(got value 0\.5\) is now "):
        load_config(str(tmp_path / "mine.toml"))


def test_every_new_place_of_a_moved_key_is_a_key() -> None:
    keys = dict(known_keys())
    assert all(new.partition(" ")[0] in keys for new in MOVED.values())


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", overrides=["rl.group_size=1", "sft.steps=0", "pairs.truncatd=drop"])
    assert all(key in str(caught.value) for key in ("rl.group_size", "sft.steps", "pairs.truncatd"))


def test_an_unknown_profile_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"unknown profile 'tinny'; did you mean 'tiny'\?"):
        load_config("tinny")


def test_a_profile_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: No such file"):
        load_config(str(tmp_path / "absent.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("seed = = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml is not TOML: .*line 1"):
        load_config(str(broken))


def test_a_stage_left_out_of_a_profile_is_missed(tmp_path: Path) -> None:
    (tmp_path / "bare.toml").write_text("seed = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(tmp_path / "bare.toml"))
    assert all(f"{stage}: missing" in str(caught.value) for stage in STAGES)


def test_a_configuration_never_changes() -> None:
    config = load_config("tiny")
    with pytest.raises(ValidationError):
        config.rl.gamma = 0.1  # type: ignore[misc]


def test_configuration_errors_are_terminal_and_survive_a_process_boundary() -> None:
    error = ConfigError("rl.gamma: too large")
    assert isinstance(error, Terminal)
    assert str(pickle.loads(pickle.dumps(error))) == "rl.gamma: too large"


def test_every_key_says_what_it_means_or_has_a_telling_name() -> None:
    keys = dict(known_keys())
    assert {"rl.objective.alpha", "problems.source.path", "teach.think.teacher.recheck_weights"} <= keys.keys()
    assert keys["rl.gamma"]


def test_workers_are_refused_if_both_teachers_are_at_endpoints_which_one_process_asks() -> None:
    at_endpoint = [
        f'teach.{side}.teacher={{kind="openai",base_url="http://localhost:1/v1",model="m"}}'
        for side in ("think", "short")
    ]
    with pytest.raises(ConfigError, match=r"teach.*launch: both teachers are at endpoints.*would have no effect"):
        load_config("tiny", overrides=["teach.launch.processes=2", *at_endpoint])
    config = load_config("tiny", overrides=["teach.launch.processes=2", at_endpoint[0]])
    asking = [AskTeachers(mode).settings(config).num_processes for mode in (Mode.THINK, Mode.SHORT)]
    assert asking == [1, 2]
