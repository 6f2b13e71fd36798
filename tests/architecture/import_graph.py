"""Who imports whom in the product, read from the source; imports inside functions count, those for types do not."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "thinkless_core", "schemas", "infra")

Graph = Mapping[str, frozenset[str]]


def module_name(path: Path, root: Path = ROOT) -> str:
    """`flows/study/run_study.py` -> `flows.study.run_study`; a folder's `__init__` has the folder's name."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@cache
def sources(root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> Mapping[str, ast.Module]:
    """Every module of the packages by name, parsed."""
    files = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    return {module_name(path, root): ast.parse(path.read_bytes()) for path in files}


def file_graph(modules: Mapping[str, ast.Module]) -> Graph:
    """Module -> modules it imports anywhere in its file; `from folder import module` is an import of that module."""
    return {name: frozenset(_imports(tree, modules.keys())) - {name} for name, tree in modules.items()}


def _imports(tree: ast.Module, known: Iterable[str]) -> set[str]:
    names: set[str] = set()
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(known)
            names |= inner or {node.module}
    return names & set(known)


def folder_graph(files: Graph, parent: str) -> Graph:
    """Folder directly in `parent` ("" for the packages) -> its neighbours that its files, however deep, import."""

    def inside(name: str) -> str | None:
        below = name.removeprefix(f"{parent}.") if parent else name
        child, dot, _ = below.partition(".")
        return child if dot and (not parent or below != name) else None

    folders: dict[str, set[str]] = {}
    for name, imported in files.items():
        if (own := inside(name)) is not None:
            folders.setdefault(own, set()).update(other for i in imported if (other := inside(i)) is not None)
    return {name: frozenset(others - {name}) for name, others in folders.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Groups of more than one node that reach each other (strongly connected components, Tarjan's algorithm)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        path.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in path:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            group = path[path.index(node) :]
            del path[path.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found
