"""A suite in which everything skipped fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SIDE_BY_SIDE = ["-n", "2"]
SKIPPED = "import pytest\ndef test_a():\n    pytest.skip('nothing here')\n"


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        (SKIPPED, [], pytest.ExitCode.TESTS_FAILED),
        (SKIPPED + "def test_b():\n    pass\n", [], pytest.ExitCode.OK),
        (SKIPPED, ["--collect-only"], pytest.ExitCode.OK),
        (SKIPPED, SIDE_BY_SIDE, pytest.ExitCode.TESTS_FAILED),
        pytest.param(SKIPPED + "def test_b():\n    pass\n", SIDE_BY_SIDE, pytest.ExitCode.OK, marks=pytest.mark.slow),
    ],
    ids=["all skipped", "one passed", "only collected", "all skipped in two workers", "one passed in two workers"],
)
def test_a_suite_in_which_everything_skipped_fails(
    tmp_path: Path, text: str, options: list[str], status: pytest.ExitCode
) -> None:
    if options == SIDE_BY_SIDE:
        pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    (tmp_path / "test_some.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.all_skipped", "-p", "no:cacheprovider", *options]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("nothing was shown" in done.stdout) == (status == pytest.ExitCode.TESTS_FAILED)
