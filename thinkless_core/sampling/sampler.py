"""The interface of all samplers.

SampleRequest -> (Sampler) -> SampledCompletion
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.finish_reason import FinishReason


@dataclass(frozen=True)
class SampleRequest:
    """One completion to be sampled."""

    prompt_ids: tuple[int, ...]
    stream: tuple[str | int, ...]
    """Names the random stream of this completion; it alone decides the draws, whatever is sampled beside it."""
    forced_id: int | None = None
    """Token 0, where the mode is forced; it is part of the completion like a sampled one."""


@dataclass(frozen=True)
class SampledCompletion:
    """What a sampler returns for one request: generated ids (end token included, if it came) and why it ended."""

    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    logprobs: tuple[float, ...] = ()
    """log pi of the last tokens (all but a forced one) as the sampler computed it; empty where it does not tell."""


class Sampler(Protocol):
    """Samples completions from the policy as it is now."""

    def sample(
        self,
        requests: Sequence[SampleRequest],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float = 1.0,
    ) -> list[SampledCompletion]:
        """One completion per request, in the order of the requests."""
        ...
