"""Two different people stand for an act: by live tokens, or by name and password where nobody can sign in."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from consent.inspection import Findings
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principal_inspection import inspect_principals
from consentry.principals import NotAuthenticated, Principal, PrincipalKind, find_person, verify_password
from consentry.workflows.freezing import check_not_frozen
from kernel.errors import BadInput, Denied

PEOPLE: Final = 2

WRONG_PASSWORD_SECONDS: Final = 1.0
"""How long a wrong name or password is thought about: no process remembers failures for the next one."""


def know_officer(
    platform: Platform, *, name: str, password: str, pause: Callable[[float], None] = time.sleep
) -> Principal:
    """Return the person of a stored account by name and password; nothing is written, so a lost log stays as it is.

    The account is compared with its entries as ``audit reconcile`` does it: who can write to the store could otherwise
    make two officers of his own, and open a new origin over what he changed.

    Raises:
        Denied: the account's row is not what its entries say, or the account is frozen.
        NotAuthenticated: no such person, a wrong password, or a disabled account; the answer never says which.
        TooManyAttempts: too many failures just now.
        HashingBusy: too many passwords are checked at once.
    """
    platform.throttle.check(name)
    with platform.data.read() as connection:
        stored = find_person(connection, name)
    try:
        person = verify_password(stored, password)
    except NotAuthenticated:
        platform.throttle.failed(name)
        pause(WRONG_PASSWORD_SECONDS)
        raise
    _check_told(platform, person)
    with platform.data.read() as connection:
        check_not_frozen(connection, person, platform.log.now(connection))
    return person


def _check_told(platform: Platform, person: Principal) -> None:
    found = Findings()
    with platform.data.read() as connection:
        inspect_principals(connection, found, platform.sealer)
    differs = [one for one in found.mismatches if one.name == person.principal_id]
    if differs:
        raise Denied(
            f"The account {person.principal_id} is not the one that the log tells of: {', '.join(differs[0].differs)}",
            hint="Somebody changed the store: name another person, or restore another copy.",
        )


def check_two_people(platform: Platform, people: Sequence[Principal], act: str) -> None:
    """Raise unless these are two different persons whose roles allow an act.

    Raises:
        BadInput: fewer, more, or one of them twice.
        Denied: a machine, or the role of one may not.
    """
    if len(people) != PEOPLE or len({one.principal_id for one in people}) != PEOPLE:
        raise BadInput(
            "Two different persons must accept this", hint="Give --accept TOKEN or --officer NAME, twice in all."
        )
    for one in people:
        _check_may_accept(platform, one, act)


def check_second_person(platform: Platform, caller: Principal, second: Principal | None, act: str) -> Principal:
    """Return the second person; raises unless it is somebody else than the caller whose role allows the act as well.

    Raises:
        BadInput: nobody does, or the caller alone.
        Denied: a machine, or the person's role may not.
    """
    if second is None or second.principal_id == caller.principal_id:
        raise BadInput(
            "A second person must accept this", hint="Give --accept TOKEN or --officer NAME of somebody else than you."
        )
    _check_may_accept(platform, second, act)
    return second


def _check_may_accept(platform: Platform, one: Principal, act: str) -> None:
    if one.kind is not PrincipalKind.PERSON:
        raise Denied("Only people may accept this", hint="Sign in as a person.")
    try:
        check_may_act(platform.catalogue, one, act)
    except Denied as err:
        raise Denied(f"{one.principal_id} may not accept this: {err.message}", hint=err.hint) from None


def named_in(people: Sequence[Principal]) -> dict[str, str]:
    """Return who accepted, as entries refer to them."""
    return {f"accepted_by_{number}": str(one.principal_id) for number, one in enumerate(people, start=1)}
