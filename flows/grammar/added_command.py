"""How a command is added to the grammar: its help is its summary, examples, then its options."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

RUN_HELP = "run id or its beginning (default: the newest finished run that is no member of a study)"


def add_command(commands: Commands, name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
    """The parser of one command; `summary` begins in lower case and has no full stop."""
    sentence = f"{summary[0].upper()}{summary[1:]}."
    return commands.add_parser(
        name,
        help=summary.replace("%", "%%"),  # argparse formats this one alone
        description="\n".join([sentence, "", "examples:", *(f"  {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
