"""When a stage counts as done: by its code, its configuration slice and the bytes it was given.

entry modules -> first-party modules they import -> source fingerprint;  SQL files -> query fingerprint
(stage, version, fingerprint, config slice, upstream digests) -> canonical JSON -> stage key

Only imports written down are followed; a module imported by a computed name does not count.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel

from schemas.artifact import Artifact

KEY_LENGTH = 20
"""Hex characters of a stage key: 80 bits, short enough to read in a path."""


def source_fingerprint(entry_modules: Sequence[str], *, packages: Sequence[str] = ("schemas", "thinkless_core")) -> str:
    """sha256 over the sources of the entry modules and of all they import, directly or not, from `packages`.

    Imports inside functions count as well; comments, docstrings and layout do not. Raises ValueError for an
    entry module that does not exist. Cached for the life of the process: loaded code does not change either.
    """
    return _source_fingerprint(tuple(entry_modules), tuple(packages))


@functools.cache
def _source_fingerprint(entry_modules: tuple[str, ...], packages: tuple[str, ...]) -> str:
    waiting = []
    for entry in entry_modules:
        if _module_file(entry) is None:
            raise ValueError(f"no module named {entry!r} to fingerprint; expected an importable first-party module")
        waiting.append(entry)
        waiting.extend(parent for parent in _with_parents(entry) if entry.partition(".")[0] in packages)
    sources: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        path = None if name in sources else _module_file(name)
        if path is None:
            continue
        sources[name], imported = _parse(name, path)
        waiting.extend(module for module in imported if module.partition(".")[0] in packages)
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{sources[name]}\0".encode())
    return digest.hexdigest()


@functools.cache
def _module_file(name: str) -> Path | None:
    """Source file of a module, found without importing it; None if there is none by that name."""
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


@functools.cache
def _parse(name: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """Normalised source of a module, and every module name its import statements may mean."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imported = tuple(_imported_modules(tree, package=package))
    return ast.unparse(_WithoutDocstrings().visit(tree)), imported


def _imported_modules(tree: ast.Module, *, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package or None)
            yield from _with_parents(origin)
            # `from package import name`: the name may be a module; where it is not, no file is found for it.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    """`a.b.c` runs the code of `a` and `a.b` too."""
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes every statement that is only a string: docstrings of modules, functions, classes and fields."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """None, which removes the statement, for a string."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces; equal values give equal text in every process.

    Records are written by their JSON form. Raises TypeError for sets and other things without an order, and
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
    stage_version: int,
    fingerprint: str,
    config: Mapping[str, object],
    inputs: Sequence[Artifact],
) -> str:
    """Key of the artifact a stage would build.

    Upstream counts by the digest of its OUTPUT: rebuilt to the same bytes, it leaves this key valid. The
    order of `inputs` counts; where they are on this machine does not.
    """
    identity = {
        "stage": stage,
        "stage_version": stage_version,
        "fingerprint": fingerprint,
        "config": dict(config),
        "inputs": [[artifact.stage, artifact.digest] for artifact in inputs],
    }
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:KEY_LENGTH]


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def query_fingerprint(names: Sequence[str]) -> str:
    """sha256 over some queries of infra/catalog/sql, for the key of a stage whose rows they make; comments and layout
    apart."""
    digest = hashlib.sha256()
    for name in sorted(names):
        text = resources.files("infra").joinpath("catalog", "sql", f"{name}.sql").read_text(encoding="utf-8")
        lines = (line.partition("--")[0] for line in text.splitlines())
        digest.update(f"{name}\0{' '.join(' '.join(lines).split())}\0".encode())
    return digest.hexdigest()
