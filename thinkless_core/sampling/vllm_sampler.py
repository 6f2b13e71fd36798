"""Sampling through vLLM's engine: for models and batches of a size where its batching and kernels pay off.

requests -> weights of the policy, as they are now -> engine -> completions

Every call pushes the weights first, so what is sampled is always the model as it is at the moment of the call. A forced
control token is put at the end of the prompt, which is where the model would have read it, and counts as token 0.
Each request is drawn with a seed of its own, derived from its stream. These are other draws than those of
TransformersSampler, and the engine's kernels may add up in another order when other requests are under way: what is
sampled has the same distribution, and on the same machine and in the same company usually the same tokens, but bitwise
equality is not promised, as it is there.

The engine computes in a precision and an order of its own, so its probabilities of what it sampled differ a little from
the trainer's. They never enter the loss: the ratio pi / pi_old of the policy update is between two numbers of the
trainer (thinkless_core/rl/policy_update.py). How far the two are apart is measured, on the first completions of each
call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from schemas.errors import ConfigError
from schemas.finish_reason import FinishReason
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.vllm_engine import VllmEngine
from thinkless_core.seeding import derive_seed

NUM_COMPARED = 32
"""Completions of each call of which the engine tells its log-probabilities."""


@dataclass(frozen=True)
class VllmSampler:
    """Samples from `model` as it is at the moment of the call (`thinkless_core.rl.rollouts.Sampler`)."""

    model: PreTrainedModel
    engine: VllmEngine
    eos_id: int

    def sample(
        self,
        requests: Sequence[SampleRequest],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float = 1.0,
    ) -> list[SampledCompletion]:
        """One completion per request, in order; `temperature` > 0, `top_p` in (0, 1].

        Raises ConfigError where vLLM is missing, or cannot serve the model or a request of this length.
        """
        if not requests:
            return []
        self._refuse_too_long(requests, max_new_tokens=max_new_tokens)
        self.engine.push(self.model)
        # A forced token may be all that is asked for, or end the completion.
        open_ended = [
            i
            for i, request in enumerate(requests)
            if request.forced_id is None or (max_new_tokens > 1 and request.forced_id != self.eos_id)
        ]
        asked = [requests[i] for i in open_ended]
        given = [() if r.forced_id is None else (r.forced_id,) for r in requests]
        generated = self.engine.generate(
            [(*requests[i].prompt_ids, *given[i]) for i in open_ended],
            seeds=[derive_seed(*request.stream) for request in asked],
            max_tokens=[max_new_tokens - len(given[i]) for i in open_ended],
            eos_id=self.eos_id,
            temperature=temperature,
            top_p=top_p,
            num_logprobs=NUM_COMPARED,
        )
        sampled = dict(zip(open_ended, generated, strict=True))
        completions = []
        for i, forced in enumerate(given):
            written = sampled.get(i)
            ids = (*forced, *written.token_ids) if written is not None else forced
            finish_reason = FinishReason.STOP if ids[-1] == self.eos_id else FinishReason.LENGTH
            completions.append(SampledCompletion(ids, finish_reason, () if written is None else written.logprobs))
        return completions

    def _refuse_too_long(self, requests: Sequence[SampleRequest], *, max_new_tokens: int) -> None:
        longest = max(len(request.prompt_ids) for request in requests)
        context = self.engine.context
        if longest + max_new_tokens > context:
            raise ConfigError(
                f"a prompt of {longest} tokens and {max_new_tokens} new ones pass the {context} tokens that the vLLM "
                "engine reads; raise sampler.max_model_len (the model's own context is the most), or lower "
                "max_new_tokens"
            )
