"""What tests are made of: tiny students, problems, pairs, rollouts, configurations, and samplers that follow a script.

The fakes here stand where the outside world would be: a sampler is an engine that may be another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2ForCausalLM

from schemas.configs.base_model import TinyModel
from schemas.configs.objective import choose_objective
from schemas.configs.rl import RlConfig
from schemas.configs.sft import SftConfig
from schemas.configs.stage import OptimizerConfig
from schemas.configs.teach import ProceduralTeacher
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from tests.oracles.pairing import side_by_side
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.problems.procedural import draw_distinct_chains, work_out
from thinkless_core.rl.objectives.objective import Objective
from thinkless_core.rl.policy_batch import PolicyBatch
from thinkless_core.rl.rollouts import JudgedRollout, Rollout, ScoredRollout
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.seeding import random_stream
from thinkless_core.student.rendering import render_completion
from thinkless_core.student.tiny_model import tiny_model, tiny_tokenizer
from thinkless_core.teachers.asking import ask_teacher
from thinkless_core.teachers.pairing import held_out_pairs

TINY = TinyModel(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=128,
    rope_theta=10_000.0,
)
DEVIATION = 0.02
"""Standard deviation of the weights of a student at scale 1, whatever the product's own student begins with."""
RIGHT = Verdict(Outcome.CORRECT, "3", score=1.0)
WRONG = Verdict(Outcome.WRONG, "4")
LIVELY = 16.0
"""`make_student(scale=LIVELY)` has uneven predictions that depend on every earlier token and its position; with
weights as initialised all predictions are nearly uniform, and a wrong mask or position would go unnoticed."""


