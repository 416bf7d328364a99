"""Sign a person in; both outcomes are logged."""

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.platform import Platform
from consentry.principals import NotAuthenticated, authenticate_person
from kernel.ids import RequestId, new_id


def sign_in(platform: Platform, *, name: str, password: str) -> str:
    """Return a person's token.

    Raises:
        NotAuthenticated: wrong name or password; a denied entry stays in the log.
    """
    request_id = RequestId(new_id("req"))
    try:
        with platform.data.read() as connection:
            found = authenticate_person(connection, name=name, password=password)
    except NotAuthenticated:
        refused = Event(Act.TOKEN_ISSUED, Outcome.DENIED, "unknown", "none", request_id, reason="NOT_AUTHENTICATED")
        with platform.data.write() as connection:
            platform.log.record(connection, refused)
        raise
    asking = Asking(found.principal_id, found.role, request_id)
    with platform.data.write() as connection:
        platform.log.record(
            connection, Event(Act.TOKEN_ISSUED, Outcome.DONE, asking.actor, asking.role, asking.request_id)
        )
    return platform.tokens.issue(found.principal_id)
