"""One answer to one question, with the mode chosen or forced and the choice open to a bias.

question -> P(think) -> logit + think_bias -> mode -> completion
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.mode import EvalMode, Mode
from schemas.records import FinishReason
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.grading import extract_answer
from thinkless_core.rendering import decode_completion, render_prompt
from thinkless_core.rollouts import Sampler, SampleRequest
from thinkless_core.seeding import random_stream
from thinkless_core.think_probability import think_probabilities


@dataclass(frozen=True)
class Reply:
    """What the model said, and how likely it was to think about it."""

    p_think: float
    """After the bias."""
    mode: Mode
    completion: str
    answer: str | None
    """None where there is none, or the completion ran into the limit."""
    num_tokens: int


def ask(
    model: PreTrainedModel,
    question: str,
    *,
    sampler: Sampler,
    tokenizer: PreTrainedTokenizerBase,
    mode: EvalMode,
    think_bias: float,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> Reply:
    """Answer `question`; `think_bias` is added to the think logit before the mode is drawn."""
    free = think_probabilities(model, [question], tokenizer=tokenizer)[0]
    logit = math.log(max(free, 1e-12) / max(1 - free, 1e-12)) + think_bias
    p_think = 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
    drawn = Mode.THINK if random_stream("ask-mode", seed, question).random() < p_think else Mode.SHORT
    chosen = mode.forced or drawn
    request = SampleRequest(
        render_prompt(tokenizer, question),
        stream=("ask", seed, question),
        forced_id=ControlTokens.of(tokenizer).id_of(chosen),
    )
    completion = sampler.sample([request], max_new_tokens=max_new_tokens, temperature=temperature)[0]
    text = decode_completion(tokenizer, completion.token_ids)
    finished = completion.finish_reason is FinishReason.STOP
    answer = extract_answer(text) if finished else None
    return Reply(p_think, chosen, text, answer, len(completion.token_ids))
