"""Part `drift`: how far mixed precision is from float32 on the same device, and the sampling copy from the trainer.

samples -> loss, gradient, log-probabilities in float32 and mixed
prompts -> completions of the sampling copy (bfloat16 matrices) -> their log-probabilities by both -> KL, ratio
"""

from __future__ import annotations

from typing import Any

import torch

from schemas.records.problems import ProblemSplit
from tests.gpu.readings import gap, logprobs_of, sft_reading
from tests.gpu.results import table
from tests.gpu.session import Session
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.sampling.sampling_copy import SamplingCopy
from thinkless_core.student.rendering import Sample, render_prompt

PROMPTS, NEW_TOKENS = 128, 64


def run(session: Session) -> tuple[dict[str, Any], str]:
    """Both comparisons."""
    pad_id = session.tokenizer.pad_token_id
    model = session.student().to(session.device)
    samples = session.samples(2 if session.small else 4 * session.options.parity_pairs)
    full = sft_reading(model, samples, precision="float32", pad_id=pad_id)
    mixed = sft_reading(model, samples, precision="mixed", pad_id=pad_id)
    found = gap(full, mixed)
    sampled = _sampled_gap(session, model)
    rows = [
        ["loss, float32", found["loss"]],
        ["loss gap, nats", found["loss_gap"]],
        ["gradient norm gap, relative", found["grad_norm_gap"]],
        ["gradient distance, relative", found["grad_distance"]],
        ["log-probability gap, mean, nats", found["logprob_gap_mean"]],
        ["log-probability gap, largest, nats", found["logprob_gap_max"]],
        ["sampled tokens", sampled["tokens"]],
        ["KL(sampler || float32) per token, k1", sampled["kl_k1"]],
        ["KL(sampler || float32) per token, k3", sampled["kl_k3"]],
        ["ratio mixed / float32, 1st percentile", sampled["ratio_low"]],
        ["ratio mixed / float32, 99th percentile", sampled["ratio_high"]],
    ]
    text = (
        f"## Mixed precision\n\nBoth on {session.device.type}, {len(samples.samples)} samples, {found['tokens']} "
        "completion tokens; then tokens that the sampling copy drew at temperature 1, read by the trainer in mixed "
        f"precision and in float32.\n\n{table(['mixed against float32', 'value'], rows)}"
    )
    return {"teacher_tokens": found, "sampled_tokens": sampled}, text


def _sampled_gap(session: Session, model: Any) -> dict[str, float]:
    tokenizer = session.tokenizer
    problems = session.judged(ProblemSplit.TEST)[: 2 if session.small else PROMPTS]
    requests = [SampleRequest(render_prompt(tokenizer, p.prompt), stream=("drift", p.problem_id)) for p in problems]
    copy = SamplingCopy(model, tokenizer.pad_token_id, tokenizer.eos_token_id)
    sampled = copy.sample(requests, max_new_tokens=4 if session.small else NEW_TOKENS, temperature=1.0)
    samples = [Sample(r.prompt_ids, c.token_ids) for r, c in zip(requests, sampled, strict=True)]
    pad_id = tokenizer.pad_token_id
    full, mixed = (
        torch.cat(logprobs_of(model, samples, precision=precision, pad_id=pad_id)) for precision in ("float32", "mixed")
    )
    log_ratio = mixed - full
    low, high = torch.quantile(log_ratio.exp(), torch.tensor([0.01, 0.99], dtype=torch.float64)).tolist()
    return {
        "tokens": len(log_ratio),
        "kl_k1": float(log_ratio.mean()),
        "kl_k3": float(((-log_ratio).exp() - 1 + log_ratio).mean()),
        "ratio_low": low,
        "ratio_high": high,
    }
