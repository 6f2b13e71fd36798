"""Records, their Arrow schema, and the log that a resumed run cuts back."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from schemas.base import Record, arrow_schema, records_to_table
from schemas.mode import EvalMode, Mode
from schemas.records.eval_summary import EvalSummary
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from schemas.tables import TABLES
from tests.specimens import make_problem
from thinkless_core.training.record_log import RecordLog


def metric(step: int, name: str = "loss", value: float = 0.5) -> Metric:
    return Metric(stage="rl", step=step, name=name, value=value)


def test_rows_come_back_in_order_and_to_the_bit(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "m.jsonl", Metric)
    rows = [metric(1, value=0.1 + 0.2), metric(2, value=1e-300), metric(2, "a\nb \u2028 \u00e9\u4e16", 3.0)]
    log.append(rows[:1])
    log.append(rows[1:])
    assert list(log) == rows
    assert list(log) == rows, "a log can be read again"


def test_cutting_drops_later_steps_and_a_half_written_line(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "m.jsonl", Metric)
    log.append([metric(step) for step in (0, 1, 2, 2, 3)])
    with log.path.open("a") as file:
        file.write('{"stage":"rl","step":2,"na')
    log.cut_after(2)
    assert [m.step for m in log] == [0, 1, 2, 2]
    log.append([metric(3)])
    assert [m.step for m in log] == [0, 1, 2, 2, 3]
    log.cut_after(-1)
    assert list(log) == []


@pytest.mark.parametrize("text", ["\u00e9", "\u4e16", "\U0001f642"])
def test_a_log_cut_inside_a_character_is_cut_back_like_any_other(tmp_path: Path, text: str) -> None:
    log = RecordLog(tmp_path / "m.jsonl", Metric)
    log.append([metric(1, name=text)])
    for length in range(1, len(text.encode())):
        with log.path.open("ab") as file:
            file.write(b'{"stage":"rl","step":1,"name":"' + text.encode()[:length])
        log.cut_after(1)
        assert list(log) == [metric(1, name=text)]


def test_a_log_makes_the_folder_it_lies_in(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "new" / "one" / "m.jsonl", Metric)
    log.append([metric(1)])
    assert list(log) == [metric(1)]


def test_a_whole_last_line_without_its_end_is_dropped_too(tmp_path: Path) -> None:
    """The next line would otherwise be written behind it."""
    log = RecordLog(tmp_path / "m.jsonl", Metric)
    log.append([metric(1), metric(2)])
    log.path.write_text(log.path.read_text().removesuffix("\n"))
    log.cut_after(2)
    assert [m.step for m in log] == [1]


def test_a_log_that_was_never_written_is_empty(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "m.jsonl", Metric)
    log.cut_after(3)
    assert list(log) == []
    assert not log.path.exists()


ALL_RECORDS = list(TABLES.values())


@pytest.mark.parametrize("record", ALL_RECORDS, ids=lambda r: r.__name__)
def test_every_record_has_an_arrow_schema_with_its_fields_in_order(record: type[Record]) -> None:
    schema = arrow_schema(record)
    assert schema.names == list(record.model_fields)
    assert all(field.nullable for field in schema)
    assert records_to_table(record, []).schema == schema


def test_a_record_survives_the_way_through_parquet(tmp_path: Path) -> None:
    problem = make_problem("11+22=?").model_copy(update={"difficulty": None})
    pq.write_table(records_to_table(Problem, [problem]), tmp_path / "p.parquet")
    assert Problem.model_validate(pq.read_table(tmp_path / "p.parquet").to_pylist()[0]) == problem


def test_types_of_columns_are_those_of_the_fields() -> None:
    schema = arrow_schema(EvalSummary)
    assert schema.field("mode").type == pa.string()
    assert schema.field("n").type == pa.int64()
    assert schema.field("accuracy").type == pa.float64()
    assert arrow_schema(Pair).field("split").type == pa.string()
    assert arrow_schema(Pair).field("think_truncated").type == pa.bool_()


def test_records_refuse_unknown_fields_and_never_change() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Metric(stage="rl", step=1, name="loss", value=0.0, colour="red")
    with pytest.raises(ValidationError):
        metric(1).value = 2.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="split"):
        make_problem("11+22=?").model_validate({**make_problem("11+22=?").model_dump(), "split": "dev"})


def test_modes_and_their_tokens_belong_together() -> None:
    assert [m.token for m in Mode] == ["<short>", "<think>"]
    assert [m.forced for m in EvalMode] == [None, Mode.SHORT, Mode.THINK]
    assert {s.value for s in ProblemSplit} == {"sft", "rl", "test"}
