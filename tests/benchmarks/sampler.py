"""Row `sampler-smollm2`: rollouts alone, beside transformers' `generate()`: the same warmed-up model, the same prompts.

Both sample 12 prompts x 6 completions at temperature 1, with and without top-p, and stop at the end token; tokens up to
it count. Weights are in bfloat16 where the hardware has units for it, else in float32. `generate()` gets the prompts
padded on the left, as many rows as there are completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.benchmarks import rl
from tests.benchmarks.contest import Contestant, SideResult
from tests.benchmarks.machine import precision_here
from tests.benchmarks.row import Row, Setting, megabytes, speed_up, spread, table
from tests.benchmarks.turns import Side, Spec, Turns

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
    from thinkless_core.sampling.sampler import SampleRequest
    from thinkless_core.sampling.transformers_sampler import TransformersSampler

    model, tokenizer, prompts = _prepared(spec)
    turns.note(dtype=str(model.dtype).removeprefix("torch."))
    sampler = TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id)
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


SIDES: dict[str, Side] = {"ours": ours, "generate": generate}


def contests(setting: Setting) -> list[list[Contestant]]:
    """One contest for each top-p."""
    folder, _ = rl.model_folder(SIZE, setting)
    spec = {"threads": setting.threads, "size": SIZE, "model": str(folder)} | rl.DEFAULTS | rl.SIZES[SIZE]
    spec |= rl.QUICK[SIZE] if setting.quick else {}
    spec["precision"] = precision_here(spec["precision"])
    return [
        [
            Contestant("sampler", "ours", spec | {"top_p": top_p}, f"ours, top_p {top_p}"),
            Contestant("sampler", "generate", spec | {"top_p": top_p}, f"`generate()`, top_p {top_p}"),
        ]
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
        for us, peer in groups
        for result in (us, peer)
    ]
    return table(["side", "generated tokens/s", "ours is x times faster", "peak memory, MB"], lines) + (
        f"\n\nWeights in {groups[0][0].notes['dtype']} on both sides."
    )


ROW = Row(
    "sampler-smollm2",
    "Rollouts alone, SmolLM2-135M",
    contests,
    describe,
    3,
    rl.make_row(SIZE).prepare,
)
