"""Part `sampling`: tokens per second of the project's own sampler at several numbers of rows, and its memory.

prompts of test problems -> the copy that samples in mixed precision -> completions, at most as long as the limit
"""

from __future__ import annotations

from typing import Any

from schemas.configs.base_model import PretrainedModel
from schemas.errors import TrainingError
from schemas.records.problems import ProblemSplit
from tests.gpu.card import forget_peak, gib, peak_bytes, synchronized
from tests.gpu.results import table
from tests.gpu.session import Session
from thinkless_core.estimates.memory_formulas import sampling_terms, total
from thinkless_core.estimates.model_shape import shape_of
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.sampling.sampling_copy import SamplingCopy
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.rendering import render_prompt

NEW_TOKENS = 96
WARM_UP_TOKENS = 4


def run(session: Session) -> tuple[dict[str, Any], str]:
    """One row per number of rows, the first number in float32 too."""
    numbers = [2] if session.small else [int(text) for text in session.options.rows.split(",")]
    found = [_measured(session, rows=rows, precision="mixed") for rows in numbers]
    found.append(_measured(session, rows=numbers[0], precision="float32"))
    rows = [
        [row["precision"], row["rows"]]
        + (
            [row["failed"], *[None] * 5]
            if "failed" in row
            else [
                row["tokens"],
                row["tokens_per_second"],
                1000 * row["seconds_per_token"],
                gib(row["peak_bytes"]),
                gib(row["estimated_bytes"]),
                f"{row['peak_bytes'] / row['estimated_bytes']:.2f}" if row["peak_bytes"] else "",
            ]
        )
        for row in found
    ]
    header = ["precision", "rows", "tokens", "tokens/s", "ms a token of all rows", "memory", "estimate", "ratio"]
    text = (
        f"## Sampling\n\nUp to {found[0]['new_tokens']} new tokens a row, temperature 1, student before training. "
        "Memory in GiB, weights and, in mixed precision, the sampling copy included."
        f"\n\n{table(header, rows)}"
    )
    return {"rows": found}, text


def _measured(session: Session, *, rows: int, precision: str) -> dict[str, Any]:
    tokenizer, device = session.tokenizer, session.device
    new_tokens = 4 if session.small else NEW_TOKENS
    problems = session.judged(ProblemSplit.TEST)
    prompts = [render_prompt(tokenizer, problem.prompt) for problem in problems[:rows]]
    requests = [SampleRequest(prompts[i % len(prompts)], stream=("speed", i)) for i in range(rows)]
    held = forget_peak(device)
    model = session.student().to(device).eval()
    kind = SamplingCopy if precision == "mixed" else TransformersSampler
    sampler = kind(model, tokenizer.pad_token_id, tokenizer.eos_token_id, rows)
    row: dict[str, Any] = {"precision": precision, "rows": rows, "new_tokens": new_tokens}
    try:
        sampler.sample(requests, max_new_tokens=WARM_UP_TOKENS, temperature=1.0)
        started = synchronized(device)
        completions = sampler.sample(requests, max_new_tokens=new_tokens, temperature=1.0)
        seconds = synchronized(device) - started
    except TrainingError as error:
        return row | {"failed": f"{error}"[:200]}
    tokens = sum(len(completion.token_ids) for completion in completions)
    longest = max(len(completion.token_ids) for completion in completions)
    most = peak_bytes(device)
    return row | {
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "seconds_per_token": seconds / longest,
        "peak_bytes": None if most is None else most - held,
        "estimated_bytes": _estimate(session, rows=rows, tokens=max(map(len, prompts)) + longest, precision=precision),
    }


def _estimate(session: Session, *, rows: int, tokens: int, precision: str) -> int | None:
    """What the doctor says of so many rows, with prompts as long as these are."""
    shape = shape_of(PretrainedModel(path=str(session.base)))
    if shape is None:
        return None
    mixed = precision == "mixed"
    copied = shape.frozen_bytes(mixed=True) if mixed else 0
    return (
        4 * shape.parameters + copied + total(sampling_terms(shape, rows=rows, tokens=tokens, width=2 if mixed else 4))
    )
