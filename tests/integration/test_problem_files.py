"""Problems from a local file: every layout is read, every fault names its place, and nothing is published then."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.catalog.query import run_query
from schemas.errors import SourceError
from tests.integration.driver import SMALL, FinishedRun, run_pipeline
from tests.real_data import real_data

ROWS = [{"prompt": f"{n}+{n}=?", "answer": str(2 * n % 10)} for n in range(1000, 1020)]


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all files that differ: the stage before, and the catalog, are made once."""
    return tmp_path_factory.mktemp("files") / "home"


def rows_of(home: Path, columns: str, finished: FinishedRun) -> list[dict[str, object]]:
    """The training problems of one run, by prompt."""
    key = finished.artifacts["problems"].key
    query = f"select {columns} from problems where split = 'sft' and artifact_key = '{key}' order by prompt"
    rows: list[dict[str, object]] = run_query(home, query, timeout_seconds=20).to_pylist()
    return rows


def published(home: Path) -> list[Path]:
    """Manifests of problem sets."""
    return sorted(home.glob("artifacts/problems/*/manifest.json"))


def drops_of(home: Path, finished: FinishedRun) -> dict[str, int]:
    """Reason -> rows, for one run's problems."""
    query = f"select reason, rows from drops where artifact_key = '{finished.artifacts['problems'].key}'"
    drops = run_query(home, query, timeout_seconds=20)
    return dict(zip(drops.column("reason").to_pylist(), drops.column("rows").to_pylist(), strict=True))


