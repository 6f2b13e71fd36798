"""Program of a grading process: compares two values with math-verify, one pair per line, until its input ends.

line {answer, reference, seconds} -> math-verify -> line {outcome}

The time limit is the kernel's: at its end the default action of SIGPROF (processor time) or SIGALRM (wall time) ends
the process, in whatever C loop it is. A handler or a thread could not, for Python runs neither before the loop ends.
The pool sees the signal as exit status and starts another process. Run by its path and importing nothing of the
project, so that it starts wherever the interpreter does.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys

READY = "ready"
"""First line of a process that has loaded math-verify; only then does the clock of a pair begin."""
MEMORY_BYTES = 2 * 2**30
"""Address space of a grading process: an input that grows without bound meets this wall."""
WALL_PER_CPU = 6.0
"""Wall seconds allowed per second of processor time, for a machine that others use as well."""


def compare(answer: str, reference: str) -> str:
    """`equal`, `different`, or `unparsable` if math-verify cannot read one of the two values (LaTeX, no `$`).

    Runs without math-verify's own time limits; raises nothing but what ends a process.
    """
    from math_verify import LatexExtractionConfig, parse, verify

    settings = [LatexExtractionConfig()]
    try:
        gold = parse(f"${reference}$", settings, fallback_mode="no_fallback", parsing_timeout=None)
        target = parse(f"${answer}$", settings, fallback_mode="no_fallback", parsing_timeout=None)
        if not gold or not target:
            return "unparsable"
        equal = verify(gold, target, timeout_seconds=None) and not _numbers_differ(gold[0], target[0])
        return "equal" if equal else "different"
    except (Exception, RecursionError, MemoryError):  # noqa: BLE001 - whatever a value does to sympy, it is that value's fault
        return "unparsable"


def _numbers_differ(first: object, second: object) -> bool:
    """Whether two exact numbers, which math-verify compares at six decimal places, differ in their first 30 digits."""
    from sympy import Abs, Expr, Float, N

    exact = [value for value in (first, second) if isinstance(value, Expr) and value.is_number and not value.has(Float)]
    if len(exact) < 2:
        return False
    sizes = [N(Abs(value), 40) for value in exact]
    return bool(N(Abs(exact[0] - exact[1]), 40) > max(sizes) * N("1e-30", 40))


def main() -> None:
    """Serve pairs from standard input; whatever a library prints goes nowhere, or it would be taken for an outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    outcomes = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    if compare("1+1", "\\frac{4}{2}") != "equal":  # loads sympy and the grammar; a broken one would refuse everything
        sys.exit("math-verify cannot tell that 1+1 is 4/2: its parser does not work in this environment")
    print(READY, file=outcomes, flush=True)
    os.dup2(nowhere, 2)
    for line in sys.stdin:
        pair = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, pair["seconds"])
        signal.setitimer(signal.ITIMER_REAL, pair["seconds"] * WALL_PER_CPU)
        outcome = compare(pair["answer"], pair["reference"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps({"outcome": outcome}), file=outcomes, flush=True)


if __name__ == "__main__":
    main()
