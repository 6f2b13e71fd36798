"""`thinkless init`: writes a commented profile for a model and data of the user's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from flows.commented_toml import commented_toml
from flows.own_profile import Answers, own_profile
from schemas.configs.loading import load_config
from schemas.errors import ConfigError

QUESTIONS = {
    "model": "Which model is to learn? A folder, a name on the Hub, or package:NAME",
    "problems": "Which problems does it learn on? A file, a data set such as gsm8k or owner/name, or gym:graded",
    "long_answers": "Who writes the long answers? self, gym, a recording, a data set, or an endpoint: URL MODEL",
    "machine": "How long may it take, and on what? cpu (an hour), cpu-hours, or gpu",
    "benchmark": "Which problems are held out for the evaluation? As above; a file other than that of training",
}
"""Field of the answers, and name of its flag -> question."""


def execute(arguments: argparse.Namespace) -> int:
    """Ask what no flag has answered, and write the profile."""
    path: Path = arguments.file
    if path.suffix != ".toml":
        raise ConfigError(f"{path}: a profile's name ends in .toml; give for example {path.with_suffix('.toml')}")
    if path.exists():
        raise ConfigError(f"{path} exists and is not overwritten; give another name, or delete it first")
    answers = Answers(**{name: getattr(arguments, name) or _ask(name) for name in QUESTIONS})
    text = commented_toml(own_profile(answers), profile=path.stem)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"# Written by `thinkless init`; docs/reference.md has every key.\n{text}")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; give a file in a folder that exists and can be written"
        ) from error
    load_config(str(path))
    profile = f"--profile {path}"
    print(f"{path} is written. Next: thinkless doctor {profile}; thinkless run {profile} --dry-run; "
          f"thinkless run {profile}")  # fmt: skip
    return 0


def _ask(name: str) -> str:
    """The answer to one question; raises ConfigError if there is nobody to ask, or no answer."""
    flag = f"--{name.replace('_', '-')}"
    answer = ""
    if sys.stdin.isatty():
        try:
            answer = input(f"{QUESTIONS[name]}\n> ").strip()
        except EOFError:
            print()
    if not answer:
        raise ConfigError(f"{flag} is missing ({QUESTIONS[name]}); give the flag, or answer the question on a terminal")
    return answer
