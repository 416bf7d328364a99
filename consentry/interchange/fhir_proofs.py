"""What in a FHIR Consent shows that somebody acted; a bare status is no sign of it (GDPR 4(11))."""

from collections.abc import Collection, Mapping
from typing import Final

from consentry.interchange.fhir_elements import Element

VERIFICATION_PARTS: Final = frozenset(
    {"verified", "verifiedWith", "verificationDate", "verificationType", "verifiedBy"}
)
"""What is read of a verification, in R4 and R5."""


def read_proofs(resource: Element, *, notices: str, people: Collection[str]) -> tuple[str, ...]:
    """Return the names of the elements that show the act, in order.

    Args:
        resource: a Consent that fits its model.
        notices: the system of our notices' identifiers: a reference to what was shown is none to what was done.
        people: references to the subject and to whoever acted, as ``named_by`` writes them.
    """
    shows = {
        "sourceAttachment": any(one.get("data") or one.get("url") for one in _listed(resource, "sourceAttachment")),
        "sourceReference": any(_is_record(one, notices) for one in _listed(resource, "sourceReference")),
        "verification": _is_verified(resource, people),
    }
    return tuple(name for name, is_shown in shows.items() if is_shown)


def named_by(reference: Element) -> str:
    """Return what a reference names somebody by, in one text."""
    identifier = reference.get("identifier") or {}
    return f"{reference.get('reference') or ''}|{identifier.get('system') or ''}|{identifier.get('value') or ''}"


def _is_record(reference: Element, notices: str) -> bool:
    identifier = reference.get("identifier") or {}
    address = str(reference.get("reference") or "")
    is_elsewhere = bool(address) and not address.startswith("#")  # what `contained` would hold is not read
    return identifier.get("system") != notices and (is_elsewhere or bool(identifier.get("value")))


def _is_verified(resource: Element, people: Collection[str]) -> bool:
    """Say whether every verification says yes, and names nobody else than those whose act it is."""
    given = _listed(resource, "verification")
    return bool(given) and all(
        one.get("verified") is True and ("verifiedWith" not in one or named_by(one["verifiedWith"]) in people)
        for one in given
    )


def _listed(resource: Element, name: str) -> list[Element]:
    """Return an element as a list: what R4 has once, R5 has several times."""
    given = resource.get(name) or []
    return [given] if isinstance(given, Mapping) else list(given)
