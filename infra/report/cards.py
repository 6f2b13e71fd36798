"""Model card and data set card: Markdown with YAML front matter, as model hubs read it; every number is measured.

ReportInputs -> Evidence and manifests -> front matter + Markdown. What the inputs do not state, a license above all,
is written as unknown instead of guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath

from pydantic import JsonValue

from infra.report import queries
from infra.report.card_format import document, fenced, table, yaml_block
from infra.report.evidence import Evidence, gather_evidence, query_pairs
from infra.report.inputs import ReportInputs
from infra.report.provenance import validation_suites
from infra.report.verdicts import headline, judge_benchmarks
from infra.report.wording import accuracy, count, percent, signed, tokens
from schemas.errors import SourceError
from schemas.records import Pair

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Upper bounds and names of a hub's size categories."""


def model_card(inputs: ReportInputs) -> str:
    """The card of the RL model. Raises what `render_report` raises."""
    evidence = gather_evidence(inputs)
    base = _base_model(inputs)
    front: dict[str, JsonValue] = {
        "license": "unknown",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["thinkless", "adaptive-reasoning", "reinforcement-learning", f"profile-{inputs.profile}"],
        **({"base_model": base} if base else {}),
        "model-index": [{"name": f"thinkless-{inputs.profile}", "results": _model_index(evidence)}],
    }
    learned = headline(evidence)
    rl, sft = (_stage_config(inputs, stage) for stage in ("rl", "sft"))
    origin = f"`{base}`" if base else "random weights"
    body = [
        f"# thinkless-{inputs.profile}",
        "A causal language model that decides with its first token whether to think (`<think>`) or to answer at once "
        f"(`<short>`). Trained from {origin} by run `{inputs.run_id}`, {inputs.created_at}.",
        "## What was learned",
        f"**{learned.answer}.** {' '.join(learned.sentences)}",
        table(
            ("benchmark", "verdict", "thinks on", "tokens", "forced think", "accuracy", "difference"),
            [
                (
                    v.benchmark,
                    v.words,
                    percent(v.think_share),
                    tokens(v.auto_tokens),
                    tokens(v.think_tokens),
                    accuracy(v.accuracy),
                    f"{signed(v.difference)} ± {accuracy(v.difference_stderr)}",
                )
                for v in judge_benchmarks(evidence)
            ],
        ),
        "## All results",
        table(
            ("benchmark", "model", "mode", "n", "accuracy", "think share", "mean tokens", "truncated", "grader"),
            [
                (
                    c.benchmark,
                    c.model,
                    c.mode.value,
                    count(c.n),
                    f"{accuracy(c.accuracy)} ± {accuracy(c.accuracy_stderr)}",
                    percent(c.think_share),
                    tokens(c.mean_tokens),
                    percent(c.truncated_share),
                    c.grader,
                )
                for c in evidence.cells
            ],
        ),
        "`±` is one standard error over problems. Tokens are generated tokens; the prompt is not counted.",
        "## How to use it",
        "Let the first token choose, or force it: append `<short>` or `<think>` to the templated prompt. Both are "
        "single tokens of the tokenizer.",
        "## Training",
        "Warm-up distillation on pairs of a long and a short answer, then reinforcement learning with DeGRPO "
        "(Thinkless, arXiv 2505.13379).",
        _config_block("Warm-up", sft),
        _config_block("Reinforcement learning", rl),
        "## Limits",
        "Measured on the benchmarks above only. The license is not known to the pipeline that wrote this card: it "
        "depends on the base model and the data, and has to be filled in before the model is published.",
    ]
    return document(front, body)


