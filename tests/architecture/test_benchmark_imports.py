"""What the benchmarks import of the product is there: most import it late, in processes of their own, beside peers that
no other test installs."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
PACKAGES = {"flows", "infra", "schemas", "tasks", "thinkless_core"}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_what_a_benchmark_imports_is_there(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES:
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name), f"{file.name}, line {node.lineno}: {node.module}.{name.name}"
