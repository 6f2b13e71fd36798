"""How long texts are, and how many rows a large file has: seen in the first rows of what is on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.doctor.data import FIRST_ROWS
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.source import Recorded, SourceConfig
from schemas.configs.stage import local_paths_in
from schemas.errors import ThinklessError
from schemas.mode import Mode
from thinkless_core.estimates.data_sizes import KnownData


def known_data(config: PipelineConfig, *, problems: Mapping[str, int | None]) -> KnownData:
    """What is known of the data; nothing is fetched from the Hub for it."""
    prompts = list(_prompts(config.problems.source))
    answers = {mode: list(_answers(config, mode)) for mode in Mode}
    texts = [*prompts, *(text for of_mode in answers.values() for text in of_mode)]
    return KnownData(
        problems={**problems, "source": problems["source"] or rows_of_large_file(config.problems.source)},
        prompt_bytes=_mean(prompts),
        answer_bytes={mode: mean for mode, of_mode in answers.items() if (mean := _mean(of_mode)) is not None},
        packed=_packed(texts),
    )


def source_bytes(config: PipelineConfig) -> int:
    """Bytes of all files on this machine that problems and recorded answers are read from."""
    paths = {*local_paths_in(config.problems), *(p for s in config.teach.sides().values() for p in local_paths_in(s))}
    return sum(Path(path).stat().st_size for path in paths if Path(path).is_file())


def rows_of_large_file(source: SourceConfig) -> int | None:
    """About how many rows a file of lines or a Parquet file has, without reading it; None for anything else."""
    path = next((Path(path) for path in source.local_paths()), None)
    if path is None or not path.is_file():
        return None
    if path.suffix == ".parquet":
        try:
            found = int(pq.read_metadata(path).num_rows)
        except (OSError, pa.ArrowException):  # the check of the sources says it
            return None
    elif path.suffix in (".jsonl", ".ndjson"):
        with path.open("rb") as file:
            lines = list(islice(file, FIRST_ROWS))
        found = round(path.stat().st_size * len(lines) / max(sum(map(len, lines)), 1))
    else:
        return None
    return min(found, source.most_problems() or found)


def _prompts(source: SourceConfig) -> Iterator[str]:
    if source.hub_data() is not None:
        return
    from thinkless_core.problems.problem_sources import read_source

    try:
        read = read_source(source.few(FIRST_ROWS), name="doctor", seed=0, limit=FIRST_ROWS)
        yield from (problem.prompt for problem in read.problems)
    except ThinklessError:  # the check of the sources says it
        return


def _answers(config: PipelineConfig, mode: Mode) -> Iterator[str]:
    """Recorded answers of one mode in the first rows, one of each: the first is the one that is usually taken."""
    teacher = config.teach.sides()[mode].teacher
    if not isinstance(teacher, RecordedTeacher):
        return
    source = teacher.replayed()
    if source is not None and source.hub_data() is not None:
        return
    try:
        if source is None:
            rows = teacher.build(tokenizer=None).completions(mode)
        else:
            rows = teacher.recorded_rows(source.few(FIRST_ROWS), mode)
        yield from filter(None, (_first(recorded) for _, recorded in islice(rows, FIRST_ROWS)))
    except ThinklessError:  # the check of the recordings says it
        return


def _first(recorded: Recorded) -> str:
    if recorded is None or isinstance(recorded, str):
        return recorded or ""
    return next((answer.thought + answer.text for answer in recorded if not answer.fault), "")


def _mean(texts: Sequence[str]) -> int | None:
    return round(sum(len(_bytes(text)) for text in texts) / len(texts)) if texts else None


def _packed(texts: Sequence[str]) -> float | None:
    """The share of texts that zstd leaves."""
    content = _bytes("\n".join(texts))
    if not content:
        return None
    return round(len(pa.Codec("zstd").compress(content)) / len(content), 3)


def _bytes(text: str) -> bytes:
    """Half of a surrogate pair, which JSON can hold, is no reason to fail."""
    return text.encode(errors="surrogatepass")
