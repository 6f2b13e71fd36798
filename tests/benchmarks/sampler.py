"""Row `sampler-smollm2`: rollouts alone, beside transformers' `generate()` and, where it is installed, vLLM: the same
warmed-up model, the same prompts.

Both sample 12 prompts x 6 completions at temperature 1, with and without top-p, and stop at the end token; tokens up to
it count. Weights are in bfloat16 where the hardware has units for it, else in float32. `generate()` gets the prompts
padded on the left, as many rows as there are completions. vLLM is called as the product calls it, weights pushed first.
`make bench` has no vLLM. `.venv-vllm/bin/python -m tests.benchmarks --rows sampler-smollm2 --no-page` measures it, with
a model that `make bench` made.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks import rl
from tests.benchmarks.contest import Contestant, SideResult
from tests.benchmarks.machine import precision_here
from tests.benchmarks.row import Row, Setting, megabytes, speed_up, spread, table
from tests.benchmarks.turns import Side, Spec, Turns

if TYPE_CHECKING:
    from thinkless_core.sampling.sampler import Sampler

SIZE = "smollm2"
TOP_P = (1.0, 0.95)


def _prepared(spec: Spec) -> tuple[Any, Any, list[tuple[int, ...]]]:
    """Model, tokenizer and the prompt of every completion."""
    import torch

    from tests.benchmarks.words import word_problems
    from thinkless_core.student.model_files import load_model, load_tokenizer
    from thinkless_core.student.rendering import render_prompt
    from thinkless_core.training.acceleration import single_process_accelerator, use_threads

    use_threads(spec["threads"])
    dtype = torch.bfloat16 if spec["precision"] == "mixed" else torch.float32
    model, tokenizer = load_model(spec["model"], dtype=dtype), load_tokenizer(spec["model"])
    model.to(single_process_accelerator().device).eval()
    prompts = [render_prompt(tokenizer, problem.prompt) for problem in word_problems(spec["prompts"], seed=2)]
    return model, tokenizer, [prompt for prompt in prompts for _ in range(spec["group_size"])]


def ours(spec: Spec, turns: Turns) -> None:
    """TransformersSampler; other draws at every step."""
    from thinkless_core.sampling.transformers_sampler import TransformersSampler

    model, tokenizer, prompts = _prepared(spec)
    turns.note(dtype=str(model.dtype).removeprefix("torch."))
    _sample(TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id), prompts, spec, turns)


def vllm(spec: Spec, turns: Turns) -> None:
    """VllmSampler, with an engine of its own defaults."""
    from infra.processes.vllm_environment import run_engine_in_this_process
    from schemas.configs.sampler import VllmSamplerConfig
    from thinkless_core.sampling.vllm_engine import VllmEngine
    from thinkless_core.sampling.vllm_sampler import VllmSampler

    model, tokenizer, prompts = _prepared(spec)
    run_engine_in_this_process()
    dtype = "bfloat16" if spec["precision"] == "mixed" else "float32"
    engine = VllmEngine(VllmSamplerConfig(dtype=dtype, max_model_len=1024), Path(spec["model"]))
    try:
        _sample(VllmSampler(model, engine, tokenizer.eos_token_id), prompts, spec, turns)
    finally:
        engine.close()


def _sample(sampler: Sampler, prompts: Sequence[tuple[int, ...]], spec: Spec, turns: Turns) -> None:
    """Step after step, each with other draws."""
    from thinkless_core.sampling.sampler import SampleRequest

    step = 0
    while True:
        requests = [SampleRequest(prompt, ("benchmark", step, i)) for i, prompt in enumerate(prompts)]
        sampled = sampler.sample(requests, max_new_tokens=spec["max_new_tokens"], temperature=1.0, top_p=spec["top_p"])
        turns.step(tokens=sum(len(completion.token_ids) for completion in sampled))
        step += 1


def generate(spec: Spec, turns: Turns) -> None:
    """`model.generate()`."""
    import torch

    from thinkless_core.sampling.decoding import left_padded

    model, tokenizer, prompts = _prepared(spec)
    padded = left_padded(prompts, pad_id=tokenizer.pad_token_id, device=model.device)
    torch.manual_seed(0)
    while True:
        with torch.inference_mode():
            ids_BL = model.generate(
                padded.input_ids_BL,
                attention_mask=padded.mask_BL,
                max_new_tokens=spec["max_new_tokens"],
                do_sample=True,
                temperature=1.0,
                top_p=spec["top_p"],
                top_k=0,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ended_BT = (ids_BL[:, padded.input_ids_BL.shape[1] :] == tokenizer.eos_token_id).cumsum(dim=1) > 0
        turns.step(tokens=int((~ended_BT).sum() + ended_BT.any(dim=1).sum()))


SIDES: dict[str, Side] = {"ours": ours, "generate": generate, "vllm": vllm}


def contests(setting: Setting) -> list[list[Contestant]]:
    """One contest for each top-p."""
    folder, _ = rl.model_folder(SIZE, setting)
    spec = {"threads": setting.threads, "size": SIZE, "model": str(folder)} | rl.DEFAULTS | rl.SIZES[SIZE]
    spec |= rl.QUICK[SIZE] if setting.quick else {}
    spec["precision"] = precision_here(spec["precision"])
    sides = {"ours": "ours", "generate": "`generate()`"}
    if importlib.util.find_spec("vllm") is not None:
        sides["vllm"] = "vLLM"
    return [
        [Contestant("sampler", side, spec | {"top_p": top_p}, f"{name}, top_p {top_p}") for side, name in sides.items()]
        for top_p in TOP_P
    ]


def describe(groups: Sequence[Sequence[SideResult]]) -> str:
    """One line per side."""
    lines = [
        [
            result.name,
            spread(result.rates("tokens")),
            "" if result is us else str(speed_up(us, result, unit="tokens")),
            megabytes(result),
        ]
        for us, *peers in groups
        for result in (us, *peers)
    ]
    return table(["side", "generated tokens/s", "ours is x times faster", "peak memory, MB"], lines) + (
        f"\n\nWeights in {groups[0][0].notes['dtype']} on all sides."
    )


ROW = Row(
    "sampler-smollm2",
    "Rollouts alone, SmolLM2-135M",
    contests,
    describe,
    3,
    rl.make_row(SIZE).prepare,
    peers=(),
)
