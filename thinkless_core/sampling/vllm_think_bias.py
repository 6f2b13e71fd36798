"""A bias on the think logit inside vLLM: how much a served model should think, request by request.

    vllm serve DIR --logits-processors thinkless_core.sampling.vllm_think_bias:ThinkBias
    {"messages": [...], "vllm_xargs": {"think_bias": -2.0}}                     in the body of a request
    SamplingParams(extra_args={"think_bias": -2.0})                             with the offline engine

The bias is added to the logit of `<think>` where the first token is generated, and nowhere else. Logits come before
temperature and top-p, so at temperature 1 the odds of thinking change by exp(bias) exactly. A request that names no
bias gets that of the server, `--additional-config '{"think_bias": -2.0}'`, or none.

vLLM has two interfaces for such a class, one per model runner: the older runner (CPUs) tells rows that are added, moved
and removed, the newer one (GPUs) has a slot per request. This class serves both; with the newer one it was not run,
for want of a GPU. Sources: vllm/v1/sample/logits_processor/interface.py and
vllm/v1/worker/gpu/sample/logits_processor/interface.py of version 0.32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.model_files import load_tokenizer

try:
    from vllm.v1.sample.logits_processor import LogitsProcessor as RowProcessor
    from vllm.v1.sample.logits_processor.builtin import process_dict_updates
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SlotProcessor
except ImportError:  # vLLM is no dependency of this project: without it, this class can be read and tested

    class RowProcessor:  # type: ignore[no-redef]
        """Stands for the interface of the older runner."""

    class SlotProcessor:  # type: ignore[no-redef]
        """Stands for that of the newer one."""

    process_dict_updates = None


ARGUMENT = "think_bias"
"""What a request or the server calls the bias."""


class ThinkBias(RowProcessor, SlotProcessor):  # type: ignore[misc]
    """Adds a bias to the logit of `<think>` at the first generated token."""

    def __init__(self, vllm_config: Any, *place: Any) -> None:
        """`place` is (device, is_pin_memory) from the older runner and (request states,) from the newer one."""
        settings = vllm_config.model_config
        tokenizer = load_tokenizer(settings.tokenizer, revision=settings.tokenizer_revision)
        self._think_id = ControlTokens.of(tokenizer).think_id
        self._default = checked_bias((vllm_config.additional_config or {}).get(ARGUMENT, 0.0))
        self._waiting: dict[int, tuple[float, list[int]]] = {}
        self._states = place[0] if len(place) == 1 else None
        if self._states is not None:
            self._bias_by_slot = np.zeros(self._states.max_num_reqs, dtype=np.float32)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raise ValueError for a bias that is no number; the request alone fails."""
        checked_bias((sampling_params.extra_args or {}).get(ARGUMENT, 0.0))

    def is_argmax_invariant(self) -> bool:
        """A bias changes which token is the likeliest."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Older runner: keep up with the rows of the batch."""
        process_dict_updates(self._waiting, batch_update, self._awaited)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Newer runner: a request takes a slot."""
        self._bias_by_slot[req_idx] = self._bias(sampling_params)
        return bool(self._bias_by_slot[req_idx])

    def apply(self, logits: Tensor, ctx: Any = None) -> Tensor:
        """Add the biases, in place; `ctx` comes from the newer runner alone."""
        if ctx is not None:
            return self._apply_to_slots(logits, ctx)
        for row, (bias, output) in list(self._waiting.items()):
            if output:  # the same list that the engine appends to: the first token is out
                del self._waiting[row]
            else:
                logits[row, self._think_id] += bias
        return logits

    def _apply_to_slots(self, logits: Tensor, ctx: Any) -> Tensor:
        if self._states is None or not self._bias_by_slot[ctx.idx_mapping_np].any():
            return logits
        slots = ctx.expanded_idx_mapping.long()
        bias = torch.from_numpy(self._bias_by_slot).to(logits.device)[slots]
        at_first = ctx.pos + 1 == self._states.prompt_len.gpu[slots]
        logits[:, self._think_id] += bias * at_first
        return logits

    def _awaited(self, params: Any, _: object, output: list[int]) -> tuple[float, list[int]] | None:
        """What is to be done for a request that enters the batch; nothing where it has no bias or a first token."""
        bias = self._bias(params)
        return (bias, output) if bias and not output else None

    def _bias(self, params: Any) -> float:
        return checked_bias((params.extra_args or {}).get(ARGUMENT, self._default))


def checked_bias(value: object) -> float:
    """The bias as a number; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{ARGUMENT} must be a finite number, got {value!r}; 0 changes nothing, -2 thinks less often")
    return float(value)