def make_student(*, seed: int = 0, scale: float = 1.0, bias: Mapping[int, float] | None = None) -> Qwen2ForCausalLM:
    """A fresh tiny model; its weights have the deviation DEVIATION * `scale`.

    `bias` is added to the logits of these tokens: a random student of hundreds of tokens hardly ever draws the end
    token or a control token of its own accord.
    """
    model = tiny_model(TINY, tokenizer=tiny_tokenizer(), seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(scale * DEVIATION / parameter.std())
        if bias is not None:
            bias_V = torch.zeros(model.config.vocab_size)
            for token, value in bias.items():
                bias_V[token] = value
            model.lm_head.bias = torch.nn.Parameter(bias_V)
    return model.eval()


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def identical(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Whether two sets of weights are equal bit by bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class GradientRecorder(torch.optim.Optimizer):
    """An optimiser that moves nothing and remembers the gradient it was given."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(list(model.parameters()), {})
        self._model = model
        self.gradients: list[dict[str, Tensor]] = []

    def step(self, closure: object = None) -> None:
        """Remember the gradient; a parameter without one has gradient 0."""
        assert closure is None
        self.gradients.append(
            {
                name: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
                for name, p in self._model.named_parameters()
            }
        )


def optimizer_config(**changes: float) -> OptimizerConfig:
    """Constant rate, no decay of weights, gradients as they are."""
    return OptimizerConfig(**({"learning_rate": 1e-3, "weight_decay": 0.0, "max_grad_norm": 1e9} | changes))


def rl_config(**changes: object) -> RlConfig:
    """A small RL configuration without KL."""
    defaults: dict[str, object] = {
        "steps": 4,
        "prompts_per_step": 4,
        "group_size": 4,
        "kl_coef": 0.0,
        "max_new_tokens": 16,
        "short_max_tokens": 6,
        "optimizer": optimizer_config(),
    }
    chosen = changes.get("objective", "degrpo-paper")
    objective = objective_table(chosen) if isinstance(chosen, str) else chosen
    return RlConfig(**(defaults | changes | {"objective": objective}))


def objective_table(name: str, **fields: object) -> dict[str, object]:
    """An objective's table; 0.5 for its weight of the control token, one reference sample if it needs some."""
    own: dict[str, dict[str, object]] = {
        "degrpo-paper": {"alpha": 0.5},
        "degrpo-token": {"alpha": 0.5},
        "hgpo": {"inter_weight": 0.5},
        "adaptthink": {"reference_samples": 1},
    }
    return {"name": name, **own.get(name, {}), **fields}


def make_objective(name: str, **fields: object) -> Objective:
    """The objective that `objective_table` chooses."""
    objective: Objective = choose_objective(objective_table(name, **fields)).build()
    return objective


def sft_config(**changes: object) -> SftConfig:
    """A small SFT configuration."""
    defaults: dict[str, object] = {"steps": 10, "pairs_per_step": 4, "optimizer": optimizer_config()}
    return SftConfig(**(defaults | changes))


def make_problem(prompt: str, *, answer: str | None = None, name: str | None = None) -> Problem:
    """A problem of split `rl`; the answer is worked out where none is given."""
    working = work_out(prompt)
    if answer is None:
        assert working is not None, prompt
        answer = working.answer
    return Problem(
        problem_id=name or f"p-{prompt}",
        prompt=prompt,
        answer=answer,
        difficulty=len(working.steps) if working else None,
        split=ProblemSplit.RL,
        benchmark=None,
        source="specimen",
    )


def make_problems(num_problems: int, *, mix: Sequence[float] = (0.5, 0.5), seed: int = 0) -> list[Problem]:
    """Distinct procedural problems."""
    chains = draw_distinct_chains(random_stream("specimens", seed), num_problems=num_problems, mix=mix)
    return [make_problem(text) for text, _ in chains]


def make_pairs(num_pairs: int, *, mix: Sequence[float] = (0.5, 0.5), validation_share: float = 0.0) -> list[Pair]:
    """Pairs by the procedural teacher, whose long answers have no re-checks."""
    problems = make_problems(num_pairs, mix=mix)
    teacher = ProceduralTeacher(recheck_weights=(1.0,)).build(tokenizer=tiny_tokenizer())
    think, short = (ask_teacher(teacher, problems, mode=m, max_tokens=64, seed=0) for m in (Mode.THINK, Mode.SHORT))
    held_out = set(held_out_pairs(num_pairs, share=validation_share, seed=0).tolist())
    return [
        side_by_side(problem, think=t, short=s, held_out=i in held_out)
        for i, (problem, t, s) in enumerate(zip(problems, think, short, strict=True))
    ]


def make_rollout(
    completion_ids: Iterable[int],
    *,
    prompt_ids: Iterable[int] = (3, 9, 28, 10, 36, 4),
    mode: Mode | None = Mode.SHORT,
    completion: str = "",
    finish_reason: FinishReason = FinishReason.STOP,
    problem: Problem | None = None,
    sample: int = 0,
) -> Rollout:
    """A rollout made of ids."""
    return Rollout(
        problem=problem or make_problem("11+22=?"),
        sample=sample,
        prompt_ids=tuple(prompt_ids),
        completion_ids=tuple(completion_ids),
        completion=completion,
        finish_reason=finish_reason,
        mode=mode,
    )


def make_judged(
    mode: Mode | None, *, correct: bool = True, fake_short: bool = False, num_tokens: int = 4, sample: int = 0
) -> JudgedRollout:
    """A judged rollout of so many tokens."""
    rollout = make_rollout([5] * num_tokens, mode=mode, sample=sample)
    return JudgedRollout(rollout, RIGHT if correct else WRONG, fake_short)


def make_batch(
    samples: Sequence[tuple[Sequence[int], Sequence[int]]],
    advantages: Sequence[float] | Tensor,
    *,
    control_advantages: Sequence[float] | None = None,
    assigned_probabilities: Sequence[float | None] | None = None,
    max_new_tokens: int = 16,
) -> PolicyBatch:
    """A policy batch of (prompt ids, completion ids), with advantages chosen by hand; modes as token 0 has them."""
    modes = {5: Mode.SHORT, 6: Mode.THINK}
    drawn = assigned_probabilities or [None] * len(samples)
    rollouts = [
        replace(make_rollout(c, prompt_ids=p, mode=modes.get(c[0])), forced=q is not None, assigned_probability=q)
        for (p, c), q in zip(samples, drawn, strict=True)
    ]
    response_B = torch.as_tensor(advantages, dtype=torch.get_default_dtype())
    return PolicyBatch(
        tuple(ScoredRollout(rollout, RIGHT, fake_short=False, reward=0.0) for rollout in rollouts),
        advantages_B=response_B,
        control_advantages_B=response_B if control_advantages is None else torch.tensor(control_advantages),
        max_new_tokens=max_new_tokens,
    )


def ragged_samples(num_samples: int, *, seed: int = 0, longest: int = 9) -> list[tuple[list[int], list[int]]]:
    """(prompt ids, completion ids) of many lengths; the first completion is a control token alone."""
    stream = random_stream("ragged", seed)
    samples = []
    for index in range(num_samples):
        prompt = stream.integers(8, 100, size=int(stream.integers(1, longest))).tolist()
        length = 0 if index == 0 else int(stream.integers(1, longest))
        samples.append((prompt, [int(stream.integers(5, 7)), *stream.integers(8, 100, size=length).tolist()]))
    return samples


def spelt_out(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Ids of `text` with its special tokens written letter by letter, and the end token: reads like `text`, is not."""
    return (*tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids, tokenizer.eos_token_id)


Script = Callable[[str, SampleRequest], str | tuple[int, ...]]
"""(prompt text as the model sees it, request) -> completion text without end token, or ids as they are."""


@dataclass
class ScriptedSampler:
    """A sampler that writes what a script says, whatever the policy is."""

    tokenizer: PreTrainedTokenizerBase
    script: Script

    def sample(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float = 1.0
    ) -> list[SampledCompletion]:
        """The scripted completions, cut at `max_new_tokens`; a forced id takes the place of token 0."""
        completions = []
        for request in requests:
            prompt = self.tokenizer.decode(request.prompt_ids, skip_special_tokens=True)
            written = self.script(prompt, request)
            ids = render_completion(self.tokenizer, written, finished=True) if isinstance(written, str) else written
            if request.forced_id is not None:
                ids = (request.forced_id, *ids[1:])
            finish = FinishReason.STOP if len(ids) <= max_new_tokens else FinishReason.LENGTH
            completions.append(SampledCompletion(tuple(ids[:max_new_tokens]), finish))
        return completions


@dataclass
class RoutedSampler:
    """The policy chooses the mode, truly sampled; the rest is scripted: short answers hard problems wrongly.

    So what there is to learn is the mode alone: short where there is one operation, think everywhere else.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def sample(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float = 1.0
    ) -> list[SampledCompletion]:
        """Token 0 from the policy, the rest from the script."""
        real = TransformersSampler(self.model, self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        chosen = real.sample(requests, max_new_tokens=1, temperature=temperature, top_p=top_p)
        completions = []
        for request, first in zip(requests, chosen, strict=True):
            working = work_out(self.tokenizer.decode(request.prompt_ids, skip_special_tokens=True))
            assert working is not None
            text = working.answer
            if first.token_ids[0] == self.tokenizer.convert_tokens_to_ids(Mode.THINK.token):
                text = f"{','.join(working.steps)}</think>{working.answer}"
            elif len(working.steps) > 1:
                text = str((int(working.answer) + 1) % 10)
            body = render_completion(self.tokenizer, text, finished=True)
            completions.append(SampledCompletion((*first.token_ids, *body), FinishReason.STOP))
        return completions


def mixed_script(prompt: str, request: SampleRequest) -> str:
    """Right and wrong, short and long, fake short and malformed completions, chosen by the request's stream."""
    working = work_out(prompt)
    assert working is not None, prompt
    right, wrong = working.answer, str((int(working.answer) + 1) % 10)
    steps = ",".join(working.steps)
    choices = (
        f"<short>{right}",
        f"<short>{wrong}",
        f"<think>{steps}</think>{right}",
        f"<think>{steps}</think>{wrong}",
        f"<short>{steps}</think>{right}",
        f"{right}",
    )
    return choices[int(random_stream("script", *request.stream).integers(len(choices)))]
