"""What the doctor has found, and how it is said: lines for people, JSON for programs, progress for who waits.

Owns the levels, the layout and the exit code. Must not know what is examined.
"""

from __future__ import annotations

import json
import sys
import textwrap
import time
from dataclasses import asdict, dataclass
from typing import TextIO

OK, NOTE, FIX = "ok", "note", "FIX"
WIDTH = 110
QUIET_SECONDS = 5.0  # between two lines of progress where a line can't be written over


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: *level* is `ok`, `note` (worth knowing) or `FIX` (has to change; *remedy* says how)."""

    check: str
    level: str
    text: str
    remedy: str = ""


class Report:
    """Collects findings, and prints each at once unless everything is wanted as JSON at the end.

    :param target: what is examined, as it was named.
    :param as_json: one JSON object on *out* instead of lines.
    """

    def __init__(self, target: str, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.target = target
        self.findings: list[Finding] = []
        self._as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._shown = ""  # the line of progress that stands on the terminal
        self._said_at = time.monotonic()
        if not as_json:
            print(f"Examining {target}\n", file=self._out, flush=True)

    def ok(self, check: str, text: str) -> None:
        self._add(Finding(check, OK, text))

    def note(self, check: str, text: str) -> None:
        self._add(Finding(check, NOTE, text))

    def fix(self, check: str, text: str, remedy: str) -> None:
        self._add(Finding(check, FIX, text, remedy))

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._clear()
        if self._as_json:
            return
        print(_wrapped(finding.text, f"  {finding.level:<5} "), file=self._out)
        if finding.remedy:
            print(_wrapped(finding.remedy, "        -> "), file=self._out)
        self._out.flush()

    def progress(self, text: str) -> None:
        """Say what is being waited for; may be called as often as one likes."""
        if self._err.isatty():
            self._clear()
            self._shown = f"        {text} ..."
            print(self._shown, end="", file=self._err, flush=True)
        elif time.monotonic() - self._said_at >= QUIET_SECONDS:
            self._said_at = time.monotonic()
            print(f"        {text} ...", file=self._err, flush=True)

    def _clear(self) -> None:
        if self._shown:
            print("\r" + " " * len(self._shown) + "\r", end="", file=self._err, flush=True)
            self._shown = ""

    @property
    def exit_code(self) -> int:
        """0 when nothing has to change, else 1."""
        return int(any(finding.level == FIX for finding in self.findings))

    def finish(self) -> int:
        """Print the end; returns the exit code."""
        self._clear()
        count = sum(finding.level == FIX for finding in self.findings)
        if self._as_json:
            found = [asdict(finding) for finding in self.findings]
            print(json.dumps({"target": self.target, "exit_code": self.exit_code, "findings": found}, indent=2), file=self._out)
        else:
            verdict = {0: "All is well.", 1: "1 thing has to change."}.get(count, f"{count} things have to change.")
            print(f"\n{verdict}", file=self._out)
        return self.exit_code

    def give_up(self, sentence: str) -> int:
        """Print why there is nothing (more) to examine; returns the exit code for that, 2."""
        self._clear()
        if self._as_json:
            found = [asdict(finding) for finding in self.findings]
            lost = {"target": self.target, "exit_code": 2, "error": sentence, "findings": found}
            print(json.dumps(lost, indent=2), file=self._out)
        else:
            print(_wrapped(sentence, ""), file=self._err)
        return 2


def _wrapped(text: str, prefix: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=prefix, subsequent_indent=" " * len(prefix), break_long_words=False, break_on_hyphens=False
    )
