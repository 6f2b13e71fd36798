"""Who may import whom: the contracts in pyproject.toml, and what is really loaded when a package is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.import_graph import ROOT, sources

IMPORT_AND_TELL = """
import importlib, json, sys
for argument in sys.argv[1:]:
    for name in argument.split():
        importlib.import_module(name)
    print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
"""


FOR_OTHERS = {"tasks.exchange.train_with_trl", "tasks.exchange.verl_degrpo"}
"""Plug-ins that another framework loads; its package is not there wherever ours are."""


def modules_of(package: str) -> list[str]:
    """Every module of a package or a folder, by name."""
    return [
        name for name in sources() if f"{name}.".startswith(f"{package.replace('/', '.')}.") and name not in FOR_OTHERS
    ]


def loaded_by(*groups: Sequence[str]) -> list[set[str]]:
    """Top-level names in sys.modules of a fresh process, after each of the groups of modules that it imported."""
    command = [sys.executable, "-c", IMPORT_AND_TELL, *map(" ".join, groups)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [set(json.loads(line)) for line in finished.stdout.splitlines()[-len(groups) :]]


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("needs import-linter, which is in the extra `dev`")
    finished = subprocess.run([str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout
    assert "3 kept, 0 broken" in finished.stdout


MUST_NOT_LOAD = {
    "schemas": {"torch", "transformers", "prefect", "duckdb", "great_expectations", "accelerate"},
    "thinkless_core/statistics": {"torch", "transformers", "prefect", "duckdb", "infra", "tasks", "flows"},
    "thinkless_core": {"prefect", "duckdb", "great_expectations", "infra", "tasks", "flows"},
    "tasks": {"prefect", "great_expectations", "flows"},
}
"""Package or folder, in the order of the layers -> what is not there yet when all of it was imported."""


def test_a_lower_layer_loads_nothing_of_the_outside_world_it_must_not_know() -> None:
    """In one process, layer after layer."""
    groups = [modules_of(package) for package in MUST_NOT_LOAD]
    assert all(len(group) > 5 for group in groups)
    for (package, absent), loaded in zip(MUST_NOT_LOAD.items(), loaded_by(*groups), strict=True):
        assert loaded & absent == set(), package


@pytest.mark.slow
def test_every_module_of_the_upper_layers_can_be_imported() -> None:
    """The lower ones are imported above; as there are no circles (test_folders), the order does not matter."""
    (loaded,) = loaded_by([*modules_of("flows"), *modules_of("tasks"), "infra.validation.gx_duckdb"])
    assert {"flows", "tasks", "prefect", "great_expectations"} <= loaded


def test_infra_knows_neither_torch_nor_prefect_and_validates_only_where_it_must() -> None:
    """Great Expectations takes seconds to import; it is imported where something is validated, and nowhere else."""
    modules = [name for name in modules_of("infra") if name != "infra.validation.gx_duckdb"]
    assert len(modules) > 5
    (loaded,) = loaded_by(modules)
    assert loaded & {"torch", "transformers", "prefect", "great_expectations", "tasks", "flows"} == set()


def test_the_command_line_answers_before_anything_slow_is_loaded() -> None:
    heavy = {"torch", "transformers", "prefect", "duckdb", "great_expectations", "pyarrow", "pydantic"}
    (loaded,) = loaded_by(["flows.cli"])
    assert loaded & heavy == set()


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
