"""Stage keys: hashes of a stage's code, its configuration slice and its inputs.

entry modules -> first-party modules they import -> sha256 of each (without comments, docstrings, error messages)
(stage, sources, config slice, upstream digests) -> canonical JSON -> stage key

Only import statements are followed; a module imported by a computed name does not count, unless it is an entry.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from infra.python_sources import module_sources, parse_module, with_parents
from schemas.artifact import Artifact

KEY_LENGTH = 20
"""Hex characters of a stage key: 80 bits, short enough to read in a path."""
PACKAGES = ("schemas", "thinkless_core", "tasks", "infra")
"""Packages whose modules are followed."""
PLUMBING = (
    "infra.catalog.catalog", "infra.catalog.catalog_file", "infra.catalog.catalog_rows", "infra.catalog.catalog_tables",
    "infra.catalog.openlineage_events", "infra.disk", "infra.fingerprint", "infra.installed",
    "infra.leases", "infra.locks", "infra.python_sources",
    "infra.processes.alive", "infra.processes.launcher", "infra.processes.launched_process", "infra.processes.machines",
    "infra.processes.pulse", "infra.processes.workers", "infra.remote",
    "infra.runs", "infra.settings", "infra.store",
    "infra.validation", "schemas.artifact", "schemas.errors", "schemas.kinds", "schemas.configs.pipeline",
    "schemas.configs.workers",
    "tasks.running.build", "tasks.running.chunks", "tasks.running.context", "tasks.running.find", "tasks.running.gpus",
    "tasks.running.draft_manifest", "tasks.running.same_code", "tasks.running.shared_artifacts",
    "tasks.running.share_out", "tasks.running.training_process", "tasks.running.worker_process",
    "tasks.running.run_training", "tasks.running.progress_display", "tasks.running.stage",
    "tasks.running.rebuild_reason", "thinkless_core.progress", "thinkless_core.training.arrivals",
)  # fmt: skip
"""Modules and packages that store, check or show the output of a stage and cannot change it; they do not count."""


def source_hashes(entry_modules: Sequence[str], *, packages: Sequence[str] = PACKAGES) -> Mapping[str, str]:
    """Module -> sha256 of its source, for the entry modules and all they import, directly or not, from `packages`.

    Imports inside functions count too; plumbing, comments, docstrings, layout and messages of errors do not. Raises
    ValueError for an entry module that does not exist. Cached until the process ends, because loaded code does not
    change either.
    """
    return _source_hashes(tuple(entry_modules), tuple(packages))


@functools.cache
def _source_hashes(entry_modules: tuple[str, ...], packages: tuple[str, ...]) -> Mapping[str, str]:
    waiting = []
    for entry in entry_modules:
        if _module_file(entry) is None:
            raise ValueError(f"no module named {entry!r} to fingerprint; expected an importable first-party module")
        waiting.append(entry)
        waiting.extend(parent for parent in with_parents(entry) if entry.partition(".")[0] in packages)
    hashes: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        path = None if name in hashes or _is_plumbing(name) else _module_file(name)
        if path is None:
            continue
        hashes[name], imported = module_sources().read(name, path)
        waiting.extend(module for module in imported if module.partition(".")[0] in packages)
    module_sources().save()
    return dict(sorted(hashes.items()))


def _is_plumbing(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in PLUMBING)


def plugin_hashes(files: Iterable[tuple[str, Path]]) -> tuple[dict[str, str], list[str]]:
    """(name -> sha256, first-party modules that they import) of the files of plug-ins.

    A name is a path from where the module is found, `mine.py` or `package/kinds.py`. A file beside one of them that it
    imports counts as well. Two files of one name are told apart by their folders.
    """
    read: set[Path] = set()
    hashes: dict[str, str] = {}
    modules: dict[str, None] = {}
    waiting = list(files)
    while waiting:
        name, path = waiting.pop(0)
        if path in read:
            continue
        is_alone = name == path.name  # a package names all its files itself
        is_package = path.name == "__init__.py"
        importable = name.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
        while name in hashes:
            name = f"{path.parent.name}/{name}"
        read.add(path)
        content = path.read_bytes()
        hashes[name] = hashlib.sha256(content).hexdigest()
        for module in parse_module(content, name=importable, is_package=is_package).imported:
            top = module.partition(".")[0]
            beside = path.with_name(f"{top}.py")
            if top in PACKAGES and _module_file(module) is not None:
                modules[module] = None
            elif top not in PACKAGES and is_alone and beside.is_file():
                waiting.append((beside.name, beside))
    return hashes, list(modules)


def resource_hashes(paths: Sequence[str]) -> Mapping[str, str]:
    """File -> sha256, for files of this program that are not Python. A path is a file or a folder with its files.

    SQL is hashed without comments and layout. Raises ValueError for a path that does not exist.
    """
    hashes = {}
    for path in paths:
        package, _, rest = path.partition("/")
        spec = importlib.util.find_spec(package)
        places = [Path(root, rest) for root in (spec.submodule_search_locations or ())] if spec else []
        place = next((place for place in places if place.exists()), None)
        if place is None:
            raise ValueError(f"no file or folder {path!r} to fingerprint; expected one inside a first-party package")
        for file in [place] if place.is_file() else sorted(place.rglob("*.*")):
            if file.is_file() and file.suffix not in (".py", ".pyc"):
                name = path if place.is_file() else f"{path}/{file.relative_to(place).as_posix()}"
                hashes[name] = hashlib.sha256(_content(file)).hexdigest()
    return hashes


def _content(file: Path) -> bytes:
    if file.suffix != ".sql":
        return file.read_bytes()
    lines = (line.partition("--")[0] for line in file.read_text(encoding="utf-8").splitlines())
    return " ".join(" ".join(lines).split()).encode()


def combined(hashes: Mapping[str, str]) -> str:
    """One sha256 over named hashes, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(hashes):
        digest.update(f"{name}\0{hashes[name]}\0".encode())
    return digest.hexdigest()


@functools.cache
def _module_file(name: str) -> Path | None:
    """Source file of a module, found without importing it; None if there is no such module."""
    top, _, rest = name.partition(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for root in spec.submodule_search_locations or ():
        base = Path(root).joinpath(*rest.split("."))
        for candidate in (base / "__init__.py", base.with_name(base.name + ".py")):
            if candidate.is_file():
                return candidate
    return None


def canonical_json(value: object) -> str:
    """The canonical JSON text of a value: sorted keys, no spaces. Equal values give equal text in every process.

    Records are written in their JSON form. Raises TypeError for sets and other values without an order, and
    ValueError for NaN and infinities.
    """
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_record_as_json,
    )


def _record_as_json(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no canonical JSON: {value!r}")


def stage_key(
    *,
    stage: str,
    fingerprint: str,
    config: Mapping[str, object],
    inputs: Sequence[Artifact],
) -> str:
    """Key of the artifact that a stage would build.

    Each input counts by the digest of its content: an input rebuilt to the same bytes leaves the key unchanged. The
    order of `inputs` counts; their paths on this machine do not.
    """
    identity = {
        "stage": stage,
        "fingerprint": fingerprint,
        "config": dict(config),
        "inputs": [[artifact.stage, artifact.digest] for artifact in inputs],
    }
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:KEY_LENGTH]


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
