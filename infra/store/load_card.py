"""The card of an artifact's folder, by which `datasets.load_dataset(FOLDER, TABLE)` finds its tables.

table -> Parquet file -> README.md: front matter with one configuration per table, and how to load them

Without it the loader guesses from names, and takes the pages of folder `validation` for a split.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
import yaml

CARD_NAME = "README.md"


def write_load_card(workspace: Path, *, stage: str, tables: Mapping[str, str]) -> None:
    """Write the card if a table has rows; `tables` maps files to tables, and the first one with rows is the default.

    A table without rows is left out, because the loader refuses it.
    """
    filled = {table: file for file, table in tables.items() if _has_rows(workspace / file)}
    if not filled:
        return
    first, *others = filled
    configs: list[dict[str, object]] = [{"config_name": first, "data_files": filled[first], "default": True}]
    configs += [{"config_name": table, "data_files": filled[table]} for table in others]
    lines = [
        f"---\n{yaml.safe_dump({'configs': configs}, sort_keys=False)}---\n",
        f"# Tables of stage {stage}\n",
        "| table | file |",
        "| --- | --- |",
        *(f"| {table} | {file} |" for file, table in tables.items()),
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'{first} = load_dataset("FOLDER", "{first}", split="train")  # FOLDER: where this file is',
        "```",
        "",
        "The loader calls all rows of a table `train`, whatever a column `split` says, and refuses one without rows.",
    ]
    (workspace / CARD_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _has_rows(file: Path) -> bool:
    return file.is_file() and pq.read_metadata(file).num_rows > 0
