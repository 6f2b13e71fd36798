"""How much memory training, sampling and evaluation take, before any of it runs: pure arithmetic, no torch.

shape of the model + a stage's settings -> Terms, each with its bytes and its formula -> bytes per GPU (or per process)

P parameters, T trained ones, N processes, M tokens of a forward pass, h hidden size, f MLP size, L layers,
V vocabulary.
Counted are the terms that grow with the model or with the settings; not counted are the CUDA context (about 0.5 GiB),
fragmentation and what lives for one operation. tests/unit/thinkless_core/estimates/test_memory_formulas.py compares
them with what torch keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

LOGITS_AT_ONCE = 1 << 21
"""As MAX_LOGITS of training/logprobs.py and CHUNK_LOGITS of training/vocabulary_chunks.py: more come in slices."""
SLICE_WIDTH = 1024
"""As LEAST_WIDTH of training/vocabulary_chunks.py: tokens of a slice, however many hidden states there are."""
LOGIT_BYTES = 4 * 4
"""Logits, their log-softmax, both gradients, in float32."""
DRAW_BYTES = 4 + 3 * 8
"""Per logit while one token is drawn: float32 logits, probabilities, order and sums in float64."""


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a decoder-only transformer with gated MLPs (Llama, Qwen2, Mistral and their like)."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    """Whether input and output embedding are one matrix."""
    context: int
    """Longest prompt + completion it was made for, tokens."""

    @property
    def linear_sizes(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of the linear layers of one block."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        h, f = self.hidden, self.intermediate
        return (h, queries), (h, keys), (h, keys), (queries, h), (h, f), (h, f), (f, h)

    @property
    def parameters(self) -> int:
        """P, without biases and norms (under 0.1%)."""
        return self.linear_parameters + (0 if self.tied else self.vocabulary * self.hidden)

    @property
    def linear_parameters(self) -> int:
        """P less an input embedding that is not tied: what a token is multiplied with."""
        per_layer = sum(inputs * outputs for inputs, outputs in self.linear_sizes)
        return self.layers * per_layer + self.vocabulary * self.hidden

    def frozen_bytes(self, *, mixed: bool) -> int:
        """A model that is never trained: float32; under mixed precision all matrices but the embedding in bfloat16."""
        if not mixed:
            return 4 * self.parameters
        return 2 * self.linear_parameters + 4 * self.vocabulary * self.hidden

    def adapter_parameters(self, rank: int) -> int:
        """T of low-rank adapters on every linear layer."""
        return self.layers * sum(rank * (inputs + outputs) for inputs, outputs in self.linear_sizes)

    def cache_bytes_per_token(self, width: int) -> int:
        """Keys and values of one token, in numbers of `width` bytes."""
        return 2 * self.layers * self.kv_heads * self.head_size * width


class Term(NamedTuple):
    """One part of a stage's memory."""

    name: str
    num_bytes: int
    formula: str


@dataclass(frozen=True)
class StageMemory:
    """What one GPU (or one process on a CPU) holds at the worst moment of a stage."""

    stage: str
    held: tuple[Term, ...]
    """Held all the time."""
    learning: tuple[Term, ...] = ()
    """Held beside it while the model learns."""
    sampling: tuple[Term, ...] = ()
    """Held beside it while completions are sampled; never at the same time as `learning`."""

    @property
    def num_bytes(self) -> int:
        """The larger of both moments."""
        return total(self.held) + max(total(self.learning), total(self.sampling))

    @property
    def at_the_peak(self) -> tuple[Term, ...]:
        """The terms that make it up."""
        other = self.learning if total(self.learning) >= total(self.sampling) else self.sampling
        return (*self.held, *other)


def total(terms: Sequence[Term]) -> int:
    """Bytes of all terms."""
    return sum(term.num_bytes for term in terms)


@dataclass(frozen=True)
class TrainingSize:
    """What decides the memory of a training stage, beside the model."""

    micro_batch_tokens: int
    """M: the budget of a forward pass, or the longest sample where that is longer."""
    mixed: bool = False
    gradient_checkpointing: bool = False
    lora_rank: int | None = None
    sharded_over: int = 1
    """Processes that weights, gradients and optimiser state are spread over (FSDP2); 1 where each has all of it."""


def training_state(shape: ModelShape, size: TrainingSize) -> tuple[Term, ...]:
    """Weights, gradients, optimiser, and the bfloat16 copy that autocast computes with."""
    p = shape.parameters
    t = p if size.lora_rank is None else shape.adapter_parameters(size.lora_rank)
    n, over = size.sharded_over, "" if size.sharded_over == 1 else " / N"
    terms = [
        Term("weights", 4 * p // n, f"4 P{over}"),
        Term("gradients", 4 * t // n, f"4 T{over}"),
        Term("Adam", 8 * t // n, f"8 T{over}"),
    ]
    if size.mixed:
        terms.append(Term("bfloat16 copy", 2 * shape.linear_parameters, "2 P"))
    return tuple(terms)


def activation_bytes(shape: ModelShape, *, mixed: bool) -> int:
    """What one layer keeps of one token for its gradient: norms and residuals in float32, the rest as computed."""
    h, q, f = shape.hidden, shape.heads * shape.head_size, shape.intermediate
    return 17 * h + (20 * q + 8 * f if mixed else 28 * q + 16 * f)


def learning_terms(shape: ModelShape, size: TrainingSize) -> tuple[Term, ...]:
    """What a forward and backward pass over M tokens holds beside the training state."""
    per_layer, m = activation_bytes(shape, mixed=size.mixed), size.micro_batch_tokens
    num_logits = min(m * shape.vocabulary, max(LOGITS_AT_ONCE, m * SLICE_WIDTH))
    if size.gradient_checkpointing:
        kept = m * (4 * shape.hidden * shape.layers + per_layer)
        activations = Term("activations", kept, f"M (4 h L + {per_layer / 1000:.0f} kB)")
    else:
        activations = Term("activations", m * per_layer * shape.layers, f"M L {per_layer / 1000:.0f} kB")
    return activations, Term("logits", LOGIT_BYTES * num_logits, f"{LOGIT_BYTES} min(M V, max(2^21, {SLICE_WIDTH} M))")


def sampling_terms(shape: ModelShape, *, rows: int, tokens: int, width: int) -> tuple[Term, ...]:
    """What this project's own sampler holds: `rows` sequences of up to `tokens` tokens side by side."""
    cache = rows * tokens * shape.cache_bytes_per_token(width)
    return (
        Term("cache", cache, f"{rows} rows x {tokens} tokens x {shape.cache_bytes_per_token(width) / 1000:.1f} kB"),
        Term("draws", rows * shape.vocabulary * DRAW_BYTES, f"{rows} rows x V x {DRAW_BYTES}"),
    )


def engine_term(*, share: float, gpu_bytes: int) -> Term:
    """What vLLM's engine takes: a share of the GPU, whatever it needs."""
    return Term("vLLM", round(share * gpu_bytes), f"{share:g} of the GPU")
