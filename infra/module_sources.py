"""What one Python file counts as in a fingerprint, and what it imports.

file -> syntax tree without docstrings and the words of errors -> sha256; import statements -> module names
Both are remembered in a file beside the compiled modules: reading every source anew would take a second a run.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infra.disk import write_whole

CACHE = Path(__file__).parent / "__pycache__" / "module_sources.json"


class ModuleSource(NamedTuple):
    """One module."""

    sha256: str
    imported: tuple[str, ...]
    """Every module name that its import statements may mean."""


class ModuleSources:
    """Modules that were read, now or by an earlier process."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._grown = False
        try:
            self._known: dict[str, tuple[int, int, str, list[str]]] = json.loads(cache.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def read(self, name: str, path: Path) -> ModuleSource:
        """The module `name` in the file `path`; a file of the same size and time is not read again."""
        stat = path.stat()
        known = self._known.get(str(path))
        if known is None or (known[0], known[1]) != (stat.st_mtime_ns, stat.st_size):
            source = parse_module(path.read_bytes(), name=name, is_package=path.name == "__init__.py")
            self._known[str(path)] = (stat.st_mtime_ns, stat.st_size, source.sha256, list(source.imported))
            self._grown = True
            return source
        return ModuleSource(known[2], tuple(known[3]))

    def save(self) -> None:
        """Keep what was read for later processes, if this folder can be written."""
        if self._grown:
            self._grown = False
            try:
                self._cache.parent.mkdir(exist_ok=True)
                write_whole(self._cache, json.dumps(self._known).encode())
            except OSError:
                return


@functools.cache
def module_sources() -> ModuleSources:
    """Those of this process."""
    return ModuleSources(CACHE)


def parse_module(content: bytes, *, name: str, is_package: bool) -> ModuleSource:
    """One module's hash and imports from its text."""
    tree = ast.parse(content, filename=name)
    imported = tuple(_imported_modules(tree, package=name if is_package else name.rpartition(".")[0]))
    return ModuleSource(hashlib.sha256(ast.dump(_WithoutWords().visit(tree)).encode()).hexdigest(), imported)


def with_parents(name: str) -> Iterator[str]:
    """`a.b.c` runs the code of `a` and `a.b` too."""
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
            # `from package import name`: the name may be a module; where it is not, no file is found for it.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


class _WithoutWords(ast.NodeTransformer):
    """Removes what people read and no result depends on: docstrings, and the messages of errors and assertions."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """None, which removes the statement, for a string: docstrings of modules, functions, classes and fields."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """The condition alone."""
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """An error without its message: `ConfigError(f"...")` counts as `ConfigError()`."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name.endswith("Error"):
            node.args, node.keywords = [], []
        return self.generic_visit(node)
