"""Find a subject by a source's own id or by the value of an indexed field; the look-up is logged, found or not."""

from dataclasses import dataclass
from typing import Final

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.access import CASE_LEVEL, RuleDenied, check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.denials import check_allowed, record_denial
from consentry.workflows.limits import LimitReached, spend_look_up, tell_first_refusal
from kernel.catalogue import IndexKind
from kernel.errors import Denied, NotFound
from kernel.ids import SubjectId

FOUND_AT_ONCE: Final = 100
"""A search that leads to more tells that there are more, and not whom."""

_FIND: Final = "subject.find"

_SEARCH: Final = "search"
"""Name of the key under which the log has what was searched for."""


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a value leads to.

    Attributes:
        is_exact: whether each of them has the value; of a truncated index they are candidates.
        are_more: whether there are others.
    """

    subjects: tuple[SubjectId, ...]
    is_exact: bool
    are_more: bool


def find_subject(platform: Platform, caller: Principal, *, source: str, source_id: str) -> SubjectId:
    """Return the subject behind a source's id.

    Raises:
        NotFound: nobody is known by it; that, too, is an answer about somebody, and logged.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    asking = platform.asking(caller)
    subject = platform.resolver.find(source, source_id)
    event = Event(
        Act.SUBJECT_LOOKED_UP, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=subject,
        counts={"found": int(subject is not None)}, details={"source": source},
    )  # fmt: skip
    platform.log.write(event)
    if subject is None:
        raise NotFound("No subject is known under this source and id", hint="Check --source and --id.")
    return subject


def search_subjects(platform: Platform, caller: Principal, *, field: str, value: str) -> Found:
    """Return whom the value of an indexed field leads to, without opening anything.

    The entry says which field, how many were found and who; of the value it has a keyed digest only. A search is a
    reading of one field, and counts as one: whoever may guess without end reads the index.

    Raises:
        BadInput: the pack declares no index of the field.
        Denied: the role may not search, or not by this field; logged.
        LimitReached: the caller has read as much as it may for now; logged.
    """
    check_allowed(platform, caller, _FIND, persons_only=True)
    _check_field(platform, caller, field)
    asking = platform.asking(caller)
    count_search(platform, caller, asking)
    subjects = platform.resolver.find_by_field(field, value, limit=FOUND_AT_ONCE + 1)
    is_exact = platform.catalogue.get_field(field).index is IndexKind.UNIQUE
    found = Found(tuple(subjects[:FOUND_AT_ONCE]), is_exact, len(subjects) > FOUND_AT_ONCE)
    (query,) = platform.digests.digest_many(_SEARCH, [f"{field}={value}".encode()])
    event = Event(
        Act.SUBJECT_LOOKED_UP, Outcome.DONE, asking.actor, asking.role, asking.request_id,
        cohort=found.subjects, fields=(field,), counts={"found": len(found.subjects)}, refs={"query": query.hex()},
    )  # fmt: skip
    platform.log.write(event)
    return found


def _check_field(platform: Platform, caller: Principal, field: str) -> None:
    """Raise where the search would tell what the role's readings hide: a masked value is found out by a few guesses."""
    role, known = platform.catalogue.get_role(caller.role), platform.catalogue.fields.get(field)
    if field in role.masked_fields or (known is not None and known.level >= CASE_LEVEL):
        record_denial(platform, caller, reason=RuleDenied.rule, refs={"act": _FIND})
        raise Denied(f"Role {caller.role!r} may not search by {field}", hint="Search by another field.")


def count_search(platform: Platform, caller: Principal, asking: Asking) -> None:
    """Count a try to find somebody by a value; raises ``LimitReached``, which is logged and told to officers."""
    try:
        with platform.data.write() as connection:
            spend_look_up(platform, connection, asking)
    except LimitReached as err:
        record_denial(platform, caller, reason=LimitReached.rule, refs={"act": _FIND})
        with platform.data.write() as connection:
            tell_first_refusal(platform, connection, caller, err)
        raise
