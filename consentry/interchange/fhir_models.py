"""The library's models of the releases that are written and read, loaded when they are first needed."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Final

from consentry.interchange.releases import Release
from kernel.encoding import JsonValue

_CONSENT: Final = {Release.R4: "fhir.resources.R4B.consent", Release.R5: "fhir.resources.consent"}
"""R4B's Consent is R4's (fhir.resources has no R4 of its own); its default models are those of R5."""

_AUDIT_EVENT: Final = "fhir.resources.R4B.auditevent"
"""R4B's AuditEvent is R4's."""


def check_model(resource: Mapping[str, JsonValue], release: Release) -> None:
    """Raise ``ValueError`` where a resource is no Consent of the release."""
    _check(_CONSENT[release], "Consent")(resource)


def check_audit_event(resource: Mapping[str, JsonValue]) -> None:
    """Raise ``ValueError`` where a resource is no AuditEvent of R4."""
    _check(_AUDIT_EVENT, "AuditEvent")(resource)


@cache
def _check(module: str, name: str) -> Callable[[Mapping[str, JsonValue]], object]:
    check: Callable[[Mapping[str, JsonValue]], object] = getattr(import_module(module), name).model_validate
    return check
