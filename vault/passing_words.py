"""Words of one person that are kept for some days beside a decision on them, sealed under the person's own key.

They lie in no record: whoever keeps them deletes them once they are decided on. An erasure of the person, or of the
field's compartment, destroys their key wherever a copy of them may lie; so does a rotation of the person's keys, after
which the words are sent again.
"""

from datetime import datetime
from typing import Final

from audit.receipts import Receipt
from consent.entries import EntryLog, now_in_log
from consent.permits import Permit
from kernel.catalogue import Catalogue, Compartment
from kernel.database import Database
from kernel.errors import Denied, NotFound
from kernel.ids import SubjectId
from kernel.ports import Clock
from vault._keyring import keyring_of
from vault.envelope import Binding, alone, open_value, read_key_id, seal_value
from vault.keystore import KeyStore

_SCHEMA_VERSION: Final = 1


class PassingWords:
    """Seals words for who keeps them, and opens them for a permit and its receipt only."""

    def __init__(  # noqa: PLR0917 - the parts that are wired together once
        self, data: Database, keystore: KeyStore, catalogue: Catalogue, log: EntryLog, clock: Clock, deployment: str
    ) -> None:
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._catalogue = catalogue
        self._log = log
        self._clock = clock
        self._deployment = deployment

    def prepare(self, subject: SubjectId, field: str) -> None:
        """Make the key durable that ``seal`` will need; call it before the transaction that keeps the words."""
        self._keystore.ensure_data_keys([(subject, self._compartment(field))], batch=None)

    def seal(self, words: str, permit: Permit, *, subject: SubjectId, field: str, place: str) -> bytes:
        """Return sealed words, bound to their subject, field and place.

        Args:
            words: at most 64 KiB in UTF-8.
            permit: of the gate, in whose transaction they are kept.
            subject: whose. field: catalogue code.
            place: id of what they are kept beside.

        Raises:
            Denied: the permit does not cover them.
            BadInput: they are too long.
            KeyUnavailable: ``prepare`` was not called, or an erasure has destroyed the key since.
        """
        _check_covers(permit, subject, field)
        compartment = self._compartment(field)
        with self._keyring.unlocked([subject], [compartment]) as keys:
            key = keys.sealing((subject, compartment))
            return seal_value(words.encode(), data_key=key, binding=self._binding(subject, field, place))

    def open(
        self, sealed: bytes, permit: Permit, receipt: Receipt, *, subject: SubjectId, field: str, place: str
    ) -> str:
        """Return sealed words; the receipt is used up.

        Raises:
            Denied: permit or receipt do not cover this access, or are over.
            NotFound: their key was destroyed, by an erasure or a rotation.
            IntegrityFailed: a byte, the subject, the field or the place differs.
        """
        _check_covers(permit, subject, field)
        permit.check_live(self._now())
        if receipt.entry_id != permit.entry_id:
            raise Denied("The audit receipt belongs to another permit", hint="Ask the log for this permit's receipt.")
        receipt.redeem(actor=permit.actor, purpose=permit.purpose, subjects=[subject], fields={field})
        key_id = read_key_id(sealed)
        with self._keyring.unlocked([subject], [self._compartment(field)]) as keys:
            if key_id not in keys:
                raise NotFound("The key of these words was destroyed", hint="Have them sent again.")
            binding = self._binding(subject, field, place)
            return open_value(sealed, data_key=keys.opening(key_id), binding=binding).decode()

    def _compartment(self, field: str) -> Compartment:
        return self._catalogue.get_field(field).compartment

    def _binding(self, subject: SubjectId, field: str, place: str) -> Binding:
        return Binding(alone(self._deployment, subject, place), field=field, schema_version=_SCHEMA_VERSION)

    def _now(self) -> datetime:
        with self._data.read() as connection:
            return now_in_log(connection, self._log, self._clock)


def _check_covers(permit: Permit, subject: SubjectId, field: str) -> None:
    if not permit.allows(subject, field):
        raise Denied(f"Permit {permit.permit_id} does not cover these words", hint="Ask the gate for them.")
