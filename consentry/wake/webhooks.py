"""Tells recipients and joint controllers of what closed, signed, until each has acknowledged it.

An attempt whose end is not known is never simply repeated: the receiver is asked first whether it has the message.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy import Connection

from consent.entries import now_in_log
from consent.outbox import items_of
from consent.recipients import list_recipients
from consent.rows import read_history
from consent.standing import Standing, get_standing
from consent.wake import (
    Closing,
    Hopeless,
    NotNow,
    Outcome,
    TargetFailed,
    WakeItem,
    WakeState,
    system_asking,
)
from consentry.stores.builds import Release, list_releases
from consentry.stores.webhooks import WebhookTarget, get_target, list_targets
from consentry.wake.exports import ExportsHandler
from consentry.wake.parts import WakeParts
from consentry.wake.posting import Poster
from consentry.wake.recheck import is_revision, touches
from consentry.wake.webhook_messages import Circle, closing_message, recall_message, scope_of
from consentry.webhooks import GONE, Webhooks, signed_headers
from kernel.errors import Conflict, Unavailable
from kernel.ids import SubjectId

_HELD_AS: Final = 200
"""Releases that one message names at most, the newest first."""


class NotAcknowledged(Unavailable):
    """A receiver answered, and not with its acknowledgement."""


class ReceiverFailed(TargetFailed):
    """A receiver answered that it can take nothing now, from nobody."""


class ReceiverGone(Hopeless):
    """A receiver answered that its address is gone; the message has reached nobody."""


class TargetDisabled(Hopeless):
    """Nobody is told at this address any more, and none was registered since for the same recipient."""


class NotRecalledYet(NotNow):
    """The release that the receiver is to be told of has not been recalled so far."""

    after: ClassVar[timedelta] = timedelta(seconds=5)


class WebhooksHandler:
    """One item for each target, and one more for each release to it that holds the person."""

    name: Final = "webhooks"

    def __init__(self, parts: WakeParts, *, poster: Poster | None = None) -> None:
        self._parts = parts
        self._webhooks = Webhooks(parts.sealer, parts.log)
        self._pseudonyms = parts.pseudonyms
        self._poster = poster or Poster()

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:
        """Return the targets that are to be told, and ``target/release`` for the holders of releases.

        A target whose address is gone stands for its recipient until another one does, so that what the recipient was
        not told lies there as a dead letter. Of a correction nobody is told: it closes nothing.
        """
        if is_revision(closing):
            return ()
        targets = _told(list_targets(connection))
        if not targets:
            return ()
        circle = self._circle(connection, closing.subject)
        told = [target.target_id for target in targets if circle.concerned(closing, target.recipient)]
        return told + self._holders(connection, closing, targets)

    def run(self, item: WakeItem) -> Outcome:
        """Send one message, after asking for it where an attempt of it may have arrived.

        Raises:
            NotAnswered, ReceiverFailed, NotAcknowledged, NotRecalledYet: to be tried again.
            ReceiverGone, TargetDisabled: a dead letter; a retry after another target was added goes to that one.
        """
        target_id, _, export_id = item.target.partition("/")
        with self._parts.data.read() as connection:
            target = _standing_in(connection, get_target(connection, target_id), item.closing)
            now = now_in_log(connection, self._parts.log, self._parts.clock)
        made = self._recall(item, target, export_id) if export_id else self._closing(item, target)
        return made if isinstance(made, Outcome) else self._deliver(item, target, made, now)

    def _deliver(self, item: WakeItem, target: WebhookTarget, body: bytes, now: datetime) -> Outcome:
        secrets = self._webhooks.secrets_of(target, now)
        if item.attempts > 1 or item.problem is not None:
            asked = self._poster.get(target.url, signed_headers(secrets, item.item_id, now, b""))
            if asked.says_received:
                return Outcome("acknowledged", counts={"asked": 1}, refs=_refs(item, target))
        answer = self._poster.post(target.url, signed_headers(secrets, item.item_id, now, body), body)
        if answer.is_gone:
            self._disable(target)
            raise ReceiverGone(f"Webhook {target.target_id} is gone", hint="Register another one, then retry.")
        if answer.is_failure:
            raise ReceiverFailed(f"Webhook {target.target_id} answered {answer.status}", hint="Try again.")
        if not answer.is_acknowledged:
            raise NotAcknowledged(f"Webhook {target.target_id} answered {answer.status}", hint="Ask its operator.")
        return Outcome("acknowledged", counts={"sent": 1}, refs=_refs(item, target))

    def _disable(self, target: WebhookTarget) -> None:
        with self._parts.data.write() as connection:
            try:
                self._webhooks.disable(connection, target.target_id, asking=system_asking(), why=GONE)
            except Conflict:
                return  # it was disabled meanwhile

    def _closing(self, item: WakeItem, target: WebhookTarget) -> bytes | Outcome:
        """Return what to send, or the outcome when the gate allows again all that was closed."""
        closing, recipient = item.closing, target.recipient
        with self._parts.data.read() as connection:
            circle = self._circle(connection, closing.subject)
            affected = circle.fields(circle.concerned(closing, recipient), recipient)
            closed = self._closed_fields(connection, circle, closing, recipient)
            releases = [one for one in list_releases(connection) if one.recipient == recipient]
        if closing.purpose and affected and not closed:
            return Outcome("granted_again")
        return closing_message(
            closing,
            recipient,
            person=self._person(closing.subject, scope_of(recipient)),
            fields=sorted(closed),
            exports=self._held_as(closing.subject, releases),
        )

    def _closed_fields(
        self, connection: Connection, circle: Circle, closing: Closing, recipient: str
    ) -> frozenset[str]:
        """Return the fields that the recipient may have had and for which the gate says no now."""
        purposes = circle.concerned(closing, recipient)
        closed: set[str] = set()
        for purpose in purposes:
            fields = circle.fields([purpose], recipient)
            if fields:
                said = self._parts.gate.preview_many(
                    connection, asking=system_asking(), purpose=purpose, subjects=[closing.subject], fields=fields,
                    recipient=circle.asked_as(purpose, recipient),
                )  # fmt: skip
                closed |= {code for code, reason in said[closing.subject].items() if reason is not None}
        return frozenset(closed)

    def _recall(self, item: WakeItem, target: WebhookTarget, export_id: str) -> bytes | Outcome:
        with self._parts.data.read() as connection:
            release = next((one for one in list_releases(connection) if one.export_id == export_id), None)
            items = items_of(connection, item.closing.subject)
        if release is None:
            return Outcome("not_held")
        if release.recalled_at is None:
            if _is_waiting(items, item.closing):
                raise NotRecalledYet(f"Release {export_id} has not been recalled yet", hint="Try again.")
            return Outcome("not_recalled")
        person = self._person(item.closing.subject, release.scope)
        return recall_message(item.closing, target.recipient, export_id=export_id, person=person)

    def _person(self, subject: SubjectId, scope: str) -> str:
        """Return the recipient's own name of the person; the way back is kept unless the person is erased."""
        with self._parts.data.read() as connection:
            state = get_standing(connection, subject).state
        if state in (Standing.ERASING, Standing.ERASED):
            return self._pseudonyms.unrecorded(subject, scope=scope)
        return self._pseudonyms.pseudonyms([subject], scope=scope)[subject]

    def _held_as(self, subject: SubjectId, releases: Sequence[Release]) -> Mapping[str, str]:
        names = self._pseudonyms.of_subject(subject)
        held = [(one.export_id, names[one.scope]) for one in releases if one.scope in names]
        return dict(held[:_HELD_AS])

    def _holders(self, connection: Connection, closing: Closing, targets: Sequence[WebhookTarget]) -> list[str]:
        """Return ``target/release`` for the releases to a target's recipient that a closing reaches."""
        held = [
            release
            for release, ground in self._parts.products.held_releases(connection)
            if touches(closing, ground.purpose) and closing.recipient in ("", release.recipient)
        ]
        names = self._pseudonyms.of_subject(closing.subject) if held else {}
        return [
            f"{target.target_id}/{release.export_id}"
            for target in targets
            for release in held
            if release.recipient == target.recipient and release.scope in names
        ]

    def _circle(self, connection: Connection, subject: SubjectId) -> Circle:
        recipients = list_recipients(connection)
        return Circle.of(self._parts.catalogue, recipients, read_history(connection, subject))


