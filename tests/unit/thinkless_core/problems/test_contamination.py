"""Training problems that a benchmark holds: same text, shared words, turns of phrase; and what real data sets share."""

from __future__ import annotations

import time

import pytest

from schemas.configs.presets import PresetSource
from schemas.configs.problems import ProblemsConfig
from schemas.configs.source import SourceProblem
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.removed_problems import RemovedProblem
from tests.real_data import real_data
from thinkless_core.problems.contamination import HeldOut, bare_text, ngrams, words_of
from thinkless_core.problems.problem_set import ProblemSet, build_problem_set

LONG = "A train leaves at noon and travels at sixty miles per hour for three hours. How far does it go?"


def held(*prompts: str) -> list[Problem]:
    """Problems of benchmark `b`."""
    return [
        Problem(
            problem_id=f"b-{i}", prompt=prompt, answer="1", difficulty=None, split=ProblemSplit.TEST, benchmark="b",
            source="s",
        )
        for i, prompt in enumerate(prompts)
    ]  # fmt: skip


def find(
    benchmark: list[Problem], *prompts: str, n: int = 13, common: int = 10, least: float = 0.42
) -> list[RemovedProblem | None]:
    """What each prompt shares with the benchmark."""
    held_out = HeldOut(benchmark, ngram_words=n, common_ngram_problems=common, min_shared_share=least)
    return list(held_out.find([SourceProblem(prompt, "1", source=f"row {i}") for i, prompt in enumerate(prompts)]))


def test_words_are_runs_of_letters_or_digits_in_lower_case() -> None:
    assert words_of(r"Find $\frac{3}{4}x_1$, Ångström's 12kg!") == [
        "find", "frac", "3", "4", "x", "1", "ångström", "s", "12", "kg",
    ]  # fmt: skip
    assert words_of("A\u030angstro\u0308m") == words_of("Ångström"), "one spelling of composed letters"
    assert list(ngrams(["a", "b", "c"], 2)) == ["a b", "b c"]
    assert list(ngrams(["a", "b", "c"], 4)) == list(ngrams(["a"], 0)) == []


def test_shared_words_are_found_through_case_punctuation_and_latex() -> None:
    copy = r"Once: a TRAIN, leaves at noon -- and travels at $sixty$ miles per hour, for three days"
    (found,) = find(held("other", LONG), copy)
    assert found is not None
    assert (found.match, found.benchmark, found.benchmark_problem_id, found.source) == ("ngram", "b", "b-1", "row 0")
    assert found.shared == "a train leaves at noon and travels at sixty miles per hour for"
    # 16 words make four runs of 13: `once ...` is new, the next two are shared, the one that ends in `days` is new.
    assert found.shared_share == 2 / 4
    # Two runs of 13 in a row are 14 words, of the 16 of the shorter text.
    assert found.shared_words_share == 14 / 16
    assert found.shared_text == "a TRAIN, leaves at noon -- and travels at $sixty$ miles per hour, for three"


def test_one_word_less_in_common_is_no_match() -> None:
    words = words_of(LONG)
    thirteen, twelve = " ".join(words[2:15]), " ".join(words[2:14])
    assert [found is not None for found in find(held(LONG), f"x {thirteen} y", f"x {twelve} y")] == [True, False]
    assert find(held(LONG), f"x {twelve} y", n=12) != [None]
    assert find(held(LONG), f"x {thirteen} y", n=0) == [None], "0 compares whole texts only"


def test_a_short_problem_matches_by_its_text_alone_and_its_signs_count() -> None:
    assert bare_text(" What is\n3 + 4? ") == "whatis3+4?"
    same, minus, longer = find(held("What is 3+4?"), "what is 3 + 4 ?", "What is 3-4?", f"What is 3+4? {LONG}")
    assert same is not None
    assert (same.match, same.shared, same.shared_share) == ("text", "what is 3 + 4 ?", 1.0)
    assert (same.shared_text, same.shared_words_share) == ("what is 3 + 4 ?", 1.0)
    assert minus is None
    assert longer is None


def test_a_turn_of_phrase_is_no_match_unless_it_is_most_of_the_problem() -> None:
    phrase = "can be written as m over n where m and n are relatively prime positive integers find m plus n"
    own = [f"problem {'abcdefghijkl'[i]} " + " ".join(f"w{i}x{j}" for j in range(30)) + f" {phrase}" for i in range(12)]
    benchmark = held(f"Eight circles are tangent and their radius {phrase}")
    assert find(benchmark, *own) == [None] * 12, "twelve problems share it: over 10"
    assert all(found is not None for found in find(benchmark, *own[:10])), "ten do: not over 10"
    assert all(found is not None for found in find(benchmark, *own, common=12))
    variants = [f"Number {i}: its radius {phrase}" for i in range(12)]
    found = find(benchmark, *variants)
    assert all(one is not None and one.shared_share >= 0.5 for one in found), "variants do not hide each other"


