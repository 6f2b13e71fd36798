"""What `thinkless doctor` has to say: findings, under headings, each missing thing once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.errors import ThinklessError

NAME_WIDTH = 12


class Finding(NamedTuple):
    """One thing looked at."""

    name: str
    fine: bool
    text: str

    def line(self) -> str:
        """As printed; a text of several lines is indented below itself."""
        text = self.text.replace("\n", "\n" + " " * (NAME_WIDTH + 7))
        return f"{'ok  ' if self.fine else 'FAIL'}  {self.name:<{NAME_WIDTH}} {text}"


@dataclass
class Findings:
    """Everything found so far; the same text said for several names becomes one finding with all of them."""

    found: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> list[Finding]:
        """Take findings in; returns those that are new, alike ones joined."""
        joined: dict[tuple[bool, str], list[str]] = {}
        for finding in findings:
            joined.setdefault((finding.fine, finding.text), []).append(finding.name)
        known = {f.text for f in self.found if not f.fine}
        new = [Finding(", ".join(dict.fromkeys(names)), fine, text) for (fine, text), names in joined.items()]
        new = [finding for finding in new if finding.text not in known]
        self.found.extend(new)
        return new

    @property
    def missing(self) -> list[Finding]:
        """What would stop a run."""
        return [finding for finding in self.found if not finding.fine]


def checked(name: str, look: Callable[[], str]) -> Finding:
    """What a look found, or the error that it met."""
    try:
        return Finding(name, True, look())
    except ThinklessError as error:
        return Finding(name, False, str(error))