def read_file(home: Path, path: Path, *overrides: str) -> FinishedRun:
    """Run stage `problems` with the file as training source."""
    small = [o for o in SMALL if not o.startswith("problems.source")]
    source = ("problems.source.kind=local", f"problems.source.path={path}")
    return run_pipeline(home, *source, *overrides, small=small, until="problems")


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    """The rows in the format the name asks for."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_each_format_gives_the_same_problems(ending: str, shared_home: Path, tmp_path: Path) -> None:
    finished = read_file(shared_home, written(tmp_path / f"problems.{ending}", ROWS))
    rows = rows_of(shared_home, "prompt, answer, source", finished)
    assert [(row["prompt"], row["answer"]) for row in rows] == [(row["prompt"], row["answer"]) for row in ROWS]
    assert all(str(tmp_path) in row["source"] for row in rows)


def test_other_column_names_and_the_mark_of_worked_solutions_are_understood(shared_home: Path, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": f"{row['prompt']} ", "solution": f"We add.\n#### {row['answer']}", "level": n % 3}
        for n, row in enumerate(ROWS)
    ]
    fields = ("prompt_field=question", "answer_field=solution", "difficulty_field=level")
    overrides = (f"problems.source.{field}" for field in fields)
    finished = read_file(shared_home, written(tmp_path / "p.jsonl", rows), *overrides)
    found = rows_of(shared_home, "prompt, answer, difficulty", finished)
    assert found[0] == {"prompt": "1000+1000=?", "answer": "0", "difficulty": 0}


def test_a_changed_file_changes_the_key_and_an_unchanged_one_does_not(tmp_path: Path) -> None:
    home, path = tmp_path / "home", written(tmp_path / "p.jsonl", ROWS)
    first = read_file(home, path)
    assert read_file(home, path).built == []
    written(path, [*ROWS, {"prompt": "5+5=?", "answer": "0"}])
    second = read_file(home, path)
    assert second.built == ["problems"]
    assert second.artifacts["problems"].rows == first.artifacts["problems"].rows + 1


def test_duplicates_are_dropped_and_counted(shared_home: Path, tmp_path: Path) -> None:
    finished = read_file(
        shared_home, written(tmp_path / "p.jsonl", [*ROWS, ROWS[0], {"prompt": "  1001+1001=? ", "answer": "2"}])
    )
    assert drops_of(shared_home, finished)["duplicate"] == 2
    query = f"select stage, prompt from dropped where artifact_key = '{finished.artifacts['problems'].key}'"
    listed = run_query(shared_home, query, timeout_seconds=20).to_pylist()
    assert len([row for row in listed if row["prompt"] in ("1000+1000=?", "1001+1001=?")]) == 2


def test_what_was_left_out_is_published_beside_the_problems(shared_home: Path, tmp_path: Path) -> None:
    words = "a train leaves at noon and travels at sixty miles per hour for three hours and"
    training = [*ROWS, {"prompt": f"Once {words} stops", "answer": "1"}, {"prompt": "no answer", "answer": None}]
    benchmark = written(tmp_path / "bench.jsonl", [{"prompt": f"Now {words} goes on", "answer": "180"}])
    finished = read_file(
        shared_home,
        written(tmp_path / "p.jsonl", training),
        "problems.source.max_unreadable_share=0.1",
        "problems.benchmarks.mine.kind=local",
        f"problems.benchmarks.mine.path={benchmark}",
    )
    folder = Path(finished.artifacts["problems"].path)
    (removed,) = pq.read_table(folder / "decontaminated.parquet").to_pylist()
    assert (removed["match"], removed["benchmark"], removed["prompt"]) == ("ngram", "mine", f"Once {words} stops")
    assert removed["shared"] == " ".join(words.split()[:13])
    (unreadable,) = pq.read_table(folder / "unreadable_answers.parquet").to_pylist()
    assert unreadable["where"].endswith("p.jsonl, line 22")
    assert drops_of(shared_home, finished).items() >= {"contaminated_ngram": 1, "unreadable_answer": 1}.items()


def test_conflicts_are_published_counted_and_said(
    shared_home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    again = [{"prompt": "1001+1001=?", "answer": "7"}, {"prompt": " 1002+1002=?", "answer": "4.0"}]
    path = written(tmp_path / "p.jsonl", [*ROWS, *again])
    finished = read_file(shared_home, path, "problems.max_conflict_share=0.05")
    query = f"select * from conflicting_answers where artifact_key = '{finished.artifacts['problems'].key}'"
    (row,) = run_query(shared_home, query, timeout_seconds=20).to_pylist()
    assert (row["prompt"], row["answer"], row["kept_answer"]) == ("1001+1001=?", "7", "2")
    assert (row["where"], row["kept_where"]) == (f"{path}, line 21", f"{path}, line 2")
    assert drops_of(shared_home, finished).items() >= {"conflict": 1, "duplicate": 1}.items()
    (said,) = (record.message for record in caplog.records if "contradict" in record.message)
    assert said.startswith("problems: train: 1 of 22 rows contradict an earlier row of the same question")


FAULTS = {
    "conflict": (
        "p.jsonl",
        '{"prompt": "Q", "answer": "1"}\n{"prompt": "Q", "answer": "2"}\n',
        "p.jsonl, line 2: 'Q' has the answer '2', and '1' at",
    ),
    "surrogate": ("p.jsonl", '{"prompt": "a \\ud800 b?", "answer": "5"}', "p.jsonl, line 1: the prompt holds a lone"),
    "form_feed": (
        "p.json",
        '[{"prompt": "q", "answer": "$\\frac12$"}]',
        "p.json, item 1: the answer holds a form feed",
    ),
    "missing": ("absent.jsonl", None, "absent.jsonl: no such file"),
    "missing_parquet": ("absent.parquet", None, "absent.parquet: no such file"),
    "empty_jsonl": ("p.jsonl", "", "p.jsonl is empty"),
    "blank_jsonl": ("p.jsonl", "\n\n", "p.jsonl is empty"),
    "empty_json": ("p.json", "", "p.json is empty"),
    "empty_list": ("p.json", "[]", "p.json is empty"),
    "empty_parquet": ("p.parquet", "", "p.parquet: cannot be read"),
    "not_jsonl": ("p.jsonl", '{"prompt": "1+1=?", "answer": "2"}\nprompt,answer\n', "p.jsonl, line 2: not JSON"),
    "not_json": ("p.json", '[\n{"prompt": }\n]', "p.json, line 2: not JSON"),
    "not_parquet": ("p.parquet", "prompt,answer\n1+1=?,2\n" * 9, "p.parquet: cannot be read"),
    "not_text": ("p.jsonl", b"\xff\xfe{}", "p.jsonl: cannot be read"),
    "an_object": ("p.json", '{"prompt": "1+1=?", "answer": "2"}', "p.json: holds a dict, expected a list"),
    "a_number": ("p.jsonl", '{"prompt": "1+1=?", "answer": "2"}\n7\n', "p.jsonl, line 2: holds 7"),
    "lacks_column": (
        "p.jsonl",
        '{"prompt": "1+1=?", "answer": "2"}\n\n{"prompt": "2+2=?", "anwser": "4"}\n',
        "p.jsonl, line 3: no column 'answer'; did you mean 'anwser'?",
    ),
    "lacks_column_json": ("p.json", '[{"prompt": "1+1=?"}]', "p.json, item 1: no column 'answer'"),
    "null_answer": ("p.jsonl", '{"prompt": "1+1=?", "answer": null}\n', "p.jsonl, line 1: the problem has no answer"),
    "blank_answer": ("p.jsonl", '{"prompt": "1+1=?", "answer": " "}\n', "p.jsonl, line 1: the problem has no answer"),
    "only_a_mark": ("p.jsonl", '{"prompt": "1", "answer": "so ####"}', "p.jsonl, line 1: the problem has an empty"),
    "null_prompt": ("p.jsonl", '{"prompt": null, "answer": "2"}\n', "p.jsonl, line 1: the problem has no prompt"),
    "other_ending": ("p.csv", "prompt,answer\n", "p.csv: cannot read files ending in '.csv'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_used_names_its_place_and_publishes_nothing(
    fault: str, shared_home: Path, tmp_path: Path
) -> None:
    name, content, said = FAULTS[fault]
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = published(shared_home)
    with pytest.raises(SourceError) as caught:
        read_file(shared_home, tmp_path / name)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
    assert published(shared_home) == before


def test_a_parquet_file_names_the_row_without_an_answer(shared_home: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "p.parquet", [*ROWS[:2], {"prompt": "7+7=?", "answer": None}])
    with pytest.raises(SourceError, match=r"p\.parquet, row 3: the problem has no answer"):
        read_file(shared_home, path)


def test_a_mended_file_goes_on(tmp_path: Path) -> None:
    home, path = tmp_path / "home", written(tmp_path / "p.jsonl", [{"prompt": "1+1=?"}])
    with pytest.raises(SourceError):
        read_file(home, path)
    written(path, ROWS)
    assert read_file(home, path).built == ["problems"]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("gsm8k_test.jsonl", ("question", "answer")),
        ("math500.json", ("problem", "answer")),
        ("aime24.json", ("problem", "answer")),
    ],
)
def test_the_layouts_of_real_data_sets_are_read(name: str, fields: tuple[str, str], shared_home: Path) -> None:
    path = real_data(name)
    overrides = [
        f"problems.source.{key}_field={field}" for key, field in zip(("prompt", "answer"), fields, strict=True)
    ]
    finished = read_file(shared_home, path, *overrides, "problems.source.limit=25")
    assert finished.artifacts["problems"].rows >= 25
