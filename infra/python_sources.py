"""The hash of one Python file for a fingerprint, and the modules it imports.

file -> syntax tree without docstrings and messages of errors -> sha256; import statements -> module names
Both are cached in a file beside the compiled modules, because parsing every source takes a second per run.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infra.disk import write_whole

_RULE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
CACHE = Path(__file__).parent / "__pycache__" / f"module_sources.{sys.implementation.cache_tag}.{_RULE}.json"
"""One per Python version, whose syntax trees are written differently, and per version of this file."""


class ModuleSource(NamedTuple):
    """Hash and imports of one module."""

    sha256: str
    imported: tuple[str, ...]
    """Every module name that its import statements may refer to."""


class ModuleSources:
    """Modules read by this process or an earlier one."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._grown = False
        try:
            self._known: dict[str, tuple[int, int, str, list[str]]] = json.loads(cache.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def read(self, name: str, path: Path) -> ModuleSource:
        """The module `name` in the file `path`; a file with unchanged size and time is not read again."""
        stat = path.stat()
        known = self._known.get(str(path))
        if known is None or (known[0], known[1]) != (stat.st_mtime_ns, stat.st_size):
            source = parse_module(path.read_bytes(), name=name, is_package=path.name == "__init__.py")
            self._known[str(path)] = (stat.st_mtime_ns, stat.st_size, source.sha256, list(source.imported))
            self._grown = True
            return source
        return ModuleSource(known[2], tuple(known[3]))

    def save(self) -> None:
        """Save the cache for later processes, if its folder can be written."""
        if self._grown:
            self._grown = False
            try:
                self._cache.parent.mkdir(exist_ok=True)
                write_whole(self._cache, json.dumps(self._known).encode())
            except OSError:
                return


@functools.cache
def module_sources() -> ModuleSources:
    """The cache of this process."""
    return ModuleSources(CACHE)


def parse_module(content: bytes, *, name: str, is_package: bool) -> ModuleSource:
    """Hash and imports of a module, from its text."""
    tree = ast.parse(content, filename=name)
    imported = tuple(_imported_modules(tree, package=name if is_package else name.rpartition(".")[0]))
    return ModuleSource(hashlib.sha256(ast.dump(_WithoutWords().visit(tree)).encode()).hexdigest(), imported)


def with_parents(name: str) -> Iterator[str]:
    """`a.b.c` -> `a`, `a.b`, `a.b.c`: importing it runs the code of all three."""
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _imported_modules(tree: ast.Module, *, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package or None)
            yield from with_parents(origin)
            # `from package import name`: the name may be a module; if it is not, no file is found for it.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


class _WithoutWords(ast.NodeTransformer):
    """Removes the text that cannot change a result: docstrings, and messages of errors and assertions."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Remove a string statement: the docstring of a module, function, class or field."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """Keep only the condition."""
        node.msg = None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Remove what is raised with the error: `raise Transient(f"...")` becomes `raise Transient()`."""
        if isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Remove the message of an error that is handed on: `return ConfigError(f"...")` is `return ConfigError()`."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name.endswith("Error"):
            node.args, node.keywords = [], []
        return self.generic_visit(node)
