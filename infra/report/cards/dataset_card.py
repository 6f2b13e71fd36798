"""Data set card of the pairs: Markdown with YAML front matter, as data set hubs read it; every number is counted.

ReportInputs -> counts of the pairs, manifests, licences -> front matter + Markdown
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from infra.report.cards.card_format import document, fenced, shortened, table
from infra.report.cards.card_parts import config_block, licence_of, licence_table, stage_config
from infra.report.data import queries
from infra.report.data.evidence import query_pairs
from infra.report.data.inputs import ReportInputs
from infra.report.data.provenance import validation_suites
from infra.report.data.wording import count, percent, tokens
from schemas.records.pairs import Pair

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Upper bounds and names of a hub's size categories."""
PARTS = frozenset({"problems", "think answers", "short answers"})
"""What the pairs were made from; RL problems and base model gave nothing to them."""
LONGEST_TEXT = 800
"""Characters of a text in an example; a longer one loses its middle."""
LOAD = """from datasets import load_dataset

pairs = load_dataset("FOLDER")
print(pairs["train"][0])
"""


def dataset_card(inputs: ReportInputs, *, files: Mapping[str, str] | None = None) -> str:
    """The card of the pairs; `files` are those of an export by split, `{"train": "train.parquet"}`.

    Raises MissingArtifactError if a file that is named is absent.
    """
    from huggingface_hub import DatasetCardData

    splits = query_pairs(inputs, queries.PAIR_COUNTS)
    total = sum(row[1] for row in splits)
    licences = tuple(source for source in inputs.licences if source.part in PARTS)
    data_files: list[JsonValue] = [path.name for path in inputs.tables.get("pairs", ())]
    if files is not None:
        data_files = [{"split": split, "path": path} for split, path in files.items()]
    manifest = inputs.manifest("pairs")
    columns = tuple(Pair.model_fields)
    front = DatasetCardData(
        license=licence_of(licences),
        task_categories=["text-generation"],
        tags=["thinkless", "adaptive-reasoning", "distillation", f"profile-{inputs.profile}"],
        size_categories=[next((name for bound, name in SIZES if total < bound), "n>1M")],
        configs=[{"config_name": "default", "data_files": data_files}],
    )
    body = [
        f"# Thinkless pairs, profile {inputs.profile}",
        f"{count(total)} problems, each answered twice: at length behind `<think>` and briefly behind `<short>`. "
        f"One row is one problem with both answers. Made by run `{manifest.run_id if manifest else inputs.run_id}`.",
        "## Splits",
        table(
            ("split", "pairs", "think tokens", "short tokens", "think truncated", "short truncated"),
            [
                (split, count(n), tokens(think), tokens(short), percent(think_cut), percent(short_cut))
                for split, n, think, short, think_cut, short_cut in splits
            ],
        ),
        *_by_difficulty(query_pairs(inputs, queries.PAIR_DIFFICULTIES)),
        "## Columns",
        table(
            ("column", "type", "meaning"),
            [(name, _type_name(f.annotation), f.description or "") for name, f in Pair.model_fields.items()],
        ),
        "## How to load it",
        "`FOLDER` is where this file and the Parquet files are, or the data set's id on a hub.",
        fenced("python", LOAD.rstrip()),
        "## Rows dropped or touched on the way",
        table(
            ("stage", "reason", "rows"),
            [
                (m.label, reason, count(number))
                for m in inputs.ordered_manifests()
                if m.stage in ("problems", "teach", "pairs")
                for reason, number in sorted(m.drops.items())
            ],
        ),
        "## Validation",
        table(
            ("suite", "stage", "passed", "failed"),
            [(s.suite, s.stage, count(s.passed), count(len(s.failed))) for s in validation_suites(inputs)],
        ),
        "## Source and teachers",
        config_block("Problems", stage_config(inputs, "problems")),
        *(config_block(m.label, m.config) for m in inputs.ordered_manifests() if m.stage == "teach"),
        "## Examples",
        *(
            fenced("json", json.dumps(dict(zip(columns, map(_short, row), strict=True)), indent=2, ensure_ascii=False))
            for row in query_pairs(inputs, queries.PAIR_EXAMPLES.format(columns=", ".join(columns)))
        ),
        "## Licences",
        licence_table(licences),
        "## Limits",
        "Answers are what the teachers wrote. They were compared with the reference value; nobody read them.",
    ]
    return document(front, body)


def _by_difficulty(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Pairs by difficulty, or by task and level if their problems have tasks."""
    tasks = any(task is not None for task, *_ in rows)
    heading, columns = ("## Task and level", ("task", "level")) if tasks else ("## Difficulty", ("difficulty",))
    cells = [
        (
            *((task or "none",) if tasks else ()),
            "unknown" if level is None else str(level),
            count(n),
            tokens(think),
            tokens(short),
        )
        for task, level, n, think, short in rows
    ]
    return [heading, table((*columns, "pairs", "think tokens", "short tokens"), cells)]


def _short(value: JsonValue) -> JsonValue:
    return shortened(value, LONGEST_TEXT) if isinstance(value, str) else value


def _type_name(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
