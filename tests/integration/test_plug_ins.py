"""A source, a teacher, a verifier, an objective and a reward of the user's own, by file and by package; and a stage."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import recipe
from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from schemas.records.problems import Problem
from tasks.running.parquet_files import read_records
from tasks.running.stage import Stage
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL, FinishedRun, run_pipeline
from tests.plugins import example_of, pip_install, write_package

SUMS = '''
"""Everything that a user adds, in one file."""

from collections.abc import Iterator

from schemas.configs.source import SourceConfig, SourceProblem
from schemas.configs.teacher import TeacherConfig
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import Verifier
from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective
from thinkless_core.rl.rewards import Reward


class Sums(SourceConfig):
    """Sums of two digits."""

    first: int = 1

    def problems(self, *, name: str, seed: int) -> Iterator[SourceProblem]:
        for a in range(self.first, self.first + 6):
            for b in range(1, 9):
                yield SourceProblem(f"{a}+{b}=?", str((a + b) % 10), 1, f"sums:{a}-{b}")


class Adds(TeacherConfig):
    """Knows the sum."""

    def reply(self, problem, *, mode, seed):
        thought = f"{problem.question[:-2]}={problem.answer}</think>" if mode == "think" else ""
        return thought + problem.answer


class LastCharacter(Verifier):
    """Right if the last character is."""

    def judge(self, problem, completion):
        right = completion.endswith(problem.answer)
        return Verdict(Outcome.CORRECT if right else Outcome.WRONG, completion[-1:] or None, score=float(right))


class Doubled(Objective):
    """GRPO with every advantage doubled."""

    factor: float = 2.0

    def advantages(self, groups, *, step):
        plain = super().advantages(groups, step=step).response_PG
        return GroupAdvantages(self.factor * plain, self.factor * plain)


class Brief(Reward):
    """Shorter is better, right or wrong."""

    def rewards(self, group, *, step):
        return [1.0 / rollout.num_tokens for rollout in group]
'''
KINDS = {
    "problems.source": "Sums",
    "teach.think.teacher": "Adds",
    "teach.short.teacher": "Adds",
    "rl.objective": "Doubled",
    "rl.reward": "Brief",
}


def run_with(home: Path, name_of: Callable[[str], str]) -> FinishedRun:
    """The small pipeline up to RL, with every kind by the name that `name_of` gives its class."""
    chosen = [f'{key}="{name_of(kind)}"' for key, kind in KINDS.items()]
    verifier = name_of("LastCharacter")
    more = ("problems.source.first=2", f'problems.source.verifier="{verifier}"', "rl.objective.factor=3.0")
    more += (f'problems.rl_source={{kind="{name_of("Sums")}", first=9, verifier="{verifier}"}}',)
    small = [override for override in SMALL if not override.startswith(("problems.source", "problems.rl_source"))]
    return run_pipeline(home, *chosen, *more, "sft.steps=4", "rl.steps=2", small=small, until="rl")


def check(home: Path, run: FinishedRun, name_of: Callable[[str], str], source_file: str) -> None:
    """Everything was used, and its sources are in the keys that it touches."""
    problems = read_records(Path(run.artifacts["problems"].path) / Problem.FILE, Problem)
    sums = [p for p in problems if p.benchmark is None]
    assert len(sums) > 60
    assert {p.verifier for p in sums} == {name_of("LastCharacter")}
    one = next(p.problem_id for p in sums if p.split == "sft")
    query = "select distinct completion from generations where problem_id = $id"
    taught = run_query(home, query, timeout_seconds=20, parameters={"id": one})
    assert taught.num_rows == 2
    rewards = run_query(home, "select count(*) as n from rollouts where abs(reward - 1.0 / num_tokens) > 1e-9",
                        timeout_seconds=20).to_pylist()  # fmt: skip
    assert rewards == [{"n": 0}]
    store = ArtifactStore(home)
    counted = {label: source_file in store.manifest(a.stage, a.key).sources for label, a in run.artifacts.items()}
    assert [label for label, there in counted.items() if there] == ["problems", "teach-think", "teach-short", "rl"]


@pytest.mark.slow
def test_one_file_brings_a_kind_of_each_group_into_the_pipeline(tmp_path: Path) -> None:
    file, home = tmp_path / "my_sums.py", tmp_path / "home"

    def name_of(kind: str) -> str:
        return f"{file}:{kind}"

    file.write_text(SUMS)
    check(home, run_with(home, name_of), name_of, "my_sums.py")
    assert run_with(home, name_of).built == []
    file.write_text(SUMS.replace("1.0 / rollout.num_tokens", "2.0 / rollout.num_tokens"))
    assert "rl" in run_with(home, name_of).built, "its text is part of the key"


OFFERED = {
    "thinkless.sources": {"our-sums": "Sums"},
    "thinkless.teachers": {"our-adds": "Adds"},
    "thinkless.verifiers": {"our-lastcharacter": "LastCharacter"},
    "thinkless.objectives": {"our-doubled": "Doubled"},
    "thinkless.rewards": {"our-brief": "Brief"},
}


@pytest.mark.slow
def test_an_installed_package_brings_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "written").mkdir()
    write_package(tmp_path / "written", "sums_package", SUMS, entry_points=OFFERED)
    pip_install(tmp_path / "written", target=tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    home = tmp_path / "home"

    def name_of(kind: str) -> str:
        return f"our-{kind.lower()}"

    check(home, run_with(home, name_of), name_of, "sums_package/kinds.py")
    assert run_with(home, name_of).built == []
    for module in ("sums_package", "sums_package.kinds"):
        sys.modules.pop(module)


@pytest.fixture
def _added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage of `Stage`'s own docstring: a file, and one line in the recipe."""
    example = example_of(Stage, "flows/recipe.py:\n\n", "\nIts settings are")
    (tmp_path / "count_words.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    added = importlib.import_module("count_words").CountWords()
    monkeypatch.delitem(sys.modules, "count_words")
    place = [stage.name for stage in recipe.RECIPE].index("problems") + 1
    monkeypatch.setattr(recipe, "RECIPE", (*recipe.RECIPE[:place], added, *recipe.RECIPE[place:]))


@pytest.mark.usefixtures("_added")
def test_a_stage_is_its_file_and_a_line_in_the_recipe(home: Path, built: BuiltHome) -> None:
    run = run_pipeline(home, until="count_words")
    assert run.built == ["count_words"]
    counts = run_query(home, "select count(*) as n, max(words) as most from word_counts", timeout_seconds=20)
    assert counts.to_pylist() == [{"n": built.run.artifacts["problems"].rows, "most": 1}]
    again = run_pipeline(home, "stages.count_words.at_least=2", until="count_words")
    assert again.built == ["count_words"]
    assert run_query(home, "from word_counts where words < 0", timeout_seconds=20).num_rows == 0
    assert len(list((home / "artifacts" / "count_words").iterdir())) == 2
