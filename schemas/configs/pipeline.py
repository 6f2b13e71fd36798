"""The whole configuration of a run: one frozen table per stage.

profile (TOML) + overrides (`rl.gamma=0.3`) -> PipelineConfig; see schemas/configs/loading.py.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from schemas.configs.base_model import BaseModelConfig
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.pairs import PairsConfig
from schemas.configs.problems import ProblemsConfig
from schemas.configs.report import ReportConfig
from schemas.configs.rl import RlConfig
from schemas.configs.sft import SftConfig
from schemas.configs.stage import MAX_SEED, StageConfig, Table
from schemas.configs.teach import TeachConfig
from schemas.errors import ConfigError, nearest


class PipelineConfig(Table):
    """All settings of a run."""

    profile: str
    """Name of the profile it came from; not part of any stage's key."""
    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of every stage that does not set its own."""
    base: BaseModelConfig
    problems: ProblemsConfig
    teach: TeachConfig
    pairs: PairsConfig
    sft: SftConfig
    rl: RlConfig
    evaluate: EvaluateConfig
    report: ReportConfig
    stages: dict[str, dict[str, JsonValue]] = Field({})
    """Settings of stages that were added to the recipe: `[stages.NAME]`."""

    def added_stage(self, name: str, model: type[StageConfig]) -> StageConfig:
        """The settings of a stage that has no field of its own; raises ConfigError for invalid ones."""
        try:
            return model.model_validate({"seed": self.seed, **self.stages.get(name, {})})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(("stages", name, *map(str, first["loc"])))
            raise ConfigError(f"{where}: {first['msg']}, got {first['input']!r}; correct [stages.{name}]") from error

    @model_validator(mode="before")
    @classmethod
    def _stages_inherit_the_seed(cls, data: Any) -> Any:
        """Stages that set no seed take the pipeline's."""
        if not isinstance(data, dict):
            return data
        seed = data.get("seed", 0)
        filled = {name: {"seed": seed, **data[name]} for name in STAGES if isinstance(data.get(name), dict)}
        return {**data, **filled}

    @model_validator(mode="after")
    def _evaluated_benchmarks_exist(self) -> Self:
        for name in self.evaluate.benchmarks:
            if name not in self.problems.benchmarks:
                raise ValueError(
                    f"evaluate.benchmarks names {name!r}, which problems.benchmarks does not have; "
                    f"{nearest(name, self.problems.benchmarks)}"
                )
        return self


STAGES = tuple(
    name
    for name, field in PipelineConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, StageConfig)
)
"""Every stage that has a table of its own, in the order of the pipeline."""
