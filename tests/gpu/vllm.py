"""Part `vllm`: the engine samples the policy's weights, and its log-probabilities are close to the trainer's.

Skipped in a sentence where vLLM is not installed: it brings a torch of its own.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from schemas.configs.sampler import VllmSamplerConfig
from schemas.records.problems import ProblemSplit
from tests.gpu.card import synchronized
from tests.gpu.readings import logprobs_of
from tests.gpu.session import Session
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.student.rendering import Sample, render_prompt

REQUESTS, NEW_TOKENS = 256, 96
SHARE = 0.4
"""Of the card's memory."""


def run(session: Session) -> tuple[dict[str, Any], str]:
    """Sample twice with the engine: the first call starts it."""
    if importlib.util.find_spec("vllm") is None:
        text = "vLLM is not installed here: its sampler was not tried."
        return {"installed": False}, f"## vLLM\n\n{text}"
    from tasks.running.samplers import build_sampler

    tokenizer, device = session.tokenizer, session.device
    problems = session.judged(ProblemSplit.TEST)
    number = 2 if session.small else REQUESTS
    prompts = [render_prompt(tokenizer, problems[i % len(problems)].prompt) for i in range(number)]
    requests = [SampleRequest(prompt, stream=("vllm", i)) for i, prompt in enumerate(prompts)]
    model = session.student().to(device).eval()
    config = VllmSamplerConfig(gpu_memory_utilization=SHARE, max_model_len=1024, enforce_eager=True)
    with build_sampler(config, model=model, tokenizer=tokenizer, folder=session.base) as sampler:
        started = synchronized(device)
        sampler.sample(requests[:2], max_new_tokens=4, temperature=1.0)
        begun = synchronized(device)
        sampled = sampler.sample(requests, max_new_tokens=4 if session.small else NEW_TOKENS, temperature=1.0)
        seconds = synchronized(device) - begun
    told = [(r, c) for r, c in zip(requests, sampled, strict=True) if c.logprobs]
    ours = logprobs_of(
        model, [Sample(r.prompt_ids, c.token_ids) for r, c in told], precision="mixed", pad_id=tokenizer.pad_token_id
    )
    theirs = [torch.tensor(c.logprobs, dtype=torch.float64) for _, c in told]
    apart = torch.cat([(a[len(a) - len(b) :] - b).abs() for a, b in zip(ours, theirs, strict=True)])
    tokens = sum(len(completion.token_ids) for completion in sampled)
    data = {
        "installed": True,
        "start_seconds": begun - started,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "logprob_gap_mean": float(apart.mean()),
        "logprob_gap_max": float(apart.max()),
    }
    text = (
        f"The engine started in {data['start_seconds']:.0f} s and sampled {tokens:,} tokens of {number} requests at "
        f"{data['tokens_per_second']:,.0f} tokens/s (no graphs). Its log-probabilities are "
        f"{data['logprob_gap_mean']:.4f} nats from the trainer's in mixed precision on average, "
        f"{data['logprob_gap_max']:.3f} at most."
    )
    return data, f"## vLLM\n\n{text}"
