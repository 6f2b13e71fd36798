"""Cases of one test, of which `make test` runs some and `make test-all` runs every one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest


def fast_and_slow(fast: Sequence[object], slow: Sequence[object]) -> list[object]:
    """All cases; those of `slow` have the mark `slow`."""
    return [*fast, *(pytest.param(case, marks=pytest.mark.slow) for case in slow)]
