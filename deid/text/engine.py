"""presidio-analyzer as the frame: its registry, recognizer interface and analyzer; no model, no network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from deid.text.finders import Finder, all_finders
from deid.text.kinds import Kind
from deid.text.lean_import import without
from deid.text.spans import Hit

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, RecognizerResult

LANGUAGES: Final = ("zh", "en")
SCORE_THRESHOLD: Final = 0.5
"""presidio's default of 0 would let 0.01 through."""

_UNUSED_DEPENDENCIES: Final = ("spacy", "thinc", "tldextract")


class Detector(Protocol):
    """Finds the hits in one window of text."""

    def detect(self, text: str, language: str = "zh") -> list[Hit]:
        """Return hits in offsets of ``text`` that may overlap, in no particular order."""
        ...


class PresidioDetector:
    """The analyzer engine with our recognizers; building it imports presidio, which takes about half a second."""

    def __init__(self, finders: Sequence[Finder] | None = None) -> None:
        chosen = all_finders() if finders is None else finders
        self._kinds = {
            language: sorted({kind.value for finder in chosen if language in finder.languages for kind in finder.kinds})
            for language in LANGUAGES
        }
        self._engine = _build_engine(chosen)

    def detect(self, text: str, language: str = "zh") -> list[Hit]:
        """Return hits in offsets of ``text`` that may overlap, in no particular order."""
        results = self._engine.analyze(
            text,
            language,
            entities=self._kinds[language],
            score_threshold=SCORE_THRESHOLD,
            return_decision_process=False,
        )
        return [_hit(result) for result in results]


def _build_engine(finders: Sequence[Finder]) -> "AnalyzerEngine":
    with without(_UNUSED_DEPENDENCIES):
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

        from deid.text.recognizers import FinderRecognizer, JudgesDecide, ReadingEngine
    recognizers = [FinderRecognizer(finder, language) for finder in finders for language in sorted(finder.languages)]
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=list(LANGUAGES)),
        nlp_engine=ReadingEngine(models=[{"lang_code": language, "model_name": ""} for language in LANGUAGES]),
        supported_languages=list(LANGUAGES),
        context_aware_enhancer=JudgesDecide(),
        log_decision_process=False,
    )


def _hit(result: "RecognizerResult") -> Hit:
    said = result.recognition_metadata
    checked, source = bool(said["checked"]), str(said["source"])
    return Hit(result.start, result.end, Kind(result.entity_type), result.score, checked, source)
