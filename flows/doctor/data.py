"""Whether problems and recordings can be read: everything that lies on this machine, of other places the first rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path

from flows.doctor.finding import Finding, checked
from flows.doctor.needs import HubData, hub_data, sources
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.problems import HubSource, LocalSource, PresetSource, ProceduralSource, Source, source_paths
from schemas.configs.teach import RecordedTeacher, WorkedSolutionsTeacher
from schemas.errors import ThinklessError
from schemas.mode import Mode
from schemas.records.problems import ProblemSplit

FIRST_ROWS = 50
LARGE_FILES = 200 * 10**6
"""Bytes of local files above which they, too, are looked at by their first rows alone."""


def problems(config: PipelineConfig, *, unreached: Collection[str]) -> Iterator[Finding]:
    """Every source: put together as a run would where all lie here, else by first rows; `unreached` are left out."""
    found = sources(config)
    missing = [
        Finding(place, False, f"{path}: no such file; check its path (relative to the current directory)")
        for place, source in found.items()
        for path in source_paths(source)
        if not Path(path).exists()
    ]
    yield from missing
    remote = {place: data for place, data in hub_data(config) if place in found}
    paths = [Path(path) for source in found.values() for path in source_paths(source)]
    if not missing and not remote and sum(p.stat().st_size for p in paths) <= LARGE_FILES:
        yield checked("problems", lambda: _whole(config))
        return
    for place, source in found.items():
        skipped = place in remote and remote[place].id in unreached
        if not skipped and not any(finding.name == place for finding in missing):
            yield checked(place, lambda source=source: first_rows(source))


def recordings(config: PipelineConfig, *, unreached: Collection[str]) -> Iterator[Finding]:
    """Every recorded teacher."""
    remote = dict(hub_data(config))
    for mode, side in config.teach.sides().items():
        teacher, place = side.teacher, f"teach.{mode}"
        if not isinstance(teacher, RecordedTeacher | WorkedSolutionsTeacher):
            continue
        absent = [path for path in teacher.local_paths() if not Path(path).exists()]
        if absent:
            yield Finding(place, False, f"{absent[0]}: no such file; check teach.*.teacher")
        elif teacher.source is None:
            yield Finding(place, True, f"{teacher.path}")
        elif place not in remote or remote[place].id not in unreached:
            yield checked(place, lambda teacher=teacher, mode=mode: _first_recorded(teacher, mode))


def is_cached(data: HubData) -> bool:
    """Whether a Hub data set can be read without the Hub; asked while the client stays offline."""
    try:
        first_rows(data.source, streaming=False)
    except ThinklessError:
        return False
    return True


def first_rows(source: Source, *, streaming: bool = True) -> str:
    """The first rows of a source as problems; raises SourceError or Transient."""
    from thinkless_core.problems.problem_sources import read_source

    if isinstance(source, ProceduralSource):
        few = source.model_copy(update={"num_problems": min(source.num_problems, FIRST_ROWS)})
        read, rows = read_source(few, name="doctor", seed=0), FIRST_ROWS
    else:
        read = read_source(_few(source, streaming=streaming), name="doctor", seed=0)
        rows = len(read.problems) + len(read.unreadable)
    first = read.problems[0]
    skipped = f", {len(read.unreadable)} of the first {rows} rows have no readable answer" if read.unreadable else ""
    return f"{first.source}: {shortened(first.prompt)!r} -> {first.answer!r}{skipped}"


def shortened(text: str, *, longest: int = 60) -> str:
    """The beginning of a text."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def counts(config: PipelineConfig) -> Mapping[str, int | None]:
    """Numbers of problems by place, at most: read where files are small, known of presets, else None."""
    from thinkless_core.estimates.work_estimate import num_problems
    from thinkless_core.problems.problem_sources import read_source

    found: dict[str, int | None] = {}
    for place, source in sources(config).items():
        found[place] = num_problems(source)
        paths = [Path(path) for path in source_paths(source)]
        if paths and paths[0].is_file() and paths[0].stat().st_size <= LARGE_FILES:
            try:
                found[place] = len(read_source(source, name=place, seed=0).problems)
            except ThinklessError:  # said where sources are checked
                found[place] = None
    return found


def _few(source: LocalSource | HubSource | PresetSource, *, streaming: bool) -> LocalSource | HubSource:
    """The same source, of which only the first rows are read, and none refused for its answers."""
    from thinkless_core.problems.presets import resolve_preset

    whole = resolve_preset(source) if isinstance(source, PresetSource) else source
    changes: dict[str, object] = {"limit": min(whole.limit or FIRST_ROWS, FIRST_ROWS), "max_unreadable_share": 1.0}
    return whole.model_copy(update=changes | ({"streaming": streaming} if isinstance(whole, HubSource) else {}))


def _first_recorded(teacher: RecordedTeacher | WorkedSolutionsTeacher, mode: Mode) -> str:
    from thinkless_core.problems.problem_sources import read_solutions, read_traces

    assert teacher.source is not None
    few = _few(teacher.source, streaming=True)
    if mode is Mode.THINK and isinstance(teacher, RecordedTeacher):
        read = read_traces(few, field=teacher.completion_field)
    else:
        assert teacher.completion_field is not None
        read = read_solutions(few, field=teacher.completion_field)
    rows = list(islice(read, FIRST_ROWS))
    usable = sum(text is not None for _, text in rows)
    name = few.path if isinstance(few, LocalSource) else few.id
    return f"{name}: {usable} of the first {len(rows)} rows hold a completion that can be replayed"


def _whole(config: PipelineConfig) -> str:
    from thinkless_core.problems.problem_set import build_problem_set

    made = build_problem_set(config.problems)
    sizes = {split: sum(p.split is split for p in made.problems) for split in ProblemSplit}
    first = made.problems[-1]
    return (
        f"{len(made.problems)}: {sizes[ProblemSplit.SFT]} for warm-up, {sizes[ProblemSplit.RL]} for RL, "
        f"{sizes[ProblemSplit.TEST]} held out; drops {made.drops}; for example {shortened(first.question)!r} -> "
        f"{first.answer!r}"
    )
