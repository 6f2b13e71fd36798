"""The warm-up tokenises its pairs once; only a whole file of this tokenizer and these pairs is used again."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra import disk
from schemas.artifact import Artifact
from schemas.configs.sft import SftConfig
from schemas.errors import StoreError
from schemas.records.pairs import Pair
from tasks import train_sft
from tasks.running.parquet_files import write_records
from tasks.running.stage import StagePlan, make_plan
from tests.specimens import make_pairs, make_student, sft_config
from thinkless_core.student.model_files import save_folder
from thinkless_core.student.tiny_model import tiny_tokenizer
from thinkless_core.training import tokenised_pairs
from thinkless_core.training.sided_samples import pair_samples

PAIRS = make_pairs(5, validation_share=0.2)


@dataclass
class Listener:
    """What a build said."""

    shares: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __call__(self, done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        assert (done, total) == (0, 10)
        self.shares += [numbers["tokenised"]] if numbers else []
        self.notes += notes


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of both inputs."""
    home = tmp_path_factory.mktemp("home")
    save_folder(make_student(), tiny_tokenizer(), home / "base" / "model")
    (home / "pairs").mkdir()
    write_records(home / "pairs" / Pair.FILE, Pair, PAIRS)
    return home


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path


def plan_of(home: Path, *, base: str = "a tokenizer") -> StagePlan[SftConfig]:
    inputs = tuple(
        Artifact(stage=stage, key=stage, digest=digest, path=str(home / stage), rows=0)
        for stage, digest in (("base", base), ("pairs", "some pairs"))
    )
    return make_plan(train_sft.TrainSft(), sft_config(), inputs=inputs)


def test_many_pairs_are_tokenised_with_news_and_once(
    home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenised_pairs, "PAIRS_AT_ONCE", 2)
    first, again = Listener(), Listener()
    found = train_sft.tokenise(plan_of(home), workspace, first)
    assert first == Listener(shares=[0.4, 0.8, 1.0])
    expected = pair_samples([pair for pair in PAIRS if pair.split == "train"], tokenizer=tiny_tokenizer())
    assert found.samples(found.rows("train")).in_memory() == expected
    assert train_sft.tokenise(plan_of(home), workspace, again).table.equals(found.table)
    assert again == Listener(), "a whole file is mapped in silence"


def test_a_few_long_pairs_are_tokenised_with_news_too(
    home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenised_pairs, "CHARACTERS_AT_ONCE", 1)
    listener = Listener()
    train_sft.tokenise(plan_of(home), workspace, listener)
    assert listener == Listener(shares=[0.2, 0.4, 0.6, 0.8, 1.0])


def test_few_pairs_are_tokenised_in_silence(home: Path, workspace: Path) -> None:
    listener = Listener()
    train_sft.tokenise(plan_of(home), workspace, listener)
    assert listener == Listener()


def test_a_file_of_another_tokenizer_or_half_of_one_is_named_and_never_used(home: Path, workspace: Path) -> None:
    file = workspace / train_sft.TOKENS
    whole = train_sft.tokenise(plan_of(home), workspace, Listener())
    train_sft.tokenise(plan_of(home, base="another"), workspace, Listener())
    foreign = file.read_bytes()
    for content, why in ((foreign, "was made from another tokenizer"), (foreign[:-9], "is not a whole Arrow file")):
        file.write_bytes(content)
        file.with_suffix(".part").write_bytes(b"of a process that was killed")
        listener = Listener()
        found = train_sft.tokenise(plan_of(home), workspace, listener)
        assert found.table.equals(whole.table, check_metadata=True)
        (note,) = listener.notes
        assert note.startswith(f"{file} {why}")
        assert note.endswith("pairs are tokenised anew")
        assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_full_disk_is_named_and_leaves_nothing_behind(
    home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, record: type[Pair]) -> Iterator[Pair]:
        yield PAIRS[0]
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(train_sft, "iter_records", full)
        with pytest.raises(StoreError, match=r"cannot write .*tokens\.arrow: no space left .*: free some space"):
            train_sft.tokenise(plan_of(home), workspace, Listener())
    assert not list((workspace / "scratch").iterdir())
    assert len(train_sft.tokenise(plan_of(home), workspace, Listener()).table) == len(PAIRS)


def test_a_disk_that_is_full_in_the_middle_of_the_file_is_named_and_the_next_build_goes_on(
    home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses to let a file grow, which stands in for a full disk: a write fails half-way."""
    whole = train_sft.tokenise(plan_of(home), workspace, Listener())
    (workspace / train_sft.TOKENS).unlink()
    monkeypatch.setitem(disk._REASONS, errno.EFBIG, disk._REASONS[errno.ENOSPC])
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, before[1]))
        with pytest.raises(StoreError, match=r"cannot write .*tokens\.arrow: no space left on the device; expected"):
            train_sft.tokenise(plan_of(home), workspace, Listener())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list((workspace / "scratch").iterdir())
    assert train_sft.tokenise(plan_of(home), workspace, Listener()).table.equals(whole.table)
