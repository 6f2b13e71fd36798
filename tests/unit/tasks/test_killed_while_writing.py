"""kill -9 while a file is half written: it is never believed, and the next build writes it whole."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.artifact import Artifact
from schemas.configs.sft import SftConfig
from schemas.records.pairs import Pair
from tasks import train_sft
from tasks.running.parquet_files import num_records, write_records
from tasks.running.stage import StagePlan, make_plan
from tests.specimens import make_pairs, make_student, sft_config
from thinkless_core.progress import no_progress
from thinkless_core.student.model_files import save_folder
from thinkless_core.student.tiny_model import tiny_tokenizer

KILLED = """
import os, signal, sys
from pathlib import Path
from tasks.running import parquet_files
from tests.specimens import make_pairs
from infra import row_groups
from thinkless_core.rows import RowFile
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training import tokenised_pairs
from schemas.records.pairs import Pair

def until_killed():
    for number, pair in enumerate(make_pairs(900)):
        if number == 700:
            os.kill(os.getpid(), signal.SIGKILL)
        yield pair

folder = Path(sys.argv[2])
if sys.argv[1] == "tokens":
    tokenised_pairs.PAIRS_AT_ONCE, tokenised_pairs.BYTES_PER_BATCH = 50, 1
    tokenised_pairs.write_tokenised(
        folder / "tokens.arrow", until_killed(), tokenizer=tiny_tokenizer(), context=None, made_from="base pairs",
        on_done=lambda _: None)
elif sys.argv[1] == "chunk":
    row_groups.BYTES_PER_GROUP = 1000
    parquet_files.write_records(folder / "chunk-00000000.parquet", Pair, until_killed())
else:
    rows = RowFile(folder)
    for pair in until_killed():
        rows.append(pair)
        rows[len(rows) - 1]
"""


def kill_in_the_middle(what: str, folder: Path) -> list[str]:
    """Names of what a process leaves that is killed while it writes."""
    folder.mkdir(parents=True, exist_ok=True)
    died = subprocess.run([sys.executable, "-c", KILLED, what, str(folder)], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    return sorted(path.name for path in folder.iterdir() if path.stat().st_size)


@pytest.fixture
def plan(tmp_path: Path) -> StagePlan[SftConfig]:
    """A warm-up whose inputs are what the killed process says its file is made from."""
    save_folder(make_student(), tiny_tokenizer(), tmp_path / "base" / "model")
    (tmp_path / "pairs").mkdir()
    write_records(tmp_path / "pairs" / Pair.FILE, Pair, make_pairs(30))
    inputs = tuple(Artifact(stage=n, key=n, digest=n, path=str(tmp_path / n), rows=0) for n in ("base", "pairs"))
    return make_plan(train_sft.TrainSft(), sft_config(), inputs=inputs)


def test_half_a_file_of_tokens(tmp_path: Path, plan: StagePlan[SftConfig]) -> None:
    scratch = tmp_path / "w" / "scratch"
    assert kill_in_the_middle("tokens", scratch) == ["tokens.part"]
    half = (scratch / "tokens.part").read_bytes()
    found = train_sft.tokenise(plan, tmp_path / "w", no_progress)
    assert len(found.table) == 30
    assert [path.name for path in scratch.iterdir()] == ["tokens.arrow"]
    (scratch / "tokens.arrow").write_bytes(half)  # as if it had got its name
    assert len(train_sft.tokenise(plan, tmp_path / "w", no_progress).table) == 30


def test_half_a_chunk(tmp_path: Path) -> None:
    assert kill_in_the_middle("chunk", tmp_path) == ["chunk-00000000.unfinished"]
    write_records(tmp_path / "chunk-00000000.parquet", Pair, make_pairs(30))
    assert num_records(tmp_path / "chunk-00000000.parquet") == 30
    assert [path.name for path in tmp_path.iterdir()] == ["chunk-00000000.parquet"]


def test_half_a_spool_is_gone_with_its_process(tmp_path: Path) -> None:
    assert kill_in_the_middle("spool", tmp_path) == []
