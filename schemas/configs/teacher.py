"""The base class of all teachers.

profile: `kind = "openai"` | `kind = "my_teacher.py:Lookup"` | `kind = "package.module:Lookup"` -> TeacherConfig
    -> `build(tokenizer=...)` -> the object that answers (thinkless_core/teachers/reply.py: Teacher)

Shipped teachers: procedural, recorded, worked_solutions, openai, transformers, vllm (schemas/configs/teach.py), gym
(schemas/configs/gym.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, BeforeValidator, SerializeAsAny

from schemas.configs.source import Licence, Recorded, SourceConfig
from schemas.errors import TeacherError
from schemas.kinds import Kind, chosen
from schemas.mode import Mode

if TYPE_CHECKING:
    from schemas.chat import ChatService
    from schemas.records.problems import Problem


class TeacherTools(NamedTuple):
    """What a teacher may use while it answers."""

    tokenizer: Any
    """The student's, for counting the tokens of an answer that nobody has counted."""
    connect: Callable[[Any], ChatService] | None = None
    """Opens the endpoint of a teacher of kind `openai`."""
    scratch: Path | None = None
    """Folder for what it keeps on disk while it answers; the system's temporary one if not given."""


class SampleRules(NamedTuple):
    """How many answers a problem gets, and which are kept."""

    num_samples: int = 1
    reject_wrong: bool = False


class Endpoint(NamedTuple):
    """A chat endpoint that a teacher asks."""

    base_url: str
    model: str
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""


class Weights(NamedTuple):
    """A model that is loaded in this process."""

    path: str
    """Local folder, or Hub id."""
    revision: str | None = None


class TeacherConfig(Kind):
    """A teacher. To add your own, write a class with one method in a file, and name the file in the profile:

        # my_teacher.py; used by: teach.short.teacher = { kind = "my_teacher.py:Lookup", path = "answers.tsv" }
        from pathlib import Path
        from schemas.configs.teacher import TeacherConfig

        class Lookup(TeacherConfig):
            '''Answers from a file of two columns, separated by a tab.'''

            path: str
            '''The file: question and answer in every line.'''

            def reply(self, problem, *, mode, seed):
                lines = Path(self.path).read_text().splitlines()
                return dict(line.split("\\t") for line in lines).get(problem.question)

            def local_paths(self):
                return (self.path,)

    A think reply reads `reasoning</think>answer`, a short one is the answer alone; both without control token. Some
    teachers answer many problems at once: name in `implementation` ("package.module:Class") a class with the methods
    of thinkless_core/teachers/reply.py::Teacher; it is called with this configuration and TeacherTools.
    """

    group: ClassVar[str] = "thinkless.teachers"
    implementation: ClassVar[str | None] = "thinkless_core.teachers.one_by_one:OneByOneTeacher"

    kind: str = ""

    def build(self, *, tokenizer: Any, connect: Any = None, scratch: Path | None = None) -> Any:
        """The teacher at work; see TeacherTools for what it is given."""
        return super().build(TeacherTools(tokenizer, connect, scratch))

    def reply(self, problem: Problem, *, mode: Mode, seed: int) -> str | None:
        """The answer to one problem, without control token; None if there is none, which drops the problem."""
        raise TeacherError(f"teacher {self.display_name()} has no method `reply`; write one that returns the answer")

    def display_name(self) -> str:
        """A short name for tables, without folders of this machine."""
        return type(self).__name__

    def refuse_mode(self, mode: Mode) -> None:
        """Raises ValueError if it cannot answer in this mode as it is set."""

    def rules(self) -> SampleRules:
        """How many answers a problem gets, and which are kept."""
        return SampleRules()

    def replayed(self) -> SourceConfig | None:
        """The data set that it replays; None if it replays none."""
        return None

    def recorded_rows(self, source: SourceConfig, mode: Mode) -> Iterator[tuple[str, Recorded]]:
        """(question, what is recorded about it) of every row of a data set that it replays."""
        raise TeacherError(f"teacher {self.display_name()} replays no data set")

    def weights(self) -> Weights | None:
        """The model that it loads in this process; None if it loads none."""
        return None

    def endpoint(self) -> Endpoint | None:
        """The chat endpoint that it asks; None if it asks none."""
        return None

    def extras(self) -> tuple[str, ...]:
        """Extras of this project, such as `vllm`, whose package of the same name it needs."""
        return ()

    def num_gpus(self) -> int:
        """GPUs that one copy of its model is spread over; 0 if it has no engine of its own."""
        return 0

    def licence(self) -> Licence:
        """Under which licence its answers are; a model in this process is asked for its own, see `weights`."""
        return Licence(self.display_name(), None, "a teacher of your own")


def _some_weight(weights: tuple[float, ...]) -> tuple[float, ...]:
    if not weights or min(weights) < 0 or sum(weights) == 0:
        raise ValueError(f"needs at least one weight above 0 and none below, got {weights}")
    return weights


RecheckWeights = Annotated[tuple[float, ...], AfterValidator(_some_weight)]
"""Relative frequencies of 0, 1, 2, ... re-checks in a long answer."""

Teacher = Annotated[SerializeAsAny[TeacherConfig], BeforeValidator(chosen(TeacherConfig))]
"""A field that holds any teacher."""
