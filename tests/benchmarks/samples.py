"""What is trained on: pairs whose short and long sides differ tenfold, and problems to sample answers to.

`chain_pairs`: the tiny profile's own task (about 10 prompt, 3 short and 35 long tokens).
`words`: word problems in plain English (tests/benchmarks/words.py).
`long_pairs`: text of a language model's lengths (about 45 prompt, 24 short and 240 long tokens); what it says does
not matter to its speed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from schemas.mode import THINK_END, Mode
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from tests.benchmarks.words import word_pairs
from thinkless_core.problems.procedural import draw_distinct_chains, work_out
from thinkless_core.seeding import batch_indices, random_stream
from thinkless_core.student.rendering import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MIX = (0.25, 0.25, 0.25, 0.25)
"""Shares of problems with one, two, three and four operations, as in the tiny profile's warm-up."""


def chain_problems(num_problems: int, *, mix: Sequence[float] = MIX, seed: int = 0) -> list[Problem]:
    """Distinct procedural problems."""
    chains = draw_distinct_chains(random_stream("benchmark-problems", seed), num_problems=num_problems, mix=mix)
    problems = []
    for number, (prompt, difficulty) in enumerate(chains):
        working = work_out(prompt)
        assert working is not None, prompt
        problems.append(
            Problem(
                problem_id=f"p-{number:05d}",
                prompt=prompt,
                answer=working.answer,
                difficulty=difficulty,
                split=ProblemSplit.RL,
                benchmark=None,
                source="benchmark",
            )
        )
    return problems


def chain_pairs(num_pairs: int, *, mix: Sequence[float] = MIX, seed: int = 0) -> list[Pair]:
    """Their pairs: the working is written down and checked once or twice."""
    stream = random_stream("benchmark-rechecks", seed)
    pairs = []
    for problem in chain_problems(num_pairs, mix=mix, seed=seed):
        working = work_out(problem.prompt)
        assert working is not None
        text = ";".join([",".join(working.steps)] * int(stream.choice([2, 3], p=[0.7, 0.3])))
        pairs.append(_pair(problem.problem_id, problem.prompt, long=text, short=problem.answer))
    return pairs


def long_pairs(num_pairs: int, *, seed: int = 0) -> list[Pair]:
    """Pairs of texts with a language model's lengths, one token per character."""
    stream = random_stream("benchmark-texts", seed)

    def text(shortest: int, longest: int) -> str:
        return "".join(stream.choice(list("0123456789+-*=,;"), size=int(stream.integers(shortest, longest + 1))))

    return [
        _pair(f"p-{number:05d}", text(20, 70), long=text(80, 390), short=text(6, 40)) for number in range(num_pairs)
    ]


def _pair(problem_id: str, prompt: str, *, long: str, short: str) -> Pair:
    return Pair(
        problem_id=problem_id,
        prompt=prompt,
        answer=short,
        think_completion=f"{Mode.THINK.token}{long}{THINK_END}{short}",
        short_completion=f"{Mode.SHORT.token}{short}",
        think_tokens=len(long) + len(short) + 3,
        short_tokens=len(short) + 2,
        think_truncated=False,
        short_truncated=False,
        split="train",
        difficulty=None,
    )


PAIRS = {"chains": chain_pairs, "long": long_pairs, "words": word_pairs}


def pairs_of(spec: Mapping[str, Any]) -> list[Pair]:
    """The pairs a row trains on."""
    return PAIRS[spec["texts"]](spec["num_pairs"])


def samples_by_step(
    spec: Mapping[str, Any], *, num_steps: int, tokenizer: PreTrainedTokenizerBase
) -> list[list[Sample]]:
    """The samples of each optimiser step, in the order in which our trainer draws them: peers get the same."""
    from thinkless_core.training.sided_samples import pair_samples

    pairs = pairs_of(spec)
    samples = pair_samples(pairs, tokenizer=tokenizer).samples
    return [
        [
            sample
            for index in batch_indices(len(pairs), batch_size=spec["pairs_per_step"], step=step, seed=0)
            for sample in samples[2 * index : 2 * index + 2]
        ]
        for step in range(num_steps)
    ]


def num_tokens(samples: Sequence[Sample]) -> int:
    """Real tokens, prompts included, padding not."""
    return sum(len(sample) for sample in samples)
