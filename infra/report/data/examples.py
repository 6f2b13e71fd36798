"""Single examples, each as the browser shows it: a problem, its facts in words, and two or three sides of text.

eval_completions + problems -> held-out problems with the completions of one model in every mode
pairs + generations         -> training problems with both teachers' answers (benchmark problems have no teacher)

Every text a reader sees is made here, once: the page writes it for the first examples, the script for all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from math import isfinite
from typing import Any, NamedTuple

from infra.report.data import example_queries
from infra.report.data.wording import count, percent

TRAINING = "training pairs"
"""Where the examples of the teachers come from, in place of a benchmark's name."""

MOST_HELD_OUT, MOST_TAUGHT, FIRST_TAUGHT = 4000, 400, 2
"""Problems read for the browser; and pairs shown before anything is filtered."""
MOST_BYTES = 300_000
"""What the browser's data may add to the page."""

_VERDICTS = {True: "right", False: "wrong", None: "not graded"}


class Side(NamedTuple):
    """One completion of one problem."""

    label: str
    """The mode: auto, short or think."""
    verdict: str
    """right, wrong or not graded."""
    detail: str
    """Tokens, and whatever else there is to say."""
    text: str


class Example(NamedTuple):
    """One problem with all its completions."""

    source: str
    """A benchmark, or `training pairs`."""
    task: str | None
    difficulty: int | None
    chosen: str
    """What the model chose when it could: think, short, malformed; empty if it was not asked."""
    tags: tuple[str, ...]
    """What the filter on verdicts goes by: see `_tags`."""
    prompt: str
    facts: str
    p_think: float | None
    sides: tuple[Side, ...]
    shown: bool
    """Whether it is on the page before anything is filtered, and without scripts."""


def read_examples(connection: Any, *, model: str | None, first: int) -> tuple[Example, ...]:
    """Examples in the order of the page: those shown first, then the others.

    model: whose completions; None if nothing was evaluated. first: held-out problems shown unfiltered; 0 reads none.
    """
    if first == 0:
        return ()
    held_out: list[Example] = []
    if model is not None:
        rows = connection.execute(
            example_queries.HELD_OUT, {"model": model, "first": first, "most": MOST_HELD_OUT}
        ).fetchall()
        held_out = [_held_out(list(members)) for _, members in groupby(rows, key=lambda row: (row[0], row[1]))]
    taught = [
        _taught(row, shown=index < FIRST_TAUGHT)
        for index, row in enumerate(connection.execute(example_queries.TAUGHT, {"most": MOST_TAUGHT}).fetchall())
    ]
    everything = [*held_out, *taught]
    return tuple([e for e in everything if e.shown] + _interleaved(held_out, taught))


def browser_json(examples: Sequence[Example]) -> tuple[str, int]:
    """The examples as JSON for the page's script, as many as fit `MOST_BYTES`, and how many that are.

    Safe inside a script element: no `<` is left in it.
    """
    parts, size = [], 2
    for example in examples:
        row = [
            example.source,
            example.difficulty,
            example.chosen,
            " ".join(example.tags),
            example.prompt,
            example.facts,
            None if example.p_think is None else round(example.p_think, 3),
            [list(side) for side in example.sides],
            *([] if example.task is None else [example.task]),
        ]
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        size += len(text.encode()) + 2
        if size > MOST_BYTES and not example.shown:
            break
        parts.append(text)
    return "[" + ",\n".join(parts) + "]", len(parts)


def _interleaved(held_out: Iterable[Example], taught: Iterable[Example]) -> list[Example]:
    """Those not shown at first: held-out problems, with a pair after every eighth, so that a limit cuts both."""
    pairs = iter([e for e in taught if not e.shown])
    mixed: list[Example] = []
    for index, example in enumerate(e for e in held_out if not e.shown):
        mixed.append(example)
        if index % 8 == 7 and (pair := next(pairs, None)) is not None:
            mixed.append(pair)
    return [*mixed, *pairs]


