"""Whether the user has pointed Prefect at a server, found out without importing Prefect, which takes a second.

PREFECT_API_URL, or the same in the active profile, in `prefect.toml`, `pyproject.toml` or `.env` -> a server is meant
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

_SETTING = "PREFECT_API_URL"


def server_is_configured() -> bool:
    """True where a run belongs on a server's pages; False where Prefect would start a temporary one."""
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
    """A TOML file, or a table inside it; empty where there is none or Prefect will have to complain about it."""
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
