"""presidio-analyzer as the frame: its registry, recognizer interface and analyzer; no model, no network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from deid.text.identifiers import IDENTIFIERS, Identifier
from deid.text.lean_import import without
from deid.text.spans import Hit, Kind

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, RecognizerResult

LANGUAGE: Final = "zh"
SCORE_THRESHOLD: Final = 0.5
"""presidio's default of 0 would let 0.01 through."""

_UNUSED_DEPENDENCIES: Final = ("spacy", "thinc", "tldextract")


class Detector(Protocol):
    """Finds the hits in one window of folded text."""

    def detect(self, text: str) -> list[Hit]:
        """Return hits that may overlap, in no particular order."""
        ...


class PresidioDetector:
    """The analyzer engine with our recognizer; building it imports presidio, which takes about half a second."""

    def __init__(self, identifiers: Sequence[Identifier] = IDENTIFIERS) -> None:
        self._kinds = sorted({identifier.kind.value for identifier in identifiers})
        self._engine = _build_engine(identifiers)

    def detect(self, text: str) -> list[Hit]:
        """Return hits that may overlap, in no particular order."""
        results = self._engine.analyze(
            text, LANGUAGE, entities=self._kinds, score_threshold=SCORE_THRESHOLD, return_decision_process=False
        )
        return [_hit(result) for result in results]


def _build_engine(identifiers: Sequence[Identifier]) -> "AnalyzerEngine":
    with without(_UNUSED_DEPENDENCIES):
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NoOpNlpEngine

        from deid.text.recognizers import IdentifierRecognizer, JudgesDecide
    recognizer = IdentifierRecognizer(identifiers, LANGUAGE)
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=[recognizer], supported_languages=[LANGUAGE]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": ""}]),
        supported_languages=[LANGUAGE],
        context_aware_enhancer=JudgesDecide(),
        log_decision_process=False,
    )


def _hit(result: "RecognizerResult") -> Hit:
    checked = bool(result.recognition_metadata["checked"])
    return Hit(result.start, result.end, Kind(result.entity_type), result.score, checked)
