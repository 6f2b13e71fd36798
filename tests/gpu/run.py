"""`python -m tests.gpu run FOLDER --out DIR`: all parts in order, each only if there is time for it.

prepared folder -> session -> parts -> results.json, report.md, completions.jsonl.gz (written again after every part)

A part that fails is reported, and the others go on.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import traceback
from typing import Any, NamedTuple

from schemas.errors import ThinklessError
from tests.gpu.budget import Budget
from tests.gpu.machine import describe, in_words
from tests.gpu.prepared import read_prepared
from tests.gpu.results import Results
from tests.gpu.session import Session, open_session, work_folder


class Part(NamedTuple):
    """One part: a module of this folder with a function `run`."""

    name: str
    least: float
    """Seconds without which it is not begun on a GPU."""


PARTS = (
    Part("parity", 40), Part("drift", 20), Part("speed", 40), Part("sampling", 30), Part("processes", 30),
    Part("vllm", 90), Part("train", 90),
)  # fmt: skip

INTRO = """# On a GPU

What a CPU cannot show, by one command: `make gpu`. A machine that has only torch, transformers, accelerate, pydantic
and gguf needs a copy of the repository and the FOLDER that `python -m tests.gpu prepare FOLDER` wrote elsewhere, and
runs `python -m tests.gpu run FOLDER --out DIR`.

It takes at most `--minutes` (8.5), on one GPU of 24 GB or more, and writes after every part, so that a run that is cut
off leaves what it has. Parts, in this order; `--only` chooses some:

| part | what it shows |
| --- | --- |
| parity | losses of warm-up and RL, gradients, log-probabilities and samples of the GPU beside the CPU's, float32 |
| drift | the same in mixed precision beside float32; KL between the sampling copy and the trainer on sampled tokens |
| speed | tokens per second of warm-up steps, share of the card's peak, memory beside what the doctor estimates |
| sampling | tokens per second of the project's own sampler, memory beside the estimate |
| processes | NCCL and FSDP2 with one process: the sharded trainer's steps beside the plain one's |
| vllm | where it is installed: its speed, and its log-probabilities beside the trainer's |
| train | warm-up, then RL with every objective and seed asked for; each model by task and level |

`--device cpu --steps 2` tries all of it without a GPU; `tests/gpu/test_gpu_command.py` does so in CI."""


def run(options: argparse.Namespace, budget: Budget) -> int:
    """Run the parts; returns the number of those that failed."""
    prepared = read_prepared(options.folder)
    machine = describe(options.device)
    budget.say(in_words(machine))
    intro = f"{INTRO}\n\nWhat follows was written by one run. {in_words(machine)}\n\n{_command(options)}"
    told = {name: value for name, value in vars(options).items() if name not in PATHS}
    head = {"machine": machine, "options": told, "profile": prepared.settings["profile"]}
    results = Results(options.out, doc=options.doc, head=head, intro=intro)
    work = work_folder(options.work)
    try:
        session = open_session(options, prepared, budget, results, work=work)
        results.put("student", {"same": session.same, "settings": session.settings}, session.same)
        failed = [part.name for part in _chosen(options) if not _did(part, session)]
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    budget.say(f"done; {'failed: ' + ', '.join(failed) if failed else 'nothing failed'}; {options.out}")
    return len(failed)


def _chosen(options: argparse.Namespace) -> list[Part]:
    names = options.only.split(",") if options.only else [part.name for part in PARTS]
    known = {part.name: part for part in PARTS}
    return [known[name] for name in names]


def _did(part: Part, session: Session) -> bool:
    """Run one part; whether it did not fail."""
    budget, results = session.budget, session.results
    if not session.small and budget.left() < part.least:
        text = f"Not run: {budget.left():.0f} s were left, {part.least:.0f} are needed at least."
        results.put(part.name, {"skipped": text}, f"## {part.name.capitalize()}\n\n{text}")
        budget.say(f"{part.name}: {text}")
        return True
    budget.say(f"== {part.name}")
    started = budget.spent()
    try:
        data, text = importlib.import_module(f"tests.gpu.{part.name}").run(session)
    except Exception as error:  # noqa: BLE001 - the other parts go on
        said = str(error) if isinstance(error, ThinklessError) else traceback.format_exc(limit=-12)
        budget.say(f"{part.name} failed: {said}")
        results.add_failure(part.name, f"{type(error).__name__}: {error}", said)
        return False
    data = {**data, "seconds": budget.spent() - started}
    results.put(part.name, data, text)
    if part.name != "train":
        budget.say(text)
    return True


def _command(options: argparse.Namespace) -> str:
    told: list[str] = []
    plain: dict[str, Any] = {name: value for name, value in vars(options).items() if name not in PATHS and value}
    told += [f"--{name.replace('_', '-')} {value}" for name, value in plain.items() if name != "set"]
    told += [f"--set {text}" for text in options.set]
    return f"Options: `{' '.join(told)}`."


PATHS = {"command", "folder", "out", "doc", "work"}
"""Options that say where something is."""
