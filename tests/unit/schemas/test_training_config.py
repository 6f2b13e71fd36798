"""Options of the two stages that train: off unless asked for, and refused where they mean nothing."""

from __future__ import annotations

import pytest

from schemas.configs.loading import load_config
from schemas.configs.training import LoraConfig
from schemas.errors import ConfigError


def test_the_tiny_profile_trains_all_weights_in_float32_in_one_process() -> None:
    config = load_config("tiny")
    for stage in (config.sft, config.rl):
        assert (stage.precision, stage.gradient_checkpointing, stage.lora, stage.launch) == (
            "float32",
            False,
            None,
            None,
        )
    assert config.evaluate.precision == "float32"


def test_one_key_turns_adapters_on() -> None:
    config = load_config("tiny", overrides=["sft.lora.rank=8", "rl.lora={}"])
    assert config.sft.lora == LoraConfig(rank=8)
    assert config.rl.lora == LoraConfig()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sft.lora.rnk=8", r"unknown key 'sft\.lora\.rnk' .* did you mean 'sft\.lora\.rank'"),
        ("rl.lora.rank=0", r"rl\.lora\.rank: .* greater than or equal to 1, got 0 \(Rank of an adapter"),
        ("sft.lora.target_modules=[]", r"sft\.lora\.target_modules: .* at least 1 item"),
        ("rl.precision=bfloat16", r"rl\.precision: Input should be 'float32', 'mixed' or 'auto', got 'bfloat16'"),
        (
            "evaluate.precision=mixed",
            r"evaluate\.precision: Input should be 'float32', 'bfloat16' or 'auto', got 'mixed'",
        ),
        ("base.model.gguf_file=x.gguf", r"'base\.model\.gguf_file' does not belong to kind 'tiny'"),
    ],
)
def test_what_makes_no_sense_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("tiny", overrides=[override])


def test_an_engine_over_several_gpus_in_each_of_several_processes_is_refused() -> None:
    overrides = ["rl.launch.processes=2", "rl.sampler.kind=vllm"]
    assert load_config("tiny", overrides=overrides).rl.launch is not None
    with pytest.raises(ConfigError, match=r"tensor_parallel_size=2 with launch\.processes=2"):
        load_config("tiny", overrides=[*overrides, "rl.sampler.tensor_parallel_size=2"])
