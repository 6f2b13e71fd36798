"""A problem source of a user's own: by file, by package, and what it may do wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.doctor import data
from schemas.configs.loading import known_keys, load_config
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.problems import ProblemsConfig
from schemas.configs.stage import local_paths_in
from schemas.errors import ConfigError, SourceError
from schemas.kinds import kinds_in
from schemas.records.problems import ProblemSplit
from tests.plugins import write_package
from thinkless_core.problems.problem_set import build_problem_set
from thinkless_core.problems.problem_sources import read_source

RIDDLES = '''
from pathlib import Path
from schemas.configs.source import SourceConfig, SourceProblem

class Riddles(SourceConfig):
    """A file of two columns, separated by a tab."""

    path: str
    """The file: question and answer in every line."""

    def problems(self, *, name, seed):
        for line in Path(self.path).read_text().splitlines():
            question, answer = line.split("\\t")
            yield SourceProblem(question, answer, difficulty=len(question.split()))

    def local_paths(self):
        return (self.path,)
'''


@pytest.fixture
def riddles(tmp_path: Path) -> Path:
    """Ten riddles."""
    path = tmp_path / "riddles.tsv"
    path.write_text("".join(f"what is {i} and {i}\t{2 * i}\n" for i in range(10)))
    return path


@pytest.fixture
def by_file(tmp_path: Path) -> str:
    """The source's class in a file."""
    (tmp_path / "my_source.py").write_text(RIDDLES)
    return f"{tmp_path / 'my_source.py'}:Riddles"


def loaded(kind: str, path: Path, *more: str) -> PipelineConfig:
    """The tiny profile with this source for warm-up."""
    return load_config("tiny", overrides=[f"problems.source.kind={kind}", f"problems.source.path={path}", *more])


def test_a_source_in_a_file_gives_the_problems_of_a_run(riddles: Path, by_file: str) -> None:
    config = loaded(by_file, riddles)
    made = build_problem_set(config.problems)
    taught = [p for p in made.problems if p.split is ProblemSplit.SFT]
    assert len(taught) == 10
    first = min(taught, key=lambda p: p.prompt)
    assert (first.prompt, first.answer, first.difficulty, first.source) == ("what is 0 and 0", "0", 5, "Riddles 1")
    assert first.verifier == "strict"
    assert local_paths_in(config.problems) == (str(riddles),)
    read_again = ProblemsConfig.model_validate(json.loads(config.problems.model_dump_json()))
    assert read_again == config.problems, "a stage in another process reads the configuration from its JSON"


