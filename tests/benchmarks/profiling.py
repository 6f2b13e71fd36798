"""Where the time goes: operators of an SFT step, of rollouts and of an update, by their own time, on both models.

python -m tests.benchmarks --profile -> build/benchmarks/profile-*.md (tables) and .json (traces for a browser)

One step of warm-up, one by the wall clock, one under the profiler, which costs something itself: what the operators
take less than the wall clock is Python, and what they take more is the profiler. Read the shares.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from schemas.configs.loading import load_config
from tests.benchmarks import rl, sft, update
from tests.benchmarks.models import build_model
from tests.benchmarks.row import Setting, table
from tests.benchmarks.samples import chain_problems, num_tokens, pairs_of
from tests.benchmarks.turns import wait_for_device
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.model_files import load_model, load_tokenizer
from thinkless_core.student.rendering import render_prompt
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training.acceleration import single_process_accelerator, use_threads
from thinkless_core.training.optimization import build_optimizer
from thinkless_core.training.sft_trainer import accumulate_sft_loss
from thinkless_core.training.sided_samples import pair_samples

TOP = 12
"""Operators shown."""


def sft_step(size: str, setting: Setting) -> Callable[[], int]:
    """One optimiser step of warm-up training; returns its tokens."""
    spec = sft.SIZES[size] | (sft.QUICK[size] if setting.quick else {})
    model, tokenizer = build_model(size), tiny_tokenizer()
    config = load_config("tiny").sft
    accelerator, optimizer = single_process_accelerator(), build_optimizer(model, config.optimizer)
    model.to(accelerator.device).train()
    pairs = pairs_of(spec | {"num_pairs": spec["pairs_per_step"]})
    batch = pair_samples(pairs, tokenizer=tokenizer)
    budget = config.micro_batch_tokens if size == "tiny" else type(config).model_fields["micro_batch_tokens"].default

    def step() -> int:
        accumulate_sft_loss(
            model, batch, pad_id=tokenizer.pad_token_id, micro_batch_tokens=budget, accelerator=accelerator
        )
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return num_tokens(batch.samples)

    return step


def rollouts(size: str, setting: Setting) -> Callable[[], int]:
    """Sampling of one RL step; returns the tokens generated."""
    spec = rl.DEFAULTS | rl.SIZES[size] | (rl.QUICK[size] if setting.quick else {})
    rl.make_row(size).prepare(setting)
    folder, _ = rl.model_folder(size, setting)
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    model.to(single_process_accelerator().device)
    sampler = TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id)
    requests = [
        SampleRequest(render_prompt(tokenizer, problem.prompt), stream=("profile", problem.problem_id, sample))
        for problem in chain_problems(spec["prompts"], mix=(0.6, 0.4), seed=2)
        for sample in range(spec["group_size"])
    ]

    def step() -> int:
        completions = sampler.sample(requests, max_new_tokens=spec["max_new_tokens"], temperature=1.0)
        return sum(len(completion.token_ids) for completion in completions)

    return step


def policy_update(size: str, setting: Setting) -> Callable[[], int]:
    """One optimiser step of RL; returns the tokens learned from."""
    spec = update.SIZES[size] | (update.QUICK[size] if setting.quick else {})
    prepared = update.prepared_update(spec | {"size": size})

    def step() -> int:
        prepared.step()
        return num_tokens(prepared.samples)

    return step


WORK = {"sft": sft_step, "rollouts": rollouts, "update": policy_update}


def summarise(name: str, step: Callable[[], int], *, folder: Path) -> str:
    """Profile one call after a warm-up; writes the trace and returns the table."""
    step()
    wait_for_device()
    started = time.perf_counter()
    step()
    wait_for_device()
    wall = time.perf_counter() - started
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with profile(activities=activities) as profiler:
        tokens = step()
    profiler.export_chrome_trace(str(folder / f"profile-{name}.json"))
    key = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, key))
    total = sum(getattr(event, key) for event in events)
    lines = [
        [f"`{event.key[:60]}`", f"{100 * getattr(event, key) / total:.1f}", f"{event.count:,}"]
        for event in events[:TOP]
    ]
    heading = (
        f"### {name}\n\n{tokens:,} tokens in {wall:.2f} s; under the profiler {total / 1e6:.2f} s inside operators."
    )
    return f"{heading}\n\n{table(['operator', '% of own time', 'calls'], lines)}"


def main(folder: str, quick: str, threads: str) -> None:
    """Profile everything."""
    setting = Setting(quick=quick == "1", threads=int(threads), folder=Path(folder))
    parts = []
    for size in ("tiny", "17M"):
        use_threads(sft.SIZES[size].get("threads", setting.threads))
        for name, make in WORK.items():
            parts.append(summarise(f"{name}-{size}", make(size, setting), folder=setting.folder))
            print(parts[-1], flush=True)
    (setting.folder / "profile.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
