"""The bridge to presidio: the finders as a recognizer, a reading as artifacts, and a context step that changes nothing.

Importing this module imports presidio; only ``deid.text.engine`` does so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from presidio_analyzer import (
    AnalysisExplanation,
    ContextAwareEnhancer,
    EntityRecognizer,
    LocalRecognizer,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine

from deid.text.finders import Finder
from deid.text.kinds import Kind
from deid.text.reading import Reading, read
from deid.text.spans import Span, settle

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


class TextRecognizer(LocalRecognizer):
    """All finders behind presidio's interface, their conflicts settled; works in any ``AnalyzerEngine``.

    Not a ``PatternRecognizer``: that one skips a pattern that takes too long, which lets the text through.

    Args:
        finders: that are asked; each decides by the script of a text whether it has anything to do.
        language: that presidio asks it for.
        thresholds: the least score of a kind, by name; ``default`` for the others.
        name: in traces.
    """

    def __init__(
        self,
        finders: Sequence[Finder],
        language: str,
        thresholds: Mapping[str, float],
        name: str = "consentry",
    ) -> None:
        self._finders = tuple(finders)
        self._least = {kind: thresholds.get(kind, thresholds["default"]) for kind in Kind}
        kinds = sorted({kind.value for finder in finders for kind in finder.kinds})
        super().__init__(supported_entities=kinds, supported_language=language, name=name)
        self._called = name
        named, identified = RecognizerResult.RECOGNIZER_NAME_KEY, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY
        self._named = {named: name, identified: self.id}

    def load(self) -> None:
        """Nothing to load: finders are built when they are first asked for."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return what is found of the kinds that are asked for, disjoint and sorted, in offsets of ``text``."""
        if isinstance(nlp_artifacts, ReadingArtifacts):
            reading = nlp_artifacts.reading
        else:
            reading = read(text, self.supported_language)
        hits = [
            hit
            for finder in self._finders
            for hit in finder.find(reading)
            if hit.kind in entities and hit.score >= self._least[hit.kind]
        ]
        return [self._result(span, reading) for span in settle(hits)] if hits else []

    def _result(self, span: Span, reading: Reading) -> RecognizerResult:
        start, end = reading.folded.original_span(span.start, span.end)
        why = AnalysisExplanation(self._called, span.score, pattern_name=span.source, validation_result=span.checked)
        said = {**self._named, CHECKED: span.checked, SOURCE: span.source}
        return RecognizerResult(span.type.value, start, end, span.score, why, said)


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