def test_a_source_of_an_installed_package_is_chosen_by_its_name(
    riddles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    write_package(packages, "riddle_pack", RIDDLES, entry_points={"thinkless.sources": {"riddles": "Riddles"}})
    monkeypatch.syspath_prepend(packages)
    source = loaded("riddles", riddles).problems.source
    assert len(read_source(source, name="train", seed=0).problems) == 10
    assert loaded("riddle_pack.kinds:Riddles", riddles).problems.source.local_paths() == source.local_paths()
    with pytest.raises(ConfigError, match=r"unknown kind 'ridles'; did you mean 'riddles'\?"):
        loaded("ridles", riddles)


def test_its_file_is_part_of_the_keys_and_the_shipped_ones_name_their_modules(riddles: Path, by_file: str) -> None:
    config = loaded(by_file, riddles, 'problems.benchmarks.g={kind="preset", name="gsm8k"}').problems
    kinds = {type(kind).__name__: type(kind) for kind in kinds_in(config)}
    assert list(kinds["Riddles"].source_files()) == ["my_source.py"]
    assert kinds["Riddles"].modules() == ()
    assert kinds["ProceduralSource"].modules() == ("schemas.configs.problems", "thinkless_core.problems.procedural")
    assert "thinkless_core.problems.hub_datasets" in kinds["PresetSource"].modules()
    assert "thinkless_core.problems.source_files" in kinds["PresetSource"].modules()


def test_a_misspelt_key_of_it_is_refused_with_the_nearest_of_its_own(riddles: Path, by_file: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'problems.source.pth' .*did you mean 'problems.source.path'\?"):
        loaded(by_file, riddles, "problems.source.pth=x")
    assert "problems.source.name" in dict(known_keys())


def test_the_doctor_looks_at_its_first_problems(riddles: Path, by_file: str) -> None:
    (found,) = data.problems(loaded(by_file, riddles), unreached=())
    assert found.fine, found.text
    assert data.first_rows(loaded(by_file, riddles).problems.source) == "Riddles 1: 'what is 0 and 0' -> '0'"
    riddles.unlink()
    missing = next(iter(data.problems(loaded(by_file, riddles), unreached=())))
    assert (missing.fine, missing.name) == (False, "source")


WRONG = {
    "no method": ("pass", "source Mine has no method `problems`"),
    "no problem": ("def problems(self, *, name, seed): return iter(())", "Mine: no problem has a readable answer"),
    "a pair": (
        'def problems(self, *, name, seed): yield ("q", "a")',
        r"Mine 1: got \('q', 'a'\), expected SourceProblem",
    ),
    "a number for an answer": (
        'def problems(self, *, name, seed): yield SourceProblem("q", 7)',
        r"Mine 1: answer is 7, expected text; a number is written as str\(number\)",
    ),
    "a difficulty that is no number": (
        'def problems(self, *, name, seed): yield SourceProblem("q", "a", "hard")',
        "Mine 1: difficulty is 'hard', expected a whole number",
    ),
    "half of a character": (
        'def problems(self, *, name, seed): yield SourceProblem("a \\ud800 b", "a")',
        r"Mine 1: the prompt holds a lone surrogate, U\+D800.*mend it in the source's `problems`",
    ),
    "a backslash that became an escape": (
        r"def problems(self, *, name, seed): yield SourceProblem('q', '\frac{1}{2}')",
        r"Mine 1: the answer holds a form feed followed by 'rac', most likely an unescaped backslash",
    ),
    "a failure": ("def problems(self, *, name, seed): yield 1 / 0", "ZeroDivisionError after 0 problems: .*mend its"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_source_of_ones_own_does_wrong_is_said_with_the_way_out(name: str, tmp_path: Path) -> None:
    body, said = WRONG[name]
    head = "from schemas.configs.source import SourceConfig, SourceProblem\nclass Mine(SourceConfig):\n    "
    (tmp_path / "mine.py").write_text(head + body + "\n")
    source = load_config("tiny", overrides=[f"problems.source.kind={tmp_path / 'mine.py'}:Mine"]).problems.source
    with pytest.raises(SourceError, match=said):
        read_source(source, name="train", seed=0)


def test_its_doubtful_breaks_are_said(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from schemas.configs.source import SourceConfig, SourceProblem\nclass Mine(SourceConfig):\n"
        "    def problems(self, *, name, seed): yield SourceProblem('$3 \\times 4$', '12')\n"
    )
    source = load_config("tiny", overrides=[f"problems.source.kind={tmp_path / 'mine.py'}:Mine"]).problems.source
    (problem,) = read_source(source, name="train", seed=0).problems
    assert problem.doubt.startswith("the prompt has a tab followed by 'imes'")


def test_a_file_or_class_that_is_not_there_is_refused(tmp_path: Path, by_file: str) -> None:
    for kind, said in (
        ("absent.py:Riddles", "kind names the file absent.py, which does not exist"),
        (by_file.replace("Riddles", "Ridles"), r"has no 'Ridles'; did you mean 'Riddles'\?"),
        ("schemas.configs.problems:ProblemsConfig", "expected a subclass of schemas.configs.source.SourceConfig"),
    ):
        with pytest.raises(ConfigError, match=f"problems.source: .*{said}"):
            load_config("tiny", overrides=[f"problems.source.kind={kind}"])
