"""Sign a person in; both outcomes are logged, and a flood of attempts holds up nothing else."""

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.platform import Platform
from consentry.principals import NotAuthenticated, find_person, verify_password
from consentry.workflows.freezing import check_unfrozen
from kernel.ids import RequestId, new_id


def sign_in(platform: Platform, *, name: str, password: str) -> str:
    """Return a person's token.

    The slow hash is computed outside any transaction, so that nobody waits for it.

    Raises:
        NotAuthenticated: wrong name or password; a denied entry stays in the log, which names the account that was
            tried where there is one: whoever tried is unknown, and is not the account.
        AccountFrozen: an emergency access of the person's was not reviewed in time; the try stays in the log.
        TooManyAttempts: too many failures just now; nothing was looked at and nothing logged.
        HashingBusy: too many sign-ins at once.
    """
    platform.throttle.check(name)
    request_id = RequestId(new_id("req"))
    with platform.data.read() as connection:
        stored = find_person(connection, name)
    try:
        found = verify_password(stored, password)
    except NotAuthenticated:
        platform.throttle.failed(name)
        refs = {} if stored is None else {"principal": str(stored.principal_id)}
        refused = Event(
            Act.TOKEN_ISSUED, Outcome.DENIED, "unknown", "none", request_id, reason="NOT_AUTHENTICATED", refs=refs
        )  # fmt: skip
        with platform.data.write() as connection:
            platform.log.record(connection, refused)
        raise
    check_unfrozen(platform, found)
    asking = Asking(found.principal_id, found.role, request_id)
    with platform.data.write() as connection:
        platform.log.record(
            connection, Event(Act.TOKEN_ISSUED, Outcome.DONE, asking.actor, asking.role, asking.request_id)
        )
    return platform.tokens.issue(found.principal_id)
