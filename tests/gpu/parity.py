"""Part `parity`: the GPU computes in float32 what the CPU computes: losses, gradients, log-probabilities, samples.

The same student, samples, old log-probabilities and reference on both; TF32 is off. Sums are taken in another order, so
small differences stay; a sampled token differs only if a draw falls between two cumulative probabilities so close.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from schemas.records.problems import ProblemSplit
from tests.gpu.readings import (
    GROUP_SIZE,
    Reading,
    gap,
    logprobs_of,
    noisy,
    policy_batch,
    rl_reading,
    sft_reading,
    shake,
)
from tests.gpu.results import table
from tests.gpu.session import Session
from thinkless_core.rl.policy_update import OldLogprobs
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.rendering import render_prompt
from thinkless_core.training.acceleration import use_threads

NEW_TOKENS = 48
LONGEST = 400
"""Tokens of the longest pair that is compared: the CPU's part shall take seconds."""


def run(session: Session) -> tuple[dict[str, Any], str]:
    """Both readings and the samples on the CPU and on the device."""
    if not session.small:
        use_threads(0)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = session.device
    started = time.monotonic()
    on_cpu, old = _readings(session, torch.device("cpu"), None)
    sampled_on_cpu = _sampled(session, torch.device("cpu"))
    cpu_seconds = time.monotonic() - started
    session.budget.say(f"CPU's part: {cpu_seconds:.0f} s")
    on_device, _ = _readings(session, device, old)
    sampled = _sampled(session, device)
    gaps = {name: gap(on_cpu[name], on_device[name]) for name in on_cpu}
    equal = sum(a.token_ids == b.token_ids for a, b in zip(sampled_on_cpu, sampled, strict=True))
    same_tokens = sum(
        next((i for i, (x, y) in enumerate(zip(a.token_ids, b.token_ids, strict=False)) if x != y), len(a.token_ids))
        for a, b in zip(sampled_on_cpu, sampled, strict=True)
    )
    num_tokens = sum(len(c.token_ids) for c in sampled_on_cpu)
    data = {
        "device": str(device),
        "gaps": gaps,
        "sampled": {"completions": len(sampled), "equal": equal, "tokens": num_tokens, "equal_tokens": same_tokens},
        "cpu_seconds": cpu_seconds,
    }
    rows = [[name, *(g.get(column) for column in COLUMNS)] for name, g in gaps.items()]
    against = "the GPU" if device.type == "cuda" else "the CPU once more (no GPU was used)"
    return data, "\n\n".join(
        [
            f"## Parity in float32\n\nThe CPU and {against}, on {len(_pairs(session).samples)} samples, "
            f"{gaps['sft']['tokens']} completion tokens; TF32 off. Gaps of losses and log-probabilities in nats; of "
            "gradients relative to the CPU's norm.",
            table(HEADER, rows),
            f"Sampled with the same random numbers: {equal} of {len(sampled)} completions are equal token by token "
            f"({same_tokens} of {num_tokens} tokens before the first difference).",
        ]
    )


HEADER = (
    "loss of", "loss", "loss gap", "gradient norm", "norm gap", "distance", "worst parameter", "logprob gap, max",
    "logprob gap, mean",
)  # fmt: skip


COLUMNS = (
    "loss", "loss_gap", "grad_norm", "grad_norm_gap", "grad_distance", "worst_parameter_distance", "logprob_gap_max",
    "logprob_gap_mean",
)  # fmt: skip


def _pairs(session: Session) -> Any:
    number = 2 if session.small else session.options.parity_pairs
    return session.samples(number, longest=LONGEST)


def _readings(
    session: Session, device: torch.device, old: OldLogprobs | None
) -> tuple[dict[str, Reading], OldLogprobs]:
    """Losses of warm-up and RL on one device; the old policy's log-probabilities, made on the first one."""
    pad_id, samples = session.tokenizer.pad_token_id, _pairs(session)
    model = session.student().to(device)
    sft = sft_reading(model, samples, precision="float32", pad_id=pad_id)
    num_pairs = len(samples.samples) // 2
    config = session.rl(
        "rl.objective=degrpo-paper", f"rl.group_size={GROUP_SIZE}", f"rl.prompts_per_step={num_pairs}",
        "rl.updates_per_step=1", "rl.precision=float32", "rl.optimizer.max_grad_norm=1e9", "rl.kl_coef=0.01",
        "rl.temperature=1.0",
    )  # fmt: skip
    batch = policy_batch(samples, session.problems, config=config)
    if old is None:
        rollouts = [batch.sample(i) for i in range(len(batch.scored))]
        old = noisy(logprobs_of(model, rollouts, precision="float32", pad_id=pad_id))
    reference = shake(session.student()).to(device).eval().requires_grad_(requires_grad=False)
    rl = rl_reading(model, batch, old_logprobs=old, reference=reference, config=config, pad_id=pad_id)
    return {"sft": sft, "rl": rl}, old


def _sampled(session: Session, device: torch.device) -> list[SampledCompletion]:
    tokenizer = session.tokenizer
    problems = session.judged(ProblemSplit.TEST)[: 2 if session.small else 16]
    requests = [SampleRequest(render_prompt(tokenizer, p.prompt), stream=("parity", p.problem_id)) for p in problems]
    sampler = TransformersSampler(session.student().to(device).eval(), tokenizer.pad_token_id, tokenizer.eos_token_id)
    return sampler.sample(requests, max_new_tokens=4 if session.small else NEW_TOKENS, temperature=1.0)
