"""The key of an endpoint: read from the environment when it is needed, and sent to that endpoint only.

variable named in the configuration -> ApiKey -> Authorization header
It is never stored, hashed, logged or pickled, and is taken out of whatever an endpoint sends back.
"""

from __future__ import annotations

import os
import re
from typing import NoReturn

from schemas.errors import TeacherError

HIDDEN = "[key]"
SHORTEST_SECRET = 8
"""Shorter ones are words like `EMPTY` that local servers accept; a text may hold them by chance."""


class ApiKey:
    """One key; printing it shows the name of its variable."""

    __slots__ = ("_value", "variable")

    def __init__(self, value: str, *, variable: str) -> None:
        self._value = value
        self.variable = variable

    @classmethod
    def from_environment(cls, variable: str) -> ApiKey:
        """The key in `variable`; raises TeacherError if it is not set or is no value of a header."""
        value = os.environ.get(variable, "").strip()
        if not value:
            raise TeacherError(
                f"environment variable {variable}, which teacher.api_key_env names, is not set; export it, or remove "
                "api_key_env if the endpoint needs no key"
            )
        if not re.fullmatch(r"[\x21-\x7e]+", value):
            raise TeacherError(
                f"environment variable {variable} holds white space or characters beyond ASCII inside the key; "
                "export the key alone"
            )
        return cls(value, variable=variable)

    def headers(self) -> dict[str, str]:
        """The header that shows it to the endpoint."""
        return {"Authorization": f"Bearer {self._value}"}

    def hide(self, text: str) -> str:
        """A text without the key in it."""
        return text.replace(self._value, HIDDEN) if len(self._value) >= SHORTEST_SECRET else text

    def __repr__(self) -> str:
        return f"ApiKey({self.variable})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} does not leave its process; read it again from the environment")
