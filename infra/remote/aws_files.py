"""Reads what AWS's command line keeps in its files: keys, region and endpoint of a profile, where variables name none.

~/.aws/credentials, ~/.aws/config (or where AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE say) -> options of an S3 client
Other ways to get a key (a role, single sign-on) are the client's own, or `aws configure export-credentials`.
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path

_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_PLACES = {"region": "region", "endpoint_url": "endpoint"}
_PLACE_VARIABLES = {
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
}


def s3_options() -> dict[str, str]:
    """Options of an S3 client that are in the files; the client reads the environment itself, and that comes first.

    Keys come all from one place: where the environment has one of them, the files are not asked for any.
    """
    profile = os.environ.get("AWS_PROFILE", "default")
    credentials = _section(_file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), profile)
    settings = _section(_file("AWS_CONFIG_FILE", "config"), profile if profile == "default" else f"profile {profile}")
    found = {}
    if not any(os.environ.get(name.upper()) for name in _KEYS):
        keys = credentials if "aws_access_key_id" in credentials else settings
        found = {option: keys[name] for name, option in _KEYS.items() if name in keys}
    for name, option in _PLACES.items():
        if name in settings and not any(os.environ.get(variable) for variable in _PLACE_VARIABLES[option]):
            found[option] = settings[name]
    return found


def endpoint(options: dict[str, str]) -> str:
    """The address of the server, from the environment or the files; empty: AWS's own."""
    named = (os.environ.get(variable) for variable in _PLACE_VARIABLES["endpoint"])
    return next((address for address in named if address), options.get("endpoint", ""))


def _file(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable) or Path("~/.aws", name)).expanduser()


def _section(file: Path, name: str) -> dict[str, str]:
    """The lines of one section; empty if there is no such file or section, or the file is none of AWS's."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
        return dict(parser[name]) if parser.has_section(name) else {}
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
