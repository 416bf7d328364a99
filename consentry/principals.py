"""Who may call: staff with passwords and short tokens, machines with single-role keys, data subjects for themselves."""

import hashlib
import secrets
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from consentry.bound_sources import read_sources, write_sources
from consentry.stores.tables import principal, principal_subject_day
from kernel.errors import BadInput, Conflict, Denied, NotFound, Unavailable
from kernel.ids import PrincipalId, SubjectId, new_id
from kernel.ports import Clock

INGEST_ROLE: Final = "ingest"
KEY_ROLES: Final = frozenset({"capture", INGEST_ROLE})
"""A machine's key has one of these roles and no other, so that no key both records a grant and opens under it."""

SUBJECT_ROLE: Final = "subject"
"""The role of a data subject who comes with a token of the operator's own login."""

PERSON_ROLES_DENIED: Final = KEY_ROLES | {SUBJECT_ROLE}
MAX_NAME_CHARS: Final = 80

_SECRET_BYTES: Final = 24
"""192 random bits, for keys and for first passwords."""

_HASHING: Final = threading.BoundedSemaphore(2)
"""Argon2 takes 64 MiB for each password; sign-ins beyond two at once wait, and not for long."""

_HASHING_PATIENCE_SECONDS: Final = 2


class PrincipalKind(StrEnum):
    """A person signs in and gets a token; a key is a machine's bearer secret; a subject comes from the own login."""

    PERSON = "person"
    KEY = "key"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone or something that acts.

    Attributes:
        subjects_per_day: how many distinct subjects a key may touch in one UTC day; None without a cap.
        processor: whose key it is: the code of a registered processor, by whose contract it is bound (R38).
        sources: as which a key may send data or name people; None for any.
    """

    principal_id: PrincipalId
    name: str
    kind: PrincipalKind
    role: str
    expires_at: datetime | None = None
    subjects_per_day: int | None = None
    processor: str | None = None
    sources: frozenset[str] | None = None

    @property
    def subject(self) -> SubjectId | None:
        """The data subject that calls for itself; None for staff and machines."""
        return SubjectId(self.principal_id) if self.kind is PrincipalKind.SUBJECT else None


class NotAuthenticated(Denied):
    """The credentials are missing, wrong, expired or disabled; the answer never says which."""


class HashingBusy(Unavailable):
    """Too many passwords are being checked at once."""


class DailyCapReached(Denied):
    """A key has touched as many distinct subjects today as it may."""


class SubjectUnknown(Denied):
    """The operator's login vouches for somebody who is not registered here."""


def subject_principal(subject: SubjectId) -> Principal:
    """Return a data subject as a caller; its id stands in entries as an alias only."""
    return Principal(PrincipalId(subject), "", PrincipalKind.SUBJECT, SUBJECT_ROLE)


def create_person(connection: Connection, *, name: str, role: str, clock: Clock) -> tuple[Principal, str]:
    """Create a person's account; returns it with the password, which is shown once and kept only as a hash.

    Raises:
        BadInput: the role belongs to machines or subjects, or the name is empty, too long or unprintable.
        Conflict: the name is taken.
    """
    if role in PERSON_ROLES_DENIED:
        raise BadInput(f"Role {role!r} cannot belong to a person", hint="Choose one of the pack's staff roles.")
    made = Principal(PrincipalId(new_id("usr")), name, PrincipalKind.PERSON, role)
    return made, _store(connection, made, clock)


