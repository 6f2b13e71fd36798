"""Tokens and hours by hand, and that the shipped profiles fit the machines they are meant for."""

from __future__ import annotations

import pytest

from infra.processes.launcher import shards_the_model
from schemas.configs.loading import load_config, profile_names
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.presets import PresetSource
from schemas.configs.problems import HubSource
from thinkless_core.estimates.memory_formulas import ModelShape
from thinkless_core.estimates.model_shape import shape_of
from thinkless_core.estimates.stage_memory import stage_memories
from thinkless_core.estimates.work_estimate import MEAN_SHARE, Machine, StageWork, stage_works

PAPER_BENCHMARKS = {"aime24": 30, "minerva_algebra": 1187, "math500": 500, "gsm8k": 1319}
GB = 10**9


def loaded(profile: str, *overrides: str) -> tuple[PipelineConfig, ModelShape]:
    """A profile and the shape of its student."""
    config = load_config(profile, overrides=overrides)
    shape = shape_of(config.base.model)
    assert shape is not None
    return config, shape


def works_of(profile: str, *overrides: str, source: int | None = 1000) -> dict[str, StageWork]:
    """Work of every stage by its name."""
    config, shape = loaded(profile, *overrides)
    problems = {"source": source, "rl_source": 100, **dict.fromkeys(config.problems.benchmarks, 10)}
    return {work.stage: work for work in stage_works(config, shape, problems=problems | PAPER_BENCHMARKS)}


def memory_by_stage(config: PipelineConfig, shape: ModelShape, *, gpu_bytes: int) -> dict[str, int]:
    """Bytes of each stage at its worst moment."""
    stages = stage_memories(config, shape, gpu_bytes=gpu_bytes, shards=shards_the_model)
    return {stage.stage: stage.num_bytes for stage in stages}


def test_every_shipped_profile_can_be_loaded() -> None:
    assert {"one_gpu", "paper", "tiny"} <= set(profile_names())
    for name in profile_names():
        assert load_config(name).profile == name


@pytest.mark.parametrize(
    ("profile", "gpu_bytes", "overrides"),
    [
        ("paper", 80 * GB, ()),
        ("one_gpu", 24 * GB, ()),
        ("one_gpu", 80 * GB, ()),
        (
            "one_gpu", 24 * GB,
            ("base.model.path=Qwen/Qwen2.5-1.5B-Instruct", "sft.lora={rank=32}", "rl.lora={rank=32}"),
        ),
    ],
)  # fmt: skip
def test_profiles_fit_their_gpus_with_room_for_what_is_not_counted(
    profile: str, gpu_bytes: int, overrides: tuple[str, ...]
) -> None:
    config, shape = loaded(profile, *overrides)
    stages = memory_by_stage(config, shape, gpu_bytes=gpu_bytes)
    assert list(stages) == ["sft", "rl", "evaluate"]
    assert max(stages.values()) < 0.95 * gpu_bytes


def test_the_paper_without_its_savings_would_not_fit() -> None:
    config, shape = loaded("paper", "sft.gradient_checkpointing=false", "rl.sampler.sleep=false")
    stages = memory_by_stage(config, shape, gpu_bytes=80 * GB)
    assert stages["sft"] > 80 * GB
    assert stages["rl"] > 0.95 * 80 * GB, "an engine that does not sleep keeps its share while the policy learns"


def test_adapters_and_the_own_sampler_change_what_rl_holds() -> None:
    def terms(*overrides: str) -> dict[str, int]:
        config, shape = loaded("one_gpu", *overrides)
        rl = list(stage_memories(config, shape, gpu_bytes=24 * GB, shards=shards_the_model))[1]
        return {term.name: term.num_bytes for term in (*rl.held, *rl.learning, *rl.sampling)}

    assert "reference" in terms()
    assert "reference" not in terms("rl.lora={rank=8}"), "the policy without its adapters is the reference"
    assert "reference" not in terms("rl.kl_coef=0.0")
    own = terms("rl.sampler.kind=transformers")
    assert {"cache", "draws", "sampling copy"} <= set(own)
    assert "vLLM" not in own


def test_rollouts_and_evaluation_are_counted_as_by_hand() -> None:
    works = works_of("paper")
    assert works["rl"].most_tokens == 600 * 128 * 8 * 24_576
    assert works["rl"].likely_tokens == round(600 * 128 * 8 * MEAN_SHARE * (24_576 + 4_096) / 2)
    assert works["evaluate"].most_tokens == (30 + 1187 + 500 + 1319) * 5 * 3 * 2 * 32_768
    assert works["rl"].devices == works["sft"].devices == 4
    limited = works_of("paper", "evaluate.limit=50", "evaluate.num_samples=1", 'evaluate.models=["rl"]')
    assert limited["evaluate"].most_tokens == (30 + 3 * 50) * 2 * 32_768
    one = works_of("paper", 'evaluate.benchmarks=["math500"]')
    assert one["evaluate"].most_tokens == 500 * 5 * 3 * 2 * 32_768


def test_hours_follow_the_operations() -> None:
    works = works_of("paper")
    gpu = Machine.gpu("NVIDIA H100 80GB HBM3")
    _, shape = loaded("paper")
    # 8 P per token: 6 and once more forward, for gradient checkpointing; samples of 256 + 0.25 limit tokens.
    operations = 8 * shape.parameters * 17_000 * 64 * (2 * 256 + 0.25 * (16_384 + 2_048))
    assert works["sft"].device_hours(gpu) == pytest.approx(operations / (0.35 * 989e12) / 3600)
    slow = works_of("paper", "rl.sampler.kind=transformers")["rl"].device_hours(gpu)
    fast = works["rl"].device_hours(gpu)
    assert slow is not None
    assert fast is not None
    assert slow > 2 * fast
    assert Machine.gpu("a GPU of tomorrow").training_flops == Machine.gpu("A100").training_flops


def test_what_nobody_knows_is_said_and_not_guessed() -> None:
    unknown = works_of("paper", source=None)["teach short"]
    assert unknown.device_hours(Machine.gpu("H100")) is None
    assert unknown.note == "number of problems not known"
    asked = works_of(
        "paper", "teach.short.teacher.kind=openai", "teach.short.teacher.model=m",
        "teach.short.teacher.base_url=http://localhost:8000/v1",
    )["teach short"]  # fmt: skip
    assert asked.likely_tokens > 0
    assert asked.device_hours(Machine.gpu("H100")) is None, "somebody else's GPU"


def test_numbers_of_problems() -> None:
    assert PresetSource(name="gsm8k", split="train").most_problems() == 7473
    assert PresetSource(name="gsm8k", split="train", limit=10).most_problems() == 10
    assert PresetSource(name="aime24", limit=100).most_problems() == 30
    assert HubSource(id="o/sums").most_problems() is None
    assert HubSource(id="o/sums", limit=7).most_problems() == 7
