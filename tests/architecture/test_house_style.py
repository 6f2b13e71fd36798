"""What every file of the project keeps to, so that a reader can trust it in a file not yet read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from schemas.configs.pipeline import PipelineConfig
from schemas.configs.study import StudySummaryConfig
from schemas.configs.teach import TeachSideConfig
from schemas.kinds import Kind, shipped_kinds
from tests.architecture.import_graph import PACKAGES, ROOT

MAX_LINES = 300
TEXT_ENDINGS = {".py", ".toml", ".sql", ".md", ".yaml", ".yml", ".txt", ".html", ".css", ".jinja", ".jsonl", ".json"}
NOT_OURS = {
    ".git",
    "__pycache__",
    ".venv",
    ".venv-bench",
    ".venv-vllm",
    "venv",
    "build",
    "dist",
    ".thinkless",
    "node_modules",
}
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:work|root|home|Users|mnt|opt)/\w")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
VAGUE_NAMES = {"utils", "helpers", "common", "manager", "misc"}


def source_files() -> list[Path]:
    """Python files of the product."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def all_python_files() -> list[Path]:
    """Python files of product and tests."""
    return [*source_files(), *sorted((ROOT / "tests").rglob("*.py"))]


def text_files() -> Iterator[Path]:
    """Every text file of the repository."""
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT).parts
        if NOT_OURS & set(inside) or any(part.endswith(("_cache", ".egg-info")) for part in inside):
            continue
        if path.is_file() and (path.suffix in TEXT_ENDINGS or path.name in ("Makefile", "run")):
            yield path


def test_no_file_of_the_product_is_longer_than_one_sitting() -> None:
    long = {str(path.relative_to(ROOT)): n for path in source_files() if (n := lines_of(path)) > MAX_LINES}
    assert long == {}


def lines_of(path: Path) -> int:
    """How many lines a file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_named_after_nothing() -> None:
    assert [path for path in all_python_files() if path.stem in VAGUE_NAMES] == []


def test_no_import_is_relative() -> None:
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in all_python_files()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert relative == []


def test_nothing_is_left_unfinished_and_no_machine_is_named() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if UNFINISHED.search(line) or MACHINE_PATH.search(line)
    ]
    assert found == []


def test_every_module_class_and_public_function_of_the_product_says_what_it_is_for() -> None:
    silent = []
    for path in source_files():
        tree = ast.parse(path.read_bytes())
        if tree.body and ast.get_docstring(tree) is None:
            silent.append(f"{path.relative_to(ROOT)}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                nested = isinstance(node, ast.FunctionDef) and is_local(tree, node)
                if ast.get_docstring(node) is None and not nested:
                    silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert silent == []


def is_local(tree: ast.Module, function: ast.FunctionDef) -> bool:
    """Whether a function is defined inside another one."""
    return any(
        function in ast.walk(outer)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef) and outer is not function
    )


def test_every_configuration_field_says_what_it_means() -> None:
    silent = sorted(
        f"{model.__name__}.{name}"
        for model in config_tables(PipelineConfig) | config_tables(StudySummaryConfig) | {TeachSideConfig}
        for name, field in model.model_fields.items()
        # A table explains itself in its own docstring, and the name of a kind is explained by the class it chooses.
        if not field.description and name not in ("kind", getattr(model, "tag", "kind"))
        if not list(tables_in(field.annotation))
    )
    assert silent == []


def config_tables(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A configuration table and all below it."""
    inner = {table for field in model.model_fields.values() for table in tables_in(field.annotation)}
    return {model}.union(*(config_tables(table) for table in inner))


def tables_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Configuration tables a type is made of, those of every kind that ships among them."""
    if isinstance(annotation, type) and issubclass(annotation, Kind):
        yield from shipped_kinds(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from tables_in(argument)


SQL_FILES = sorted((ROOT / "infra" / "catalog" / "sql").rglob("*.sql"))


@pytest.mark.parametrize("path", SQL_FILES, ids=[path.name for path in SQL_FILES])
def test_every_sql_file_begins_with_what_one_row_is(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("-- One row: ")


def test_every_test_file_has_tests_with_names_that_are_sentences() -> None:
    empty, terse = [], []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        names = [
            node.name
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        if not names:
            empty.append(path.relative_to(ROOT))
        terse += [f"{path.name}: {name}" for name in names if name.count("_") < 3]
    assert (empty, terse) == ([], [])


def test_no_test_can_hide_a_test_of_the_same_name() -> None:
    hidden = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        names = [node.name for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.FunctionDef)]
        hidden += [f"{path.name}: {name}" for name in sorted({n for n in names if names.count(n) > 1})]
    assert hidden == []
