"""Licences of everything the model was made from: base model, problems, teachers.

manifests -> configurations -> licence named by the source, teacher, folder or package -> SourceLicences
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path, PurePath
from typing import TypeVar

from pydantic import JsonValue

from infra.report.data.inputs import SourceLicence
from schemas.artifact import Manifest
from schemas.configs.base_model import PACKAGE
from schemas.configs.problems import OWN_LICENCE
from schemas.configs.source import SourceConfig
from schemas.configs.teacher import TeacherConfig
from schemas.kinds import Kind, chosen

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)
_LICENCE_LINE = re.compile(r"^licen[sc]e:\s*[\"']?([\w.+-]+)", re.MULTILINE)

Config = Mapping[str, JsonValue]
K = TypeVar("K", bound=Kind)


def source_licences(manifests: Iterable[Manifest]) -> tuple[SourceLicence, ...]:
    """One licence per source, in the order of the pipeline, without repetitions."""
    found: list[SourceLicence] = []
    for manifest in manifests:
        config = manifest.config
        if manifest.stage == "base":
            found += _of_model(_table(config, "model"), part="base model")
        elif manifest.stage == "problems":
            found += _of_source(_table(config, "source"), part="problems")
            found += _of_source(_table(config, "rl_source"), part="RL problems")
        elif manifest.stage == "teach":
            teacher = _table(_table(config, "side"), "teacher")
            found += _of_teacher(teacher, part=f"{config.get('mode')} answers")
    return tuple(dict.fromkeys(found))


def _of_model(model: Config, *, part: str) -> Iterator[SourceLicence]:
    if model.get("kind") == "pretrained":
        found, weights = _of_weights(str(model.get("path")), part=part), model.get("gguf_file")
        yield found._replace(name=PurePath(weights).stem) if isinstance(weights, str) else found
    elif model:
        yield SourceLicence(part, "random weights", OWN_LICENCE, "made by thinkless-flows")


def _of_weights(path: str, *, part: str) -> SourceLicence:
    """The licence from a folder's README.md or from a package's metadata; a Hub id only gets a link to its page."""
    if path.startswith(PACKAGE):
        name = path.removeprefix(PACKAGE)
        return SourceLicence(part, name, _package_licence(name), f"the package {name} and the model inside")
    if Path(path).is_dir() or path.startswith((".", "/")):
        return SourceLicence(part, PurePath(path).name, _folder_licence(Path(path)), "the folder's own README.md")
    return SourceLicence(part, path, None, f"https://huggingface.co/{path}")


def _of_source(source: Config, *, part: str) -> Iterator[SourceLicence]:
    if source:
        found = _chosen(SourceConfig, source)
        yield _unknown(source, part=part) if found is None else SourceLicence(part, *found.licence())


def _of_teacher(teacher: Config, *, part: str) -> Iterator[SourceLicence]:
    found = _chosen(TeacherConfig, teacher)
    if found is None:
        yield _unknown(teacher, part=part)
    elif (replayed := found.replayed()) is not None:
        yield SourceLicence(part, *replayed.licence())
    elif (weights := found.weights()) is not None:
        yield _of_weights(weights.path, part=part)
    else:
        yield SourceLicence(part, *found.licence())


def _chosen(base: type[K], config: Config) -> K | None:
    """A source or teacher from the configuration in a manifest; None if this version of the program cannot read it."""
    try:
        found: K = chosen(base)(dict(config))
    except ValueError:
        return None
    return found


def _unknown(config: Config, *, part: str) -> SourceLicence:
    kind = str(config.get("kind"))
    return SourceLicence(
        part, str(config.get("name", PurePath(kind).name)), None, "not installed here, or of another version"
    )


def _folder_licence(folder: Path) -> str | None:
    try:
        front = _FRONT_MATTER.match((folder / "README.md").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    line = _LICENCE_LINE.search(front.group(1)) if front else None
    return line.group(1) if line and line.group(1).lower() not in ("unknown", "other") else None


def _package_licence(name: str) -> str | None:
    """The licence in the metadata of the package's distribution, if it is a short identifier; else None."""
    for distribution in metadata.packages_distributions().get(name, ()):
        about = metadata.metadata(distribution)
        for field in ("License-Expression", "License"):
            text = about[field]  # None if there is none
            if text and re.fullmatch(r"[\w.+-]+", text):
                return str(text)
    return None


def _table(config: Config, name: str) -> Config:
    value = config.get(name)
    return value if isinstance(value, dict) else {}
