"""One answer to one question, with the mode chosen or forced and the choice open to a bias.

question, instruction -> P(think) -> logit + think_bias -> mode, drawn at the temperature -> completion
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.finish_reason import FinishReason
from schemas.mode import EvalMode, Mode
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.problems.problem_set import asked
from thinkless_core.sampling.sampler import Sampler, SampleRequest
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.seeding import random_stream
from thinkless_core.statistics.pareto import biased_think_probabilities
from thinkless_core.student.context_length import context_length
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import decode_completion, render_prompt


@dataclass(frozen=True)
class Reply:
    """An answer, and how likely the model was to think about it."""

    p_think: float
    """After the bias, at temperature 1."""
    mode: Mode
    completion: str
    answer: str | None
    """None if there is none, or the completion ran into the limit."""
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
    instruction: str = "",
) -> Reply:
    """Answer `question`, with the instruction the model was trained with below it.

    `think_bias` is added to the think logit before the mode is drawn, at the temperature of the other tokens. Raises
    ConfigError if prompt and completion do not fit into the model's context.
    """
    prompt = asked(question, instruction=instruction)
    prompt_ids = render_prompt(tokenizer, prompt)
    _refuse_over_context(len(prompt_ids), max_new_tokens, context=context_length(model))
    free = think_probabilities(model, [prompt], tokenizer=tokenizer)[0]
    thinks = random_stream("ask-mode", seed, question).random() < biased_think_probabilities(
        free, think_bias, temperature=temperature
    )
    chosen = mode.forced or (Mode.THINK if thinks else Mode.SHORT)
    request = SampleRequest(
        prompt_ids,
        stream=("ask", seed, question),
        forced_id=ControlTokens.of(tokenizer).id_of(chosen),
    )
    completion = sampler.sample([request], max_new_tokens=max_new_tokens, temperature=temperature)[0]
    text = decode_completion(tokenizer, completion.token_ids)
    finished = completion.finish_reason is FinishReason.STOP
    answer = extract_answer(text) if finished else None
    return Reply(
        p_think=float(biased_think_probabilities(free, think_bias)),
        mode=chosen,
        completion=text,
        answer=answer,
        num_tokens=len(completion.token_ids),
    )


def _refuse_over_context(num_prompt: int, max_new_tokens: int, *, context: int | None) -> None:
    if context is None or num_prompt + max_new_tokens <= context:
        return
    room = context - num_prompt
    way_out = f"set --max-new-tokens to at most {room}, or ask" if room > 0 else "ask"
    raise ConfigError(
        f"ask: the question has {num_prompt} tokens and --max-new-tokens is {max_new_tokens}, together "
        f"{num_prompt + max_new_tokens}, over the model's context of {context}; {way_out} a shorter question"
    )