def create_key(
    connection: Connection,
    *,
    name: str,
    role: str,
    days: int,
    subjects_per_day: int | None,
    clock: Clock,
    processor: str | None = None,
    sources: Collection[str] | None = None,
) -> tuple[Principal, str]:
    """Create a machine's key; returns it with the bearer secret ``id.secret``, which is shown once.

    Args:
        processor: the code of the registered processor that gets it; None for a machine of our own.
        sources: as which it may send data or name people; an ingest key has to have some.

    Raises:
        BadInput: another role than capture or ingest, a life outside 1 to 366 days, a name as for a person, or sources
            that cannot be, or are missing.
        Conflict: the name is taken.
    """
    if role not in KEY_ROLES:
        raise BadInput(
            f"A key cannot have role {role!r}", hint="Keys are for capture or ingest; opening needs a person."
        )
    if not 1 <= days <= 366:  # noqa: PLR2004 - a year and a day
        raise BadInput("A key lives 1 to 366 days", hint="Give --days within that range.")
    if role == INGEST_ROLE and not sources:
        raise BadInput(
            "An ingest key needs the sources as which it sends", hint="Give --source, once for each of them."
        )
    made = Principal(
        PrincipalId(new_id("key")), name, PrincipalKind.KEY, role, clock.now() + timedelta(days=days),
        subjects_per_day, processor, read_sources(write_sources(sources)),
    )  # fmt: skip
    return made, f"{made.principal_id}.{_store(connection, made, clock)}"


