"""What is shown: each promise of the gateway on a line, with ✓ or ✗ and what came back."""

import imaplib
import os
import shutil
import smtplib
import subprocess
import textwrap
from collections.abc import Callable
from typing import Final, TextIO


class Unexpected(Exception):
    """An answer that is not the one the rules ask for."""


Told = Callable[[], str]
"""Does one thing as a client and tells what came back; raises Unexpected, or what the client library raises."""


class Stage:
    """Lines for a person: aligned, and in colour only on a terminal."""

    WHAT: Final = 46
    """Columns for what was done; what came back stands to the right of it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty() and "NO_COLOR" not in os.environ
        self._width = max(min(shutil.get_terminal_size((120, 24)).columns, 140), self.WHAT + 34)
        self.failures = 0
        self.successes = 0
        self.finished = False

    def say(self, text: str) -> None:
        """One line as it is."""
        print(text, file=self._out, flush=True)

    def title(self, text: str) -> None:
        """What comes next."""
        self.say("\n" + self._painted("1", text))

    def typed(self, command: str, output: str = "") -> None:
        """A command as the administrator types it, and what it printed."""
        self.say(self._painted("2", "  $ ") + command)
        for line in output.splitlines():
            self.say("    " + line)

    def shows(self, what: str, act: Told) -> None:
        """Does it, and says with ✓ what came back, or with ✗ what went wrong."""
        try:
            told = act()
        except (Unexpected, OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, subprocess.TimeoutExpired) as failure:
            self.failures += 1
            self._line(self._painted("31", "✗"), what, f"{type(failure).__name__}: {failure}")
        else:
            self.successes += 1
            self._line(self._painted("32", "✓"), what, told)

    def verdict(self, seconds: float) -> None:
        """How many lines were which."""
        self.finished = True
        count = f"{self.successes} ✓" if not self.failures else f"{self.successes} ✓, {self.failures} ✗"
        self.say("\n" + self._painted("31" if self.failures else "32", f"{count} in {seconds:.0f} s"))

    def _line(self, mark: str, what: str, told: str) -> None:
        pieces = [piece for part in told.split("\n") for piece in textwrap.wrap(part, self._width - self.WHAT - 6, break_on_hyphens=False)]
        first, *rest = pieces or [""]
        self.say(f"  {mark} {what:<{self.WHAT}}  {first}".rstrip())
        for piece in rest:
            self.say(" " * (self.WHAT + 6) + piece)

    def _painted(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text
