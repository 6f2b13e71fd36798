"""Versions of installed packages."""

from __future__ import annotations

from importlib import metadata


def installed_version(package: str) -> str | None:
    """Version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
