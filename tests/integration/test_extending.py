"""Every example of docs/extending.md as it is printed: its file is written, its profile lines are used, it runs."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from flows import recipe
from infra.catalog import catalog_tables
from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from tests.integration.driver import SMALL, FinishedRun, run_pipeline
from tests.integration.processes import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PARTS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
MOST_LINES = 40


def block(part: str, language: str) -> str:
    """The one block of a language in a part of the page."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PARTS[part], re.DOTALL)
    return str(found)


def overrides(lines: str) -> list[str]:
    """The profile lines, `[table]` and `key = value`, as overrides."""
    tomllib.loads(lines)
    found, table = [], ""
    for line in filter(None, lines.splitlines()):
        if line.startswith("["):
            table = line.strip("[]")
        else:
            key, _, value = line.partition(" = ")
            found.append(f"{table}.{key}={value}")
    return found


def run_as_printed(part: str, home: Path) -> FinishedRun:
    """The small pipeline with the lines of a part, as far as its command says."""
    chosen = overrides(block(part, "toml"))
    fresh = tuple(line.partition("kind=")[0] for line in chosen if ".kind=" in line)
    words = shlex.split(block(part, "bash"))
    assert words[:5] == ["thinkless", "run", "--profile", "my.toml", "--until"]
    small = [line for line in SMALL if not line.startswith(fresh)] if fresh else SMALL
    return run_pipeline(home, *chosen, "rl.steps=2", small=small, until=words[5])


def written(part: str, folder: Path) -> Path:
    """The file of a part, under the name in its first line."""
    text = block(part, "python")
    file = folder / Path(text.partition("\n")[0].removeprefix("# ")).name
    file.write_text(text, encoding="utf-8")
    return file


def rows(home: Path, query: str, **parameters: str) -> list[dict[str, object]]:
    """What a query finds."""
    found: list[dict[str, object]] = run_query(home, query, timeout_seconds=20, parameters=parameters).to_pylist()
    return found


USED = {
    "A problem source": (
        ["problems"],
        "select count(*) > 100 from problems where source like 'products:%' and artifact_key = $key",
    ),
    "A teacher": (
        ["teach-think", "teach-short"],
        "select count(*) > 100 and bool_and(teacher = 'Reference') from generations where artifact_key = $key",
    ),
    "A verifier": (
        ["teach-think", "teach-short"],
        "select count(*) > 100 from problems where verifier = 'my_verifier.py:WithinOne' and $key <> ''",
    ),
    "A reward": (
        ["rl"],
        "select max(abs(reward - correct::int + 0.02 * num_tokens)) < 1e-6 from rollouts where artifact_key = $key",
    ),
    "An objective": (["rl"], "select bool_and(advantage in (-1, 0, 1)) from rollouts where artifact_key = $key"),
}
"""Part of the page -> stages whose keys have its file, and a query that says whether the last of them used it."""


@pytest.mark.parametrize("part", USED)
def test_an_example_runs_as_it_is_printed(
    part: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(part, tmp_path)
    run = run_as_printed(part, home)
    users, query = USED[part]
    (answer,) = rows(home, query, key=run.artifacts[users[-1]].key)
    assert list(answer.values()) == [True]
    store = ArtifactStore(home)
    using = [name for name, a in run.artifacts.items() if file.name in store.manifest(a.stage, a.key).sources]
    assert using == users, "the file is part of these keys"


@pytest.fixture
def _stage_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The printed stage, behind `problems` in the recipe."""
    file = written("A stage and its table", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    added = importlib.import_module(file.stem).CountLevels()
    monkeypatch.delitem(sys.modules, file.stem)
    place = [stage.name for stage in recipe.RECIPE].index("problems") + 1
    monkeypatch.setattr(recipe, "RECIPE", (*recipe.RECIPE[:place], added, *recipe.RECIPE[place:]))


@pytest.mark.usefixtures("_stage_added")
def test_the_stage_of_the_page_builds_its_table(home: Path) -> None:
    assert run_as_printed("A stage and its table", home).built == ["count_levels"]
    counted = rows(home, "select sum(problems) as n from level_counts")
    assert counted == rows(home, "select count(*) as n from problems where difficulty is not null")


def test_the_view_of_the_page_is_a_file_with_its_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = catalog_tables.views()
    monkeypatch.setattr(catalog_tables, "views", lambda: {**shipped, "reward_by_level": block("A view", "sql")})
    _, _, query = shlex.split(block("A view", "bash"))
    found = rows(home, query)
    assert found == rows(
        home, "select step, difficulty, count(*) as rollouts, avg(reward) as mean_reward, artifact_key "
        "from rollouts where step = 1 group by all order by difficulty"
    )  # fmt: skip
    assert found


def test_every_example_is_short() -> None:
    lengths = {part: block(part, "python").count("\n") for part, text in PARTS.items() if "```python" in text}
    assert len(lengths) == 6
    assert {part: n for part, n in lengths.items() if n >= MOST_LINES} == {}
