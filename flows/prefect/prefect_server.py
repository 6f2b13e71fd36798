"""Finds the Prefect server that the user has configured, and whether it answers, without importing Prefect, which takes
a second.

PREFECT_API_URL in the environment, `.env`, `prefect.toml`, `pyproject.toml` or the active profile -> address | None
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

LOOK_SECONDS = 5.0
REMEDY = "start it (prefect server start), forget it (prefect config unset PREFECT_API_URL), or add --no-prefect"
"""Ways out where a configured server does not answer."""
_SETTING = "PREFECT_API_URL"


def server_address() -> str | None:
    """Address of the server that Prefect would use; None if it would start a temporary one."""
    if _SETTING in os.environ:
        return os.environ[_SETTING] or None
    for line in _text(Path(".env")).splitlines():
        name, _, value = line.strip().partition("=")
        if name == _SETTING:
            return value.strip("\"' ") or None
    own = _table(Path("prefect.toml")), _table(Path("pyproject.toml"), "tool", "prefect")
    for found in [*(_inner(table, "api").get("url") for table in own), _active_profile().get(_SETTING)]:
        if found:
            return str(found)
    return None


def why_silent(address: str) -> str | None:
    """None if a server answers there, whatever it says; else the reason in words."""
    import httpx  # a slow import, needed only where a server is configured

    try:
        httpx.get(f"{address.rstrip('/')}/health", timeout=LOOK_SECONDS)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no answer'}"
    return None


def _active_profile() -> dict[str, object]:
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = _table(Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml"))
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return _inner(profiles, "profiles", str(active))


def _table(path: Path, *keys: str) -> dict[str, object]:
    """A TOML file, or a table inside it; empty if it is missing or invalid, which Prefect itself reports."""
    try:
        return _inner(tomllib.loads(_text(path)), *keys)
    except tomllib.TOMLDecodeError:
        return {}


def _inner(table: dict[str, object], *keys: str) -> dict[str, object]:
    node: object = table
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
