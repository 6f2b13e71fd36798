"""Who may import whom: the contracts in pyproject.toml, and what is really loaded when a package is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "thinkless_core", "schemas", "infra")

IMPORT_AND_TELL = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
"""


def modules_of(package: str) -> list[str]:
    """Every module of a package, by name."""
    files = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in names]


def loaded_by(*modules: str) -> set[str]:
    """Top-level names in sys.modules of a fresh process that imported the modules."""
    finished = subprocess.run(
        [sys.executable, "-c", IMPORT_AND_TELL, *modules], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(finished.stdout.splitlines()[-1]))


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("needs import-linter, which is in the extra `dev`")
    finished = subprocess.run([str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout
    assert "3 kept, 0 broken" in finished.stdout


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("schemas", {"torch", "transformers", "prefect", "duckdb", "great_expectations", "accelerate"}),
        ("thinkless_core", {"prefect", "duckdb", "great_expectations", "infra", "tasks", "flows"}),
        ("infra", {"torch", "transformers", "prefect", "great_expectations", "tasks", "flows"}),
        ("thinkless_core/statistics", {"torch", "transformers", "prefect", "duckdb", "infra", "tasks", "flows"}),
    ],
)
def test_a_lower_layer_loads_nothing_of_the_outside_world_it_must_not_know(package: str, absent: set[str]) -> None:
    """`infra` imports Great Expectations where it validates, which takes seconds, and nowhere else."""
    modules = [name for name in modules_of(package) if name != "infra.validation.gx_duckdb"]
    assert len(modules) > 5
    assert loaded_by(*modules) & absent == set()


def test_the_command_line_answers_before_anything_slow_is_loaded() -> None:
    heavy = {"torch", "transformers", "prefect", "duckdb", "great_expectations", "pyarrow", "pydantic"}
    assert loaded_by("flows.cli") & heavy == set()


def test_help_loads_nothing_slow() -> None:
    script = """
import sys
from flows.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
print(*{name.partition('.')[0] for name in sys.modules})
"""
    finished = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(finished.stdout.splitlines()[-1].split()) & {"torch", "transformers", "prefect", "duckdb"} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_directory_with_code_is_a_package(package: str) -> None:
    without = {
        path.parent.relative_to(ROOT)
        for path in (ROOT / package).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert without == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_can_be_imported_alone(package: str) -> None:
    """No circles: each is the first import of its own process in turn, cheap packages only."""
    if package in ("flows", "tasks", "thinkless_core"):
        script = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [m for m in sys.modules if m.partition('.')[0] in ('flows', 'tasks', 'thinkless_core')]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""
    else:
        script = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [m for m in sys.modules if m.partition('.')[0] in ('schemas', 'infra')]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""
    finished = subprocess.run(
        [sys.executable, "-c", script, *modules_of(package)], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
