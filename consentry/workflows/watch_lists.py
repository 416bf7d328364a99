"""The officer's lists: specially protected people, and which of the staff is which data subject.

They live in the log itself, each change an entry with sealed details, so that there is no second place that could be
changed unseen; who is on a list stands in no entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from audit.scanning import entries_of
from consent.standing import get_standing
from consentry.platform import Platform
from consentry.principals import Principal, find_person
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed
from kernel.errors import Conflict, NotFound
from kernel.ids import EntryId, SubjectId

REVIEW: Final = "audit.review"
"""What a role must be allowed to review accesses and to keep the lists behind the rules."""

_WHAT: Final = "watch_list"


class WatchList(StrEnum):
    """Which list."""

    PROTECTED = "protected"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Watched:
    """The lists as they stand.

    Attributes:
        protected: people whose every access is told.
        staff: principals who are data subjects too.
    """

    protected: frozenset[SubjectId] = frozenset()
    staff: Mapping[str, SubjectId] = field(default_factory=dict)


def read_lists(platform: Platform, connection: Connection) -> Watched:
    """Return the lists, folded from the log.

    Raises:
        IntegrityFailed: what an entry says of a list is gone; without it the rules would be disarmed unseen.
    """
    protected: set[SubjectId] = set()
    staff: dict[str, SubjectId] = {}
    for entry in entries_of(connection, [Act.LOG_CONFIGURED.value]):
        if entry.refs.get("what") != _WHAT:
            continue
        told = platform.log.get_details(connection, EntryId(entry.entry_id))
        subject, principal = SubjectId(str(told.get("subject"))), str(told.get("principal"))
        is_added = entry.refs.get("change") == "added"
        if entry.refs.get("list") == WatchList.PROTECTED.value:
            (protected.add if is_added else protected.discard)(subject)
        elif is_added:
            staff[principal] = subject
        else:
            staff.pop(principal, None)
    return Watched(frozenset(protected), staff)


def show_lists(platform: Platform, caller: Principal) -> Watched:
    """Return the lists to an officer; the reading leaves its entry first."""
    check_allowed(platform, caller, REVIEW, persons_only=True)
    asking = platform.asking(caller)
    event = Event(
        Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, refs={"what": "watch_lists"}
    )
    with platform.data.write() as connection:
        platform.log.record(connection, event)
    platform.log.settle()
    with platform.data.read() as connection:
        return read_lists(platform, connection)


def protect(platform: Platform, caller: Principal, subject: SubjectId, *, reason: str) -> None:
    """Put somebody on the list of the specially protected.

    Raises:
        Denied: the role may not.
        NotFound: nobody is registered under this id.
        Conflict: the person is on the list.
        BadInput: no reason.
    """
    _change(platform, caller, WatchList.PROTECTED, added=True, subject=subject, reason=reason)


def unprotect(platform: Platform, caller: Principal, subject: SubjectId, *, reason: str) -> None:
    """Take somebody off the list; raises as ``protect``, ``Conflict`` where the person is not on it."""
    _change(platform, caller, WatchList.PROTECTED, added=False, subject=subject, reason=reason)


def link_staff(platform: Platform, caller: Principal, account: str, subject: SubjectId, *, reason: str) -> None:
    """Say that a person of staff is a data subject, so that looks at oneself and at relatives are told.

    Raises:
        NotFound: there is no such account, or nobody is registered under this id.
        Conflict: the account is linked to this person.
    """
    _change(platform, caller, WatchList.STAFF, added=True, subject=subject, reason=reason, account=account)


def unlink_staff(platform: Platform, caller: Principal, account: str, *, reason: str) -> None:
    """Take the link of an account back; raises ``Conflict`` where there is none."""
    _change(platform, caller, WatchList.STAFF, added=False, subject=None, reason=reason, account=account)


def _change(
    platform: Platform,
    caller: Principal,
    which: WatchList,
    *,
    added: bool,
    subject: SubjectId | None,
    reason: str,
    account: str | None = None,
) -> None:
    check_allowed(platform, caller, REVIEW, persons_only=True)
    asking = platform.asking(caller, reason=check_said(reason, what="A change of a list"))
    with platform.data.write() as connection:
        if subject is not None:
            get_standing(connection, subject)
        principal = None if account is None else _principal_id(connection, account)
        _check_changes(read_lists(platform, connection), which, added=added, subject=subject, principal=principal)
        change = "added" if added else "removed"
        event = Event(
            Act.LOG_CONFIGURED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
            refs={"what": _WHAT, "list": which.value, "change": change},
            details={"subject": subject, "principal": principal, "reason": asking.reason},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()


def _check_changes(
    now: Watched, which: WatchList, *, added: bool, subject: SubjectId | None, principal: str | None
) -> None:
    if which is WatchList.PROTECTED:
        stands = subject in now.protected
    elif subject is None:
        stands = principal in now.staff
    else:
        stands = now.staff.get(principal or "") == subject
    if stands is added:
        said = "has this already" if added else "does not have this"
        raise Conflict(
            f"The list of {which.value} {said}", hint="See `consentry audit watch list`; nothing was changed."
        )


def _principal_id(connection: Connection, account: str) -> str:
    row = find_person(connection, account)
    if row is None:
        raise NotFound(f"No account is named {account!r}", hint="See `consentry account list`.")
    return str(row.principal_id)
