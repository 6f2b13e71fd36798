"""Every error a user can meet, in one tree.

A message says what is wrong, what was got, what was expected, where, and the way out. `Transient` errors are
retried by the orchestrator, `Terminal` ones end the run at once with exit code 2. All are picklable, so that
they survive a process boundary.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ThinklessError(Exception):
    """Root of all errors this project raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 2


class Transient(ThinklessError):  # noqa: N818 - a kind of error, mixed into concrete ones
    """Worth trying again: a busy endpoint, a lock held by somebody else."""


class Terminal(ThinklessError):  # noqa: N818 - a kind of error, mixed into concrete ones
    """Trying again cannot help: bad configuration, bad data, a store that cannot be written."""


class ConfigError(Terminal):
    """A profile, a configuration key or a value that cannot be used."""


class SourceError(Terminal):
    """A data file or data set that cannot be read as problems or completions."""


class ContractError(Terminal):
    """Rows that break a table's contract: validation failed and nothing was published."""


class StoreError(Terminal):
    """The artifact store cannot be written, or was made by a newer version."""


class MissingArtifactError(Terminal):
    """An artifact or run was asked for that the store does not hold."""


class CatalogLockedError(Transient):
    """Another process holds the catalog and did not let go in time."""


class QueryError(Terminal):
    """SQL that does not parse, names something unknown, or tries to write."""


class CheckpointError(Terminal):
    """A training checkpoint that does not fit the run that wants to resume from it."""


class TrainingError(Terminal):
    """Training cannot go on: a loss that is not finite, an empty batch."""


class CollapseError(Terminal):
    """A mode was lost in RL, and the collapse guard was told to stop the run."""


class EvaluationError(Terminal):
    """An evaluation without examples, which would otherwise be a number about nothing."""


class TeacherError(Terminal):
    """A teacher that cannot answer: a missing recording, a refused key."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The way out for a misspelt name: the nearest known one, or the list of all."""
    names = sorted(known)
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if matches:
        return f"did you mean {matches[0]!r}?"
    return f"known: {', '.join(names)}"
