"""The think bias as vLLM's newer model runner would call it, on tensors laid out as that runner does."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from thinkless_core.sampling.vllm_think_bias import ThinkBias, checked_bias
from thinkless_core.student.control_tokens import ControlTokens

SLOTS = 6


@pytest.fixture
def processor(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> ThinkBias:
    """One whose server has a bias of -1; all prompts have 4 tokens."""
    tokenizer.save_pretrained(tmp_path)
    settings = SimpleNamespace(tokenizer=str(tmp_path), tokenizer_revision=None)
    config = SimpleNamespace(model_config=settings, additional_config={"think_bias": -1.0})
    prompt_lengths = SimpleNamespace(gpu=torch.full((SLOTS,), 4, dtype=torch.int32))
    return ThinkBias(config, SimpleNamespace(max_num_reqs=SLOTS, prompt_len=prompt_lengths))


def params(**extra: Any) -> Any:
    """What of a request's sampling parameters is looked at."""
    return SimpleNamespace(extra_args=extra or None)


def rows(*places: tuple[int, int]) -> Any:
    """A step whose rows belong to these (slot, position)."""
    slots = [slot for slot, _ in places]
    return SimpleNamespace(
        expanded_idx_mapping=torch.tensor(slots, dtype=torch.int32),
        idx_mapping_np=np.array(slots),
        pos=torch.tensor([position for _, position in places]),
    )


def test_a_slot_is_biased_at_its_first_token_alone(processor: ThinkBias, tokenizer: PreTrainedTokenizerFast) -> None:
    assert processor.add_request(5, params(think_bias=2.0))
    assert processor.add_request(0, params())
    assert not processor.add_request(3, params(think_bias=0))
    logits = processor.apply(torch.zeros(4, len(tokenizer)), rows((0, 3), (5, 3), (3, 3), (5, 4)))
    think = ControlTokens.of(tokenizer).think_id
    assert logits[:, think].tolist() == [-1.0, 2.0, 0.0, 0.0]
    assert logits.abs().sum() == 3.0


def test_a_slot_that_is_taken_again_forgets_its_bias(processor: ThinkBias, tokenizer: PreTrainedTokenizerFast) -> None:
    processor.add_request(2, params(think_bias=2.0))
    processor.add_request(2, params(think_bias=0.0))
    assert processor.apply(torch.zeros(1, len(tokenizer)), rows((2, 3))).abs().sum() == 0


@pytest.mark.parametrize("bias", ["2", math.inf, None, False, {}])
def test_a_bias_that_is_no_number_is_refused(bias: object) -> None:
    with pytest.raises(ValueError, match="must be a finite number"):
        ThinkBias.validate_params(params(think_bias=bias))
    assert checked_bias(-2) == -2.0
