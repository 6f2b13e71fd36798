"""How long texts are and how many rows a large file has, from its first rows; and what the doctor makes of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.doctor import data, estimates, machine
from flows.doctor.first_texts import known_data, rows_of_large_file, source_bytes
from flows.doctor.machine import Hardware, Plan
from schemas.configs.loading import load_config
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.problems import LocalSource
from schemas.mode import Mode
from tests.problem_rows import write
from thinkless_core.estimates.data_sizes import Sizes, StageData, stage_data
from thinkless_core.estimates.work_estimate import Machine

THOUGHT = "so it is more "


def recorded(path: Path, *overrides: str) -> PipelineConfig:
    """Problems and both sides from one file."""
    source = f'{{kind="local", path="{path}"}}'
    sides = [
        f'teach.{side}.teacher={{kind="recorded", completion_field="{field}", source={source}}}'
        for side, field in (("think", "trace"), ("short", "solution"))
    ]
    return load_config("tiny", overrides=[f"problems.source={source}", *sides, *overrides])


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    return write(
        tmp_path / "t.jsonl",
        [
            {"prompt": f"{n:04}+1=?", "answer": "1", "trace": f"<think>{THOUGHT * 100}</think>1", "solution": "is 1"}
            for n in range(200)
        ],
    )


def test_lengths_are_those_of_the_first_rows(traces: Path) -> None:
    config = recorded(traces, "teach.think.max_tokens=5000")
    known = known_data(config, problems=data.counts(config))
    assert known.problems["source"] == 200
    assert known.prompt_bytes == 8
    assert known.answer_bytes == {Mode.THINK: len(f"<think>{THOUGHT * 100}</think>1"), Mode.SHORT: 4}
    assert known.packed is not None
    assert known.packed < 0.1, "one text again and again"
    assert source_bytes(config) == traces.stat().st_size, "a file that three places read is counted once"
    sizes = Sizes.of(config, known)
    assert (sizes.taught, sizes.packed, sizes.assumed) == (200, known.packed, ())
    assert Sizes.of(recorded(traces, "teach.think.max_tokens=50"), known).answers[Mode.THINK] == 200


def test_half_of_a_surrogate_pair_has_a_length(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{"prompt": "1+1=?", "answer": "2", "trace": "\ud83d", "solution": "is 2"}] * 2)
    config = recorded(path)
    assert known_data(config, problems=data.counts(config)).answer_bytes[Mode.THINK] == 3


def test_what_was_not_seen_is_assumed_and_said(tmp_path: Path) -> None:
    config = load_config("paper")
    known = known_data(config, problems=data.counts(config))
    assert (known.prompt_bytes, known.answer_bytes, known.packed) == (None, {}, None)
    sizes = Sizes.of(config, known)
    lines = "\n".join(estimates.data_table([], sizes, source_bytes=0))
    assert sizes.taught == 1_143_205
    for said in ("p = 500 bytes (assumed)", "t = 16.4 kB (assumed)", "s = 2.05 kB (assumed)", "z = 0.4 (assumed)"):
        assert said in lines


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_large_file_has_about_as_many_rows_as_its_bytes_say(
    ending: str, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = traces.with_suffix(ending)
    if ending == ".parquet":
        pq.write_table(pa.table({"prompt": ["1"] * 200, "answer": ["1"] * 200}), path)
    monkeypatch.setattr(data, "LARGE_FILES", 100)
    config = recorded(path)
    assert data.counts(config)["source"] is None
    assert known_data(config, problems=data.counts(config)).problems["source"] == pytest.approx(200, rel=0.02)
    assert rows_of_large_file(LocalSource(path=str(path), limit=7)) == 7
    assert rows_of_large_file(LocalSource(path=str(path.with_name(f"absent{ending}")))) is None


def test_rows_that_do_not_fit_into_memory_or_on_the_disk_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(tmp_path))
    pairs = StageData("pairs", memory=3 * 10**9, working=10**18, stays=10**17, formula="A")
    little, enough = (Hardware(2, gigabytes * 10**9, (), 0) for gigabytes in (2, 4))
    plan = Plan(Machine.cpu(2), None, gpus_missing=False)
    (found,) = machine.data_memory([pairs], None, plan, little)
    assert found.text == (
        "pairs needs about 3.0 GB of main memory, 3.0 GB of it for rows and texts, and 2.0 GB are free; give "
        "problems.source a lower limit"
    )
    assert list(machine.data_memory([pairs], None, plan, enough)) == []
    full = machine.disk(None, [pairs], 0, rows_known=False)
    assert not full.fine
    assert "1000000000.0 GB of data" in full.text
    assert "more than this: the student's size and the number of problems are not known" in full.text
    assert machine.disk(None, [], 0, rows_known=True).text.count("not known") == 1


def test_an_endpoints_replies_are_kept_twice() -> None:
    def teach(*overrides: str) -> StageData:
        config = load_config("tiny", overrides=overrides)
        known = known_data(config, problems={"source": 1000})
        stages = stage_data(config, Sizes.of(config, known), known.problems, generated={})
        return next(stage for stage in stages if stage.stage == "teach short")

    asked = teach(
        *(f"teach.short.teacher.{key}" for key in ("kind=openai", "model=m", "base_url=http://localhost:1/v1"))
    )
    assert asked.stays - teach().stays > 700 * 2048
    assert asked.formula.endswith("and the replay cache")