def _told(targets: Sequence[WebhookTarget]) -> list[WebhookTarget]:
    """Return the enabled targets, and for a recipient without one the newest whose address is gone."""
    enabled = [target for target in targets if target.is_enabled]
    served = {target.recipient for target in enabled}
    gone = {one.recipient: one for one in targets if one.disabled_why == GONE and one.recipient not in served}
    return [*enabled, *gone.values()]


def _standing_in(connection: Connection, target: WebhookTarget, closing: Closing) -> WebhookTarget:
    """Return the target, or where it is disabled the first one that came for its recipient after the closing.

    One that was there at the closing has an item of its own.
    """
    if target.is_enabled:
        return target
    for other in list_targets(connection, enabled_only=True):
        if other.recipient == target.recipient and other.created_at > closing.at:
            return other
    raise TargetDisabled(f"Webhook {target.target_id} is disabled", hint="Register another one, then retry.")


def _refs(item: WakeItem, target: WebhookTarget) -> Mapping[str, str]:
    """Return the message's id, and where it went when its own target was disabled."""
    told = {"message": item.item_id}
    return told if item.target.partition("/")[0] == target.target_id else {**told, "sent_to": target.target_id}


def _is_waiting(items: Sequence[WakeItem], closing: Closing) -> bool:
    """Say whether the recall that a closing has set in motion is still to come."""
    unfinished = (WakeState.OPEN, WakeState.SENDING)
    own = [item for item in items if item.handler == ExportsHandler.name]
    return any(item.closing.entry_id == closing.entry_id and item.state in unfinished for item in own)
