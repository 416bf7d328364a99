"""presidio-analyzer as the frame: its registry, recognizer interface and analyzer; no model, no network."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from deid.text.finders import Finder, all_finders
from deid.text.kinds import Kind
from deid.text.lean_import import without
from deid.text.spans import Hit

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerResult

LANGUAGES: Final = ("zh", "en")

THRESHOLDS: Final[Mapping[str, float]] = {"default": 0.5}
"""The least score of a kind where no profile says another; presidio's default of 0 would let 0.01 through."""

_UNUSED_DEPENDENCIES: Final = ("spacy", "thinc", "tldextract")


class Detector(Protocol):
    """Finds the hits in one window of text."""

    def detect(self, text: str, language: str = "zh", extra: Sequence[Finder] = ()) -> list[Hit]:
        """Return hits in offsets of ``text`` that may overlap, in no particular order.

        Args:
            text: one window.
            language: ``zh`` or ``en``.
            extra: finders for this document alone, such as of the subject's own identifiers.
        """
        ...


class PresidioDetector:
    """The analyzer engine with our recognizer; building it imports presidio, which takes about half a second.

    Args:
        finders: all that ship unless given.
        thresholds: the least score by the name of a kind, and ``default``.
    """

    def __init__(self, finders: Sequence[Finder] | None = None, thresholds: Mapping[str, float] = THRESHOLDS) -> None:
        self._thresholds = thresholds
        self._engine = _build_engine(all_finders() if finders is None else finders, thresholds)

    def detect(self, text: str, language: str = "zh", extra: Sequence[Finder] = ()) -> list[Hit]:
        """Return hits in offsets of ``text`` that may overlap, in no particular order."""
        own = [_recognizer(extra, language, self._thresholds, "record")] if extra else None
        return [_hit(result) for result in self._engine.analyze(text, language, ad_hoc_recognizers=own)]


def presidio_recognizers(
    languages: Sequence[str] = LANGUAGES, thresholds: Mapping[str, float] = THRESHOLDS
) -> "list[EntityRecognizer]":
    """Return our recognizers for an ``AnalyzerEngine`` of one's own: one for each language, all finders in it.

    Example:
        ``registry.recognizers.extend(presidio_recognizers())``
    """
    return [_recognizer(all_finders(), language, thresholds) for language in languages]


def _recognizer(
    finders: Sequence[Finder], language: str, thresholds: Mapping[str, float], name: str = "consentry"
) -> "EntityRecognizer":
    with without(_UNUSED_DEPENDENCIES):
        from deid.text.recognizers import TextRecognizer
    return TextRecognizer(finders, language, thresholds, name)


def _build_engine(finders: Sequence[Finder], thresholds: Mapping[str, float]) -> "AnalyzerEngine":
    with without(_UNUSED_DEPENDENCIES):
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

        from deid.text.recognizers import JudgesDecide, ReadingEngine
    recognizers = [_recognizer(finders, language, thresholds) for language in LANGUAGES]
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
