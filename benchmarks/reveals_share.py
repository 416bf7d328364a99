"""One of several server processes in which audited reveals are asked for; it is told what by a line each.

A first line has the job, as ``Share`` has it. Each further line is the pause between a client's turns in seconds; the
answer is a line with what the turns took.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.vault_reveals import ask_all
from consentry.platform import open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.settings import load_settings
from kernel.ids import PrincipalId, SubjectId

_ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Share:
    """What one process does.

    Attributes:
        doctors: ids of those who ask here, one a thread.
        first: the number of the first of them among all.
    """

    home: str
    doctors: list[str]
    first: int
    subjects: list[str]
    each: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What the turns took, in seconds, and the processor time of the process for them."""

    taken: float
    waits: list[float]
    cpu: float


@contextmanager
def shared_among(shares: Sequence[Share]) -> Iterator["Processes"]:
    """Start a process for each share, and end them."""
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.reveals_share"]
        started = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
            )
            for _ in shares
        ]
        processes = Processes(started)
        processes.tell([json.dumps(asdict(share)) for share in shares])
        yield processes
        for one in started:
            one.communicate()  # the end of its input ends it


class Processes:
    """Several processes that are told the same at once."""

    def __init__(self, started: Sequence["subprocess.Popen[str]"]) -> None:
        self._started = started

    def tell(self, lines: Sequence[str]) -> list[str]:
        """Give each its line, and return the answer of each."""
        for one, line in zip(self._started, lines, strict=True):
            if one.stdin is not None:
                one.stdin.write(line + "\n")
                one.stdin.flush()
        return [one.stdout.readline() for one in self._started if one.stdout is not None]

    def ask(self, pause: float) -> list[Taken]:
        """Let all clients of all processes ask."""
        said = self.tell([json.dumps(pause)] * len(self._started))
        return [Taken(**json.loads(line)) for line in said]


def _work(share: Share) -> None:
    doctors = [
        Principal(PrincipalId(one), f"dr.{number}", PrincipalKind.PERSON, "clinician")
        for number, one in enumerate(share.doctors)
    ]
    subjects = [SubjectId(one) for one in share.subjects]
    with open_platform(load_settings(home=Path(share.home))) as platform:
        ask_all(platform, doctors, subjects, min(share.each, 3), pause=0.0, first=share.first)
        _say("ready")
        for line in sys.stdin:
            cpu = time.process_time()
            taken, waits = ask_all(platform, doctors, subjects, share.each, pause=json.loads(line), first=share.first)
            _say(asdict(Taken(taken, waits, time.process_time() - cpu)))


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _work(Share(**json.loads(sys.stdin.readline())))
