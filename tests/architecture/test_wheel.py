"""The wheel: five packages with all their data, the module `thinkless`, and no name that another distribution owns."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest

from tests.architecture.import_graph import PACKAGES, ROOT

DISTRIBUTION = "thinkless-flows"
MODULE = "thinkless.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel built from a copy of the sources, without the network where the build backend is installed."""
    directory = tmp_path_factory.mktemp("wheel")
    source, out = directory / "source", directory / "out"
    source.mkdir()
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", MODULE):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--quiet", "--wheel-dir", str(out)]
    tried = []
    for isolation in (["--no-build-isolation"], []):
        finished = subprocess.run([*build, *isolation], capture_output=True, text=True, timeout=300)
        if finished.returncode == 0:
            return zipfile.ZipFile(next(out.glob("*.whl")))
        tried.append(finished.stderr.strip().splitlines()[-1] if finished.stderr.strip() else "no message")
    if any("hatchling" in message or "No matching distribution" in message for message in tried):
        pytest.skip(f"needs the build backend hatchling, which is neither installed nor to be had: {tried}")
    raise AssertionError(f"the wheel cannot be built: {tried}")


def test_the_wheel_holds_the_five_packages_and_the_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {*PACKAGES, MODULE}


def test_the_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    """Profiles, SQL, templates and styles are read at run time: without them an installed program is broken."""
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if name.partition("/")[0] in PACKAGES}
    assert packed == ours
    for ending in (".toml", ".sql", ".css"):
        assert any(name.endswith(ending) for name in packed), ending
    assert any(name.startswith("infra/report/") and name.endswith((".html", ".jinja", ".j2")) for name in packed)


def test_the_wheel_brings_the_command_and_its_licence(wheel: zipfile.ZipFile) -> None:
    (points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "thinkless = flows.cli:run_and_exit" in wheel.read(points).decode()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_an_installed_wheel_finds_its_data(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    script = (
        "import thinkless, schemas.configs.loading as l, infra.catalog.sql_text as i, pathlib; "
        "print(l.load_config('tiny').profile, len(i.sql_text('lineage')) > 100, l.__file__)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); {script}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.split()[:2] == ["tiny", "True"]
    assert str(tmp_path) in finished.stdout


def test_no_other_installed_distribution_owns_our_package_names() -> None:
    owners = {name: set(metadata.packages_distributions().get(name, [])) - {DISTRIBUTION} for name in PACKAGES}
    assert {name: others for name, others in owners.items() if others} == {}


def test_every_third_party_import_of_the_product_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name not in ("dev", "bench")}
    declared = {
        requirement.split(">")[0].split("[")[0].split("=")[0].strip()
        for requirement in chain(project["dependencies"], *extras.values())
    }
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").partition(".")[0]
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    owners = metadata.packages_distributions()
    undeclared = {
        name
        for name in imported - set(PACKAGES) - set(sys.stdlib_module_names)
        if not {owner.lower().replace("_", "-") for owner in owners.get(name, [name])} & declared
    }
    # Halves of declared ones, which pin them: pydantic's errors, jinja2's escaped text. verl loads our plug-in.
    assert undeclared - {"pydantic_core", "markupsafe", "verl"} == set()
