"""Parts of the model card that say what the model is for, what it answered, and what was not measured.

ReportInputs, Evidence -> opening sentences, worked examples from the stored completions, limits
"""

from __future__ import annotations

from infra.report.cards.card_format import fenced, shortened
from infra.report.cards.card_parts import stage_config
from infra.report.data import queries
from infra.report.data.evidence import Evidence, query_rows
from infra.report.data.inputs import ReportInputs
from infra.report.data.wording import count, moment, percent
from schemas.configs.evaluate import ModelName

LONGEST_ANSWER = 1200
"""Characters of a completion in a worked example; a longer one loses its middle."""


def opening(inputs: ReportInputs, *, model: ModelName, origin: str) -> str:
    """What the model is and what it was trained for, then when and by which run."""
    problems = " and ".join(dict.fromkeys(f"`{s.name}`" for s in inputs.licences if "problems" in s.part.lower()))
    aim = {
        "rl": "to think only if a short answer would be wrong",
        "sft": "to answer in either mode, and has not learned yet when to use which",
    }.get(model, "for nothing yet")
    manifest = inputs.manifest(model)
    run_id = inputs.run_id if manifest is None else manifest.run_id
    trained = "" if manifest is None else f"; training ended {moment(manifest.created_at)}"
    return (
        "A causal language model that decides with its first token whether to think (`<think>`) or to answer at once "
        f"(`<short>`). It was trained{f' on {problems}' if problems else ''} {aim}; it is no general assistant.\n\n"
        f"Trained from {origin} by run `{run_id}`{trained}."
    )


def worked_examples(inputs: ReportInputs, *, model: ModelName) -> list[str]:
    """One held-out problem per mode that the model chose, with the whole completion as it was stored."""
    names = ("eval_completions", "problems")
    parts = []
    for prompt, reference, benchmark, mode, completion, correct, num_tokens, p_think in query_rows(
        inputs, queries.WORKED_EXAMPLES, tables=names, model=model
    ):
        parts += [
            f"`{benchmark}`, the model chose `<{mode}>` (P(think) {percent(p_think)}), {count(num_tokens)} tokens, "
            f"judged {'right' if correct else 'wrong'}; reference `{reference}`:",
            fenced("text", f"{prompt}\n---\n{shortened(completion, LONGEST_ANSWER)}"),
        ]
    if not parts:
        return []
    return [
        "## Worked examples",
        "Stored completions of the evaluation: of each chosen mode the first in the order of a hash, right or wrong, "
        "from the benchmark of which it solves most. Above the line is the problem, below it everything the model "
        "generated.",
        *parts,
    ]


def limits(inputs: ReportInputs, evidence: Evidence, *, model: ModelName) -> str:
    """What was measured, how often and on how much; what follows from that is left to the reader."""
    cells = [cell for cell in evidence.cells if (cell.model, cell.mode.value) == (model, "auto")]
    measured = ", ".join(f"{cell.benchmark} ({count(cell.n)} completions)" for cell in cells)
    made_from = [
        f"{count(manifest.rows)} {what}"
        for stage, what in (("pairs", "pairs of the warm-up"), ("rl", "rollouts of RL"))
        if (manifest := inputs.manifest(stage)) is not None and (stage == "pairs" or model == "rl")
    ]
    seeds = ", ".join(
        f"{stage} {config['seed']}"
        for stage in ("sft", "rl")
        if "seed" in (config := stage_config(inputs, stage)) and (stage == "sft" or model == "rl")
    )
    lines = [
        f"- Measured on {measured} only." if measured else "- Nothing was measured.",
        f"- One training run{f' (seeds: {seeds})' if seeds else ''}; other seeds can choose differently.",
        *([f"- Trained on {' and '.join(made_from)}."] if made_from else []),
        "- Other kinds of problems, other languages, conversations of several turns and safety were not examined.",
    ]
    return "\n".join(lines)
