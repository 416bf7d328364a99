"""Calls that a role does not have: refused, with an entry that says who tried what."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.access import check_may_act
from consentry.bound_sources import ForeignSource, foreign_sources
from consentry.contracts import OutsideContract, check_stands, find_mandate
from consentry.platform import Platform
from consentry.principals import Principal, PrincipalKind
from kernel.catalogue import Catalogue
from kernel.encoding import JsonValue
from kernel.errors import Denied
from kernel.ids import SubjectId

_NAMES_SHOWN: Final = 20
_NAME_SHOWN: Final = 200
"""Of what the pack does not know: so many names, and characters of each, are sealed beside a denial."""

OUTSIDE: Final = "PROCESSOR"
"""The reason of an entry on a processor's key that was used outside its contract."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a refused call asked for (R52)."""

    purpose: str
    fields: Collection[str]

    def told(self, event: Event, catalogue: Catalogue) -> Event:
        """Return a denial's event with purpose, fields and level.

        A purpose or field that the pack does not know may be anything: it is counted, and sealed beside the entry.
        """
        known = sorted(code for code in set(self.fields) if code in catalogue.fields)
        unknown = sorted({*self.fields, self.purpose} - {*catalogue.fields, *catalogue.purposes})
        names: list[JsonValue] = [name[:_NAME_SHOWN] for name in unknown[:_NAMES_SHOWN]]
        return replace(
            event,
            purpose=self.purpose if self.purpose in catalogue.purposes else None,
            fields=tuple(known),
            level=max((catalogue.fields[code].level for code in known), default=None),
            counts={"unknown": len(unknown)} if unknown else {},
            details={**(event.details or {}), "unknown": names} if unknown else event.details,
        )


def check_allowed(
    platform: Platform,
    caller: Principal,
    act: str,
    *,
    persons_only: bool = False,
    for_subjects: bool = False,
    subject: SubjectId | None = None,
    tried: Tried | None = None,
) -> None:
    """Raise ``Denied`` unless the caller's role lists the act, and a processor's contract stands; either is logged.

    Args:
        platform: every part.
        caller: who calls.
        act: as the pack's roles name it.
        persons_only: refuse a machine's key even where its role lists the act.
        for_subjects: the call also bears a data subject that speaks for itself; every other call refuses one, whatever
            the pack's role lists.
        subject: whom the call is about.
        tried: what it asks for.
    """
    try:
        check_may_act(platform.catalogue, caller, act)
        _check_kind(caller, persons_only=persons_only, for_subjects=for_subjects)
    except Denied:
        record_denial(platform, caller, reason="ROLE", subject=subject, refs={"act": act}, tried=tried)
        raise
    with contract_kept(platform, caller, subject=subject, refs={"act": act}):
        if caller.processor is not None:
            with platform.data.read() as connection:
                check_stands(find_mandate(platform, connection, caller))


def check_source(platform: Platform, caller: Principal, source: str, *, act: str) -> None:
    """Raise ``ForeignSource`` unless the caller may speak as a source; the refusal leaves its entry."""
    if foreign := foreign_sources(caller.sources, [source]):
        record_denial(platform, caller, reason=ForeignSource.rule, refs={"act": act, "source": source})
        raise ForeignSource(foreign)


@contextmanager
def contract_kept(
    platform: Platform, caller: Principal, *, subject: SubjectId | None = None, refs: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Leave the entry of what a processor's key does outside its contract; to be put around, and not inside, a write.

    Raises:
        OutsideContract: as it came.
    """
    try:
        yield
    except OutsideContract as err:
        record_denial(platform, caller, reason=OUTSIDE, subject=subject, refs=contract_refs(err) | dict(refs or {}))
        raise


def contract_refs(err: OutsideContract) -> dict[str, str]:
    """Return what an entry names of a broken contract."""
    return {"processor": err.processor, "rule": err.rule}


def record_denial(
    platform: Platform,
    caller: Principal,
    *,
    reason: str,
    subject: SubjectId | None = None,
    refs: Mapping[str, str] | None = None,
    tried: Tried | None = None,
) -> None:
    """Leave the entry of a refused call, in a transaction of its own."""
    event = denial_of(platform.asking(caller), reason=reason, subject=subject, refs=refs)
    if tried is not None:
        event = tried.told(event, platform.catalogue)
    with platform.data.write() as connection:
        platform.log.record(connection, event)


def denial_of(
    asking: Asking, *, reason: str, subject: SubjectId | None = None, refs: Mapping[str, str] | None = None
) -> Event:
    """Return the event of a refused call, for whoever records it in the transaction that goes on."""
    return Event(
        Act.ACCESS_DENIED, Outcome.DENIED, asking.actor, asking.role, asking.request_id,
        subject=subject, reason=reason, refs=refs or {},
    )  # fmt: skip


def _check_kind(caller: Principal, *, persons_only: bool, for_subjects: bool) -> None:
    if caller.kind is PrincipalKind.SUBJECT and not for_subjects:
        raise Denied("A subject token cannot do this", hint="See which routes take one in docs/reference/http-api.md.")
    if caller.kind is PrincipalKind.KEY and persons_only:
        raise Denied("A key cannot do this", hint="Sign in as a person and send the token.")
