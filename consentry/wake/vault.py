"""Erases the stored fields that nothing allows any more once a purpose has closed; what the law holds is left.

A field stays for as long as the gate lets any purpose of the catalogue use it, for the controller or for a recipient.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import ClassVar, Final

from sqlalchemy import Connection

from consent.decisions import Decision
from consent.entries import now_in_log
from consent.reasons import Reason
from consent.recipients import list_recipients
from consent.rows import read_standing_decisions
from consent.rules import STORAGE_AND_SECURITY, is_permissive
from consent.standing import Standing, get_standing
from consent.wake import NARROW, Closing, NotNow, Outcome, WakeItem, system_asking
from consentry.wake.parts import WakeParts
from consentry.wake.recheck import is_allowed
from kernel.clock import format_instant
from kernel.ids import SubjectId
from vault.field_erasure import FieldEraser
from vault.leftovers import is_leftover

_CLOSES: Final = frozenset({"withdraw", "refuse", "expire", "end", NARROW})
"""A restriction keeps, a death restricts, and an erasure has a way of its own."""

_FOR_THE_TIME: Final = frozenset({Reason.ASSESSMENT_MISSING, Reason.RECONSENT})
"""Answers that stop the use and leave the decision standing: the operator or a renewed notice can cure them."""


class SubjectRestricted(NotNow):
    """A restriction keeps what it finds (R16); what has lost its ground goes when the restriction is lifted."""

    after: ClassVar[timedelta] = timedelta(hours=6)
    """``release_subject`` rouses the item; this is for one that was just being worked on."""


class VaultHandler:
    """One item a closing."""

    name: Final = "vault"

    def __init__(self, parts: WakeParts) -> None:
        self._parts = parts
        self._eraser = FieldEraser(
            parts.data, parts.keystore, parts.log, parts.signer, parts.clock, deployment=parts.settings.deployment
        )

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:  # noqa: ARG002 - the protocol's
        """Return one target for what closes a purpose."""
        return ("",) if closing.cause in _CLOSES else ()

    def run(self, item: WakeItem) -> Outcome:
        """Erase what lost its last ground with this closing; safe to repeat.

        The outcome counts the erased values, rows and keys, and the held values with the end of the last hold.

        Raises:
            SubjectRestricted: the subject is restricted, by a merge too; nothing was erased, and the item waits.
            IntegrityFailed: a row does not verify; nothing was erased.
            Unavailable: a store is in use, or the gate is suspended.
        """
        closing, last = item.closing, _Seen()

        def choose(connection: Connection, stored: frozenset[str]) -> Collection[str]:
            last.touched = self._touched(connection, closing, stored)
            last.groundless = self._groundless(connection, closing.subject, last.touched)
            return last.groundless

        made = self._eraser.erase(
            closing.subject, choose, asking=system_asking(), reason=f"{closing.cause} of {closing.purpose or 'all'}"
        )
        if made.erasure_id is None and not last.touched:
            return Outcome("not_held")
        if made.erasure_id is None and not last.groundless:
            return Outcome("granted_again" if self._is_open(closing, last.touched) else "still_allowed")
        refs = {} if made.erasure_id is None else {"erasure": made.erasure_id}
        if made.held_until is not None:
            refs["held_until"] = format_instant(made.held_until)
        counts = {name: made.counts[name] for name in ("values", "rows", "keys")}
        return Outcome("done", counts | {"held": made.counts["held_values"]}, refs)

    def _is_open(self, closing: Closing, fields: frozenset[str]) -> bool:
        recipient = closing.recipient or None
        return is_allowed(self._parts, closing.subject, closing.purpose, fields=fields, recipient=recipient)

    def _touched(self, connection: Connection, closing: Closing, stored: frozenset[str]) -> frozenset[str]:
        """Return the stored fields that the closed purpose could use; an erasure takes or holds all of them itself."""
        by_purpose = self._parts.catalogue.fields_by_purpose
        known = stored & self._parts.catalogue.fields.keys()
        touched = known & by_purpose.get(closing.purpose, frozenset()) if closing.purpose else known
        state = get_standing(connection, closing.subject).state
        if state is Standing.ACTIVE or not touched:
            return touched
        if state is Standing.RESTRICTED and not is_leftover(connection, closing.subject):
            raise SubjectRestricted(f"Subject {closing.subject} is restricted", hint="It goes on when that is lifted.")
        return frozenset()

    def _groundless(self, connection: Connection, subject: SubjectId, fields: frozenset[str]) -> frozenset[str]:
        if not fields:
            return fields
        left = set(fields)
        standing = self._standing(connection, subject)
        for purpose, recipient in self._asked(connection, standing):
            asked = sorted(code for code in left if self._is_ground(purpose, code))
            if asked:
                said = self._parts.gate.preview_many(
                    connection, asking=system_asking(), purpose=purpose, subjects=[subject], fields=asked,
                    recipient=recipient,
                )  # fmt: skip
                left -= {code for code, why in said[subject].items() if why is None}
                left -= _covered(standing, purpose, [c for c, why in said[subject].items() if why in _FOR_THE_TIME])
        return frozenset(left)

    def _is_ground(self, purpose: str, code: str) -> bool:
        """Say whether a purpose can be a reason to keep a field.

        Storage is one for what it collects itself; for what others collected the legal floor of each row speaks.
        """
        field = self._parts.catalogue.fields[code]
        return purpose in field.purposes and (purpose not in STORAGE_AND_SECURITY or purpose == field.collect)

    def _standing(self, connection: Connection, subject: SubjectId) -> list[Decision]:
        """Return the open decisions whose time is not over."""
        now = now_in_log(connection, self._parts.log, self._parts.clock)
        made = [one for one in read_standing_decisions(connection, subject) if is_permissive(one.act)]
        return [one for one in made if one.valid_until is None or now < one.valid_until]

    def _asked(self, connection: Connection, standing: Collection[Decision]) -> Iterator[tuple[str, str | None]]:
        """Yield each purpose without recipient, then with each one that is declared, registered or was named."""
        named = {(made.purpose, made.recipient) for made in standing}
        registered = list_recipients(connection)
        for code, purpose in self._parts.catalogue.purposes.items():
            yield code, None
            recipients = {recipient for asked, recipient in named if asked == code and recipient}
            recipients |= {known.code for known in registered if code in known.text.purposes}
            for recipient in sorted(recipients | set(purpose.recipients)):
                yield code, recipient


def _covered(standing: Collection[Decision], purpose: str, codes: Collection[str]) -> set[str]:
    """Return those fields that a standing decision for the purpose covers, whoever its recipient is."""
    own = [made for made in standing if made.purpose == purpose]
    return {code for code in codes if any(made.fields is None or code in made.fields for made in own)}


class _Seen:
    """What the last choice, the one that counted, came to."""

    touched: frozenset[str] = frozenset()
    groundless: frozenset[str] = frozenset()
