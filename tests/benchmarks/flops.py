"""Floating-point operations that training needs by the formula, and how many the machine can do at best.

    per token, forward and backward:   6 N        N = weights of the linear layers, without embedding and norms
    per predicted token:               6 V X      output layer; only positions whose loss counts need it
    attention, per token at place c:   12 X c     per layer: scores and values, 2 x 2 X c forward, twice that backward

X hidden size, V vocabulary, c tokens seen (causal, itself included). Counted is what the step cannot do without: real
tokens only, a prompt that samples share once, the last token of a completion not at all, since nothing is predicted
from it. Padding and recomputation do not count. So the share of the peak says how much of the machine went into the
task, and is not flattered by tokens that are delivered without being computed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.benchmarks.turns import Side, Spec, Turns

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from thinkless_core.student.rendering import Sample

CPU_SIZES = (512, 1024, 1536, 2048)
CUDA_SIZES = (2048, 4096, 8192, 12288)
TRIES = 4


def linear_weights(model: PreTrainedModel) -> int:
    """Weights of all matrices inside the layers."""
    return sum(p.numel() for name, p in model.named_parameters() if p.ndim >= 2 and ".layers." in name)


def training_flops(model: PreTrainedModel, samples: Sequence[Sample]) -> float:
    """Forward and backward over these samples, by the formula above."""
    config = model.config
    weights, width = linear_weights(model), config.hidden_size
    head_size = getattr(config, "head_dim", None) or width // config.num_attention_heads
    computed = seen = predicted = 0
    for prompt in {sample.prompt_ids for sample in samples}:
        computed += len(prompt)
        seen += len(prompt) * (len(prompt) + 1) // 2
    for sample in samples:
        inputs = len(sample.completion_ids) - 1
        computed += inputs
        seen += inputs * len(sample.prompt_ids) + inputs * (inputs + 1) // 2
        predicted += len(sample.completion_ids)
    attention = 12 * config.num_hidden_layers * config.num_attention_heads * head_size * seen
    return 6 * weights * computed + 6 * config.vocab_size * width * predicted + attention


def matrix_products(model: PreTrainedModel, samples: Sequence[Sample], *, dtype: torch.dtype) -> None:
    """Forward and backward products of every linear layer over these samples, and of the output layer over the tokens
    that are predicted: real tokens only, a shared prompt once. Attention's are left out.
    """
    import torch
    from torch import nn

    prompts = {sample.prompt_ids for sample in samples}
    computed = sum(map(len, prompts)) + sum(len(sample.completion_ids) - 1 for sample in samples)
    predicted = sum(len(sample.completion_ids) for sample in samples)
    head = model.get_output_embeddings()
    made: dict[tuple[int, ...], torch.Tensor] = {}

    def ones(*shape: int) -> torch.Tensor:
        if shape not in made:
            made[shape] = torch.ones(shape, dtype=dtype, device=model.device)
        return made[shape]

    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            rows = predicted if layer is head else computed
            weight = ones(*layer.weight.shape)
            inputs = ones(rows, weight.shape[1])
            gradient = inputs @ weight.T
            gradient @ weight
            gradient.T @ inputs


def matmul_peak(spec: Spec, turns: Turns) -> None:
    """The best rate of square float32 products of several sizes, at the row's thread count."""
    import torch

    torch.set_num_threads(spec["threads"])
    device, sizes = ("cuda", CUDA_SIZES) if torch.cuda.is_available() else ("cpu", CPU_SIZES)
    while True:
        best = 0.0
        for size in sizes:
            left, right = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
            out = torch.mm(left, right)
            for _ in range(TRIES):
                _synchronize(device)
                started = time.perf_counter()
                torch.mm(left, right, out=out)
                _synchronize(device)
                best = max(best, 2 * size**3 / (time.perf_counter() - started))
        turns.step(peak_flops_per_second=best)


def _synchronize(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


SIDES: dict[str, Side] = {"matmul": matmul_peak}
