"""Processes that seal: short calls of the cipher do not gain from threads, only from processes.

Each has a connection to the key store and a custodian of its own, and holds keys while it seals a chunk and no longer.
Chunks and rows go through pipes; nothing of them stands in arguments, environment or files. A process ends when the
one that started it does, however that ends.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from kernel.catalogue import Catalogue
from kernel.errors import ConfigurationError
from vault._keyring import keyring_of
from vault._processes import Failed, Line, Process, Work, failure_of
from vault._sealing import Placing
from vault._storing import SealedChunk, encoder_of
from vault.bulk_columns import ColumnChunk, seal_columns
from vault.keystore import KeyStore

_AGAIN: Final = "Run the same command again; it goes on where it stopped."


@dataclass(frozen=True, slots=True)
class SealingParts:
    """What a process that seals needs; it opens them itself, so that no key and no connection is handed over."""

    keystore: KeyStore
    catalogue: Catalogue
    deployment: str


@dataclass(frozen=True, slots=True)
class SealerSetup:
    """What a sealing process is told when it starts.

    Attributes:
        open_parts: a function of a module, so that another process can call it.
        catalogue_hash: of the vault that stores; a process that finds another catalogue seals nothing.
        packed: the data store is PostgreSQL, and rows go to it as it copies them.
    """

    open_parts: Callable[[], SealingParts]
    catalogue_hash: str
    packed: bool = False

    def open(self) -> SealingParts:
        """Open the parts.

        Raises:
            ConfigurationError: the catalogue is another.
        """
        parts = self.open_parts()
        if parts.catalogue.hash != self.catalogue_hash:
            raise ConfigurationError("The pack has changed since the vault was opened", hint="Start again.")
        return parts


class BulkSealers:
    """A few processes that seal chunks; a context manager.

    With one process for each core that the machine has, the one that stores shares a core with them. None at all is
    for a few rows: they are sealed by a thread of this process, and nothing has to be started.
    """

    def __init__(self, setup: SealerSetup, *, processes: int) -> None:
        self._setup = setup
        self._idle: SimpleQueue[_Process | _Thread] = SimpleQueue()
        self._sealers: list[_Process | _Thread] = []
        self._threads = ThreadPoolExecutor(max_workers=max(processes, 1), thread_name_prefix="sealer")
        self._count = processes

    def __enter__(self) -> Self:
        """Start the processes; keys that they look up are made before, by this one.

        Raises:
            Unavailable: the key store or its custodian cannot be reached.
        """
        parts = self._setup.open()
        encoder_of(keyring_of(parts.keystore))
        if self._count:
            parts.keystore.database.dispose()
            work = Work(_work, self._setup, name="consentry-sealer", ended="A sealing process ended", again=_AGAIN)
            self._sealers = [_Process(work) for _ in range(self._count)]
        else:
            self._sealers = [_Thread(parts, packed=self._setup.packed)]
        for sealer in self._sealers:
            self._idle.put(sealer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes; after an error what they were sealing is lost."""
        if kind is not None:
            for sealer in self._sealers:
                sealer.kill()
        self._threads.shutdown(cancel_futures=True)
        for sealer in self._sealers:
            sealer.end()

    def seal(self, chunk: ColumnChunk) -> Future[SealedChunk]:
        """Seal a chunk as soon as a process is idle.

        The result raises what ``seal_columns`` does, and ``Unavailable`` when the process ended.
        """
        return self._threads.submit(self._seal, chunk)

    def _seal(self, chunk: ColumnChunk) -> SealedChunk:
        sealer = self._idle.get()
        try:
            return sealer.seal(chunk)
        finally:
            self._idle.put(sealer)


class _Process(Process):
    """One sealing process, seen from the one that started it."""

    def seal(self, chunk: ColumnChunk) -> SealedChunk:
        self.ask(chunk)
        sealed: SealedChunk = self.answer()
        return sealed


class _Thread:
    """Seals in this process."""

    def __init__(self, parts: SealingParts, *, packed: bool) -> None:
        self._parts = parts
        self._placing = Placing(parts.catalogue)
        self._packed = packed

    def seal(self, chunk: ColumnChunk) -> SealedChunk:
        return _sealed(chunk, self._parts, self._placing, packed=self._packed)

    def kill(self) -> None:
        """Nothing is left running: the pool waits for what it has begun."""

    def end(self) -> None:
        self._parts.keystore.database.dispose()


def _work(line: Line, setup: SealerSetup) -> None:
    """Seal chunk after chunk until the other end is closed; the body of the process."""
    parts = setup.open()
    placing = Placing(parts.catalogue)
    try:
        while True:
            chunk: ColumnChunk = line.recv()
            line.send(_answer(chunk, parts, placing, packed=setup.packed))
            del chunk
    except (EOFError, OSError):
        parts.keystore.database.dispose()


def _answer(chunk: ColumnChunk, parts: SealingParts, placing: Placing, *, packed: bool) -> SealedChunk | Failed:
    try:
        return _sealed(chunk, parts, placing, packed=packed)
    except Exception as err:  # noqa: BLE001 - the other end is told of each, without what it may hold
        return failure_of(err, "A chunk could not be sealed", _AGAIN)


def _sealed(chunk: ColumnChunk, parts: SealingParts, placing: Placing, *, packed: bool) -> SealedChunk:
    keyring = keyring_of(parts.keystore)
    return seal_columns(chunk, keyring=keyring, placing=placing, deployment=parts.deployment, packed=packed)
