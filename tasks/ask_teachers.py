"""Stage `teach`: one teacher answers every warm-up problem in one mode; it runs once per mode.

problems -> chunks, by one process or several -> teacher (an endpoint's replies go through <home>/replay)
         -> generations.parquet, dropped.parquet
"""

from __future__ import annotations

import functools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from infra.store.workspace import SCRATCH_NAME
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.teach import OpenAITeacher, TeachSideConfig
from schemas.errors import TeacherError
from schemas.mode import Mode
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.problems import Problem
from tasks.running.answer_chunks import (
    AnswerChunk,
    Answers,
    WarmUpProblems,
    all_drop_files,
    join_chunks,
    judged_answers,
)
from tasks.running.chunks import SharedWork
from tasks.running.context import RunContext
from tasks.running.parquet_files import iter_columns
from tasks.running.share_out import share_out
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan, changed_files_first, refuse_changed_files
from thinkless_core.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
    outside_key = frozenset({"launch"})

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
            seed=teach.seed,
            mode=self.mode,
            side=teach.sides()[self.mode],
            chunk_size=teach.chunk_size,
            launch=teach.launch,
        )

    def build(
        self, plan: StagePlan[TeachSideConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write the generations, chunk by chunk; a chunk that exists is kept. Tokens are counted with the
        tokenizer of the base model.

        Raises TeacherError if a teacher cannot answer or none of its answers can be used, Transient if a retry may
        help.
        """
        config, latest = plan.config, _LatestProgress(progress)
        inputs = {artifact.stage: Path(artifact.path) for artifact in plan.inputs}
        work = TeachingWork(config, inputs, workspace, connect=_connection(config, context, on_reply=latest.count))
        latest(0, len(work.problems), {})
        launch = config.launch
        if launch is not None and config.side.teacher.endpoint() is not None:
            latest.note("this teacher is at an endpoint: one process asks it, and teach.launch is for the other side")
            launch = None
        with changed_files_first(plan):
            work.prepare(plan)
            share_out(work, plan, workspace, latest, launch=launch, gpus_each=config.gpus_each)
        return _outcome(config, workspace, work, progress=progress)


class _LatestProgress:
    """A progress that can also say more of what it said last."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._latest = (0, 0)

    def __call__(self, done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        self._latest = done, total
        self._progress(done, total, numbers, notes)

    def count(self, replies: Mapping[str, int]) -> None:
        """The same progress with the number of replies by origin."""
        self._progress(*self._latest, {name: float(count) for name, count in replies.items()})

    def note(self, text: str) -> None:
        """The same progress with a sentence."""
        self._progress(*self._latest, {}, [text])


class TeachingWork(SharedWork[TeachSideConfig, AnswerChunk]):
    """All warm-up problems, to be answered by one teacher."""

    config_class = TeachSideConfig

    def __init__(
        self,
        config: TeachSideConfig,
        inputs: Mapping[str, Path],
        workspace: Path,
        *,
        connect: Callable[[OpenAITeacher], ChatEndpoint] | None = None,
    ) -> None:
        """The answers, in folders of the workspace's `scratch/`; `connect` opens the endpoint of a teacher."""
        self._config, self._connect = config, connect
        self._student, self._scratch = inputs["base"] / "model", workspace / SCRATCH_NAME
        self.problems = WarmUpProblems(inputs["problems"] / Problem.FILE)
        num, size = len(self.problems), config.chunk_size
        self.chunks = [
            AnswerChunk(self._scratch / f"chunk-{start:08d}", min(size, num - start), start)
            for start in range(0, num, size)
        ]

    def prepare(self, plan: StagePlan[TeachSideConfig]) -> None:
        """Let the teacher read what it replays into a folder, once for all processes that will ask it.

        The folder gets its name when all is read and no file changed meanwhile.
        """
        if self._read.exists():
            return
        unfinished = self._read.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        with closing(self._teacher(unfinished)) as teacher:
            if (read := getattr(teacher, "read_all", None)) is not None:
                read(self._config.mode)
                refuse_changed_files(plan)
        unfinished.rename(self._read)

    def do(self, turns: Iterator[AnswerChunk], *, processes: int) -> None:
        """Write the answers of chunks; a model is loaded at the first question."""
        check = functools.cache(self.refuse_changes)
        with closing(self._teacher(self._read)) as teacher:
            is_prepared = hasattr(teacher, "read_all")

            def ask(problems: Sequence[Problem]) -> Answers:
                at_once = getattr(teacher, "num_at_once", None)
                asked = problems if at_once is None else problems[: at_once(problems, mode=self._config.mode)]
                answers = Answers(*ask_side(teacher, asked, self._config))
                if not is_prepared:
                    check()
                return answers

            for chunk in turns:
                chunk.write(self.problems.read(chunk.start, chunk.size), ask)

    @property
    def _read(self) -> Path:
        return self._scratch / "teacher"

    @functools.cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        from thinkless_core.student.model_files import load_student_tokenizer

        return load_student_tokenizer(self._student)

    def _teacher(self, scratch: Path) -> Teacher:
        teacher: Teacher = self._config.side.teacher.build(
            tokenizer=self._tokenizer, connect=self._connect, scratch=scratch
        )
        return teacher


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


def _outcome(config: TeachSideConfig, workspace: Path, work: TeachingWork, *, progress: Progress) -> StageOutcome:
    """Join the chunks, list the dropped answers, and say if many are wrong."""
    from infra.validation.suites import generations_suite

    chunks, num_problems = work.chunks, len(work.problems)
    reasons = Counter(reason for file in all_drop_files(chunks) for (reason,) in iter_columns(file, ["reason"]))
    note = _many_wrong(config, work)
    if reasons.total() == num_problems:
        first = next(iter_columns(next(all_drop_files(chunks)), ["problem_id", "detail"]))
        refuse_no_answers(reasons, first=first, mode=config.mode, note=note)
    if note:
        progress(num_problems, num_problems, {}, [note])
    table = workspace / Generation.FILE
    num_rows = join_chunks(chunks, generations=table, dropped=workspace / DroppedRow.FILE)
    verdicts = Counter(iter_columns(table, ["truncated", "correct"]))
    marked = {"truncated_kept": verdicts[True, False], "incorrect_kept": verdicts[False, False]}
    suite = generations_suite(mode=config.mode, num_problems=num_problems - reasons.total())
    return StageOutcome(rows=num_rows, marked=marked, gates=(Gate(Generation.FILE, suite),))


def _many_wrong(config: TeachSideConfig, work: TeachingWork) -> str | None:
    """What to say about the finished answers, kept or rejected, that are wrong."""
    from thinkless_core.grading.many_wrong import MOST_WRONG_OF_A_TEACHER, NUM_EXAMPLES, say_many_wrong

    wrong = (answer.problem_id for answer in judged_answers(work.chunks) if not answer.correct)
    shown = set(islice(wrong, NUM_EXAMPLES))
    references = iter_columns(work.problems.path, ["problem_id", "answer"]) if shown else ()
    return say_many_wrong(
        judged_answers(work.chunks),
        {problem_id: answer for problem_id, answer in references if problem_id in shown},
        whose=f"the {config.mode} teacher",
        most_wrong=MOST_WRONG_OF_A_TEACHER,
    )


def refuse_no_answers(
    reasons: Counter[str], *, first: tuple[str, str], mode: Mode, note: str | None = None
) -> NoReturn:
    """Raise TeacherError, if no answer to any problem can be used.

    `first` is the id of the first problem and what was written about it; `note` says more of wrong answers.
    """
    problem_id, text = first
    raise TeacherError(
        f"not one of {reasons.total()} {mode} answers can be used: {dict(reasons)}; the first, to problem "
        f"{problem_id}, reads {text[:80]!r}: correct teach.{mode}.teacher (short_reasoned: take an "
        "instruct model, or switch thinking off; no_reasoning: take one that thinks; not_recorded: take the problems "
        "from the data set that is replayed; empty, reasoning_not_ended: the rows are there and hold no whole answer; "
        "marked_wrong: the data set calls them wrong; unknown_notation: write <think>thought</think>answer, or "
        "two fields)" + (f"; {note}" if note else "")
    )
