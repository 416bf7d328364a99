"""Read one subject's tags; the gate is asked at every read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from audit.events import Act, Event, Outcome
from consent.permits import Refusal
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.tag_values import newest_values
from consentry.workflows.approvals import check_approved
from consentry.workflows.build_view import get_view
from consentry.workflows.reveal import NotPermitted, denials_recorded
from consentry.workflows.run_tags import SUBJECTS_VIEW, TAGS_FIELD
from kernel.encoding import JsonValue
from kernel.ids import SubjectId


@dataclass(frozen=True, slots=True)
class SubjectTags:
    """Values by tag; ``as_of`` is None when the subject was in no run."""

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
        NotPermitted: the subject's decision does not cover it now.
    """
    view, asking = get_view(platform, SUBJECTS_VIEW), platform.asking(caller)
    with (
        denials_recorded(platform, asking, subject=subject, purpose=view.purpose, fields=[TAGS_FIELD]),
        platform.data.read() as connection,
    ):
        approved = check_approved(
            platform, connection, caller, subject=subject, purpose=view.purpose, approval=approval
        )
    refs = {} if approved is None else {"approval": approved}
    with platform.data.write() as connection:
        said = platform.gate.check(
            connection, asking=asking, purpose=view.purpose, subject=subject, fields=[TAGS_FIELD]
        )
        if not isinstance(said, Refusal):
            platform.log.record(
                connection,
                Event(
                    Act.TAGS_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, purpose=view.purpose,
                    subject=subject, fields=(TAGS_FIELD,), refs={"permit": said.permit_id, **refs},
                ),
            )  # fmt: skip
    if isinstance(said, Refusal):
        listed = ", ".join(f"{name}: {why.value}" for name, why in sorted(said.reasons.items()))
        raise NotPermitted(f"The gate refuses {listed}", hint="Only what the subject has decided can be read.")
    platform.log.settle()
    name = platform.pseudonyms.pseudonyms([subject], scope=view.scope)[subject]
    with platform.data.read() as connection:
        as_of, values = newest_values(connection, scope=view.scope, pseudonym=name)
    return SubjectTags(as_of, values)
