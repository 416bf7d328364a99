"""The library's models of the releases that are written and read, loaded when they are first needed."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Final

from consentry.interchange.releases import Release
from kernel.encoding import JsonValue

_MODULES: Final = {Release.R4: "fhir.resources.R4B.consent", Release.R5: "fhir.resources.consent"}
"""R4B's Consent is R4's (fhir.resources has no R4 of its own); its default models are those of R5."""


def check_model(resource: Mapping[str, JsonValue], release: Release) -> None:
    """Raise ``ValueError`` where a resource is no Consent of the release."""
    _check(release)(resource)


@cache
def _check(release: Release) -> Callable[[Mapping[str, JsonValue]], object]:
    check: Callable[[Mapping[str, JsonValue]], object] = import_module(_MODULES[release]).Consent.model_validate
    return check
