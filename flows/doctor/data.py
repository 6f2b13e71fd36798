"""Checks of problems and recordings: reads all files on this machine, and the first rows of everything else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from flows.doctor.finding import Finding, checked
from flows.doctor.needs import HubData, hub_data
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.source import Recorded, SourceConfig
from schemas.configs.stage import local_paths_in
from schemas.configs.teacher import TeacherConfig
from schemas.errors import ThinklessError
from schemas.mode import Mode
from schemas.records.problems import ProblemSplit
from schemas.records.unreadable_answers import UnreadableAnswer

if TYPE_CHECKING:
    from thinkless_core.problems.problem_set import ProblemSet

FIRST_ROWS = 50
LARGE_FILES = 200 * 10**6
"""Bytes of local files above which they, too, are looked at by their first rows alone."""


def problems(
    config: PipelineConfig,
    *,
    unreached: Collection[str],
    unmade: Collection[str] = (),
    made: list[ProblemSet] | None = None,
) -> Iterator[Finding]:
    """Every source: read whole, as a run would, if all are files here, else by first rows.

    Data sets that are `unreached`, and places that are `unmade` for want of a package, are left out. What was read
    whole is put into `made`.
    """
    from thinkless_core.problems.source_files import absent_file

    found = config.problems.sources()
    missing = [
        Finding(place, False, absent_file(path))
        for place, source in found.items()
        for path in source.local_paths()
        if not Path(path).exists()
    ]
    yield from missing
    remote = {place: data for place, data in hub_data(config) if place in found}
    left_out = {
        *(finding.name for finding in missing),
        *(place for place, data in remote.items() if data.id in unreached),
        *(place for place in unmade if place in found),
    }
    if not left_out and not remote and are_small(local_paths_in(config.problems)):
        yield checked("problems", lambda: _whole(config, [] if made is None else made))
        return
    for place, source in found.items():
        if place not in left_out:
            yield checked(place, partial(first_rows, source))


def recordings(
    config: PipelineConfig, *, unreached: Collection[str], leave_out: Collection[Mode] = ()
) -> Iterator[Finding]:
    """Every recorded teacher by its first rows; `leave_out` were asked all problems (rehearsal.py)."""
    remote = dict(hub_data(config))
    for mode, side in config.teach.sides().items():
        teacher, place = side.teacher, f"teach.{mode}"
        if teacher.weights() is not None or mode in leave_out:
            continue  # a model is looked at with the student and the Hub's models
        absent = [path for path in local_paths_in(teacher) if not Path(path).exists()]
        if isinstance(teacher, RecordedTeacher) or teacher.replayed() is not None:
            if place not in remote or remote[place].id not in unreached:
                yield checked(place, partial(_first_recorded, teacher, mode))
        elif absent:
            yield Finding(place, False, f"{absent[0]}: no such file; check teach.*.teacher")
        else:
            yield from (Finding(place, True, path) for path in local_paths_in(teacher))


def are_small(paths: Iterable[str]) -> bool:
    """Whether local files are read whole; one that is not there has no size."""
    return sum(Path(path).stat().st_size for path in paths if Path(path).exists()) <= LARGE_FILES


def is_cached(data: HubData) -> bool:
    """Whether a Hub data set can be read without the Hub; asked while the client stays offline."""
    try:
        first_rows(data.source, streaming=False)
    except ThinklessError:
        return False
    return True


def first_rows(source: SourceConfig, *, streaming: bool = True) -> str:
    """The first rows of a source as problems; raises SourceError or Transient."""
    from thinkless_core.problems.problem_sources import read_source

    read = read_source(source.few(FIRST_ROWS, streaming=streaming), name="doctor", seed=0, limit=FIRST_ROWS)
    first, rows = read.problems[0], len(read.problems) + len(read.unreadable)
    skipped = f", {len(read.unreadable)} of the first {rows} rows have no readable answer" if read.unreadable else ""
    doubtful = next((f"; {p.source}: {p.doubt}" for p in read.problems if p.doubt), "")
    return f"{first.source}: {shortened(first.prompt)!r} -> {first.answer!r}{skipped}{doubtful}"


def shortened(text: str, *, longest: int = 60) -> str:
    """The beginning of a text."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def counts(config: PipelineConfig) -> Mapping[str, int | None]:
    """Numbers of problems by place, at most: counted in small files, known of presets, else None."""
    from thinkless_core.problems.problem_sources import source_rows

    found: dict[str, int | None] = {}
    for place, source in config.problems.sources().items():
        found[place] = source.most_problems()
        paths = [Path(path) for path in source.local_paths()]
        if paths and paths[0].is_file() and paths[0].stat().st_size <= LARGE_FILES:
            try:
                rows = source_rows(source, name=place, seed=0)
                found[place] = sum(not isinstance(row, UnreadableAnswer) for row in rows)
            except ThinklessError:  # the check of the sources says it
                found[place] = None
    return found


def _first_recorded(teacher: TeacherConfig, mode: Mode) -> str:
    source = teacher.replayed()
    if source is None:
        (place,) = local_paths_in(teacher)
        found = teacher.build(tokenizer=None).completions(mode)
    else:
        few = source.few(FIRST_ROWS)
        place, found = few.place(), teacher.recorded_rows(few, mode)
    rows = list(islice(found, FIRST_ROWS))
    usable = sum(_can_be_replayed(recorded) for _, recorded in rows)
    return f"{place}: {usable} of the first {len(rows)} rows hold a completion that can be replayed"


def _can_be_replayed(recorded: Recorded) -> bool:
    if isinstance(recorded, str) or recorded is None:
        return bool(recorded)
    return any(not answer.fault for answer in recorded)


def _whole(config: PipelineConfig, into: list[ProblemSet]) -> str:
    from thinkless_core.problems.problem_set import build_problem_set

    made = build_problem_set(config.problems)
    into.append(made)
    sizes = {split: sum(p.split is split for p in made.problems) for split in ProblemSplit}
    first = made.problems[-1]
    notes = "".join(f"\n{note}" for note in made.notes)
    return (
        f"{len(made.problems)}: {sizes[ProblemSplit.SFT]} for warm-up, {sizes[ProblemSplit.RL]} for RL, "
        f"{sizes[ProblemSplit.TEST]} held out; drops {dict(made.drops)}; for example {shortened(first.question)!r} -> "
        f"{first.answer!r}{notes}"
    )
