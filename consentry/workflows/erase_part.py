"""Erase a part of a subject that stays: a compartment, what was collected for a purpose, or fields."""

from dataclasses import dataclass, replace

from audit.events import Act
from consent.asking import Asking
from consent.entries import event_of
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.content_reviews import POST_FIELD, forget_content
from consentry.workflows.erase import check_reason
from kernel.catalogue import Catalogue, Compartment
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import SubjectId
from vault.field_erasure import FieldErasure
from vault.scopes import Scope, ScopeKind


@dataclass(frozen=True, slots=True)
class ErasedPart:
    """How the erasure of a part ended."""

    subject: SubjectId
    scope: Scope
    outcome: FieldErasure

    def as_json(self) -> dict[str, JsonValue]:
        """Return the outcome for programs; ``nothing`` where nothing of it was stored."""
        found = self.outcome
        finished = "erased" if found.held_until is None else "restricted"
        said: dict[str, JsonValue] = {
            "subject": self.subject,
            "erasure": found.erasure_id,
            "state": "nothing" if found.erasure_id is None else finished,
            "scope": self.scope.as_json(),
            "fields": sorted(found.fields),
            "counts": dict(found.counts),
        }
        if found.held_until is not None:
            said["held_until"] = format_instant(found.held_until)
        if found.certificate is not None:
            said["certificate"] = found.certificate.content.decode()
        return said


def erase_part(platform: Platform, caller: Principal, *, subject: SubjectId, scope: Scope, reason: str) -> ErasedPart:
    """Erase a part of a subject; its view rows, tags and releases go whole, and the next build brings back the rest.

    Raises:
        BadInput: no reason, or a name in the scope that nothing has.
        NotFound: no such subject.
        Conflict: the subject is restricted or being erased.
    """
    check_may_act(platform.catalogue, caller, "subject.erase")
    check_reason(reason)
    asking = platform.asking(caller)
    outcome = platform.eraser.fields.erase_scope(subject, scope, asking=asking, reason=reason)
    if _reaches(platform.catalogue, scope, POST_FIELD):
        with platform.data.write() as connection:
            forget_content(connection, subject)
    if outcome.erasure_id is None and outcome.held_until is None:
        _record_nothing(platform, replace(asking, reason=reason), subject, scope)
    platform.log.settle()
    return ErasedPart(subject, scope, outcome)


def _reaches(catalogue: Catalogue, scope: Scope, code: str) -> bool:
    """Say whether a field, where the pack has it, belongs to a part."""
    declared = catalogue.fields.get(code)
    if declared is None:
        return False
    match scope.kind:
        case ScopeKind.SUBJECT:
            return True
        case ScopeKind.COMPARTMENT:
            return declared.compartment.value in scope.names
        case ScopeKind.PURPOSE:
            return declared.collect in scope.names
        case ScopeKind.FIELDS:
            return code in scope.names


def _record_nothing(platform: Platform, asking: Asking, subject: SubjectId, scope: Scope) -> None:
    """Leave the entry of a request that found nothing stored; where all of it is held, the eraser has left it."""
    event = replace(event_of(asking, Act.FIELDS_ERASED), subject=subject, reason="NOTHING_STORED")
    event = replace(event, refs={"scope": scope.kind.value})
    with platform.data.write() as connection:
        get_standing(connection, subject)
        platform.log.record(connection, event)


def part_scope(
    catalogue: Catalogue, *, compartment: str | None = None, purpose: str | None = None, fields: tuple[str, ...] = ()
) -> Scope | None:
    """Return the scope that was asked for by one of the three; None for a whole subject.

    Raises:
        BadInput: more than one is given, or a name that nothing has.
    """
    given = [one for one in (compartment, purpose, fields or None) if one is not None]
    if len(given) > 1:
        raise BadInput("A part is a compartment, a purpose or fields", hint="Give one of the three.")
    if compartment is not None:
        return Scope(ScopeKind.COMPARTMENT, _known((compartment,), {one.value for one in Compartment}, "compartment"))
    if purpose is not None:
        return Scope(ScopeKind.PURPOSE, _known((purpose,), set(catalogue.purposes), "purpose"))
    return Scope(ScopeKind.FIELDS, _known(fields, set(catalogue.fields), "field")) if fields else None


def _known(names: tuple[str, ...], known: set[str], what: str) -> tuple[str, ...]:
    unknown = sorted(set(names) - known)
    if unknown:
        raise BadInput(f"There is no {what} {unknown[0]!a}", hint=f"The catalogue has the names of every {what}.")
    return tuple(sorted(set(names)))
