"""Find a subject by a source's own id; the look-up is logged, found or not."""

from audit.events import Act, Event, Outcome
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.errors import NotFound
from kernel.ids import SubjectId


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
