"""Readings that wait at the same time, admitted together: what each is checked against is read once for all.

Every check of ``consentry.workflows.admit`` is made for each reading. One that an approval, a case, a limit that is
near, a frozen account, a counted consent or a refusal concerns is left to its own work there, which says and writes
what belongs to it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from audit.log import Claim
from audit.receipts import Binding
from audit.together import Draft
from consent.gate import Check, Prospect
from consent.permits import Permit
from consent.standing import find_standings
from consentry.platform import Platform
from consentry.reading_limits import Count, Window
from consentry.readings import Reading
from consentry.stores.emergencies import freezing_any
from consentry.stores.reading import Kept, keep_counts_of, lock_counts_of
from consentry.workflows.approvals import is_minor_or_unknown
from consentry.workflows.limits import counted_within
from kernel.encoding import JsonValue
from kernel.ids import EntryId, SubjectId
from vault.records import Gathered, Wanted

_Pair = tuple[str, SubjectId]


@dataclass(frozen=True, slots=True)
class Asked:
    """One reading that needs no case.

    Attributes:
        act: of the reading's own entry.
        masked: fields that the role sees masked.
        opens: whether the records come next, all of them.
    """

    platform: Platform
    reading: Reading
    act: Act
    masked: frozenset[str]
    opens: bool

    @property
    def pair(self) -> _Pair:
        """Who reads whose record."""
        return self.reading.asking.actor, self.reading.subject


class JointAdmission:
    """Admits readings of one platform; see ``audit.together.Joint``."""

    def draft(self, connection: Connection, asked: Sequence[Asked]) -> list[Draft | None]:
        """Count and permit what is plain; the locks come in the order of ``admit``: counts, then subjects."""
        platform = asked[0].platform
        kept = lock_counts_of(connection, list({one.pair: None for one in asked}))
        prospects = platform.gate.check_each(connection, [_check(one.reading) for one in asked])
        now = platform.log.now(connection)
        barred = _barred(connection, asked, now)
        counts = _Counts(kept, now)
        drafts = [
            None if prospect is None or place in barred or not counts.take(one) else _draft(one, prospect)
            for place, (one, prospect) in enumerate(zip(asked, prospects, strict=True))
        ]
        counts.keep(connection)
        return drafts

    def gather(
        self, connection: Connection, asked: Sequence[Asked], results: Sequence[tuple[Permit, EntryId]]
    ) -> Gathered | None:
        """Read what the permits of those let open that open by ``Vault.open``."""
        permits = [permit for one, (permit, _) in zip(asked, results, strict=True) if one.opens]
        if not permits:
            return None
        wanted = [Wanted(subject, permit.fields) for permit in permits for subject in permit.subjects]
        return asked[0].platform.vault.gather(connection, wanted)


JOINT: Final = JointAdmission()


class _Counts:
    """What the readings of one round count, one after the other."""

    def __init__(self, kept: Mapping[_Pair, Kept], now: datetime) -> None:
        self._kept = dict(kept)
        self._now = now
        self._counts: dict[str, Mapping[Window, Count]] = {}
        self._taken: list[_Pair] = []

    def take(self, one: Asked) -> bool:
        """Count a reading; False where nothing was counted, for a limit is near or it is the first of all."""
        principal, _ = one.pair
        kept = self._kept.get(one.pair)
        if kept is None:
            return False
        before = replace(kept, counts=self._counts.get(principal, kept.counts))
        counts = counted_within(one.platform, one.reading.asking, before, fields=len(one.reading.fields), now=self._now)
        if counts is None:
            return False
        self._counts[principal] = counts
        self._kept[one.pair] = Kept(counts, self._now)
        self._taken.append(one.pair)
        return True

    def keep(self, connection: Connection) -> None:
        """Keep what was counted."""
        keep_counts_of(connection, self._counts, self._taken, now=self._now)


def _check(reading: Reading) -> Check:
    return Check(reading.asking, reading.purpose, reading.subject, reading.fields)


def _barred(connection: Connection, asked: Sequence[Asked], now: datetime) -> set[int]:
    """Return the places of those that need an approval, or whose reader's account is frozen."""
    standings = find_standings(connection, {one.reading.subject for one in asked})
    frozen = freezing_any(connection, {one.reading.caller.principal_id for one in asked}, now)
    barred = set()
    for place, one in enumerate(asked):
        standing = standings.get(one.reading.subject)
        if standing is None or is_minor_or_unknown(standing, now) or one.reading.caller.principal_id in frozen:
            barred.add(place)
    return barred


def _draft(one: Asked, prospect: Prospect) -> Draft:
    event = opened_event(one.reading, one.act, prospect.fields, prospect.permit_id, masked=one.masked, refs={})

    def finish(ids: Sequence[EntryId]) -> tuple[tuple[Permit, EntryId], Claim]:
        permit = prospect.given(ids[0])
        return (permit, ids[1]), claim_of(permit)

    return Draft((prospect.event, event), finish)


def opened_event(
    reading: Reading,
    act: Act,
    fields: Collection[str],
    permit_id: str,
    *,
    masked: frozenset[str],
    refs: Mapping[str, str],
) -> Event:
    """Return the reading's own entry, which stands beside the permit's."""
    asking = reading.asking
    shown: dict[str, JsonValue] = {"masked": sorted(masked)} if masked else {}
    return Event(
        act, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, purpose=reading.purpose,
        subject=reading.subject, fields=tuple(sorted(fields)), counts={"masked": len(masked)} if masked else {},
        details={"reason": asking.reason, **shown}, refs={"permit": permit_id, **refs, **reading.refs},
    )  # fmt: skip


def claim_of(permit: Permit) -> Claim:
    """Return what the log has to prove for a permit's receipt."""
    return Claim(permit.entry_id, Binding(permit.actor, permit.purpose, permit.subjects, permit.fields))
