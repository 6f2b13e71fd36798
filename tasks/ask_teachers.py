"""Stage `teach`: one teacher answers every warm-up problem in one mode; it runs once per mode.

problems -> chunks -> teacher (an endpoint's replies go through <home>/replay) -> generations.parquet, dropped.parquet
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from infra.disk import write_whole
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.teach import OpenAITeacher, TeachSideConfig
from schemas.errors import TeacherError
from schemas.mode import Mode
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.problems import Problem, ProblemSplit
from tasks.running.context import RunContext
from tasks.running.parquet_files import read_records, write_records, write_table
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress

if TYPE_CHECKING:
    from infra.endpoints.chat_endpoint import ChatEndpoint
    from thinkless_core.teachers.asking import DroppedAnswer
    from thinkless_core.teachers.reply import Teacher


class AskTeachers(Stage[TeachSideConfig]):
    """Asks one teacher for an answer to every warm-up problem in one mode."""

    name = "teach"
    config = TeachSideConfig
    needs = ("base", "problems")
    tables = (Generation, DroppedRow)
    judges = True

    def __init__(self, mode: Mode) -> None:
        """A stage that asks for answers in `mode`."""
        self.mode = mode

    @property
    def label(self) -> str:
        """`teach-think` or `teach-short`."""
        return f"teach-{self.mode}"

    def settings(self, config: PipelineConfig) -> TeachSideConfig:
        """The settings of this mode's teacher; those of the other teacher are not part of the key."""
        teach = config.teach
        return TeachSideConfig(
            seed=teach.seed, mode=self.mode, side=teach.sides()[self.mode], chunk_size=teach.chunk_size
        )

    def build(
        self, plan: StagePlan[TeachSideConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write the generations, chunk by chunk; a chunk that exists is kept. Tokens are counted with the
        tokenizer of the base model.

        Raises TeacherError if a teacher cannot answer or none of its answers can be used, Transient if a retry may
        help.
        """
        from thinkless_core.student.model_files import load_student_tokenizer

        config = plan.config
        base, problems_artifact = plan.inputs
        problems = read_records(
            Path(problems_artifact.path) / Problem.FILE, Problem, where=[("split", ProblemSplit.SFT)]
        )
        num_done = 0

        def count_replies(replies: Counter[str]) -> None:
            progress(num_done, len(problems), {name: float(count) for name, count in replies.items()})

        tokenizer = load_student_tokenizer(Path(base.path) / "model")
        teacher = config.side.teacher.build(
            tokenizer=tokenizer,
            connect=_connection(config, context, on_reply=count_replies),
            scratch=workspace / "scratch",
        )
        chunks = []
        try:
            for start in range(0, len(problems), config.chunk_size):
                chunk = workspace / "scratch" / f"chunk-{start:08d}.parquet"
                chunks.append(chunk)
                part = problems[start : start + config.chunk_size]
                if not chunk.exists():
                    progress(num_done, len(problems), {})
                    generations, dropped = ask_side(teacher, part, config)
                    # Written first: the chunk's Parquet file marks the chunk as finished.
                    write_whole(_drops_of(chunk), _lines(asdict(answer) for answer in dropped))
                    write_records(chunk, Generation, generations)
                num_done = min(start + config.chunk_size, len(problems))
            progress(num_done, len(problems), {})
        finally:
            teacher.close()
        return _outcome(config, workspace, chunks, problems=problems, progress=progress)


def ask_side(
    teacher: Teacher, problems: Sequence[Problem], config: TeachSideConfig
) -> tuple[list[Generation], list[DroppedAnswer]]:
    """The answers of one mode's teacher that can be kept, and the others; see ask_teacher."""
    from thinkless_core.teachers.asking import ask_teacher

    dropped: list[DroppedAnswer] = []
    generations = ask_teacher(
        teacher,
        problems,
        mode=config.mode,
        max_tokens=config.side.max_tokens,
        seed=config.seed,
        rules=config.side.teacher.rules(),
        on_drop=dropped.append,
    )
    return generations, dropped


def _connection(
    config: TeachSideConfig, context: RunContext, *, on_reply: Callable[[Counter[str]], None]
) -> Callable[[OpenAITeacher], ChatEndpoint]:
    """A function that connects a teacher with its endpoint; `on_reply` gets the number of replies by origin."""
    from infra.endpoints.chat_endpoint import ChatEndpoint
    from infra.endpoints.replay_cache import ReplayCache
    from thinkless_core.seeding import random_stream

    replies: Counter[str] = Counter()

    def connect(teacher: OpenAITeacher) -> ChatEndpoint:
        def count(replayed: bool) -> None:
            replies["replayed" if replayed else "asked"] += 1
            on_reply(replies)

        def jitter(problem_id: str, attempt: int) -> float:
            return float(random_stream("backoff", config.seed, config.mode, problem_id, attempt).random())

        return ChatEndpoint(teacher, ReplayCache(context.settings.home), jitter, count)

    return connect


def _outcome(
    config: TeachSideConfig, workspace: Path, chunks: list[Path], *, problems: Sequence[Problem], progress: Progress
) -> StageOutcome:
    """Join the chunks, list the dropped answers, and say if many are wrong."""
    from infra.validation.suites import generations_suite
    from thinkless_core.teachers.asking import DroppedAnswer

    num_problems = len(problems)
    rows = [row for chunk in chunks for row in read_records(chunk, Generation)]
    drops = [
        DroppedAnswer(**json.loads(line))
        for chunk in chunks
        for line in _drops_of(chunk).read_text(encoding="utf-8").split("\n")
        if line
    ]
    note = _many_wrong(config, rows, drops, problems)
    if not rows:
        refuse_no_answers(drops, mode=config.mode, note=note)
    if note:
        progress(num_problems, num_problems, {}, [note])
    write_table(workspace, Generation, rows)
    write_table(workspace, DroppedRow, _dropped_rows(drops, problems))
    return StageOutcome(
        rows=len(rows),
        marked={
            "truncated_kept": sum(g.truncated for g in rows),
            "incorrect_kept": sum(not g.correct and not g.truncated for g in rows),
        },
        gates=(Gate(Generation.FILE, generations_suite(mode=config.mode, num_problems=num_problems - len(drops))),),
    )


def _dropped_rows(drops: Sequence[DroppedAnswer], problems: Sequence[Problem]) -> Iterator[DroppedRow]:
    """One row per problem without an answer; of an answer that was judged, what was read comes first."""
    asked = {problem.problem_id: problem for problem in problems}
    for drop in drops:
        problem = asked[drop.problem_id]
        read = f"read {drop.answer}, expected {problem.answer}: " if drop.answer is not None else ""
        yield DroppedRow(
            stage=f"teach-{drop.mode}",
            reason=drop.reason,
            problem_id=drop.problem_id,
            source=drop.teacher,
            prompt=problem.prompt,
            detail=read + drop.text,
        )


def _many_wrong(
    config: TeachSideConfig, rows: Sequence[Generation], drops: Sequence[DroppedAnswer], problems: Sequence[Problem]
) -> str | None:
    """What to say about the finished answers, kept or rejected, that are wrong."""
    from thinkless_core.grading.many_wrong import MOST_WRONG_OF_A_TEACHER, JudgedAnswer, say_many_wrong
    from thinkless_core.teachers.asking import REJECTED

    answers = [JudgedAnswer(g.problem_id, g.answer, g.correct) for g in rows if not g.truncated]
    answers += [JudgedAnswer(d.problem_id, d.answer, correct=False) for d in drops if d.reason == REJECTED]
    return say_many_wrong(
        answers,
        {problem.problem_id: problem.answer for problem in problems},
        whose=f"the {config.mode} teacher",
        most_wrong=MOST_WRONG_OF_A_TEACHER,
    )


def refuse_no_answers(drops: Sequence[DroppedAnswer], *, mode: Mode, note: str | None = None) -> NoReturn:
    """Raise TeacherError, with the reasons, if no answer to any problem can be used; `note` says more of wrong ones."""
    reasons = dict(Counter(drop.reason for drop in drops))
    raise TeacherError(
        f"not one of {len(drops)} {mode} answers can be used: {reasons}; the first, to problem {drops[0].problem_id}, "
        f"reads {drops[0].text[:80]!r}: correct teach.{mode}.teacher (short_reasoned: take an instruct model, or "
        "switch thinking off; no_reasoning: take one that thinks; not_recorded: take the problems from the data set "
        "that is replayed; empty, reasoning_not_ended: the rows are there and hold no whole answer; marked_wrong: the "
        "data set calls them wrong; unknown_notation: write <think>thought</think>answer, or two fields)"
        + (f"; {note}" if note else "")
    )


def _drops_of(chunk: Path) -> Path:
    return chunk.with_suffix(".dropped.jsonl")


def _lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
