"""Model card: Markdown with YAML front matter, as model hubs read it; every number is measured.

ReportInputs -> Evidence, manifests, licences -> front matter + Markdown. What the inputs do not state is written as
unknown instead of guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from infra.report.cards.card_format import document, table
from infra.report.cards.card_parts import config_block, licence_of, licence_table, stage_config
from infra.report.cards.card_usage import usage
from infra.report.data.answers import answers
from infra.report.data.evidence import MODELS, Evidence, gather_evidence
from infra.report.data.evidence_rows import TaskLevel
from infra.report.data.inputs import ReportInputs
from infra.report.data.task_tables import task_tables
from infra.report.data.verdicts import headline, judge_benchmarks
from infra.report.data.wording import accuracy, count, percent, signed, tokens
from schemas.artifact import Manifest
from schemas.configs.evaluate import ModelName
from schemas.errors import SourceError

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TRAINING = {
    "sft": "Warm-up distillation on pairs of a long and a short answer (Thinkless, arXiv 2505.13379, section 3.1). "
    "It knows both modes and has not learned yet when to use which.",
    "rl": "Warm-up distillation on pairs of a long and a short answer, then reinforcement learning with DeGRPO "
    "(Thinkless, arXiv 2505.13379).",
}
"""How each model was made, in words."""


def model_card(inputs: ReportInputs, *, model: ModelName = "rl", folder: str | None = None) -> str:
    """The card of a trained model; with the name of its folder also how to load, serve and steer it.

    Raises what `render_report` raises.
    """
    from huggingface_hub import ModelCardData

    evidence = _up_to(model, gather_evidence(inputs))
    base = _base_model(inputs)
    name = name_of(inputs, model)
    origin = f"`{base}`" if base else "random weights"
    front = ModelCardData(
        license=licence_of(inputs.licences),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=[
            "thinkless",
            "adaptive-reasoning",
            *(["reinforcement-learning"] if model == "rl" else []),
            f"profile-{inputs.profile}",
        ],
        base_model=base,
        model_name=name,
        eval_results=_eval_results(evidence, model),
    )
    body = [
        f"# {name}",
        "A causal language model that decides with its first token whether to think (`<think>`) or to answer at once "
        f"(`<short>`). Trained from {origin} by run `{inputs.run_id}`, {inputs.created_at}.",
        *(_learned(evidence, inputs.ordered_manifests()) if model == "rl" else []),
        "## All results",
        _results(evidence),
        "`±` is one standard error over problems. Tokens are generated tokens; the prompt is not counted.",
        *_by_task(evidence),
        "## How to use it",
        *usage(inputs, name=name, folder=folder),
        "## Training",
        TRAINING[model] + (" The pairs are in `dataset/`, with a card of their own." if folder is not None else ""),
        config_block("Warm-up", stage_config(inputs, "sft")),
        *([config_block("Reinforcement learning", stage_config(inputs, "rl"))] if model == "rl" else []),
        config_block("Evaluation", stage_config(inputs, "evaluate")),
        "## Licences",
        licence_table(inputs.licences),
        "## Limits",
        "Measured on the benchmarks above only.",
    ]
    return document(front, body)


def name_of(inputs: ReportInputs, model: ModelName) -> str:
    """How the model is called on its card and behind an endpoint."""
    return f"thinkless-{inputs.profile}" + ("" if model == "rl" else f"-{model}")


def _up_to(model: ModelName, evidence: Evidence) -> Evidence:
    """The numbers of this model and of those it was made from."""
    earlier = MODELS[: MODELS.index(model) + 1]
    return replace(evidence, cells=tuple(cell for cell in evidence.cells if cell.model in earlier))


def _learned(evidence: Evidence, manifests: Sequence[Manifest]) -> list[str]:
    learned = headline(evidence)
    verdicts = [
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
    ]
    return [
        "## What was learned",
        f"**{learned.answer}.** {learned.reason}".rstrip(),
        *(f"**{question}** {' '.join(sentences)}" for question, sentences in answers(evidence, manifests)),
        table(("benchmark", "verdict", "thinks on", "tokens", "forced think", "accuracy", "difference"), verdicts),
    ]


def _by_task(evidence: Evidence) -> list[str]:
    """The model at every level of every task, if its problems have tasks."""
    rows = [
        (
            table_of.benchmark,
            row.task,
            "-" if row.level is None else str(row.level),
            count(row.num_problems),
            *(_with_error(mode) for mode in (row.short, row.think, row.auto)),
            "-" if row.auto is None else percent(row.auto.think_share),
            "-" if row.auto is None else tokens(row.auto.mean_tokens),
            "-" if row.think is None else tokens(row.think.mean_tokens),
        )
        for table_of in task_tables(evidence)
        for row in table_of.rows
    ]
    columns = (
        "benchmark", "task", "level", "problems", "forced short", "forced think", "auto", "thinks on", "tokens",
        "tokens of think",
    )  # fmt: skip
    return ["## By task and level", table(columns, rows)] if rows else []


def _with_error(cell: TaskLevel | None) -> str:
    return "-" if cell is None else f"{accuracy(cell.accuracy)} ± {accuracy(cell.accuracy_stderr)}"


def _results(evidence: Evidence) -> str:
    cells = [
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
    ]
    if not cells:
        return "Nothing was measured: the run has no evaluation."
    header = (
        "benchmark",
        "model",
        "mode",
        "completions",
        "accuracy",
        "think share",
        "mean tokens",
        "truncated",
        "grader",
    )
    return table(header, cells)


def _eval_results(evidence: Evidence, model: ModelName) -> list[EvalResult]:
    """What the model measured in auto mode, one entry per benchmark and metric."""
    from huggingface_hub import EvalResult

    cells = [cell for b in evidence.benchmarks if (cell := evidence.cell(b, model, "auto")) is not None]
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=cell.benchmark,
            dataset_name=cell.benchmark,
            dataset_split="test",
            metric_type=metric,
            metric_name=f"{metric} (auto, grader {cell.grader})",
            metric_value=round(getattr(cell, metric), 4),
        )
        for cell in cells
        for metric in ("accuracy", "accuracy_stderr", "think_share", "mean_tokens")
    ]


def _base_model(inputs: ReportInputs) -> str | None:
    """Hub id or folder name of the pretrained model; None if the weights started from random ones.

    Raises SourceError if stage `base` names a pretrained model without a path.
    """
    model = stage_config(inputs, "base").get("model")
    if not isinstance(model, dict) or model.get("kind") != "pretrained":
        return None
    path, weights = model.get("path"), model.get("gguf_file")
    if isinstance(weights, str):
        return PurePath(weights).stem
    if not isinstance(path, str):
        raise SourceError(f"model card: stage base has kind 'pretrained' but path={path!r}, expected text")
    if PurePath(path).is_absolute() or path.startswith("."):
        return PurePath(path).name
    return path.removeprefix("package:")
