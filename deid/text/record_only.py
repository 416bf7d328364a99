"""Detection by a document's own finders alone: what is known of its subject, without any rule and without presidio."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from deid.text.finders import Finder
from deid.text.reading import read
from deid.text.spans import Hit
from deid.text.watch import Watch


class RecordDetector:
    """A ``Detector`` for whoever holds a record and hands its texts on to somebody who asks the rules."""

    def detect(
        self, text: str, language: str = "zh", extra: Sequence[Finder] = (), watch: Watch | None = None
    ) -> list[Hit]:
        """Return the hits of the extra finders in offsets of ``text``; raises ``CannotJudge`` when the time is over."""
        reading = read(text, language)
        hits: list[Hit] = []
        for finder, read_as in product(extra, (reading, reading.aside)):
            if watch is not None:
                watch.check()
            for hit in () if read_as is None else finder.find(read_as):
                start, end = reading.folded.original_span(hit.start, hit.end)
                hits.append(replace(hit, start=start, end=end))
        return hits
