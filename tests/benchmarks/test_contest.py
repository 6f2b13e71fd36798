"""The benchmarks' own machinery: whose turn it is, what a ratio is, and that hand-written notes survive."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.contest import Contestant, ratio_of, run_contest
from tests.benchmarks.flops import training_flops
from tests.benchmarks.models import build_model
from tests.benchmarks.page import BEGIN, END, insert
from tests.benchmarks.row import number, spread
from thinkless_core.student.rendering import Sample


def writer(letter: str, *, to: Path, max_rounds: int | None = None) -> Contestant:
    """A side whose every step leaves a letter in a file."""
    program = f"open({str(to)!r}, 'a').write({letter!r})"
    spec = {
        "arguments": ["python", "-c", program],
        "home": str(to.parent),
        "threads": 1,
        "warmup_steps": 1,
        "steps_per_turn": 2,
    }
    return Contestant("commands", "command", spec, letter, max_rounds)


def test_sides_take_turns_after_a_warm_up_and_the_order_alternates(tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    results = run_contest([writer("a", to=steps), writer("b", to=steps)], repeats=3, log_dir=tmp_path / "logs")
    assert steps.read_text() == "abaabbbbaaaabb"  # warm-up of one step each, then turns of two
    assert [[turn.steps for turn in result.turns] for result in results] == [[2, 2, 2], [2, 2, 2]]
    assert all(turn.seconds > 0 for result in results for turn in result.turns)
    assert all(result.memory["host"] >= result.memory["before"] > 1e6 for result in results)


def test_a_slow_side_may_take_part_in_the_first_rounds_only(tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    sides = [writer("a", to=steps), writer("b", to=steps, max_rounds=1)]
    results = run_contest(sides, repeats=2, log_dir=tmp_path / "logs")
    assert steps.read_text() == "abaabbaa"
    assert [len(result.turns) for result in results] == [2, 1]


def test_a_side_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    broken = writer("a", to=tmp_path / "no-such-folder" / "steps")
    with pytest.raises(RuntimeError, match=r"(?s)a \(commands:command\) ended with 1 .*No such file or directory"):
        run_contest([broken], repeats=1, log_dir=tmp_path / "logs")


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # 8/4 = 2, 9/3 = 3, 10/10 = 1; medians alone would give 9/4.
    ratio = ratio_of([8.0, 9.0, 10.0], [4.0, 3.0, 10.0])
    assert (ratio.median, ratio.lowest, ratio.highest) == (2.0, 1.0, 3.0)
    assert str(ratio) == "2.00 (1.00-3.00)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012345, "0.0123"),
        (1.5, "1.5"),
        (12.345, "12.3"),
        (123.4, "123"),
        (98_765.4, "98,800"),
        (1_234_567.0, "1,230,000"),
    ],
)
def test_numbers_are_written_with_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_spread_is_the_median_with_the_extremes() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2 (1-3)"


def test_the_flops_of_a_step_are_those_it_cannot_do_without() -> None:
    model = build_model("tiny")
    # 3 layers of 4 x 96 x 96 attention and 3 x 96 x 288 MLP weights: 359,424. One prompt token, shared; of the
    # completions (2 and 3 tokens) all are predicted and all but the last computed, after 1 + 1 and 1 + 1, 1 + 2 tokens.
    assert model.config.vocab_size == 264
    needed = 6 * 359_424 * (1 + 1 + 2) + 6 * 264 * 96 * (2 + 3) + 12 * 3 * 96 * (1 + 2 + 2 + 3)
    assert training_flops(model, [Sample((9,), (5, 1)), Sample((9,), (6, 8, 1))]) == needed


def test_a_new_section_replaces_the_old_one_and_leaves_what_was_written_by_hand(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    insert("old numbers", page)
    page.write_text(page.read_text().replace("## Profiles", "## Profiles\n\nSoftmax was a third of the step."))
    insert("new numbers", page)
    text = page.read_text()
    assert "old numbers" not in text
    assert text.index("# Benchmarks") < text.index(BEGIN) < text.index("new numbers") < text.index(END)
    assert text.endswith("## Profiles\n\nSoftmax was a third of the step.\n")


def test_a_page_that_lost_its_markers_is_not_written(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("notes")
    with pytest.raises(AssertionError, match="restore the two markers"):
        insert("numbers", page)
    assert page.read_text() == "notes"
