"""The bridge to presidio: the finders as a recognizer, a reading as artifacts, and a context step that changes nothing.

Importing this module imports presidio; only ``deid.text.engine`` does so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final, cast

from presidio_analyzer import (
    AnalysisExplanation,
    ContextAwareEnhancer,
    EntityRecognizer,
    LocalRecognizer,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NlpArtifacts

from deid.text.finders import Finder
from deid.text.kinds import Kind
from deid.text.reading import Reading, read
from deid.text.spans import Hit, Span, settle
from deid.text.thresholds import least_scores
from deid.text.watch import LONG, Proposal, Watch

CHECKED: Final = "checked"
"""Key of a result's metadata: whether a check digit was verified."""

SOURCE: Final = "source"
"""Key of a result's metadata: which rule found it."""


class ReadingArtifacts(NlpArtifacts):
    """Artifacts without tokens that carry the window as the finders read it, so that it is folded once for all.

    Attributes:
        extra: finders for this document alone.
        watch: over this document, where somebody watches.
    """

    def __init__(self, reading: Reading, extra: Sequence[Finder] = (), watch: Watch | None = None) -> None:
        super().__init__([], cast("Any", ()), [], [], None, reading.language)
        self.reading = reading
        self.extra = extra
        self.watch = watch


class FoundResult(RecognizerResult):
    """A result that is copied as a whole.

    presidio copies each before it looks at its context; to take one apart by itself takes longer than to find it. The
    explanation is shared: the one that was copied is dropped.
    """

    def __deepcopy__(self, _: dict[int, object]) -> "FoundResult":
        said, why = self.recognition_metadata, self.analysis_explanation
        return FoundResult(self.entity_type, self.start, self.end, self.score, why, dict(said))


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
        self._least = least_scores(thresholds)
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
        finders: Sequence[Finder] = self._finders
        watch = None
        if isinstance(nlp_artifacts, ReadingArtifacts):
            reading, watch = nlp_artifacts.reading, nlp_artifacts.watch
            finders = (*finders, *nlp_artifacts.extra)
        else:
            reading = read(text, self.supported_language)
        if watch is not None and (watch.notes or len(text) >= LONG):
            hits = list(_watched(finders, watch, reading, self._least))
        else:
            hits = [hit for finder in finders for hit in finder.find(reading)]
            if reading.aside is not None:
                hits += [hit for finder in finders for hit in finder.find(reading.aside)]
        if not hits:
            return []
        wanted = (hit for hit in hits if hit.score >= self._least[hit.kind] and hit.kind in entities)
        return [self._result(span, reading) for span in settle(wanted)]

    def _result(self, span: Span, reading: Reading) -> RecognizerResult:
        start, end = reading.folded.original_span(span.start, span.end)
        why = AnalysisExplanation(self._called, span.score, pattern_name=span.source, validation_result=span.checked)
        said = {**self._named, CHECKED: span.checked, SOURCE: span.source}
        return FoundResult(span.type.value, start, end, span.score, why, said)


def _watched(finders: Iterable[Finder], watch: Watch, reading: Reading, least: Mapping[Kind, float]) -> Iterator[Hit]:
    """Yield all hits; raises ``CannotJudge`` when the time is over."""
    for finder, read_as in product(finders, (reading, reading.aside)):
        watch.check()
        for hit in () if read_as is None else finder.find(read_as):
            watch.check()
            if watch.notes:
                start, end = reading.folded.original_span(hit.start, hit.end)
                watch.note(Proposal(replace(hit, start=start, end=end), hit.score < least[hit.kind]))
            yield hit


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
