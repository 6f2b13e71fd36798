"""`python -m tests.gpu prepare FOLDER`: what the GPU machine needs, made where the project is installed.

profile -> problems -> both teachers -> pairs, as the stages of these names make them, without the store
        -> student of stage `base` (for its limits and a hash of its weights), its GGUF file in parts
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from schemas.configs.base_model import PretrainedModel
from schemas.configs.loading import load_config
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.teach import TeachSideConfig
from schemas.mode import Mode
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem, ProblemSplit
from tests.gpu.prepared import (
    PAIRS,
    PART_BYTES,
    PROBE_TEXT,
    PROBLEMS,
    SETTINGS,
    WEIGHTS,
    recognised,
    task_of,
    write_rows,
)

Say = Callable[[str], None]


def prepare(
    folder: Path, *, profile: str, overrides: Sequence[str], data: Path | None = None, say: Say = print
) -> None:
    """Write the folder; raises what the stages raise. `data` is a folder with copies of data sets of the Hub.

    A student that an earlier call has written there stays.
    """
    if data is not None:
        from flows.local_copies import local_copy_overrides

        overrides = [*overrides, *local_copy_overrides(profile, overrides=overrides, folder=data)]
    config = load_config(profile, overrides=overrides)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        settings = _known_student(config, folder) or _student(config, Path(scratch) / "model", folder, say)
        problems, pairs = _problems_and_pairs(config, Path(scratch), say)
    task = {problem.problem_id: task_of(problem) for problem in problems}
    level = {problem.problem_id: problem.difficulty for problem in problems}
    write_rows(
        folder / PROBLEMS,
        (_with_place(p.model_dump(mode="json"), task, level) for p in problems if p.split is not ProblemSplit.SFT),
    )
    write_rows(folder / PAIRS, (_with_place(pair.model_dump(mode="json"), task, level) for pair in pairs))
    sections = {name: getattr(config, name).model_dump(mode="json") for name in ("base", "sft", "rl", "evaluate")}
    settings |= {"profile": config.profile, "seed": config.seed, **sections}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    say(f"{folder}: {len(pairs)} pairs, {len(problems)} problems, {size / 1e6:.1f} MB")


def _problems_and_pairs(config: PipelineConfig, scratch: Path, say: Say) -> tuple[list[Problem], list[Pair]]:
    """As stages problems, teach and pairs make them."""
    from tasks.ask_teachers import ask_side
    from tasks.build_pairs import write_pairs
    from tasks.running.parquet_files import read_records, write_table
    from thinkless_core.problems.problem_set import build_problem_set
    from thinkless_core.student.model_files import prepare_tokenizer

    problem_set = build_problem_set(config.problems)
    for note in problem_set.notes:
        say(note)
    problems = list(problem_set.problems)
    folders = {name: scratch / name for name in ("problems", Mode.THINK.value, Mode.SHORT.value, "pairs")}
    for made in folders.values():
        made.mkdir()
    write_table(folders["problems"], Problem, problems)
    taught = [problem for problem in problems if problem.split is ProblemSplit.SFT]
    tokenizer = prepare_tokenizer(config.base).tokenizer
    for mode, side in config.teach.sides().items():
        teacher = side.teacher.build(tokenizer=tokenizer, connect=_refuse_endpoint, scratch=scratch / "teacher")
        try:
            settings = TeachSideConfig(seed=config.teach.seed, mode=mode, side=side, chunk_size=config.teach.chunk_size)
            generations, dropped = ask_side(teacher, taught, settings)
        finally:
            teacher.close()
        say(f"{mode}: {len(generations)} answers, {len(dropped)} dropped")
        write_table(folders[mode.value], Generation, generations)
    inputs = [folders["problems"], folders[Mode.THINK.value], folders[Mode.SHORT.value]]
    rules = write_pairs(config.pairs, inputs, folder=folders["pairs"], scratch=scratch)
    say(f"pairs: {rules.num_pairs}, rules touched {dict(rules.touched)}")
    return problems, read_records(folders["pairs"] / Pair.FILE, Pair)


def _known_student(config: PipelineConfig, folder: Path) -> dict[str, Any] | None:
    """What an earlier call found out about the same student; None if there was none."""
    file = folder / SETTINGS
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if known.get("base") != config.base.model_dump(mode="json") or not known.keys() >= set(FOUND):
        return None
    return {name: known[name] for name in FOUND}


FOUND = ("limits", "parameters", "weights", "control_rows", "prompt_ids")
"""What settings.json says of the student."""


def _student(config: PipelineConfig, model: Path, folder: Path, say: Say) -> dict[str, Any]:
    """Limits of the student, as stage base finds them, and what must come out again elsewhere; its weights in parts."""
    from thinkless_core.probe.examined_student import write_examined_student
    from thinkless_core.student.model_files import load_student, load_student_tokenizer
    from thinkless_core.student.rendering import render_prompt

    _split_weights(config, folder, say)
    examined = write_examined_student(config.base, model, say=say)
    tokenizer = load_student_tokenizer(model)
    return {
        "limits": {limit.value: reason for limit, reason in examined.limits.items()},
        "parameters": examined.num_parameters,
        **recognised(load_student(model), tokenizer)._asdict(),
        "prompt_ids": list(render_prompt(tokenizer, PROBE_TEXT)),
    }


def _split_weights(config: PipelineConfig, folder: Path, say: Say) -> None:
    for old in folder.glob(f"{WEIGHTS}*"):
        old.unlink()
    model = config.base.model
    if not isinstance(model, PretrainedModel):
        return
    if model.gguf_file is None:
        say(f"weights are not copied, only a GGUF file is: {model.path} must be there when `run` is called")
        return
    content = (Path(model.location) / model.gguf_file).read_bytes()
    for number, start in enumerate(range(0, len(content), PART_BYTES)):
        (folder / f"{WEIGHTS}{number}").write_bytes(content[start : start + PART_BYTES])


def _with_place(row: dict[str, Any], task: dict[str, str], level: dict[str, int | None]) -> dict[str, Any]:
    return row | {"task": task[row["problem_id"]], "level": level[row["problem_id"]]}


def _refuse_endpoint(teacher: object) -> Any:
    sys.exit("prepare asks no endpoint: choose teachers that answer in this process")