def other_words(number: int, *, begin: str) -> str:
    """Words that no other text has."""
    return " ".join(f"{begin}{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{'abcdefgh'[i // 26]}" for i in range(number))


BOILERPLATE = {
    "the closing sentence of a competition": "where $m$ and $n$ are relatively prime positive integers. Find $m+n$ so.",
    "how to write the answer": "Express your answer in the form $a + b \\sqrt{c}$ where $a$ and $b$ are whole numbers.",
    "the rule of a drawing": "for (int i = -8; i <= 8; ++i) { draw((i,-8)--(i,8),gray(0.7)); draw((-8,i)--(8,i)); }",
}


@pytest.mark.parametrize("name", BOILERPLATE)
def test_boilerplate_of_two_long_problems_weighs_too_little_to_remove_one(name: str) -> None:
    said = BOILERPLATE[name]
    benchmark = held(f"{other_words(40, begin='b')} {said}")
    assert find(benchmark, f"{other_words(40, begin='t')} {said}") == [None]
    (found,) = find(benchmark, f"{other_words(40, begin='t')} {said}", least=0)
    assert found is not None, "0 removes whatever shares thirteen words"
    num_said = len(words_of(said))
    assert found.shared_words_share == num_said / (40 + num_said)
    assert found.shared_text == said.rstrip(".; })")


def test_a_copy_is_found_inside_a_longer_text_with_other_numbers_and_in_passages() -> None:
    inside, numbers, passages = find(
        held(LONG, other_words(60, begin="b")),
        f"{other_words(200, begin='t')} {LONG}",
        LONG.replace("three hours", "seven days"),
        f"{other_words(60, begin='b')[:77]} Or: {other_words(60, begin='b')[-77:]}",
    )
    assert inside is not None
    assert (inside.shared_words_share, inside.shared_text) == (1.0, LONG.rstrip("?"))
    assert numbers is not None
    assert numbers.shared_words_share == 13 / 20
    assert passages is not None
    first, gap, second = passages.shared_text.partition(" ... ") if passages.shared_text else ("", "", "")
    assert (first, gap, second) == (other_words(60, begin="b")[:75], " ... ", other_words(60, begin="b")[-75:])


def test_the_benchmark_problem_of_which_the_most_is_shared_is_named() -> None:
    phrase = "where m and n are relatively prime positive integers find m plus n at last"
    benchmark = held(f"{other_words(9, begin='b')} {phrase}", f"{other_words(9, begin='t')} {phrase}")
    (found,) = find(benchmark, f"{other_words(9, begin='t')} {phrase}, please")
    assert found is not None
    assert found.benchmark_problem_id == "b-1"


def read_real(training: str, name: str, benchmark_file: str, benchmark: str, **settings: float) -> ProblemSet:
    """The problem set of one real training file and one real benchmark."""
    config = ProblemsConfig.model_validate(
        {
            "source": PresetSource(name=name, path=str(real_data(training))),
            "benchmarks": {benchmark: PresetSource(name=benchmark, path=str(real_data(benchmark_file)))},
            **settings,
        }
    )
    return build_problem_set(config)


def test_what_gsm8k_train_shares_with_its_test_split() -> None:
    began = time.process_time()
    made = read_real("gsm8k_train.jsonl", "gsm8k", "gsm8k_test.jsonl", "gsm8k")
    assert time.process_time() - began < 60, "hash sets: under a second where nothing else runs"
    assert made.drops == {"contaminated_ngram": 3}
    assert sum(p.split is not ProblemSplit.TEST for p in made.problems) == 7473 - 3
    assert "bought stamps at the post office some of the stamps had a snowflake" in {r.shared for r in made.removed}


@pytest.mark.parametrize(
    ("common", "least", "num_removed"), [(10, 0.0, 105), (10**9, 0.0, 158), (10, 0.42, 59), (10**9, 0.42, 70)]
)
def test_what_math_train_shares_with_math_500(common: int, least: float, num_removed: int) -> None:
    settings = {"common_ngram_problems": common, "min_shared_share": least}
    made = read_real("math_train.json", "math", "math500.json", "math500", **settings)
    assert made.drops == {
        "duplicate": 1,
        "contaminated_ngram": num_removed,
        "unreadable_answer": 4,  # two answers are null, two are empty
    }
    assert len(made.removed) == num_removed
    # Rows, less the unreadable, the duplicate and the removed.
    assert sum(p.split is not ProblemSplit.TEST for p in made.problems) == 7474 - 4 - 1 - num_removed


@pytest.mark.parametrize(("least", "num_removed"), [(0.0, 27), (0.42, 0)])
def test_math_train_shares_only_closing_sentences_with_aime_24(least: float, num_removed: int) -> None:
    made = read_real("math_train.json", "math", "aime24.json", "aime24", min_shared_share=least)
    assert made.drops["contaminated_ngram"] == num_removed
    assert all((r.shared_words_share or 0) <= 0.4 for r in made.removed)
