"""What the stages after `problems` would refuse, found by their own code before anything is computed.

problems read whole + the student's tokenizer and context
    -> teachers that only replay or calculate are asked every problem -> pairs -> prompts of RL and of the benchmarks

A teacher that has to be paid for, or loads a model, is not asked: then nothing is known of pairs.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from flows.doctor.data import are_small
from flows.doctor.finding import Finding, checked
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.problems import ProceduralSource
from schemas.configs.recorded_teachers import RecordedTeacher, WorkedSolutionsTeacher
from schemas.configs.stage import local_paths_in
from schemas.configs.teach import ProceduralTeacher
from schemas.configs.teacher import TeacherConfig
from schemas.mode import Mode
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from tasks.ask_teachers import AskTeachers, ask_side, refuse_no_answers
from tasks.build_pairs import write_pairs
from tasks.evaluate_models import asked_problems, refuse_long_prompts
from tasks.running.parquet_files import iter_records, write_records

NUM_ASKED = 20_000
"""Warm-up problems up to which teachers are asked all of them."""


def rehearsed_modes(config: PipelineConfig, problems: Sequence[Problem]) -> tuple[Mode, ...]:
    """The sides whose teacher is asked here: it replays small files, or calculates."""
    if sum(p.split is ProblemSplit.SFT for p in problems) > NUM_ASKED or _is_made_up(config):
        return ()
    return tuple(mode for mode, side in config.teach.sides().items() if _only_reads(side.teacher))


def rehearse(
    config: PipelineConfig,
    problems: Sequence[Problem],
    *,
    tokenizer: PreTrainedTokenizerBase,
    context: int | None,
) -> Iterator[Finding]:
    """A finding per stage that was tried; pairs are made if both teachers could be asked and answered."""
    of = {split: [p for p in problems if p.split is split] for split in ProblemSplit}
    modes = rehearsed_modes(config, problems)
    with tempfile.TemporaryDirectory(prefix="doctor-") as name:
        folder = Path(name)
        fine = True
        for mode in modes:
            (folder / mode).mkdir()
            ask = partial(_ask, config, of[ProblemSplit.SFT], mode, folder / mode, tokenizer)
            finding = checked(f"teach.{mode}", ask)
            fine = fine and finding.fine
            yield finding
        if fine and set(modes) == set(Mode):
            write_records(folder / Problem.FILE, Problem, problems)
            yield checked("pairs", partial(_pairs, config, folder, tokenizer, context))
    yield checked("rl", partial(_rl, config, of[ProblemSplit.RL], tokenizer, context))
    yield checked("evaluate", partial(_evaluate, config, of[ProblemSplit.TEST], tokenizer, context))


def _ask(
    config: PipelineConfig, problems: Sequence[Problem], mode: Mode, folder: Path, tokenizer: PreTrainedTokenizerBase
) -> str:
    settings = AskTeachers(mode).settings(config)
    teacher = settings.side.teacher.build(tokenizer=tokenizer, scratch=folder)
    try:
        answers, dropped = ask_side(teacher, problems, settings)
    finally:
        teacher.close()
    reasons = Counter(drop.reason for drop in dropped)
    if not answers:
        refuse_no_answers(reasons, first=(dropped[0].problem_id, dropped[0].text), mode=mode)
    write_records(folder / Generation.FILE, Generation, answers)
    wrong = sum(not answer.correct for answer in answers)
    verdict = f"answers {len(answers)} of {len(problems)} problems, {wrong} wrong or cut; drops {dict(reasons)}"
    return f"{teacher.name}: {verdict}"


def _pairs(config: PipelineConfig, folder: Path, tokenizer: PreTrainedTokenizerBase, context: int | None) -> str:
    from thinkless_core.training.tokenised_pairs import TokenisedPairs

    sides = [folder, folder / Mode.THINK, folder / Mode.SHORT]
    rules = write_pairs(config.pairs, sides, folder=folder, scratch=folder)
    tokens = TokenisedPairs.of(iter_records(folder / Pair.FILE, Pair), tokenizer=tokenizer, context=context)
    return f"{rules.num_pairs}, of which {len(tokens.too_long)} are longer than the context; rules {rules.touched}"


def _rl(
    config: PipelineConfig, problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase, context: int | None
) -> str:
    from thinkless_core.rl.rl_trainer import refuse_what_cannot_be_trained_on

    refuse_what_cannot_be_trained_on(problems, config=config.rl, tokenizer=tokenizer, context=context)
    return f"{len(problems)} problems; every prompt leaves room for rl.max_new_tokens"


def _evaluate(
    config: PipelineConfig, tests: Sequence[Problem], tokenizer: PreTrainedTokenizerBase, context: int | None
) -> str:
    asked = asked_problems(tests, config.evaluate)
    model = config.evaluate.models[0]
    refuse_long_prompts(asked, config=config.evaluate, model=model, tokenizer=tokenizer, context=context)
    return f"{sum(map(len, asked.values()))} problems; every prompt leaves room for evaluate.max_new_tokens"


def _only_reads(teacher: TeacherConfig) -> bool:
    shipped = isinstance(teacher, RecordedTeacher | WorkedSolutionsTeacher | ProceduralTeacher)
    source = teacher.replayed()
    return shipped and (source is None or source.hub_data() is None) and are_small(local_paths_in(teacher))


def _is_made_up(config: PipelineConfig) -> bool:
    """Whether problems and answers are calculated by the same program: nothing can be missing then."""
    teachers = [side.teacher for side in config.teach.sides().values()]
    return isinstance(config.problems.source, ProceduralSource) and all(
        isinstance(teacher, ProceduralTeacher) for teacher in teachers
    )