def dataset_card(inputs: ReportInputs) -> str:
    """The card of the pairs. Raises MissingArtifactError where a file that is named is absent."""
    splits = query_pairs(inputs, queries.PAIR_COUNTS)
    total = sum(row[1] for row in splits)
    manifest = inputs.manifest("pairs")
    front: dict[str, JsonValue] = {
        "license": "unknown",
        "task_categories": ["text-generation"],
        "tags": ["thinkless", "adaptive-reasoning", "distillation", f"profile-{inputs.profile}"],
        "size_categories": [next((name for bound, name in SIZES if total < bound), "n>1M")],
        "configs": [{"config_name": "default", "data_files": [path.name for path in inputs.tables.get("pairs", ())]}],
    }
    difficulties = query_pairs(inputs, queries.PAIR_DIFFICULTIES)
    body = [
        f"# Thinkless pairs, profile {inputs.profile}",
        f"{count(total)} problems, each answered twice: at length behind `<think>` and briefly behind `<short>`. "
        f"Made by run `{manifest.run_id if manifest else inputs.run_id}`.",
        "## Splits",
        table(
            ("split", "pairs", "think tokens", "short tokens", "think truncated", "short truncated"),
            [
                (split, count(n), tokens(think), tokens(short), percent(think_cut), percent(short_cut))
                for split, n, think, short, think_cut, short_cut in splits
            ],
        ),
        "## Difficulty",
        table(
            ("difficulty", "pairs", "think tokens", "short tokens"),
            [
                ("unknown" if level is None else str(level), count(n), tokens(think), tokens(short))
                for level, n, think, short in difficulties
            ],
        ),
        "## Columns",
        table(("column", "type"), [(name, _type_name(f.annotation)) for name, f in Pair.model_fields.items()]),
        "## Rows dropped or touched on the way",
        table(
            ("stage", "reason", "rows"),
            [
                (m.stage, reason, count(number))
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
        _config_block("Problems", _stage_config(inputs, "problems")),
        _config_block("Teachers", _stage_config(inputs, "teach")),
        "## Examples",
        *(
            fenced(
                "json",
                json.dumps(
                    dict(zip(("prompt", "answer", "think", "short"), map(_short, row), strict=True)),
                    indent=2,
                    ensure_ascii=False,
                ),
            )
            for row in query_pairs(inputs, queries.PAIR_EXAMPLES)
        ),
        "## Limits",
        "The license is not known to the pipeline that wrote this card: it depends on the problems and the teachers, "
        "and has to be filled in before the data are published.",
    ]
    return document(front, body)


def _model_index(evidence: Evidence) -> list[JsonValue]:
    """Measured results of the rl model in auto mode, one entry per benchmark."""
    results: list[JsonValue] = []
    for benchmark in evidence.benchmarks:
        cell = evidence.cell(benchmark, "rl", "auto")
        if cell is None:
            continue
        measured = {
            "accuracy": cell.accuracy,
            "accuracy_stderr": cell.accuracy_stderr,
            "think_share": cell.think_share,
            "mean_tokens": cell.mean_tokens,
        }
        metrics: list[JsonValue] = [
            {"type": name, "name": f"{name} (auto, grader {cell.grader})", "value": round(value, 4)}
            for name, value in measured.items()
        ]
        results.append(
            {
                "task": {"type": "text-generation"},
                "dataset": {"name": benchmark, "type": benchmark, "split": "test"},
                "metrics": metrics,
            }
        )
    return results


def _base_model(inputs: ReportInputs) -> str | None:
    """Hub id or folder name of the pretrained model; None where the weights started from random ones.

    Raises SourceError where stage `base` names a pretrained model without a path.
    """
    model = _stage_config(inputs, "base").get("model")
    if not isinstance(model, dict) or model.get("kind") != "pretrained":
        return None
    path = model.get("path")
    if not isinstance(path, str):
        raise SourceError(f"model card: stage base has kind 'pretrained' but path={path!r}, expected text")
    return PurePath(path).name if PurePath(path).is_absolute() or path.startswith(".") else path


def _stage_config(inputs: ReportInputs, stage: str) -> Mapping[str, JsonValue]:
    manifest = inputs.manifest(stage)
    return {} if manifest is None else manifest.config


def _config_block(title: str, config: Mapping[str, JsonValue]) -> str:
    """Configuration as YAML; folders of this machine are cut to the file's name."""
    if not config:
        return f"{title}: no manifest."
    return f"{title}:\n\n{fenced('yaml', yaml_block(_without_folders(dict(config))))}"


def _without_folders(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return value


def _short(text: str) -> str:
    return text if len(text) <= 800 else f"{text[:800]} [... {len(text) - 800:,} more characters]"


def _type_name(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
