"""presidio-analyzer as the frame: its registry, recognizer interface and analyzer; no model, no network."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Final, Protocol

from deid.text.finders import Finder, all_finders
from deid.text.kinds import Kind
from deid.text.lean_import import without
from deid.text.reading import read
from deid.text.spans import OWN, Hit, overlapping
from deid.text.thresholds import THRESHOLDS
from deid.text.watch import Watch
from kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerResult

LANGUAGES: Final = ("zh", "en")

_UNUSED_DEPENDENCIES: Final = ("spacy", "thinc", "tldextract")

_CHECKED: Final = "checked"
_SOURCE: Final = "source"
"""Keys of a result's metadata."""


class Detector(Protocol):
    """Finds the hits in one window of text."""

    def detect(
        self, text: str, language: str = "zh", extra: Sequence[Finder] = (), watch: Watch | None = None
    ) -> list[Hit]:
        """Return hits in offsets of ``text`` that may overlap, in no particular order.

        Args:
            text: one window.
            language: ``zh`` or ``en``.
            extra: finders for this document alone, such as of the subject's own identifiers.
            watch: over the document.

        Raises:
            CannotJudge: the document's time is over.
        """
        ...


class PresidioDetector:
    """The analyzer engine with our recognizer; building it imports presidio, which takes about half a second.

    Args:
        finders: all that ship unless given.
        thresholds: the least score by the name of a kind, and ``default``.

    Raises:
        ConfigurationError: a threshold is none.
    """

    def __init__(self, finders: Sequence[Finder] | None = None, thresholds: Mapping[str, float] = THRESHOLDS) -> None:
        self._engine = _build_engine(all_finders() if finders is None else finders, thresholds)

    def detect(
        self, text: str, language: str = "zh", extra: Sequence[Finder] = (), watch: Watch | None = None
    ) -> list[Hit]:
        """Return hits in offsets of ``text`` that may overlap, in no particular order."""
        from deid.text.recognizers import ReadingArtifacts

        artifacts = ReadingArtifacts(read(text, language), extra, watch)
        return [_hit(result) for result in self._engine.analyze(text, language, nlp_artifacts=artifacts)]


def presidio_recognizers(
    languages: Sequence[str] = LANGUAGES,
    thresholds: Mapping[str, float] = THRESHOLDS,
    finders: Sequence[Finder] | None = None,
) -> "list[EntityRecognizer]":
    """Return our recognizers for an ``AnalyzerEngine`` of one's own: one for each language, all finders in it.

    Where presidio's own models are to be used beside them, import presidio before the first text is scrubbed: the
    scrubber imports it without spaCy.

    Args:
        languages: of ``zh`` and ``en``.
        thresholds: the least score by the name of a kind, and ``default``.
        finders: all that ship unless given.

    Raises:
        ConfigurationError: a language is none of these, or a threshold is none.

    Example:
        ``RecognizerRegistry(recognizers=presidio_recognizers(["zh"]), supported_languages=["zh"])``
    """
    from deid.text.recognizers import TextRecognizer

    for language in languages:
        if language not in LANGUAGES:
            raise ConfigurationError(f"Text is not read as {language!r}", hint=f"Languages are {', '.join(LANGUAGES)}.")
    asked = all_finders() if finders is None else finders
    return [TextRecognizer(asked, language, thresholds) for language in languages]


def settle_results(results: "Iterable[RecognizerResult]") -> "list[RecognizerResult]":
    """Turn the results of an ``AnalyzerEngine`` that overlap into disjoint ones, by the rules of ``settle``.

    Results may be of any recognizer: a check digit counts as verified where its validation said so. Types may be any.

    Returns:
        sorted results; each has the type of the strongest that it stands for and covers all of them.
    """
    ordered = sorted(results, key=lambda result: (result.start, result.end, result.entity_type))
    return [_strongest(group) for group in overlapping(ordered)]


def _strongest(group: "Sequence[RecognizerResult]") -> "RecognizerResult":
    winner = copy(max(group, key=_rank))
    winner.start, winner.end = group[0].start, max(result.end for result in group)
    return winner


def _rank(result: "RecognizerResult") -> tuple[bool, bool, int, float]:
    said = result.recognition_metadata or {}
    why = result.analysis_explanation
    checked = bool(said.get(_CHECKED) or (why is not None and why.validation_result))
    return (str(said.get(_SOURCE, "")).startswith(OWN), checked, result.end - result.start, result.score)


def _build_engine(finders: Sequence[Finder], thresholds: Mapping[str, float]) -> "AnalyzerEngine":
    with without(_UNUSED_DEPENDENCIES):
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NoOpNlpEngine

        from deid.text.recognizers import JudgesDecide
    recognizers = presidio_recognizers(LANGUAGES, thresholds, finders)
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=list(LANGUAGES)),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": language, "model_name": ""} for language in LANGUAGES]),
        supported_languages=list(LANGUAGES),
        context_aware_enhancer=JudgesDecide(),
        log_decision_process=False,
    )


def _hit(result: "RecognizerResult") -> Hit:
    said = result.recognition_metadata
    checked, source = bool(said[_CHECKED]), str(said[_SOURCE])
    return Hit(result.start, result.end, Kind(result.entity_type), result.score, checked, source)
