"""Options that stand for overrides: `--limit 50` is `--set evaluate.limit=50`.

overrides + objective, limit, data (of the command line, or of a deployment's form) -> overrides
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.local_copies import local_copy_overrides


def spelled_out(
    profile: str,
    *,
    overrides: Sequence[str],
    objective: str | None = None,
    limit: int | None = None,
    data: str | None = None,
) -> list[str]:
    """The overrides, followed by those that the options stand for.

    Raises ConfigError if `data` is no folder with a copy of a data set that the profile reads.
    """
    options = {"rl.objective": objective, "evaluate.limit": limit}
    given = [*overrides, *(f"{key}={value}" for key, value in options.items() if value is not None)]
    return given if data is None else given + local_copy_overrides(profile, overrides=given, folder=Path(data))
