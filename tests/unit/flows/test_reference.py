"""docs/reference.md says what the schemas say, and says something about every column."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.reference import reference
from schemas.base import Record
from schemas.tables import TABLES

PAGE = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_page_is_what_the_schemas_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "python -m flows.reference > docs/reference.md"


@pytest.mark.parametrize("record", TABLES.values(), ids=TABLES)
def test_every_column_of_every_table_is_explained(record: type[Record]) -> None:
    assert [name for name, field in record.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    "line",
    [
        "| `rl.gamma` | number or schedule | `0.5` | Discount of thinking",
        "| `sft.steps` | whole number | *needed* | Optimiser steps. |",
        "**`hgpo`**: ",
        "### `eval_summary`",
        "**`eval_by_task`**: One row: one model of one evaluation in one mode at one level of one task",
        "| `problem_id` | string | Unique over all splits and benchmarks. |",
    ],
)
def test_keys_kinds_tables_and_views_are_all_on_it(line: str) -> None:
    assert f"\n{line}" in reference()
