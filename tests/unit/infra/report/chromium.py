"""A headless Chromium, where there is one: a page is loaded, its scripts run, and what it became is read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0",
)  # fmt: skip


class Loaded(NamedTuple):
    """A page after its scripts ran."""

    document: str
    """Its elements as HTML."""
    console: tuple[str, ...]
    """What it wrote to the console, errors included."""


def load(file: Path, *, fragment: str = "", profile: Path) -> Loaded:
    """Open a file, with a fragment behind `#`; skips the test where there is no Chromium or it does not start."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here: the page is not looked at in a browser")
    address = file.as_uri() + (f"#{fragment}" if fragment else "")
    command = [browser, *_FLAGS, f"--user-data-dir={profile}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "</html>" not in done.stdout:
        pytest.skip(f"the browser at hand does not start (exit code {done.returncode})")
    console = re.findall(r"CONSOLE(?::\d+|\(\d+\))\] (.*)", done.stderr)
    return Loaded(done.stdout, tuple(console))
