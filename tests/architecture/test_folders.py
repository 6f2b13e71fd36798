"""The tree shows the subjects: folders without circles, few files at the top, tests where their subject is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.import_graph import PACKAGES, ROOT, circles, file_graph, folder_graph, sources

MAX_MODULES_AT_THE_TOP = 8
MAX_FUNCTION_LINES = 80


def folders(root: Path) -> list[str]:
    """Every folder with Python files in it, as a path below `root`."""
    return sorted({path.parent.relative_to(root).as_posix() for path in root.rglob("*.py")})


def test_no_file_imports_in_a_circle_not_even_inside_a_function() -> None:
    """So every module can be the first one that a process imports."""
    files = file_graph(sources())
    assert sum(map(len, files.values())) > 500
    assert circles(files) == []


def test_no_folder_imports_its_neighbour_in_a_circle() -> None:
    """A folder with all below it is one node; a folder and its own subfolders are one subject."""
    files = file_graph(sources())
    parents = ["", *(folder.replace("/", ".") for package in PACKAGES for folder in folders_of(package))]
    graphs = {parent: folder_graph(files, parent) for parent in parents}
    assert graphs[""]["tasks"] == {"thinkless_core", "infra", "schemas"}
    assert {parent: found for parent, graph in graphs.items() if (found := circles(graph))} == {}


def folders_of(package: str) -> list[str]:
    """A package's folders, itself included, as paths below the repository."""
    return [f"{package}/{inner}".removesuffix("/.") for inner in folders(ROOT / package)]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": "b", "b": "c", "c": ""}, []),
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, [["a", "b", "c"]]),
        ({"a": "b", "b": "a", "c": "ad", "d": "c"}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_a_circle_would_be_found(graph: dict[str, str], expected: list[list[str]]) -> None:
    assert circles({name: frozenset(others) for name, others in graph.items()}) == expected


def test_an_import_inside_a_function_or_of_a_folders_module_is_seen() -> None:
    modules = {
        "p.a.one": ast.parse("def f():\n    from p.b import two"),
        "p.b.two": ast.parse("import p.a.one\nfrom p.b.three import X"),
        "p.b.three": ast.parse("import os\nif TYPE_CHECKING:\n    from p.a.one import f"),
    }
    files = file_graph(modules)
    assert files == {"p.a.one": {"p.b.two"}, "p.b.two": {"p.a.one", "p.b.three"}, "p.b.three": frozenset()}
    assert folder_graph(files, "p") == {"a": {"b"}, "b": {"a"}}


def test_the_core_has_few_modules_at_its_top() -> None:
    modules = [path.name for path in (ROOT / "thinkless_core").glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES_AT_THE_TOP, sorted(modules)


def test_init_files_are_empty() -> None:
    """What a package offers is imported from the file that has it; fingerprints of sources follow imports."""
    full = [path for package in PACKAGES for path in (ROOT / package).rglob("__init__.py") if path.stat().st_size]
    assert full == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_code_is_a_package(package: str) -> None:
    assert [folder for folder in folders_of(package) if not (ROOT / folder / "__init__.py").exists()] == []


def test_unit_tests_lie_in_the_folder_of_their_subject() -> None:
    subjects = {*(folder for package in PACKAGES for folder in folders_of(package)), "tests"}
    assert set(folders(ROOT / "tests" / "unit")) <= subjects


def test_no_function_of_the_product_is_longer_than_a_screen() -> None:
    long = {
        f"{module}.{node.name}": length
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}
