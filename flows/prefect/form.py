"""The form of a deployment: types of the flows' parameters, from which Prefect makes a JSON schema.

schema -> choices in the UI, and a server that refuses a wrong value before a process starts -> flow
What a schema cannot know, such as the keys of overrides, the flow refuses: `refused`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from prefect.client.schemas.objects import State
from prefect.states import Failed
from pydantic import Field

from flows.recipe import stage_names
from schemas.configs.loading import profile_names
from schemas.configs.objective import ObjectiveConfig
from schemas.configs.study import study_names
from schemas.errors import ThinklessError
from schemas.kinds import kind_names

if TYPE_CHECKING:
    StageName = str
    ProfileName = str
    StudyName = str
    ObjectiveName = str
    Override = str
    Count = int
else:

    def _shipped(*names: str, otherwise: str, pattern: str) -> Any:
        """A choice of names, or a text of the user's own; the titles are the tabs of the form."""
        shipped = Annotated[Literal[names], Field(title="shipped")]
        return shipped | Annotated[str, Field(title=otherwise, pattern=pattern)]

    StageName = Literal[stage_names()]
    ProfileName = _shipped(*profile_names(), otherwise="file", pattern=r"\.toml$")
    StudyName = _shipped(*study_names(), otherwise="file", pattern=r"\.toml$")
    ObjectiveName = _shipped(*kind_names(ObjectiveConfig), otherwise="your own", pattern=r"\S:\S")
    Override = Annotated[str, Field(pattern=r"^[^=\s]+\s*=")]
    Count = Annotated[int, Field(ge=1)]


def refused(error: ThinklessError) -> State[Any]:
    """The last state of a flow run that cannot start: the error in one line. A caller of the flow gets the error.

    In a worker's process Prefect logs a traceback of its own below that line; it is without what led to the error.
    """
    error.__cause__ = None
    return Failed(message=" ".join(str(error).split()), data=error)
