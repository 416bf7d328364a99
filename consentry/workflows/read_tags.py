"""Read one subject's tags; the gate is asked at every read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from audit.events import Act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.readings import Reading
from consentry.stores.tag_values import newest_values
from consentry.workflows.admit import denials_recorded, enter, find_leave, permitted
from consentry.workflows.build_view import get_view
from consentry.workflows.limits import spend_reading
from consentry.workflows.run_tags import SUBJECTS_VIEW, TAGS_FIELD
from kernel.encoding import JsonValue
from kernel.ids import SubjectId


@dataclass(frozen=True, slots=True)
class SubjectTags:
    """Values by tag; ``as_of`` is None when the subject was in no run, or its data have changed since."""

    as_of: date | None
    values: Mapping[str, JsonValue] = field(repr=False)


def read_tags(platform: Platform, caller: Principal, *, subject: SubjectId, approval: str | None = None) -> SubjectTags:
    """Return the tags of the newest run that covers a subject.

    Args:
        platform: every part.
        caller: a person of staff.
        subject: whose tags.
        approval: id of the approval that a minor's record needs (R22); for the purpose of the tags and the role.
    Raises:
        ApprovalNeeded: the subject is under 18, and no approval by somebody else fits; this stays in the log.
        AccountFrozen, LimitReached: see ``consentry.workflows.admit``.
        NotPermitted: the subject's decision does not cover it now.
    """
    view, asking = get_view(platform, SUBJECTS_VIEW), platform.asking(caller)
    reading = Reading(caller, asking, subject, view.purpose, frozenset({TAGS_FIELD}))
    with denials_recorded(platform, reading):
        leave = find_leave(platform, reading, frozenset(), approval=approval, case=None)
        with platform.data.write() as connection:
            leave.hold(connection, platform.log.now(connection))
            if caller.subject is None:
                spend_reading(platform, connection, reading)
            said, _ = enter(platform, connection, reading, act=Act.TAGS_READ, masked=frozenset(), refs=leave.refs)
    permitted(said)
    platform.log.settle()
    name = platform.pseudonyms.pseudonyms([subject], scope=view.scope)[subject]
    with platform.data.read() as connection:
        if platform.wake.outdated(connection, subject):
            return SubjectTags(None, {})  # they were made of other data than what is stored now
        as_of, values = newest_values(connection, scope=view.scope, pseudonym=name)
    return SubjectTags(as_of, values)
