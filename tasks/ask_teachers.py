"""Stage `teach`: one teacher answers every warm-up problem in one mode; it runs once per mode.

problems -> chunks -> teacher (an endpoint's replies go through <home>/replay) -> generations.parquet, dropped.parquet
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from schemas.configs.pipeline import PipelineConfig
from schemas.configs.teach import OpenAITeacher, TeachSideConfig
from schemas.errors import TeacherError, ThinklessError
from schemas.mode import Mode
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.problems import Problem, ProblemSplit
from tasks.running.answer_chunks import Chunk, answer_chunks, join_chunks, judged_answers
from tasks.running.context import RunContext
from tasks.running.parquet_files import iter_columns, iter_records
from tasks.running.stage import Gate, Stage, StageOutcome, StagePlan, refuse_changed_files
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
        problems = Path(problems_artifact.path) / Problem.FILE
        num_problems = sum(split == ProblemSplit.SFT for (split,) in iter_columns(problems, ["split"]))
        num_done = 0

        def count_replies(replies: Counter[str]) -> None:
            progress(num_done, num_problems, {name: float(count) for name, count in replies.items()})

        tokenizer = load_student_tokenizer(Path(base.path) / "model")
        teacher = config.side.teacher.build(
            tokenizer=tokenizer,
            connect=_connection(config, context, on_reply=count_replies),
            scratch=workspace / "scratch",
        )
        chunks = []
        progress(num_done, num_problems, {})
        try:
            for chunk in answer_chunks(
                iter_records(problems, Problem, where=[("split", ProblemSplit.SFT)]),
                size=config.chunk_size,
                folder=workspace / "scratch",
                ask=_Asking(teacher, plan),
            ):
                chunks.append(chunk)
                num_done += chunk.num_problems
                progress(num_done, num_problems, {})
        finally:
            teacher.close()
        return _outcome(config, workspace, chunks, problems=problems, num_problems=num_problems, progress=progress)


class _Asking:
    """Asks a teacher for one chunk after another."""

    def __init__(self, teacher: Teacher, plan: StagePlan[TeachSideConfig]) -> None:
        self._teacher = teacher
        self._plan = plan
        self._is_checked = False

    def __call__(self, chunk: Chunk, problems: Sequence[Problem]) -> None:
        """Finish a chunk with the answers to the first of these problems, as many as can be asked at once.

        Before the first one is written, the files that answers were read from are compared with the stage's key.
        """
        config = self._plan.config
        at_once = getattr(self._teacher, "num_at_once", None)
        try:
            asked = problems if at_once is None else problems[: at_once(problems, mode=config.mode)]
            generations, dropped = ask_side(self._teacher, asked, config)
        except ThinklessError:
            refuse_changed_files(self._plan)  # a file that grows ends in half a row
            raise
        if not self._is_checked:
            refuse_changed_files(self._plan)
            self._is_checked = True
        chunk.write(generations, dropped, asked)


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
    config: TeachSideConfig,
    workspace: Path,
    chunks: Sequence[Chunk],
    *,
    problems: Path,
    num_problems: int,
    progress: Progress,
) -> StageOutcome:
    """Join the chunks, list the dropped answers, and say if many are wrong."""
    from infra.validation.suites import generations_suite

    reasons = Counter(reason for chunk in chunks for (reason,) in iter_columns(chunk.drop_file, ["reason"]))
    note = _many_wrong(config, chunks, problems)
    if reasons.total() == num_problems:
        first = next(iter_columns(chunks[0].drop_file, ["problem_id", "detail"]))
        refuse_no_answers(reasons, first=first, mode=config.mode, note=note)
    if note:
        progress(num_problems, num_problems, {}, [note])
    table = workspace / Generation.FILE
    num_rows = join_chunks(chunks, generations=table, dropped=workspace / DroppedRow.FILE)
    verdicts = Counter(iter_columns(table, ["truncated", "correct"]))
    marked = {"truncated_kept": verdicts[True, False], "incorrect_kept": verdicts[False, False]}
    suite = generations_suite(mode=config.mode, num_problems=num_problems - reasons.total())
    return StageOutcome(rows=num_rows, marked=marked, gates=(Gate(Generation.FILE, suite),))


def _many_wrong(config: TeachSideConfig, chunks: Sequence[Chunk], problems: Path) -> str | None:
    """What to say about the finished answers, kept or rejected, that are wrong."""
    from thinkless_core.grading.many_wrong import MOST_WRONG_OF_A_TEACHER, NUM_EXAMPLES, say_many_wrong

    wrong = (answer.problem_id for answer in judged_answers(chunks) if not answer.correct)
    shown = set(islice(wrong, NUM_EXAMPLES))
    references = iter_columns(problems, ["problem_id", "answer"]) if shown else ()
    return say_many_wrong(
        judged_answers(chunks),
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
