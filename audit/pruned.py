"""Which entries outlive their time of keeping, and how the log says so.

Entries below a bound lose their bytes once they are older than the retention; their hashes stay, and with them every
proof. An entry that the register or the log itself rests on keeps its bytes, so that both can be compared with the log
for as long as they are used. ``log.pruned`` commits to which those are: nobody can empty one of them later and call it
pruned.

Source: docs/explanation/retention-of-the-log.md.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from audit.events import Act
from kernel.encoding import JsonValue

FLOOR_DAYS: Final = 183
"""Six months, below which nothing is ever pruned: 网络安全法 23(3)."""

RETENTION_COUNT: Final = "retention_days"
"""Under this name ``log.configured`` says how long entries are kept."""

_PLANNING: Final = timedelta(days=1)
"""A pruning is planned at most so long before its entry; a retention that was lengthened meanwhile does not bind it."""

RETENTION_MAX_DAYS: Final = 36_525
"""A hundred years, of 365.25 days each; an entry that says more counts as if it said this."""

_NO_USES: Final = hashlib.sha256(b"").hexdigest()
"""What a permit's entry says in ``used`` when it takes a use of no decision: the digest of no ids."""

KEPT_ACTS: Final = frozenset(
    {
        # what the gate reads, row by row
        Act.CONSENT_GRANTED,
        Act.CONSENT_REFUSED,
        Act.CONSENT_WITHDRAWN,
        Act.CONSENT_RENEWED,
        Act.CONSENT_EXPIRED,
        Act.BASIS_RECORDED,
        Act.BASIS_ENDED,
        Act.NOTICE_PUBLISHED,
        Act.ASSESSMENT_RECORDED,
        Act.RECIPIENT_RECORDED,
        Act.GUARDIAN_RECORDED,
        Act.GUARDIAN_ENDED,
        Act.AGENT_RECORDED,
        Act.AGENT_ENDED,
        Act.REGISTER_SUSPENDED,
        Act.REGISTER_RELEASED,
        Act.PACK_LOADED,
        # each subject's standing
        Act.SUBJECT_REGISTERED,
        Act.SUBJECT_AGED,
        Act.SUBJECT_RESTRICTED,
        Act.SUBJECT_RELEASED,
        Act.SUBJECT_DECEASED,
        Act.ERASURE_STARTED,
        Act.ERASURE_COMPLETED,
        # who may act at all
        Act.SYSTEM_INIT,
        Act.PRINCIPAL_CREATED,
        Act.PRINCIPAL_DISABLED,
        Act.WEBHOOK_RECORDED,
        # what an account is frozen by
        Act.BREAK_GLASS_OPENED,
        Act.BREAK_GLASS_REVIEWED,
        Act.ACCOUNT_RELEASED,
        # cases, of which the log alone tells
        Act.BREACH_OPENED,
        Act.BREACH_CHANGED,
        Act.BREACH_NOTIFIED,
        Act.BREACH_CLOSED,
        # duties that were done: yearly numbers and filings rest on them
        Act.DUTY_RECORDED,
        # what the log says of itself
        Act.LOG_CONFIGURED,
        Act.LOG_KEY_ROTATED,
        Act.LOG_PRUNED,
        Act.LOG_RECOVERED,
    }
)
"""Acts whose entries are never pruned."""


def is_kept(members: Mapping[str, JsonValue]) -> bool:
    """Say whether an entry outlives its time: by its act, or as a permit that took a use of a counted decision."""
    act = members.get("act")
    if act != Act.PERMIT.value:
        return act in KEPT_ACTS
    refs = members.get("refs")
    return isinstance(refs, Mapping) and refs.get("used", _NO_USES) != _NO_USES


@dataclass(slots=True)
class KeptDigest:
    """SHA-256 over the places of the entries below a bound that keep their bytes, given in the log's order."""

    _hash: "hashlib._Hash" = field(default_factory=lambda: hashlib.sha256(b"consentry kept v1\n"), repr=False)

    def add(self, index: int) -> None:
        """Take one entry in, by its ``leaf_index``."""
        self._hash.update(b"%d\n" % index)

    def hexdigest(self) -> str:
        """Return the digest over all that were taken in."""
        return self._hash.hexdigest()


@dataclass(frozen=True, slots=True)
class Pruning:
    """Up to where the log says that it was pruned.

    Attributes:
        below: bound of ``leaf_index``; 0 where nothing was pruned.
        kept: digest over the entries below that keep their bytes; None where nothing was pruned.
        is_told: whether a ``log.pruned`` entry says the same as the table.
        at: the time of that entry; None where there is none.
    """

    below: int = 0
    kept: str | None = None
    is_told: bool = True
    at: datetime | None = None


@dataclass(slots=True)
class PrunedAge:
    """Whether what was pruned was as old as the log had promised to keep it.

    Who owns the store can have an entry signed that says ``log.pruned``, and empty what it names. What he cannot make
    older are the entries among it that keep their bytes: a pruning takes nothing younger than its bound, so that
    none of these is younger either.
    """

    said_at: datetime | None
    _youngest: datetime | None = None
    _days: int = FLOOR_DAYS

    def take(self, at: datetime) -> None:
        """Take in the time of an entry below the bound."""
        self._youngest = at if self._youngest is None else max(self._youngest, at)

    def hear(self, at: datetime, members: Mapping[str, JsonValue]) -> None:
        """Take in how long an entry says that entries are kept, where it was in force before the pruning."""
        counts = members.get("counts")
        if members.get("act") != Act.LOG_CONFIGURED.value or not isinstance(counts, Mapping) or self.said_at is None:
            return
        days = counts.get(RETENTION_COUNT)
        if isinstance(days, int) and self.said_at - at >= _PLANNING:
            self._days = max(self._days, min(days, RETENTION_MAX_DAYS))

    @property
    def is_enough(self) -> bool:
        """Whether nothing below the bound was too young."""
        if self._youngest is None:
            return True
        return self.said_at is not None and self.said_at - self._youngest >= timedelta(days=self._days)
