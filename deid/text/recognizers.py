"""The bridge to presidio: our scanner as a recognizer, and a context step that leaves the judges' scores alone.

Importing this module imports presidio; only ``deid.text.engine`` does so.
"""

from collections.abc import Sequence
from typing import Final

from presidio_analyzer import ContextAwareEnhancer, EntityRecognizer, LocalRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from deid.text.identifiers import Identifier
from deid.text.scanner import scan

CHECKED: Final = "checked"
"""Key of a result's metadata: whether a check digit was verified."""


class IdentifierRecognizer(LocalRecognizer):
    """Finds all structured identifiers in one pass.

    Not a ``PatternRecognizer``: that one skips a pattern that takes too long, which lets the text through.
    """

    def __init__(self, identifiers: Sequence[Identifier], language: str) -> None:
        self._identifiers = identifiers
        kinds = sorted({identifier.kind.value for identifier in identifiers})
        super().__init__(supported_entities=kinds, supported_language=language, country_code="cn")

    def load(self) -> None:
        """Nothing to load: patterns are compiled when the package is imported."""

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: NlpArtifacts | None = None,  # noqa: ARG002  no model, nothing inside
    ) -> list[RecognizerResult]:
        """Return what the judges accept, of the kinds that are asked for."""
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: type(self).__name__,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return [
            RecognizerResult(
                hit.kind.value, hit.start, hit.end, hit.score, recognition_metadata={**metadata, CHECKED: hit.checked}
            )
            for hit in scan(text, self._identifiers)
            if hit.kind.value in entities
        ]


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
