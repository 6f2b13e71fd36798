"""Row `grading`: 10,000 extracted answers judged, beside math-verify asked about every one of them.

Answers are spelt as GSM8K's and MATH's are: whole numbers with commas, dollars or decimals, fractions, roots,
intervals, sets, expressions; two in three are right. Every turn has answers of its own, so that nothing is remembered.
The peer parses and verifies each pair in process (without its own time limit, which would cost it a signal handler a
call). All spellings are such that both graders ought to agree; where they do not, examples are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks.contest import Contestant, SideResult
from tests.benchmarks.row import Row, Setting, megabytes, speed_up, spread, table
from tests.benchmarks.turns import Side, Spec, Turns

NUM_ANSWERS, QUICK_ANSWERS = 10_000, 300
GSM8K_SHARE = 0.7
"""The rest is spelt as in MATH."""


def draw_answers(num_answers: int, *, seed: int) -> Iterator[tuple[str, str]]:
    """(answer, reference); the spellings of one value vary."""
    from thinkless_core.seeding import random_stream

    stream = random_stream("benchmark-answers", seed)
    for _ in range(num_answers):
        a, b, c = (int(x) for x in stream.integers(2, 100, size=3))
        n = int(stream.integers(0, 200_000))
        wrong = int(stream.integers(3) == 0)
        if stream.random() < GSM8K_SHARE:
            value = n + wrong
            spellings = (f"{value}", f"{value:,}", f"${value:,}", f"{value}.00")
            yield spellings[int(stream.integers(len(spellings)))], str(n)
            continue
        a_given = a + wrong
        pairs = (
            (f"\\dfrac{{{a_given}}}{{{b}}}", f"\\frac{{{a}}}{{{b}}}"),
            (f"{a_given}/{b}", f"\\frac{{{a}}}{{{b}}}"),
            (f"\\frac{{{2 * a_given}}}{{{2 * b}}}", f"\\frac{{{a}}}{{{b}}}"),
            (f"{a_given}\\sqrt{{{b}}}", f"{a}\\sqrt{{{b}}}"),
            (f"\\left({a_given}, {b}\\right)", f"({a},{b})"),
            (f"[{a_given},{a + b + 1})", f"[{a}, {a + b + 1})"),
            (f"{b}x + {a_given}", f"{a}+{b}x"),
            (f"({a_given}+x)({b}-x)", f"(x+{a})({b}-x)"),
            (f"{a_given}\\pi", f"{a} \\pi"),
            (f"\\{{{a_given},{a + b + 1},{a + b + c + 2}\\}}", f"\\{{{a}, {a + b + 1}, {a + b + c + 2}\\}}"),
            (f"{a_given}^\\circ", f"{a}^{{\\circ}}"),
            (f"x^{{{b}}}-{a_given}", f"x^{{{b}}} - {a}"),
        )
        yield pairs[int(stream.integers(len(pairs)))]


def as_hexadecimal(verdicts: Sequence[bool]) -> str:
    """Ten thousand verdicts in little space."""
    return f"{int(''.join('1' if verdict else '0' for verdict in verdicts), 2):x}"


def from_hexadecimal(text: str, num_verdicts: int) -> list[bool]:
    """And back."""
    return [bit == "1" for bit in f"{int(text, 16):0{num_verdicts}b}"]


def ours(spec: Spec, turns: Turns) -> None:
    """Our grader, on the whole batch at once."""
    from thinkless_core.grading.strict import grade_batch

    grade_batch(["\\frac{2}{4}x"], ["\\frac{x}{2}"])  # starts what has to be started
    turns.begin()
    verdicts: list[bool] = []
    for seed in range(1_000):
        cases = list(draw_answers(spec["answers"], seed=seed))
        verdicts = [grade.correct for grade in grade_batch([a for a, _ in cases], [r for _, r in cases])]
        turns.note(**{f"verdicts-{seed}": as_hexadecimal(verdicts)})
        turns.step(answers=len(cases))


def math_verify(spec: Spec, turns: Turns) -> None:
    """math-verify alone."""
    import logging

    from math_verify import LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    settings = [LatexExtractionConfig()]

    def judge(answer: str, reference: str) -> bool:
        gold = parse(f"${reference}$", settings, fallback_mode="no_fallback", parsing_timeout=None)
        target = parse(f"${answer}$", settings, fallback_mode="no_fallback", parsing_timeout=None)
        return bool(gold and target and verify(gold, target, timeout_seconds=None))

    judge("\\frac{2}{4}x", "\\frac{x}{2}")
    turns.begin()
    for seed in range(1_000):
        cases = list(draw_answers(spec["answers"], seed=seed))
        verdicts = [judge(answer, reference) for answer, reference in cases]
        turns.note(**{f"verdicts-{seed}": as_hexadecimal(verdicts)})
        turns.step(answers=len(cases))


SIDES: dict[str, Side] = {"ours": ours, "math_verify": math_verify}


def contests(setting: Setting) -> list[list[Contestant]]:
    """The two."""
    spec = {
        "threads": setting.threads, "warmup_steps": 0, "answers": QUICK_ANSWERS if setting.quick else NUM_ANSWERS,
    }  # fmt: skip
    return [
        [
            Contestant("grading", "ours", spec, "ours, grade_batch"),
            Contestant("grading", "math_verify", spec, "math-verify"),
        ]
    ]


def describe(groups: Sequence[Sequence[SideResult]]) -> str:
    """Speed and agreement."""
    ((us, peer),) = groups
    different: list[str] = []
    total = 0
    for name in sorted(set(us.notes) & set(peer.notes)):
        num_answers = int(us.turns[0].sums["answers"])
        cases = draw_answers(num_answers, seed=int(name.rpartition("-")[2]))
        total += num_answers
        different += [
            f"`{answer}` for `{reference}`: {'right' if a else 'wrong'} here"
            for (answer, reference), a, b in zip(
                cases,
                from_hexadecimal(us.notes[name], num_answers),
                from_hexadecimal(peer.notes[name], num_answers),
                strict=True,
            )
            if a != b
        ]
    lines = [[r.name, spread(r.rates("answers")), megabytes(r)] for r in (us, peer)]
    return (
        table(["side", "answers/s", "peak memory, MB"], lines)
        + f"\n\nOurs is {speed_up(us, peer)} times faster; verdicts differ on {len(different)} of {total:,}"
        + (f" ({'; '.join(different[:3])})." if different else ".")
    )


ROW = Row("grading", "Grading", contests, describe, 3)