def find_person(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    """Return the stored row of a person's account, for ``verify_password``; None when there is none."""
    is_person = (principal.c.name == name) & (principal.c.kind == PrincipalKind.PERSON)
    return connection.execute(select(principal).where(is_person)).one_or_none()


def verify_password(stored: Row[tuple[object, ...]] | None, password: str) -> Principal:
    """Return the person whose password it is.

    Takes tens of milliseconds and 64 MiB; call it outside any transaction. An unknown name takes as long.

    Raises:
        NotAuthenticated: no such person, a wrong password, or a disabled account.
        HashingBusy: too many at once.
    """
    if stored is None:
        _spend_time()
        raise _not_authenticated()
    return _verified(stored, password)


def disable(connection: Connection, name: str) -> Principal:
    """Disable an account or key for good; raises ``NotFound`` for an unknown name."""
    row = connection.execute(select(principal).where(principal.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"There is no account or key {name!r}", hint="Check the name.")
    connection.execute(update(principal).where(principal.c.principal_id == row.principal_id).values(disabled=True))
    return _from_row(row)


def authenticate_key(connection: Connection, *, bearer: str, now: datetime) -> Principal:
    """Return the key behind a bearer secret, alive at an instant; raises ``NotAuthenticated``."""
    key_id, _, secret = bearer.partition(".")
    row = connection.execute(select(principal).where(principal.c.principal_id == key_id)).one_or_none()
    if row is None or row.kind != PrincipalKind.KEY:
        raise _not_authenticated()
    found = _verified(row, secret)
    if found.expires_at is not None and found.expires_at <= now:
        raise _not_authenticated()
    return found


def get_person(connection: Connection, principal_id: str) -> Principal:
    """Return an enabled person by id; raises ``NotAuthenticated``."""
    row = connection.execute(select(principal).where(principal.c.principal_id == principal_id)).one_or_none()
    if row is None or row.disabled or row.kind != PrincipalKind.PERSON:
        raise _not_authenticated()
    return _from_row(row)


def check_daily_cap(
    connection: Connection, caller: Principal, subjects: list[SubjectId], *, clock: Clock, is_closing: bool = False
) -> None:
    """Count the distinct subjects that a key touches today, and refuse beyond its cap.

    Args:
        is_closing: the call ends a permission (a refusal, a withdrawal): it is counted and never refused.
    Raises:
        DailyCapReached: the cap would be exceeded; nothing is counted then.
    """
    if caller.subjects_per_day is None or not subjects:
        return
    own_row = select(principal.c.principal_id).where(principal.c.principal_id == caller.principal_id)
    connection.execute(own_row.with_for_update())  # calls of one key count one after the other
    today: date = clock.now().astimezone(UTC).date()
    mine = (principal_subject_day.c.principal_id == caller.principal_id) & (principal_subject_day.c.day == today)
    known = set(
        connection.scalars(
            select(principal_subject_day.c.subject_id).where(mine, principal_subject_day.c.subject_id.in_(subjects))
        )
    )
    fresh = [s for s in dict.fromkeys(subjects) if s not in known]
    used = connection.scalar(select(func.count()).select_from(principal_subject_day).where(mine)) or 0
    if used + len(fresh) > caller.subjects_per_day and not is_closing:
        raise DailyCapReached(
            f"Key {caller.name!r} has reached its {caller.subjects_per_day} subjects a day",
            hint="Wait for the next UTC day, or issue a key with a higher cap.",
        )
    if fresh:
        rows = [{"principal_id": caller.principal_id, "day": today, "subject_id": s} for s in fresh]
        connection.execute(insert(principal_subject_day), rows)


def _store(connection: Connection, made: Principal, clock: Clock) -> str:
    _check_name(made.name)
    if connection.scalar(select(principal.c.principal_id).where(principal.c.name == made.name)):
        raise Conflict(f"The name {made.name!r} is taken", hint="Choose another name.")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    row = {
        "principal_id": made.principal_id,
        "name": made.name,
        "kind": made.kind.value,
        "role": made.role,
        "secret_hash": _digest(secret) if made.kind is PrincipalKind.KEY else _hash_slowly(secret),
        "expires_at": made.expires_at,
        "subjects_per_day": made.subjects_per_day,
        "disabled": False,
        "processor": made.processor,
        "sources": write_sources(made.sources),
        "created_at": clock.now(),
    }
    connection.execute(insert(principal), row)
    return secret


def _check_name(name: str) -> None:
    if not 0 < len(name) <= MAX_NAME_CHARS or name != name.strip() or not name.isprintable():
        raise BadInput(
            f"A name has 1 to {MAX_NAME_CHARS} printable characters, and no space around them",
            hint="Choose another name.",
        )


def _verified(row: Row[tuple[object, ...]], secret: str) -> Principal:
    is_key = row.kind == PrincipalKind.KEY
    matches = secrets.compare_digest(row.secret_hash, _digest(secret)) if is_key else _matches(row.secret_hash, secret)
    if not matches or row.disabled:
        raise _not_authenticated()
    return _from_row(row)


def _digest(secret: str) -> str:
    """Return the hash of a key's secret: 192 random bits cannot be guessed, so a fast one protects them."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()}"


def _hash_slowly(password: str) -> str:
    from argon2 import PasswordHasher

    with _hashing():
        return PasswordHasher().hash(password)


def _matches(stored: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    try:
        with _hashing():
            return PasswordHasher().verify(stored, password)
    except VerificationError:
        return False


@contextmanager
def _hashing() -> Iterator[None]:
    if not _HASHING.acquire(timeout=_HASHING_PATIENCE_SECONDS):
        raise HashingBusy("Too many sign-ins at once", hint="Try again in a moment.")
    try:
        yield
    finally:
        _HASHING.release()


def _spend_time() -> None:
    """Hash once for an unknown name as well, so that time does not tell which names exist."""
    _hash_slowly("x")


def _from_row(row: Row[tuple[object, ...]]) -> Principal:
    return Principal(
        principal_id=PrincipalId(row.principal_id),
        name=row.name,
        kind=PrincipalKind(row.kind),
        role=row.role,
        expires_at=row.expires_at,
        subjects_per_day=row.subjects_per_day,
        processor=row.processor,
        sources=read_sources(row.sources),
    )


def _not_authenticated() -> NotAuthenticated:
    return NotAuthenticated(
        "The credentials are not valid", hint="Sign in again, or ask an administrator for a new key."
    )


def forget_touched(connection: Connection, subject: SubjectId) -> None:
    """Delete which keys have touched a subject, on which days; a key's cap of today counts one fewer."""
    connection.execute(delete(principal_subject_day).where(principal_subject_day.c.subject_id == subject))
