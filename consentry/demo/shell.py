"""Runs the public commands the way a person would, in this process, and keeps what they print."""

import contextlib
import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel.errors import ConsentryError


@dataclass
class Shell:
    """One home folder, and every command that was run on it.

    Attributes:
        shown: whether the commands are echoed.
        seconds: how long each command took, by its first words.
    """

    home: Path
    shown: bool = True
    seconds: list[tuple[str, float]] = field(default_factory=list)

    def run(self, *words: str, token: str | None = None) -> str:
        """Run one command and return what it printed; raises what it raised."""
        from consentry.cli.app import app

        if self.shown:
            sys.stdout.write(f"$ consentry {' '.join(_quoted(word) for word in words)}\n")
            sys.stdout.flush()
        full = [*words, "--home", str(self.home), *(["--token", token] if token else [])]
        printed = io.StringIO()
        started = time.perf_counter()
        with contextlib.redirect_stdout(printed):
            app(full, standalone_mode=False)
        self.seconds.append((" ".join(words[:2]), time.perf_counter() - started))
        return printed.getvalue()

    def json(self, *words: str, token: str | None = None) -> Any:  # noqa: ANN401 - one JSON document
        """Run one command with ``--json`` and return its last line."""
        return json.loads(self.run(*words, "--json", token=token).strip().splitlines()[-1])

    def json_lines(self, *words: str, token: str | None = None) -> list[Any]:
        """Run one command with ``--json`` and return every line."""
        return [json.loads(line) for line in self.run(*words, "--json", token=token).strip().splitlines()]

    def refused(self, *words: str, token: str | None = None) -> str:
        """Run a command that may be refused; returns the reason, or an empty text when it went through."""
        try:
            self.run(*words, token=token)
        except ConsentryError as err:
            return err.message
        return ""

    def sign_in(self, name: str, password: str) -> str:
        """Return a person's token; the password goes in on standard input."""
        before = sys.stdin
        sys.stdin = io.StringIO(password + "\n")
        try:
            return self.run("account", "token", name, "--password-stdin").strip()
        finally:
            sys.stdin = before


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def verify(folder: Path, key: str) -> tuple[int, str]:
    """Run ``consentry-verify`` in a process of its own, as a regulator would; returns exit status and output."""
    import subprocess

    words: Sequence[str] = (sys.executable, "-m", "audit.verifier", str(folder), "--key", key)
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    return done.returncode, (done.stdout + done.stderr).strip()
