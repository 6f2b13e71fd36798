"""The form of a deployment: types of the flows' parameters, from which Prefect makes a JSON schema.

schema -> choices in the UI, and a server that refuses a wrong value before a process starts -> flow
What a schema cannot know, such as the keys of overrides, the flow refuses: foreseen.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field
from pydantic.config import JsonDict

from flows.recipe import stage_names
from schemas.configs.loading import profile_names
from schemas.configs.objective import ObjectiveConfig
from schemas.configs.study import study_names
from schemas.kinds import kind_names

if TYPE_CHECKING:
    StageName = str
    ProfileName = str
    StudyName = str
    Override = str
    Count = int
    OptionalStage = str | None
    OptionalProfile = str | None
    OptionalObjective = str | None
    OptionalText = str | None
    OptionalCount = int | None
else:

    def _either(*kinds: Any, rule: JsonDict, unless: JsonDict | None = None) -> Any:
        """One of the kinds. Of a value that fits none a server would say only that; here it says the rule.

        The rule stands in `else`, because the UI has no input for a union that has a `type` or `enum` of its own.
        """
        return Annotated[Union[kinds], Field(json_schema_extra={"if": unless or rule, "else": rule})]  # noqa: UP007

    def _shipped(names: tuple[str, ...], own: str, pattern: str, *otherwise: None) -> Any:
        """A choice of names, or a text of the user's own; the titles are the tabs of the form."""
        tabs = Annotated[Literal[names], Field(title="shipped")], Annotated[str, Field(title=own)]
        fits: JsonDict = {"type": "string", "pattern": pattern}
        return _either(*tabs, *otherwise, rule={"enum": [*names, own, *otherwise]}, unless=fits)

    StageName = Literal[stage_names()]
    ProfileName = _shipped(profile_names(), "FILE.toml", r"\.toml$")
    StudyName = _shipped(study_names(), "FILE.toml", r"\.toml$")
    Override = _either(str, rule={"enum": ["KEY=VALUE"]}, unless={"type": "string", "pattern": r"^[^=\s]+\s*="})
    Count = Annotated[int, Field(ge=1)]
    OptionalStage = _either(StageName, None, rule={"enum": [*stage_names(), None]})
    OptionalProfile = _shipped(profile_names(), "FILE.toml", r"\.toml$", None)
    OptionalObjective = _shipped(kind_names(ObjectiveConfig), "FILE.py:Class", r"\S:\S", None)
    OptionalText = _either(str, None, rule={"type": ["string", "null"]})
    OptionalCount = _either(Count, None, rule={"type": ["integer", "null"]})
