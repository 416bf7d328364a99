"""Global Privacy Control (W3C): a standing wish of the person's own browser, honoured for every optional purpose.

It closes what is open or undecided, once for each purpose. What the person grants later, in its own words, is a newer
and plainer wish, and no later signal ends it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from consent.registry import Decision, DecisionAct, DecisionRequest, Track
from consent.rows import read_all_current
from consent.rules import is_permissive
from consent.standing import get_standing, lock_subjects
from consentry.acts import OWN_WISH
from consentry.platform import Platform
from consentry.principals import Principal, check_daily_cap
from consentry.stores.acts import find_answers, remember_answers
from consentry.workflows.representation import Acting
from kernel.encoding import JsonValue
from kernel.errors import Conflict
from kernel.ids import SubjectId

MECHANISM: Final = "gpc"
"""What the evidence of a signal's decisions names."""


class PrivacySignalStands(Conflict):
    """The browser asks not to be asked, and this grant of an optional purpose does not say that nobody did."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """What a signal closed, and the purposes that stay open because the person has granted them since."""

    subject: SubjectId
    closed: tuple[Decision, ...]
    left: tuple[str, ...]


def check_signal(
    platform: Platform, act: str, purposes: Collection[str], evidence: Mapping[str, JsonValue], *, has_signal: bool
) -> None:
    """Raise ``PrivacySignalStands`` for a prompted opening of an optional purpose under the signal."""
    if not has_signal or act not in (DecisionAct.GRANT, DecisionAct.RENEW) or evidence.get("occasion") == OWN_WISH:
        return
    known = [platform.catalogue.purposes[code] for code in purposes if code in platform.catalogue.purposes]
    optional = sorted(purpose.code for purpose in known if purpose.is_optional)
    if optional:
        raise PrivacySignalStands(
            f"The browser sends Global Privacy Control, and {', '.join(optional)} is optional",
            hint="Do not ask; where the person chose it unasked, say so in evidence.occasion.",
        )


def record_signal(platform: Platform, caller: Principal, acting: Acting) -> Signalled:
    """Record refusals and withdrawals of all optional purposes that no earlier signal has closed.

    Raises:
        NotFound: the subject is not registered.
    """
    optional = [p.code for p in platform.catalogue.purposes.values() if p.is_optional and acting.covers(p.code)]
    names = [f"{acting.subject}\0{purpose}".encode() for purpose in optional]
    keys = dict(zip(optional, platform.digests.digest_many("gpc", names), strict=True))
    with platform.data.write() as connection:
        check_daily_cap(connection, caller, [acting.subject], clock=platform.clock, is_closing=True)
        lock_subjects(connection, [acting.subject], exclusive=True)
        get_standing(connection, acting.subject)
        before = find_answers(connection, list(keys.values()))
        fresh = [purpose for purpose in optional if keys[purpose] not in before]
        opened = _opened(connection, acting.subject)
        closed = _close(platform, connection, caller, acting, fresh=fresh, opened=opened)
        answer = {"subject": acting.subject}
        now = platform.clock.now()
        remember_answers(connection, [(keys[purpose], keys[purpose], answer) for purpose in fresh], at=now)
    left = tuple(purpose for purpose in optional if purpose not in fresh and opened.get(purpose, False))
    return Signalled(acting.subject, closed, left)


def _opened(connection: Connection, subject: SubjectId) -> dict[str, bool]:
    """Return for each decided purpose whether anything of its consent is open."""
    found: dict[str, bool] = {}
    for _, purpose, row in read_all_current(connection, [subject]):
        if row.track is Track.CONSENT:
            found[purpose] = found.get(purpose, False) or is_permissive(row.act)
    return found


def _close(
    platform: Platform,
    connection: Connection,
    caller: Principal,
    acting: Acting,
    *,
    fresh: Sequence[str],
    opened: Mapping[str, bool],
) -> tuple[Decision, ...]:
    wanted = {purpose: opened.get(purpose) for purpose in fresh}
    requests = [
        DecisionRequest(
            subject=acting.subject,
            purposes=(purpose,),
            act=DecisionAct.WITHDRAW if is_open else DecisionAct.REFUSE,
            recipient=None,
            notice=None,
            actor_kind=acting.kind,
            actor_subject=acting.actor,
            evidence={"mechanism": MECHANISM, "occasion": OWN_WISH},
            decided_at=platform.clock.now(),
        )
        for purpose, is_open in wanted.items()
        if is_open is not False  # what is closed already stays as it was closed
    ]
    said = platform.registry.record_many(connection, requests, asking=platform.asking(caller))
    made: list[Decision] = []
    for outcome in said:
        if not isinstance(outcome, tuple):
            raise outcome
        made.extend(outcome)
    return tuple(made)
