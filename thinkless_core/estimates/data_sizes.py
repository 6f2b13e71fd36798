"""How much memory and disk the rows and texts of a run take, stage by stage: pure arithmetic, no torch.

KnownData (numbers of problems, how long their texts are) -> Sizes -> StageData per stage -> the most disk at any moment

A stage writes its texts, A bytes, to Parquet, packed to z A, and to the catalog, packed to c A. Meanwhile A bytes more
are on the disk as they are: the catalog's log at the end, and before that the spool of a recording, the token ids of
the warm-up or the rollouts of RL. Texts stream; what stays in memory is some bytes of each row and what is worked on.
tests/unit/thinkless_core/estimates/test_data_sizes.py compares these with what stages really write and hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from schemas.configs.pipeline import PipelineConfig
from schemas.mode import Mode
from thinkless_core.estimates.work_estimate import MEAN_SHARE

LETTERS = 4
"""Bytes of text of a token; a token id is a number of as many bytes."""
PACKED = 0.4
"""Share of a text that zstd leaves, if nothing is known of it: 0.37 of long texts made of GSM8K's solutions."""
SHORT_TEXT, PACKED_SHORT = 4096, 0.6
"""Shorter texts take this share in the catalog, which packs each on its own."""
PROMPT_BYTES = 500
"""Assumed length of a problem; 240 of GSM8K, 200 of MATH-500."""
ROW_BYTES = 100
"""Ids, numbers and names of a row, packed."""
REPLY_BYTES = 2048
"""What the replay cache keeps of a reply beside its text: the request, and the rest of a block on the disk."""
_MB = 10**6


class KnownData(NamedTuple):
    """What is known of the data of a run; None: nothing."""

    problems: Mapping[str, int | None]
    """Numbers of problems at most: `source`, `rl_source` and each benchmark by its name."""
    prompt_bytes: int | None
    answer_bytes: Mapping[Mode, int]
    """Mean length of recorded answers, of those modes whose answers were looked at."""
    packed: float | None
    """Share that zstd leaves of the texts that were looked at."""


class StageData(NamedTuple):
    """What the data take in one stage, in bytes."""

    stage: str
    memory: int
    """Beside models and program."""
    working: int
    """Disk while it runs, what stays included."""
    stays: int
    formula: str


class _Held(NamedTuple):
    """What a stage has in memory: of each row, and of the texts it works on (or all, if they are fewer)."""

    per_row: int
    at_once: int


_HELD = {
    "problems": _Held(400, 200 * _MB),
    "teach": _Held(250, 500 * _MB),
    "pairs": _Held(600, 500 * _MB),
    "sft": _Held(100, 300 * _MB),
}


def stage_data(
    config: PipelineConfig, sizes: Sizes, problems: Mapping[str, int | None], *, generated: Mapping[str, int]
) -> Iterator[StageData]:
    """The data of every stage whose numbers are known; `generated` are tokens that are likely, by stage."""
    total = sum(number or 0 for number in problems.values())
    if total:
        yield _stage("problems", total, total * sizes.prompt, sizes, times=2, formula="A = n p")
    if sizes.taught is not None:
        for mode, side in config.teach.sides().items():
            endpoint = side.teacher.endpoint() is not None
            per_reply = sizes.answers[mode] + sizes.prompt + REPLY_BYTES
            yield _stage(
                f"teach {mode}",
                sizes.taught,
                sizes.taught * (sizes.answers[mode] + sizes.prompt),
                sizes,
                cache=sizes.taught * per_reply if endpoint else 0,
                formula=f"A = N (p + {mode[0]})" + (", and the replay cache" if endpoint else ""),
            )
        pair = sizes.prompt + sum(sizes.answers.values())
        yield _stage("pairs", sizes.taught, sizes.taught * pair, sizes, formula="A = N (p + t + s)")
        ids = sizes.taught * (pair + sizes.prompt // 4)
        yield StageData("sft", _memory("sft", sizes.taught, ids), ids, 0, "4 bytes per token of the pairs: A")
    for stage in ("rl", "evaluate"):
        if tokens := generated.get(stage, 0):
            yield _stage(stage, 0, tokens * LETTERS, sizes, formula=f"A = {LETTERS} bytes per token")


class Sizes(NamedTuple):
    """Numbers that the formulas take, known or assumed."""

    taught: int | None
    """N."""
    prompt: int
    """p"""
    answers: Mapping[Mode, int]
    """t and s."""
    packed: float
    """z"""
    assumed: tuple[str, ...]
    """Symbols of those that are assumed."""

    @classmethod
    def of(cls, config: PipelineConfig, known: KnownData) -> Sizes:
        """Of what is known, the rest assumed. A recorded answer is cut at the limit of its side."""
        taught = known.problems["source"]
        if taught is not None and config.problems.rl_source is None:
            taught = round(taught * (1 - config.problems.rl_share))
        answers, assumed = {}, [] if known.prompt_bytes else ["p"]
        for mode, side in config.teach.sides().items():
            limit = LETTERS * side.max_tokens
            answers[mode] = min(known.answer_bytes.get(mode, round(MEAN_SHARE * limit)), limit)
            assumed += [] if mode in known.answer_bytes else [mode[0]]
        assumed += [] if known.packed is not None else ["z"]
        return cls(
            taught,
            known.prompt_bytes or PROMPT_BYTES,
            answers,
            PACKED if known.packed is None else known.packed,
            tuple(assumed),
        )


def most_disk(stages: Sequence[StageData]) -> int:
    """Disk at the worst moment of a run: what earlier stages left, and the one at work."""
    left = most = 0
    for stage in stages:
        most = max(most, left + stage.working)
        left += stage.stays
    return max(most, left)


def _stage(
    stage: str, rows: int, text: int, sizes: Sizes, *, formula: str, times: int = 1, cache: int = 0
) -> StageData:
    """A stage that writes `rows` rows with `text` bytes together, and has it `times` as it is at its worst moment."""
    short = rows and text / rows < SHORT_TEXT
    catalog = PACKED_SHORT if short else sizes.packed
    stays = round((sizes.packed + catalog) * text) + 2 * ROW_BYTES * rows + cache
    working = stays + times * (text + ROW_BYTES * rows)
    return StageData(stage, _memory(stage.partition(" ")[0], rows, text), working, stays, formula)


def _memory(stage: str, rows: int, text: int) -> int:
    held = _HELD.get(stage)
    return 0 if held is None else held.per_row * rows + min(held.at_once, 3 * text)
