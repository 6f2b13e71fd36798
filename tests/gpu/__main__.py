"""Everything that a CPU cannot show, within minutes on one GPU of 24 GB or more; it writes docs/gpu.md and JSON.

    python -m tests.gpu prepare FOLDER [--profile smollm2] [--set key=value ...]    where the project is installed
    python -m tests.gpu run FOLDER --out DIR                                        where the GPU is

`run` needs a copy of the repository as working directory, and torch, transformers, accelerate, pydantic and gguf; no
Hub, no installation. `--device cpu --steps 2` tries all of it where no GPU is at hand.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

NEEDED = ("torch", "transformers", "accelerate", "numpy", "pyarrow", "pydantic")
PARTS = ("parity", "drift", "speed", "sampling", "processes", "vllm", "train")


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    options = _parser().parse_args(argv)
    reads_gguf = options.command == "run" and any(options.folder.glob("model.gguf.*"))
    needed = (*NEEDED, "gguf") if reads_gguf else NEEDED
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        print(f"not installed: {', '.join(missing)}; pip install {' '.join(missing)}", file=sys.stderr)
        return 2
    if options.command == "prepare":
        from tests.gpu.prepare import prepare

        return _said(lambda: prepare(options.folder, profile=options.profile, overrides=options.set, data=options.data))
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    if unknown := sorted(set((options.only or PARTS[0]).split(",")) - set(PARTS)):
        print(f"--only: unknown {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    if options.device == "cpu":  # before torch is imported: the trainers take a GPU if they see one
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["ACCELERATE_USE_CPU"] = "true"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # a bar hides what is printed beside it
    from tests.gpu.budget import Budget

    budget = Budget(options.minutes)
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print("torch sees no GPU; --device cpu --steps 2 tries the command on a CPU", file=sys.stderr)
        return 2
    from tests.gpu.run import run

    return _said(lambda: run(options, budget))


def _said(command: Callable[[], int | None]) -> int:
    """Exit status of a command; what was refused is printed without a traceback."""
    from schemas.errors import ThinklessError

    try:
        return 1 if command() else 0
    except ThinklessError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="write what the GPU machine needs into a folder")
    prepare.add_argument("folder", type=Path)
    prepare.add_argument("--profile", default="smollm2", help="a shipped profile or a TOML file")
    prepare.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    prepare.add_argument("--data", type=Path, help="folder with copies of data sets of the Hub")
    run = commands.add_parser("run", help="measure and train")
    run.add_argument("folder", type=Path, help="what `prepare` wrote")
    run.add_argument("--out", type=Path, required=True, help="results.json, report.md, completions.jsonl.gz")
    run.add_argument("--doc", type=Path, help="a page that is written as well, such as docs/gpu.md")
    run.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    run.add_argument("--minutes", type=float, default=8.5, help="time for everything (default 8.5)")
    run.add_argument("--steps", type=int, help="small sizes and so many steps: to try the command, not to measure")
    run.add_argument("--only", help=f"some of {','.join(PARTS)}")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="sft., rl. or evaluate. settings")
    run.add_argument("--sft-steps", type=int, help="steps of the warm-up")
    run.add_argument("--rl-steps", type=int, help="steps of each RL run")
    run.add_argument("--rl-seeds", default="0", help="seeds of RL from one warm-up, such as 0,1,2")
    run.add_argument("--objectives", default="degrpo-paper", help="objectives of RL, such as degrpo-paper,grpo,dr_grpo")
    run.add_argument("--sample-batch", type=int, default=1024, help="completions sampled side by side in training")
    run.add_argument("--parity-pairs", type=int, default=8, help="pairs of parts parity and drift")
    run.add_argument("--micro-batches", default="8192,16384,32768", help="tokens of a forward pass in part speed")
    run.add_argument("--rows", default="64,256,1024", help="rows side by side in part sampling")
    run.add_argument("--work", type=Path, help="folder of weights and checkpoints (default: a temporary one)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
