"""How the verifier of a source's problems is chosen: by name, by FILE.py:Class or by import path.

The verifiers themselves are in thinkless_core/grading; `Verifier` in its verifier.py shows how to write one.
"""

from __future__ import annotations

from typing import ClassVar

from schemas.kinds import Kind, chosen


class VerifierConfig(Kind):
    """A verifier: it says whether a completion solves a problem."""

    group: ClassVar[str] = "thinkless.verifiers"
    tag: ClassVar[str] = "name"

    name: str = ""
    """The choice: `strict`, `paper`, the name of an installed one, FILE.py:Class or an import path."""


choose_verifier = chosen(VerifierConfig)
"""A name -> the verifier that it chooses."""
