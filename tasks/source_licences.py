"""Under which licences stands what a model was made from: base model, problems, teachers.

manifests -> configurations -> presets know theirs, programs are ours, folders and packages tell -> SourceLicences
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from pydantic import JsonValue

from infra.report.data.inputs import SourceLicence
from schemas.artifact import Manifest
from schemas.configs.base_model import PACKAGE
from thinkless_core.problems.presets import PRESETS

OWN = "Apache-2.0"
"""Licence of this program, and of what it makes up."""
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)
_LICENCE_LINE = re.compile(r"^licen[sc]e:\s*[\"']?([\w.+-]+)", re.MULTILINE)

Config = Mapping[str, JsonValue]


def source_licences(manifests: Iterable[Manifest]) -> tuple[SourceLicence, ...]:
    """One line per source, in the order of the pipeline; sources that are used twice for the same part stand once."""
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
        yield SourceLicence(part, "random weights", OWN, "made by thinkless-flows")


def _of_weights(path: str, *, part: str) -> SourceLicence:
    """A folder's README.md or an installed package tells its licence; of a Hub id only its page does."""
    if path.startswith(PACKAGE):
        name = path.removeprefix(PACKAGE)
        return SourceLicence(part, name, _package_licence(name), f"the package {name} and the model inside")
    if Path(path).is_dir() or path.startswith((".", "/")):
        return SourceLicence(part, PurePath(path).name, _folder_licence(Path(path)), "the folder's own README.md")
    return SourceLicence(part, path, None, f"https://huggingface.co/{path}")


def _of_source(source: Config, *, part: str) -> Iterator[SourceLicence]:
    match source.get("kind"):
        case "procedural":
            yield SourceLicence(part, "chains of arithmetic", OWN, "made by thinkless-flows")
        case "preset":
            preset = next((preset for name, preset in PRESETS.items() if name == source.get("name")), None)
            if preset is None:  # of another version of this program
                yield SourceLicence(part, str(source.get("name")), None)
                return
            known = preset.licence if re.fullmatch(r"[\w.+-]+", preset.licence) else None
            yield SourceLicence(part, preset.hub.id, known, f"https://huggingface.co/datasets/{preset.hub.id}")
        case "hub":
            name = str(source.get("id"))
            page = "" if name.startswith((".", "/")) else f"https://huggingface.co/datasets/{name}"
            yield SourceLicence(part, PurePath(name).name if not page else name, None, page)
        case "local":
            yield SourceLicence(part, PurePath(str(source.get("path"))).name, None, "a file of your own")


def _of_teacher(teacher: Config, *, part: str) -> Iterator[SourceLicence]:
    if _table(teacher, "source"):
        yield from _of_source(_table(teacher, "source"), part=part)
    elif teacher.get("kind") == "procedural":
        yield SourceLicence(part, "worked out by a program", OWN, "made by thinkless-flows")
    elif teacher.get("kind") == "openai":
        host = urlsplit(str(teacher.get("base_url"))).hostname
        yield SourceLicence(part, str(teacher.get("model")), None, f"the terms of {host} for what its models write")
    elif "model" in teacher:
        yield _of_weights(str(teacher["model"]), part=part)
    elif "path" in teacher:
        yield SourceLicence(part, PurePath(str(teacher["path"])).name, None, "a recording of your own")


def _folder_licence(folder: Path) -> str | None:
    try:
        front = _FRONT_MATTER.match((folder / "README.md").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    line = _LICENCE_LINE.search(front.group(1)) if front else None
    return line.group(1) if line and line.group(1).lower() not in ("unknown", "other") else None


def _package_licence(name: str) -> str | None:
    """What the installed distribution that brings the package says, if it says it in a word."""
    for distribution in metadata.packages_distributions().get(name, ()):
        about = metadata.metadata(distribution)
        for field in ("License-Expression", "License"):
            text = about.get(field)
            if text and re.fullmatch(r"[\w.+-]+", text):
                return str(text)
    return None


def _table(config: Config, name: str) -> Config:
    value = config.get(name)
    return value if isinstance(value, dict) else {}
