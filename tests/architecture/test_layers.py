"""Who may import whom: the contracts in pyproject.toml, and what is really loaded when a package is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.import_graph import ROOT, sources

IMPORT_AND_TELL = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
"""


def modules_of(package: str) -> list[str]:
    """Every module of a package or a folder, by name."""
    return [name for name in sources() if f"{name}.".startswith(f"{package.replace('/', '.')}.")]


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


def test_every_module_of_the_upper_layers_can_be_imported() -> None:
    """The lower ones are imported above; as there are no circles (test_folders), the order does not matter."""
    modules = [*modules_of("flows"), *modules_of("tasks"), "infra.validation.gx_duckdb"]
    assert {"flows", "tasks", "prefect", "great_expectations"} <= loaded_by(*modules)
