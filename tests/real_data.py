"""Real data sets, which are no part of the product: found beside the checkout or in THINKLESS_TEST_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def real_data(file: str) -> Path:
    """One of the files; the test that asks skips where it is missing."""
    path = Path(os.environ.get("THINKLESS_TEST_DATA", "absent")) / file
    if not path.is_file():
        pytest.skip(f"needs {file} of THINKLESS_TEST_DATA or ../shared/data, which is not part of the product")
    return path
