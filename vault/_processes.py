"""Processes that hold keys, and how they are asked. For the modules of this package alone.

Each opens the stores and a custodian by itself, so that no key and no connection is handed over. What it is asked and
what it answers goes through a pipe; nothing of it stands in arguments, environment or files. It cannot be dumped, and
ends when the process that started it does, however that ends.
"""

import fcntl
import gc
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from kernel.core_dumps import forbid_core_dumps
from kernel.errors import ConsentryError, Unavailable

_ENDING_SECONDS: Final = 5.0
_PIPE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Failed:
    """Why something could not be done, without values."""

    kind: type[ConsentryError]
    message: str
    hint: str

    def error(self) -> ConsentryError:
        """Return it as the error that it was."""
        return self.kind(self.message, hint=self.hint)


class Line:
    """One end of two pipes, one each way.

    They take as much at a time as Linux lets anybody have: each time that a reader wakes it waits for its interpreter,
    which may be busy with something else.
    """

    def __init__(self, reading: Connection, writing: Connection) -> None:
        self._reading, self._writing = reading, writing
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # somebody has used up what there is of it for pipes; it is a matter of speed alone
                fcntl.fcntl(writing.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def send(self, what: object) -> None:
        """Send an object without values in clear."""
        self._writing.send(what)

    def recv(self) -> Any:  # noqa: ANN401 - what the other end sends
        """Wait for an object; raises ``EOFError`` where the other end is closed."""
        return self._reading.recv()

    def send_bytes(self, what: bytes) -> None:
        """Send bytes as they are."""
        self._writing.send_bytes(what)

    def recv_bytes(self) -> bytes:
        """Wait for bytes; raises ``EOFError`` where the other end is closed."""
        return self._reading.recv_bytes()

    def close(self) -> None:
        """Close this end."""
        self._reading.close()
        self._writing.close()


@dataclass(frozen=True, slots=True)
class Work:
    """What processes of one sort do.

    Attributes:
        body: what runs in the process, with its end of the pipe and ``setup``; a function of a module.
        setup: goes to the process as it starts; holds no secret.
        name: of the process, in lists of processes.
        ended: what an error says when it has ended.
        again: the hint beside it.
    """

    body: Callable[[Line, Any], None]
    setup: object
    name: str
    ended: str
    again: str


class Process:
    """One process, seen from the one that started it."""

    def __init__(self, work: Work) -> None:
        context = get_context("spawn")
        self._work = work
        asked, asking = context.Pipe(duplex=False)
        answers, answering = context.Pipe(duplex=False)
        self._line = Line(answers, asking)
        work_of = (work.body, asked, answering, work.setup)
        self._process = context.Process(target=_begin, args=work_of, name=work.name, daemon=True)
        self._process.start()
        asked.close()
        answering.close()

    def ask(self, task: object) -> None:
        """Send what is to be done; raises ``Unavailable`` where the process has ended."""
        try:
            self._line.send(task)
        except OSError as err:
            raise self._gone() from err

    def answer(self) -> Any:  # noqa: ANN401 - what its body sends
        """Wait for the answer.

        Raises:
            Unavailable: the process has ended.
            ConsentryError: what its body said went wrong.
        """
        try:
            answer = self._line.recv()
        except (EOFError, OSError) as err:
            raise self._gone() from err
        if isinstance(answer, Failed):
            raise answer.error()
        return answer

    def answered_bytes(self) -> bytes:
        """Wait for an answer that comes as bytes after an empty one, for values in clear are never pickled.

        Raises:
            Unavailable, ConsentryError: as ``answer``.
        """
        self.answer()
        try:
            return self._line.recv_bytes()
        except (EOFError, OSError) as err:
            raise self._gone() from err

    def discard(self) -> None:
        """Wait for an answer in bytes and drop it, whatever it is."""
        with suppress(ConsentryError):
            self.answered_bytes()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self) -> None:
        """Let it end, and wait for that."""
        self._line.close()
        self._process.join(_ENDING_SECONDS)
        self._process.kill()
        self._process.join()

    def _gone(self) -> Unavailable:
        return Unavailable(self._work.ended, hint=self._work.again)


def _begin(body: Callable[[Line, Any], None], asked: Connection, answering: Connection, setup: object) -> None:
    """Do first what every process does, and then its work."""
    forbid_core_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asks decides what an interruption means
    gc.disable()  # nothing here makes cycles, and a pass over many rows costs as much as a tenth of them
    body(Line(asked, answering), setup)


def failure_of(err: Exception, what: str, again: str) -> Failed:
    """Return why something failed; an error that is not ours may hold plaintext, and is told by its name alone."""
    if isinstance(err, ConsentryError):
        return Failed(type(err), err.message, err.hint)
    return Failed(Unavailable, f"{what}: {type(err).__name__}", again)
