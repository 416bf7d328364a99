"""The bridge to presidio: a finder as a recognizer, a reading as artifacts, and a context step that changes nothing.

Importing this module imports presidio; only ``deid.text.engine`` does so.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from presidio_analyzer import ContextAwareEnhancer, EntityRecognizer, LocalRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine

from deid.text.finders import Finder
from deid.text.reading import Reading, read
from deid.text.spans import Hit

CHECKED: Final = "checked"
"""Key of a result's metadata: whether a check digit was verified."""

SOURCE: Final = "source"
"""Key of a result's metadata: which rule found it."""


class ReadingArtifacts(NlpArtifacts):
    """Artifacts without tokens that carry the window as the finders read it, so that it is folded once for all."""

    def __init__(self, reading: Reading) -> None:
        super().__init__([], cast("Any", ()), [], [], None, reading.language)
        self.reading = reading


class ReadingEngine(NoOpNlpEngine):
    """The step that presidio runs before the recognizers: here the folding, and no model."""

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Return the text as it is read."""
        return ReadingArtifacts(read(text, language))


class FinderRecognizer(LocalRecognizer):
    """A finder behind presidio's interface; works in any ``AnalyzerEngine``, with or without ``ReadingEngine``.

    Not a ``PatternRecognizer``: that one skips a pattern that takes too long, which lets the text through.
    """

    def __init__(self, finder: Finder, language: str) -> None:
        self._finder = finder
        kinds = sorted(kind.value for kind in finder.kinds)
        super().__init__(supported_entities=kinds, supported_language=language, name=finder.name)
        named, identified = RecognizerResult.RECOGNIZER_NAME_KEY, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY
        self._named = {named: finder.name, identified: self.id}

    def load(self) -> None:
        """Nothing to load: finders are built when they are first asked for."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return what the finder finds of the kinds that are asked for, in offsets of ``text``."""
        if isinstance(nlp_artifacts, ReadingArtifacts):
            reading = nlp_artifacts.reading
        else:
            reading = read(text, self.supported_language)
        return list(self._results(self._finder.find(reading), reading, entities))

    def _results(self, hits: Iterable[Hit], reading: Reading, entities: list[str]) -> Iterator[RecognizerResult]:
        for hit in hits:
            if hit.kind in entities:
                start, end = reading.folded.original_span(hit.start, hit.end)
                said = {**self._named, CHECKED: hit.checked, SOURCE: hit.source}
                yield RecognizerResult(hit.kind.value, start, end, hit.score, recognition_metadata=said)


class JudgesDecide(ContextAwareEnhancer):
    """Returns every result as it came.

    presidio's own step compares lemmas, of which Chinese text without a model has none, after copying every result.
    """

    def __init__(self) -> None:
        super().__init__(
            context_similarity_factor=0,
            min_score_with_context_similarity=0,
            context_prefix_count=0,
            context_suffix_count=0,
        )

    def enhance_using_context(
        self,
        text: str,  # noqa: ARG002
        raw_results: list[RecognizerResult],
        nlp_artifacts: NlpArtifacts,  # noqa: ARG002
        recognizers: list[EntityRecognizer],  # noqa: ARG002
        context: list[str] | None = None,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        """Return the results unchanged."""
        return raw_results
