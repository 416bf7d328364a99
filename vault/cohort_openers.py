"""Processes that open large cohorts: short calls of the cipher do not gain from threads, only from processes.

Each has connections to both stores and a custodian of its own, and holds the keys of some hundred people while it opens
their records, no longer. It is asked by ``Vault.open_cohort`` alone, for what was permitted and whose receipt was
redeemed there; the columns come back through a pipe.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.errors import ConfigurationError
from vault._cohorts import CohortPart, open_part
from vault._keyring import keyring_of
from vault._processes import Failed, Line, Process, Work, failure_of
from vault._reading import Reading
from vault.bulk_columns import pack_columns
from vault.keystore import KeyStore

if TYPE_CHECKING:
    import pyarrow as pa

_AGAIN: Final = "Nothing was changed; ask the gate again."


@dataclass(frozen=True, slots=True)
class OpeningParts:
    """What a process that opens needs; it opens them itself, so that no key and no connection is handed over."""

    data: Database
    keystore: KeyStore
    catalogue: Catalogue
    deployment: str


@dataclass(frozen=True, slots=True)
class OpenerSetup:
    """What an opening process is told when it starts.

    Attributes:
        open_parts: a function of a module, so that another process can call it.
        catalogue_hash: of the vault that asks; a process that finds another catalogue opens nothing.
    """

    open_parts: Callable[[], OpeningParts]
    catalogue_hash: str


class CohortOpeners:
    """A few processes that open; a context manager, to be handed to ``Vault.open_cohort``, for one cohort at a time."""

    def __init__(self, setup: OpenerSetup, *, processes: int) -> None:
        self._work = Work(_work, setup, name="consentry-opener", ended="An opening process ended", again=_AGAIN)
        self._count = processes
        self._processes: list[Process] = []
        self._in_use = Lock()

    def __enter__(self) -> Self:
        """Start the processes."""
        self._processes = [Process(self._work) for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes; after an error at once."""
        for process in self._processes if kind is not None else ():
            process.kill()
        for process in self._processes:
            process.end()

    def _opened(self, parts: Iterable[tuple[CohortPart, datetime]]) -> "Iterator[pa.RecordBatch]":
        """Yield the records of each part in order; as many parts are on their way as there are processes.

        Raises:
            Unavailable: a process ended.
            ConsentryError: as ``open_part``.
        """
        if not self._in_use.acquire(blocking=False):
            raise AssertionError("Opening processes serve one cohort at a time")
        asked: deque[Process] = deque()
        try:
            for part, process in zip(parts, cycle(self._processes), strict=False):
                ready = _answer(asked.popleft()) if len(asked) == self._count else None
                process.ask(part)
                asked.append(process)
                if ready is not None:
                    yield ready
            while asked:
                yield _answer(asked.popleft())
        finally:
            for process in asked:  # the next cohort is not to get what was opened for this one
                process.discard()
            self._in_use.release()


def _answer(process: Process) -> "pa.RecordBatch":
    import pyarrow as pa

    with pa.ipc.open_stream(process.answered_bytes()) as stream:
        return stream.read_next_batch()


def _work(line: Line, setup: OpenerSetup) -> None:
    """Open part after part until the other end is closed; the body of the process."""
    opener = _Opener(setup)
    try:
        while True:
            part, now = line.recv()
            answer = opener.answer(part, now)
            if isinstance(answer, Failed):
                line.send(answer)
            else:
                line.send(None)
                line.send_bytes(answer)
            del answer
    except (EOFError, OSError):
        opener.close()


class _Opener:
    """Opens the stores at the first part, so that whoever asks is told where that does not go."""

    def __init__(self, setup: OpenerSetup) -> None:
        self._setup = setup
        self._parts: OpeningParts | None = None

    def answer(self, part: CohortPart, now: datetime) -> bytes | Failed:
        try:
            return pack_columns(open_part(part, self._reading(), now))
        except Exception as err:  # noqa: BLE001 - the other end is told of each, without what it may hold
            return failure_of(err, "A part of a cohort could not be opened", _AGAIN)

    def close(self) -> None:
        if self._parts is not None:
            self._parts.data.dispose()
            self._parts.keystore.database.dispose()

    def _reading(self) -> Reading:
        parts = self._parts
        if parts is None:
            parts = self._parts = self._setup.open_parts()
        if parts.catalogue.hash != self._setup.catalogue_hash:
            raise ConfigurationError("The pack has changed since the vault was opened", hint="Start again.")
        return Reading(parts.data, keyring_of(parts.keystore), parts.catalogue, parts.deployment)