def _held_out(rows: Sequence[tuple[Any, ...]]) -> Example:
    benchmark, _, rank, task, difficulty, prompt, answer, p_think = rows[0][:8]
    sides, correct, chosen, disagree = [], {}, "", False
    for row in rows:
        mode, chosen_mode, text, answer, right, right_paper, num_tokens, truncated, fake_short = row[8:17]
        num_right, num_samples = row[17:]
        correct[mode] = num_right / num_samples
        if mode == "auto":
            chosen = chosen_mode or "malformed"
        disagree = disagree or (right_paper is not None and right != right_paper)
        words = [f"{count(num_tokens)} tokens"]
        words += [f"chose {chosen_mode or 'neither: malformed'}"] if mode == "auto" else []
        words += ["truncated"] if truncated else []
        words += ["hides a chain of thought"] if fake_short else []
        words += [] if right else [f"answered {answer if answer is not None else 'nothing'}"]
        if right_paper is not None and right != right_paper:
            words.append(f"{_VERDICTS[right_paper]} by the lenient rules")
        words += [f"right in {num_right} of {num_samples} samples"] if num_samples > 1 else []
        sides.append(Side(mode, _VERDICTS[right], ", ".join(words), text))
    facts = [benchmark, *_kind(task, difficulty)]
    facts.append(f"reference answer {answer}" if answer is not None else "not in the table of problems")
    if p_think is not None and isfinite(p_think):
        facts.append(f"P(think) {percent(p_think)}")
    facts += ["shown because auto got it wrong"] if rank == 1 else []
    return Example(
        source=benchmark,
        task=task,
        difficulty=difficulty,
        chosen=chosen,
        tags=_tags(correct, disagree=disagree),
        prompt=prompt,
        facts=", ".join(facts),
        p_think=p_think if p_think is not None and isfinite(p_think) else None,
        sides=tuple(sides),
        shown=rank < 2,
    )


def _kind(task: str | None, difficulty: int | None) -> list[str]:
    """What kind of problem it is: its task with the level, or its difficulty, if its source says."""
    if task is None:
        return [] if difficulty is None else [f"difficulty {difficulty}"]
    return [task if difficulty is None else f"{task} level {difficulty}"]


def _tags(correct: dict[str, float], *, disagree: bool) -> tuple[str, ...]:
    """From the share of right samples by mode. right, wrong: all samples in auto mode are right, or not.

    needs-thinking: forced short fails and forced think does not; and so on. A mode fails if most samples are wrong.
    """
    tags = []
    if "auto" in correct:
        tags.append("right" if correct["auto"] == 1 else "wrong")
    if "short" in correct and "think" in correct:
        outcome = {
            (False, True): "needs-thinking",
            (True, True): "either",
            (True, False): "thinking-hurts",
            (False, False): "neither",
        }
        tags.append(outcome[correct["short"] >= 0.5, correct["think"] >= 0.5])
    if disagree:
        tags.append("graders-disagree")
    return tuple(tags)


def _taught(row: tuple[Any, ...], *, shown: bool) -> Example:
    split, task, difficulty, prompt, answer = row[:5]
    sides = []
    for mode, (text, num_tokens, truncated, right, teacher) in (("short", row[10:]), ("think", row[5:10])):
        words = [f"{count(num_tokens)} tokens", *([f"teacher {teacher}"] if teacher else [])]
        words += ["truncated"] if truncated else []
        sides.append(Side(mode, _VERDICTS[right], ", ".join(words), text))
    facts = [f"{TRAINING}, {split}", *_kind(task, difficulty)]
    facts.append(f"reference answer {answer}")
    return Example(
        source=TRAINING,
        task=task,
        difficulty=difficulty,
        chosen="",
        tags=(),
        prompt=prompt,
        facts=", ".join(facts),
        p_think=None,
        sides=tuple(sides),
        shown=shown,
    )
