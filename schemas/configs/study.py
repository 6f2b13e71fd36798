"""Configuration of a study: conditions, each run with several seeds, and the claims measured on them.

study name or TOML file -> StudyConfig -> members (condition x seed), each a list of overrides of a profile

Only `rl.seed` differs between the seeds of a condition, so that they all share one warm-up from the store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from schemas.configs.stage import StageConfig, Table
from schemas.errors import ConfigError, nearest

CLAIM_ROLES: Mapping[str, tuple[str, ...]] = {
    "think-share-falls": ("policy",),
    "hard-keeps-thinking": ("policy",),
    "grpo-loses-a-mode": ("grpo", "degrpo"),
    "u-shaped-think-count": ("policy",),
    "alpha-sweep": ("small", "middle", "large"),
    "warm-up-scale": ("few", "all"),
    "smooth-p-think": ("policy",),
    "long-chains-shorten": ("policy",),
    "reaches-oracle": ("policy",),
    "chooses-by-need": ("policy",),
    "guard-recovers": ("guarded", "unguarded"),
}
"""Claim -> roles of its conditions, for every claim that thinkless_core/statistics/claims.py can measure."""


class Condition(Table):
    """One setting, run with every seed."""

    about: str
    """Its purpose, in a sentence."""
    overrides: tuple[str, ...] = ()
    """`dotted.key=value`, applied after those of the whole study."""
    most_seeds: int | None = Field(None, ge=1)
    """Run with no more seeds than this, whatever the others are run with."""

    def num_seeds(self, asked: int) -> int:
        """The seeds it is run with if `asked` are asked for."""
        return asked if self.most_seeds is None else min(asked, self.most_seeds)


class ClaimCheck(Table):
    """One claim, and the conditions on which it is measured."""

    claim: str
    """Name of the claim."""
    conditions: dict[str, str]
    """Role -> name of its condition."""

    @model_validator(mode="after")
    def _every_role_has_a_condition(self) -> Self:
        if self.claim not in CLAIM_ROLES:
            raise ValueError(f"unknown claim {self.claim!r}; {nearest(self.claim, CLAIM_ROLES)}")
        roles = CLAIM_ROLES[self.claim]
        if set(self.conditions) != set(roles):
            got = ", ".join(sorted(self.conditions)) or "none"
            raise ValueError(
                f"claim {self.claim!r} has roles {got}, expected {', '.join(roles)}; name one condition for each"
            )
        return self


class StudyBenchmarks(Table):
    """The profile's benchmarks by role."""

    easy: str
    """Problems that the short mode can solve (the role of GSM8K)."""
    mixed: str
    """The mix of the training problems (the role of MATH-500)."""
    hard: str
    """Problems that the short mode cannot solve (the role of AIME)."""


class StudyConfig(Table):
    """A whole study."""

    name: str
    """Its name: the stem of its file."""
    title: str
    """Headline of its page."""
    profile: str = "tiny"
    """The profile it was made for, which is run if none is named."""
    overrides: tuple[str, ...] = ()
    """Applied to every member, before its condition's own."""
    benchmarks: StudyBenchmarks
    conditions: dict[str, Condition] = Field(min_length=1)
    """Name -> condition, in the order in which they are run."""
    claims: tuple[ClaimCheck, ...] = ()
    """Claims to measure; one claim may be measured on several conditions."""

    @model_validator(mode="after")
    def _claims_name_conditions(self) -> Self:
        for check in self.claims:
            for condition in check.conditions.values():
                if condition not in self.conditions:
                    way_out = nearest(condition, self.conditions)
                    raise ValueError(f"claim {check.claim!r} names an unknown condition {condition!r}; {way_out}")
        return self

    def only(self, claim: str) -> StudyConfig:
        """The study reduced to one claim and its conditions; raises ConfigError if it has no such claim."""
        checks = tuple(check for check in self.claims if check.claim == claim)
        if not checks:
            known = {check.claim for check in self.claims}
            way_out = nearest(claim, known) if known else "it has none"
            raise ConfigError(f"study {self.name} has no claim {claim!r}; {way_out}")
        needed = {condition for check in checks for condition in check.conditions.values()}
        conditions = {name: condition for name, condition in self.conditions.items() if name in needed}
        return self.model_copy(update={"claims": checks, "conditions": conditions})

    def members(self, *, num_seeds: int, overrides: Sequence[str] = ()) -> tuple[MemberSpec, ...]:
        """Every run of the study, seed by seed, so that an early stop leaves whole rounds; `overrides` come last.

        Raises ConfigError for a number of seeds below 1.
        """
        if num_seeds < 1:
            raise ConfigError(f"--seeds is {num_seeds}, expected at least 1 (5 give an interval worth reading)")
        return tuple(
            MemberSpec(name, seed, (*self.overrides, *condition.overrides, *overrides, f"rl.seed={seed}"))
            for seed in range(num_seeds)
            for name, condition in self.conditions.items()
            if seed < condition.num_seeds(num_seeds)
        )


@dataclass(frozen=True)
class MemberSpec:
    """One planned run of a study."""

    condition: str
    seed: int
    overrides: tuple[str, ...]
    """All that differs from the profile, `rl.seed` included."""

    @property
    def label(self) -> str:
        """Its name on the screen and in file names."""
        return f"{self.condition}-seed{self.seed}"


class FinishedMember(Table):
    """One finished run of a study; its policy and evaluation are the next two inputs of the summary."""

    condition: str
    """Name of its condition."""
    seed: int
    """Its `rl.seed`."""
    overrides: tuple[str, ...]
    """All that differs from the profile."""


class StudySummaryConfig(StageConfig):
    """Configuration of stage `study`: the study and its finished runs."""

    study: StudyConfig
    members: tuple[FinishedMember, ...] = Field(min_length=1)
    """The runs that are finished."""
    num_seeds: int = Field(ge=1)
    """Requested seeds per condition, most of all; a claim measured on fewer than its condition has a note."""


def study_names() -> tuple[str, ...]:
    """Names of the studies that ship with the package."""
    files = resources.files("schemas.studies").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_study(study: str) -> StudyConfig:
    """A shipped study by name, or your own by the path of a TOML file; raises ConfigError."""
    names = study_names()
    try:
        if study in names:
            text = resources.files("schemas.studies").joinpath(f"{study}.toml").read_text(encoding="utf-8")
        elif study.endswith(".toml"):
            text = Path(study).read_text(encoding="utf-8")
        else:
            raise ConfigError(
                f"unknown study {study!r}; {nearest(study, names)} (shipped: {', '.join(names)}; a path that ends in "
                ".toml is read as a study of your own)"
            )
        return StudyConfig.model_validate({"name": Path(study).stem, **tomllib.loads(text)})
    except OSError as error:
        raise ConfigError(f"study file {study}: {error.strerror}; give the path of a TOML file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"study {study} is not TOML: {error}") from error
    except ValidationError as error:
        lines = [f"  - {'.'.join(map(str, e['loc'])) or 'study'}: {_words(e['msg'])}" for e in error.errors()]
        raise ConfigError(f"study {study!r} cannot be used:\n" + "\n".join(lines)) from error


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")
