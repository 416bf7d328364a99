"""Calls that a role does not have: refused, with an entry that says who tried what."""

from audit.events import Act, Event, Outcome
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal, PrincipalKind
from kernel.errors import Denied
from kernel.ids import SubjectId


def check_allowed(
    platform: Platform, caller: Principal, act: str, *, persons_only: bool = False, subject: SubjectId | None = None
) -> None:
    """Raise ``Denied`` unless the caller's role lists the act; a refusal leaves its entry.

    Args:
        act: as the pack's roles name it.
        persons_only: refuse a machine's key even where its role lists the act.
        subject: whom the call is about.
    """
    try:
        check_may_act(platform.catalogue, caller, act)
        if persons_only:
            _check_is_person(caller)
    except Denied:
        asking = platform.asking(caller)
        with platform.data.write() as connection:
            platform.log.record(
                connection,
                Event(
                    Act.ACCESS_DENIED, Outcome.DENIED, asking.actor, asking.role, asking.request_id,
                    subject=subject, reason="ROLE", refs={"act": act},
                ),
            )  # fmt: skip
        raise


def _check_is_person(caller: Principal) -> None:
    if caller.kind is not PrincipalKind.PERSON:
        raise Denied("A key cannot do this", hint="Sign in as a person and send the token.")
