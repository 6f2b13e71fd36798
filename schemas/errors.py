"""Every error a user can meet, in one tree.

A message says what is wrong, the value found, the value expected, where, and the way out. `Transient` errors are
retried, `Terminal` ones end the run at once with exit code 2. All are picklable, so that they can be sent between
processes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ThinklessError(Exception):
    """Root of all errors this project raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 2


class Transient(ThinklessError):  # noqa: N818 - a kind of error, mixed into concrete ones
    """A retry may help: a busy endpoint, a lock held by another process."""


class Terminal(ThinklessError):  # noqa: N818 - a kind of error, mixed into concrete ones
    """A retry cannot help: bad configuration, bad data, a store that cannot be written."""


class ConfigError(Terminal):
    """A profile, configuration key or value is invalid."""


class SourceError(Terminal):
    """A data file or data set cannot be read as problems or completions."""


class ContractError(Terminal):
    """Rows break a table's contract: validation failed and nothing was published."""


class StoreError(Terminal):
    """The artifact store cannot be written, or a newer version wrote it."""


class WorkspaceLostError(Transient):
    """Another machine took a build over, because its builder seemed dead."""


class MissingArtifactError(Terminal):
    """The store does not hold a requested artifact or run."""


class CatalogLockedError(Transient):
    """Another process holds the catalog and did not release it in time."""


class RemoteError(Terminal):
    """The remote of artifacts does not answer, refuses, or holds other bytes than its manifests say."""


class QueryError(Terminal):
    """SQL does not parse, names something unknown, or tries to write."""


class CheckpointError(Terminal):
    """A training checkpoint does not fit the run that resumes from it."""


class TrainingError(Terminal):
    """Training cannot go on: a loss that is not finite, an empty batch."""


class WorkerError(Terminal):
    """A process that took a share of a stage's work failed."""


class CollapseError(Terminal):
    """A mode was lost in RL, and the collapse guard's policy is `stop`."""


class EvaluationError(Terminal):
    """An evaluation has no examples, so there is nothing to average."""


class TeacherError(Terminal):
    """A teacher cannot answer: a missing recording, a refused key."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the nearest known name, or the list of all."""
    names = sorted(known)
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if matches:
        return f"did you mean {matches[0]!r}?"
    return f"known: {', '.join(names)}"
