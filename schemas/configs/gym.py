"""Configuration of problems that the package reasoning_gym makes and judges, and of the teacher that works them out.

[[tasks]] name, config, level, weight -> problems of each task and level, by index -> answers that its programs judge

Needs the extra `gym`. Facts about the package: https://github.com/open-thought/reasoning-gym (Apache-2.0).
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from schemas.configs.problems import OWN_LICENCE
from schemas.configs.source import Licence, SourceConfig
from schemas.configs.stage import Table
from schemas.configs.teacher import RecheckWeights, TeacherConfig
from schemas.errors import nearest

PACKAGE = "reasoning-gym"
"""Distribution whose version is part of the key of whatever reads its problems or judges by them."""
EXTRA = "gym"
MIXTURES = "schemas/mixtures"
"""Folder of the mixtures that come with this program."""


class GymTask(Table):
    """One task at one level."""

    name: str = Field(min_length=1)
    """The package's name of the task, such as `chain_sum`."""
    level: int = Field(1, ge=0)
    """Its difficulty among the levels of this task; the column `difficulty` of its problems."""
    weight: float = Field(1.0, gt=0)
    """Problems of this task and level, relative to the others."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Settings of the task as the package knows them, such as `{min_terms = 2, max_terms = 2}`."""

    @property
    def label(self) -> str:
        """Task and level as `only` and `leave_out` write them."""
        return f"{self.name}:{self.level}"

    @model_validator(mode="after")
    def _settings_of_its_own(self) -> Self:
        if taken := sorted({"seed", "size"} & set(self.config)):
            raise ValueError(f"{', '.join(taken)}: the source sets it from its own seed and split; leave it out here")
        return self


def _tasks(value: Any) -> Any:
    """The tasks themselves, or those in a shipped mixture or in a TOML file."""
    if not isinstance(value, str):
        return value
    shipped = {file.name.removesuffix(".toml"): file for file in _shipped_mixtures()}
    if value.endswith(".toml"):
        path = Path(value).expanduser()
        if not path.is_file():
            raise ValueError(f"no file {value} (relative to the current directory); give a TOML file with [[tasks]]")
        text = path.read_text(encoding="utf-8")
    elif value in shipped:
        text = shipped[value].read_text(encoding="utf-8")
    else:
        raise ValueError(f"no mixture {value!r}; {nearest(value, sorted(shipped))} (or the path of a .toml file)")
    try:
        content: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{value}: {error}; expected [[tasks]] with name, level, weight and config") from error
    if set(content) != {"tasks"}:
        raise ValueError(f"{value} holds {', '.join(sorted(content)) or 'nothing'}, expected only [[tasks]]")
    return content["tasks"]


def _shipped_mixtures() -> list[Any]:
    package, _, folder = MIXTURES.partition("/")
    return [file for file in resources.files(package).joinpath(folder).iterdir() if file.name.endswith(".toml")]


class GymSource(SourceConfig):
    """Problems of reasoning_gym: tasks at levels, drawn by index.

    The package draws item i of seed s with Random(s + i), so its neighbouring seeds share nearly all items. Here the
    splits are ranges of indices that lie apart, and seeds of this project lie farther apart than all ranges.
    """

    implementation: ClassVar[str | None] = "thinkless_core.gym.problems:GymProblems"
    packages: ClassVar[tuple[str, ...]] = (PACKAGE,)
    extra: ClassVar[str] = EXTRA
    made_by_a_program: ClassVar[bool] = True

    kind: Literal["gym"] = "gym"
    tasks: Annotated[tuple[GymTask, ...], BeforeValidator(_tasks)] = Field(min_length=1)
    """A list of tasks; or the name of a shipped mixture, such as `graded`, or a TOML file with [[tasks]]."""
    num_problems: int = Field(ge=1)
    """Distinct problems to draw, over all tasks."""
    only: tuple[str, ...] = ()
    """Use these tasks alone: `chain_sum` for all its levels, `chain_sum:1` for one."""
    leave_out: tuple[str, ...] = ()
    """Use all tasks but these."""
    split: Literal["train", "rl", "validation", "test"] | None = None
    """Range of indices. None takes the one that fits the use: `train`, `rl`, or `test` for a benchmark."""
    verifier: str = "gym"
    """Verifier that judges answers: the package's own program (`gym`), or another one."""

    @model_validator(mode="after")
    def _something_is_chosen(self) -> Self:
        labels = [task.label for task in self.tasks]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"{', '.join(twice)} stands in tasks twice; give each entry a level of its own")
        known = {*labels, *(task.name for task in self.tasks)}
        for name in (*self.only, *self.leave_out):
            if name not in known:
                raise ValueError(f"only/leave_out: no {name!r} among the tasks; {nearest(name, sorted(known))}")
        if not self.chosen():
            raise ValueError("only and leave_out leave no task; change one of them")
        return self

    def chosen(self) -> tuple[GymTask, ...]:
        """The tasks that are used, by `only` and `leave_out`."""

        def named(task: GymTask, names: tuple[str, ...]) -> bool:
            return task.name in names or task.label in names

        return tuple(
            task for task in self.tasks if (not self.only or named(task, self.only)) and not named(task, self.leave_out)
        )

    def display_name(self) -> str:
        """See SourceConfig.display_name."""
        return PACKAGE

    def place(self) -> str:
        """See SourceConfig.place."""
        return f"{PACKAGE}, {', '.join(dict.fromkeys(task.name for task in self.chosen()))}"

    def few(self, num_problems: int, *, streaming: bool = True) -> Self:
        """See SourceConfig.few."""
        return self.model_copy(update={"num_problems": min(self.num_problems, num_problems)})

    def most_problems(self) -> int:
        """See SourceConfig.most_problems."""
        return self.num_problems

    def licence(self) -> Licence:
        """See SourceConfig.licence."""
        return Licence(PACKAGE, "Apache-2.0", "problems made by its programs")


class GymTeacher(TeacherConfig):
    """Answers problems of reasoning_gym: the answer on the short side, steps that a program writes on the think side.

    The programs are in thinkless_core/gym/workings, a function for each task.
    """

    implementation: ClassVar[str | None] = "thinkless_core.gym.teacher:WorkingTeacher"
    packages: ClassVar[tuple[str, ...]] = (PACKAGE,)
    extra: ClassVar[str] = EXTRA

    kind: Literal["gym"] = "gym"
    recheck_weights: RecheckWeights = (0.6, 0.4)
    """Relative frequency of 0, 1, 2, ... re-checks in a long answer, on easy problems too, as reasoning models do."""

    def licence(self) -> Licence:
        """See TeacherConfig.licence."""
        return Licence("worked out by a program", OWN_LICENCE, f"made by thinkless-flows; answers by {PACKAGE}")
