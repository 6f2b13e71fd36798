"""A source, a teacher, a verifier, an objective and a reward of the user's own, by file and by package; and a stage."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flows import recipe
from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from schemas.base import Record
from schemas.configs.stage import StageConfig
from schemas.records.problems import Problem
from tasks.running.context import RunContext
from tasks.running.parquet_files import read_records, write_table
from tasks.running.stage import Stage, StageOutcome, StagePlan
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL, FinishedRun, run_pipeline
from thinkless_core.progress import Progress

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


ENTRY_POINTS = """
[thinkless.sources]
our-sums = sums_package.kinds:Sums
[thinkless.teachers]
our-adds = sums_package.kinds:Adds
[thinkless.verifiers]
our-lastcharacter = sums_package.kinds:LastCharacter
[thinkless.objectives]
our-doubled = sums_package.kinds:Doubled
[thinkless.rewards]
our-brief = sums_package.kinds:Brief
"""


def install(package: Mapping[str, str], *, target: Path) -> None:
    """Make a wheel of some files and let pip install it into a folder."""
    wheel = target.parent / "sums_package-1.0-py3-none-any.whl"
    described = {
        "METADATA": "Metadata-Version: 2.1\nName: sums-package\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": ENTRY_POINTS,
        "RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**package, **{f"sums_package-1.0.dist-info/{n}": t for n, t in described.items()}}.items():
            archive.writestr(name, text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)


@pytest.mark.slow
def test_an_installed_package_brings_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install({"sums_package/__init__.py": "", "sums_package/kinds.py": SUMS}, target=tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    home = tmp_path / "home"

    def name_of(kind: str) -> str:
        return f"our-{kind.lower()}"

    check(home, run_with(home, name_of), name_of, "sums_package/kinds.py")
    assert run_with(home, name_of).built == []
    for module in ("sums_package", "sums_package.kinds"):
        sys.modules.pop(module)


class WordCount(Record):
    """Words of one problem."""

    TABLE = "word_counts"
    FILE = "word_counts.parquet"

    problem_id: str
    words: int


class CountWordsConfig(StageConfig):
    """Settings of the added stage."""

    at_least: int = 0
    """Shorter problems are left out."""


class CountWords(Stage[CountWordsConfig]):
    """Counts words."""

    name = "count_words"
    config = CountWordsConfig
    needs = ("problems",)
    tables = (WordCount,)

    def build(
        self, plan: StagePlan[CountWordsConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write the counts."""
        problems = read_records(Path(plan.inputs[0].path) / Problem.FILE, Problem)
        rows = [WordCount(problem_id=p.problem_id, words=len(p.prompt.split())) for p in problems]
        kept = [row for row in rows if row.words >= plan.config.at_least]
        return StageOutcome(rows=write_table(workspace, WordCount, kept))


@pytest.fixture
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line in the recipe."""
    place = [stage.name for stage in recipe.RECIPE].index("problems") + 1
    monkeypatch.setattr(recipe, "RECIPE", (*recipe.RECIPE[:place], CountWords(), *recipe.RECIPE[place:]))


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
