"""Many texts in several processes, answered in the order in which they came.

Each process builds a scrubber of its own and can be dumped by nobody. Texts and spans go through pipes; nothing stands
in arguments, environment or files. A process that ends or takes longer than its texts may is an error: whoever writes
answers somewhere writes them beside and renames them at the end.
"""

import json
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from deid.text.engine import PresidioDetector
from deid.text.finders import all_finders
from deid.text.kinds import Kind
from deid.text.models import ModelFinder, ModelSettings
from deid.text.scrubber import DEFAULT_BUDGET_MS, TextScrubber
from deid.text.spans import Scrubbed, Span, mask
from deid.text.thresholds import THRESHOLDS, least_scores
from kernel.core_dumps import forbid_core_dumps
from kernel.errors import ConsentryError, Unavailable

_CHUNK_CHARACTERS: Final = 65_536
_CHUNK_TEXTS: Final = 512
_AHEAD: Final = 2
"""Chunks for each process that are read before they are answered."""

_STARTING_SECONDS: Final = 120.0
_ENDING_SECONDS: Final = 5.0
_AGAIN: Final = "Nothing of these texts was answered; run it again."


@dataclass(frozen=True, slots=True)
class ScrubberSetup:
    """How a scrubber is built; goes to every process and holds no text.

    Attributes:
        budget_ms: time for one text.
        thresholds: the least score by the name of a kind, and ``default``.
        models: beside the rules.
    """

    budget_ms: int = DEFAULT_BUDGET_MS
    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(THRESHOLDS))
    models: tuple[ModelSettings, ...] = ()

    def build(self) -> TextScrubber:
        """Return the scrubber.

        Raises:
            ConfigurationError: a threshold is none, or a model's folder is not there.
        """
        least_scores(self.thresholds)
        finders = (*all_finders(), *map(ModelFinder, self.models))
        return TextScrubber(budget_ms=self.budget_ms, detector=PresidioDetector(finders, self.thresholds))


class ScrubberPool:
    """Scrubs in several processes; a context manager.

    Args:
        processes: how many.
        setup: of their scrubbers.

    Raises:
        ConfigurationError: the setup cannot be built.
    """

    def __init__(self, processes: int, setup: ScrubberSetup | None = None) -> None:
        setup = setup or ScrubberSetup()
        least_scores(setup.thresholds)
        for model in setup.models:
            ModelFinder(model)
        self._processes = [_Process(setup) for _ in range(processes)]
        self._free: SimpleQueue[_Process] = SimpleQueue()
        for process in self._processes:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="scrubbing")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes, at once where something went wrong."""
        if error is not None:
            for process in self._processes:
                process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.end()

    def find_many(self, texts: Iterable[str], language: str = "auto") -> Iterator[list[Span]]:
        """Yield what ``TextScrubber.find`` returns for each text, in their order.

        Texts are read a little ahead of the answers.

        Raises:
            Unavailable: a process has ended, took too long, or failed; the message holds no text.
        """
        return (spans for _, spans in self._answered(texts, language))

    def scrub_many(self, texts: Iterable[str], language: str = "auto") -> Iterator[Scrubbed]:
        """Yield what ``TextScrubber.scrub`` returns for each text, in their order; raises as ``find_many``."""
        return (Scrubbed(mask(text, spans), tuple(spans)) for text, spans in self._answered(texts, language))

    def _answered(self, texts: Iterable[str], language: str) -> Iterator[tuple[str, list[Span]]]:
        waiting: deque[tuple[list[str], Future[list[list[Span]]]]] = deque()
        try:
            for chunk in _chunks(texts):
                waiting.append((chunk, self._threads.submit(self._ask, chunk, language)))
                if len(waiting) > _AHEAD * len(self._processes):
                    yield from _in_order(*waiting.popleft())
            while waiting:
                yield from _in_order(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()

    def _ask(self, texts: Sequence[str], language: str) -> list[list[Span]]:
        process = self._free.get()
        try:
            return process.ask(texts, language)
        finally:
            self._free.put(process)


def _in_order(texts: Sequence[str], future: "Future[list[list[Span]]]") -> Iterator[tuple[str, list[Span]]]:
    return zip(texts, future.result(), strict=True)


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for text in texts:
        chunk.append(text)
        characters += len(text)
        if characters >= _CHUNK_CHARACTERS or len(chunk) == _CHUNK_TEXTS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


class _Process:
    """One process, seen from the one that started it."""

    def __init__(self, setup: ScrubberSetup) -> None:
        context = get_context("spawn")
        self._line, theirs = context.Pipe()
        self._seconds_each = 2 * setup.budget_ms / 1_000
        self._process = context.Process(target=_serve, args=(theirs, setup), name="scrubber", daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, texts: Sequence[str], language: str) -> list[list[Span]]:
        """Return the spans of some texts; raises ``Unavailable`` where the process cannot say."""
        try:
            self._line.send_bytes(json.dumps([language, texts]).encode())
            if not self._line.poll(_STARTING_SECONDS + self._seconds_each * len(texts)):
                self.kill()
                raise Unavailable("A process that scrubs took longer than its texts may", hint=_AGAIN)
            answer = json.loads(self._line.recv_bytes())
        except (EOFError, OSError) as err:
            raise Unavailable("A process that scrubs has ended", hint=_AGAIN) from err
        if isinstance(answer, dict):
            raise Unavailable(answer["message"], hint=answer["hint"])
        return [[Span(start, end, Kind(kind), *rest) for start, end, kind, *rest in spans] for spans in answer]

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self) -> None:
        """Let it end, and wait for that."""
        self._line.close()
        self._process.join(_ENDING_SECONDS)
        self._process.kill()
        self._process.join()


def _serve(line: Connection, setup: ScrubberSetup) -> None:
    """Answer until the other end is closed."""
    forbid_core_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asks decides what an interruption means
    scrubber: TextScrubber | None = None
    with suppress(EOFError, OSError):  # the other end is closed, or gone
        while True:
            language, texts = json.loads(line.recv_bytes())
            try:
                scrubber = scrubber or setup.build()
                answer: object = [[_packed(span) for span in scrubber.find(text, language)] for text in texts]
            except ConsentryError as err:
                answer = {"message": err.message, "hint": err.hint}
            except Exception as err:  # noqa: BLE001 - it may hold text, and is told by its name alone
                answer = {"message": f"A process that scrubs failed: {type(err).__name__}", "hint": _AGAIN}
            line.send_bytes(json.dumps(answer).encode())


def _packed(span: Span) -> tuple[int, int, str, float, str, bool]:
    return span.start, span.end, span.type.value, span.score, span.source, span.checked
