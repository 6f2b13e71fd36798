"""Word problems with worked answers, in the words and lengths of a real data set: for a real model and its tokenizer.

With SmolLM2's tokenizer a prompt has about 80 tokens, a thought 80 and a short answer 10.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.mode import THINK_END, Mode
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from thinkless_core.seeding import random_stream

NAMES = ("Ada", "Ben", "Chloe", "Dan", "Eva", "Finn", "Gus", "Hana")
THINGS = ("apples", "pencils", "marbles", "stickers", "cookies", "books", "coins", "shells")


class _Story(NamedTuple):
    prompt: str
    thought: str
    answer: str


def _story(number: int, *, seed: int) -> _Story:
    stream = random_stream("benchmark-words", seed, number)
    each, boxes = int(stream.integers(3, 41)), int(stream.integers(2, 13))
    total = each * boxes
    given = int(stream.integers(1, total))
    giver, taker = stream.choice(NAMES, size=2, replace=False)
    thing = stream.choice(THINGS)
    aside = " Then both of them walk home through the park and talk about the day." * int(stream.integers(2))
    check = f" Let me check: {total - given} plus {given} is {total}, as it should be." * int(stream.integers(2))
    return _Story(
        f"{giver} fills {boxes} boxes with {each} {thing} each and gives {given} of all the {thing} to {taker}.{aside} "
        f"How many {thing} does {giver} have left? Put the final answer within \\boxed{{}}.",
        f"First I need the number of {thing} in all boxes. There are {boxes} boxes with {each} {thing} each, so {each} "
        f"times {boxes} is {total}. Then {giver} gives {given} away to {taker}, which leaves {total} minus {given}, "
        f"that is {total - given}.{check}",
        str(total - given),
    )


def word_pairs(num_pairs: int, *, seed: int = 0) -> list[Pair]:
    """Pairs for the warm-up; token counts are not filled in, for no trainer reads them."""
    pairs = []
    for number in range(num_pairs):
        story = _story(number, seed=seed)
        boxed = f"\\boxed{{{story.answer}}}"
        pairs.append(
            Pair(
                problem_id=f"w-{number:05d}",
                prompt=story.prompt,
                answer=story.answer,
                think_completion=f"{Mode.THINK.token}{story.thought}{THINK_END}{boxed}",
                short_completion=f"{Mode.SHORT.token}{boxed}",
                think_tokens=0,
                short_tokens=0,
                think_truncated=False,
                short_truncated=False,
                split="train",
                difficulty=None,
            )
        )
    return pairs


def word_problems(num_problems: int, *, seed: int = 0) -> list[Problem]:
    """Problems to sample answers to."""
    stories = [_story(number, seed=seed) for number in range(num_problems)]
    return [
        Problem(
            problem_id=f"w-{number:05d}",
            prompt=story.prompt,
            answer=story.answer,
            difficulty=None,
            split=ProblemSplit.RL,
            benchmark=None,
            source="benchmark",
        )
        for number, story in enumerate(stories)
    ]
