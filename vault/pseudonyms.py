"""Pseudonyms: stable within a scope, unlinkable across scopes; the way back stays in the key store."""

from base64 import b32encode
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Connection, delete, select

from kernel.errors import BadInput
from kernel.ids import SubjectId
from vault._keyring import KeyKind, keyring_of
from vault._keys import Held, MacKey
from vault.envelope import length_prefixed
from vault.keystore import KeyStore
from vault.setwise import among, chunks, insert_absent
from vault.tables import pseudonym

_MAX_SCOPE_CHARS: Final = 128


class Pseudonyms:
    """Implements ``kernel.ports.Tokeniser`` with one key for each scope.

    A pseudonym is base32 of an HMAC cut to 128 bits over the subject's random id: without the scope's key nobody can
    tell which one belongs to whom, or that two of different scopes belong together. A scope keeps its key, and with it
    the suite that it began with.
    """

    def __init__(self, keystore: KeyStore) -> None:
        self._database = keystore.database
        self._keyring = keyring_of(keystore)
        self._held: Held[MacKey] = Held(self._keyring.clock)

    def pseudonyms(self, subjects: Sequence[SubjectId], *, scope: str) -> dict[SubjectId, str]:
        """Return one pseudonym for each subject, and keep the way back."""
        key = self._key(scope)
        given = {subject: _text(key, "subject", subject) for subject in subjects}
        with self._database.read() as connection:
            kept = _kept(connection, scope, given)
        rows = [
            {"scope": scope, "pseudonym": name, "subject_id": subject}
            for subject, name in given.items()
            if subject not in kept
        ]
        if rows:
            with self._database.write() as connection:
                insert_absent(connection, pseudonym, rows)
        return given

    def unrecorded(self, subject: SubjectId, *, scope: str) -> str:
        """Return a subject's pseudonym without keeping the way back; for one that is being forgotten."""
        return _text(self._key(scope), "subject", subject)

    def token(self, value: str, *, scope: str) -> str:
        """Return the keyed token of any other identifying value; there is no way back but the key."""
        return _text(self._key(scope), "token", value)

    def subjects_of(self, scope: str, pseudonyms: Collection[str]) -> dict[str, SubjectId]:
        """Return the subjects behind pseudonyms; those that are unknown or forgotten are left out."""
        found: dict[str, SubjectId] = {}
        with self._database.read() as connection:
            for chunk in chunks(pseudonyms):
                query = select(pseudonym.c.pseudonym, pseudonym.c.subject_id).where(
                    pseudonym.c.scope == scope, pseudonym.c.pseudonym.in_(chunk)
                )
                found.update({name: SubjectId(subject) for name, subject in connection.execute(query)})
        return found

    def of_subject(self, subject: SubjectId) -> dict[str, str]:
        """Return the subject's pseudonym in every scope where it was given one, by scope."""
        query = select(pseudonym.c.scope, pseudonym.c.pseudonym).where(pseudonym.c.subject_id == subject)
        with self._database.read() as connection:
            return {row.scope: row.pseudonym for row in connection.execute(query)}

    def release(self) -> None:
        """Drop the scope key that is held between calls; it goes by itself after a minute or with another scope."""
        self._held.drop()

    def _key(self, scope: str) -> MacKey:
        if not 0 < len(scope) <= _MAX_SCOPE_CHARS:
            raise BadInput(f"A pseudonym scope has 1 to {_MAX_SCOPE_CHARS} characters", hint="Name the view or export.")
        return self._held.get(scope, lambda: self._keyring.mac_keys(KeyKind.SCOPE, [scope])[scope])


def forget_pseudonyms(connection: Connection, subject: SubjectId) -> int:
    """Delete a subject's way back in every scope, in the caller's transaction on the key store."""
    return connection.execute(delete(pseudonym).where(pseudonym.c.subject_id == subject)).rowcount


def _text(key: MacKey, kind: str, value: str) -> str:
    return b32encode(key.digest(length_prefixed(kind, value))).decode().rstrip("=").lower()


def _kept(connection: Connection, scope: str, subjects: Collection[SubjectId]) -> set[SubjectId]:
    query = select(pseudonym.c.subject_id).where(
        pseudonym.c.scope == scope, among(connection, pseudonym.c.subject_id, subjects)
    )
    return {SubjectId(subject) for subject in connection.execute(query).scalars()}
