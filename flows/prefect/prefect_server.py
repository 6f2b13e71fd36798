"""Finds out if the user has configured a Prefect server, without importing Prefect, which takes a second.

PREFECT_API_URL in the environment, the active profile, `prefect.toml`, `pyproject.toml` or `.env` -> True
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

_SETTING = "PREFECT_API_URL"


def server_is_configured() -> bool:
    """True if Prefect would use a configured server; False if it would start a temporary one."""
    if _SETTING in os.environ:
        return bool(os.environ[_SETTING])
    in_env_file = any(line.strip().startswith(f"{_SETTING}=") for line in _text(Path(".env")).splitlines())
    own = _table(Path("prefect.toml")), _table(Path("pyproject.toml"), "tool", "prefect")
    return in_env_file or any("url" in _inner(table, "api") for table in own) or _SETTING in _active_profile()


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
