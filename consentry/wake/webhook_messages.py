"""What a recipient is told of a closing, and who is told at all; codes, ids and instants, never a value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consent.recipients import Recipient, joint_controllers
from consent.registry import Decision
from consent.rules import is_permissive
from consent.wake import NARROW, Closing
from consentry.webhooks import JOINT
from kernel.catalogue import Catalogue
from kernel.clock import format_instant
from kernel.encoding import JsonValue, canonical_json

RECALLED: Final = "export.recalled"

TYPES: Final[Mapping[str, str]] = {
    "withdraw": "consent.withdrawn",
    "refuse": "consent.refused",
    "expire": "consent.expired",
    "end": "basis.ended",
    NARROW: "consent.narrowed",
    "restrict": "subject.restricted",
    "deceased": "subject.restricted",
    "erase": "subject.erased",
}
"""The type of a message by the cause of its closing; of a death no more is told than the restriction."""


def scope_of(recipient: str) -> str:
    """Return the pseudonym scope in which a recipient is told of people."""
    return f"recipient:{recipient}"


@dataclass(frozen=True)
class Circle:
    """Who stands around one person: the recipients that can hold its data, by what was ever opened."""

    catalogue: Catalogue
    recipients: Mapping[str, Recipient]
    opened: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, catalogue: Catalogue, recipients: Iterable[Recipient], history: Iterable[Decision]) -> "Circle":
        """Take what is registered and what the person has decided."""
        opened = frozenset((made.purpose, made.recipient or "") for made in history if is_permissive(made.act))
        return cls(catalogue, {recipient.code: recipient for recipient in recipients}, opened)

    def concerned(self, closing: Closing, recipient: str) -> list[str]:
        """Return the purposes under which a closing concerns a recipient; none when it needs not be told.

        It is told when data may have reached it. A joint controller is told whoever took the withdrawal and whomever
        it named (PIPL 20, GDPR 26).
        """
        asked = [closing.purpose] if closing.purpose else sorted(self.catalogue.purposes)
        return [purpose for purpose in asked if self._concerns(closing, purpose, recipient)]

    def fields(self, purposes: Iterable[str], recipient: str) -> frozenset[str]:
        """Return the fields that a recipient may have got under some purposes."""
        found = frozenset[str]().union(*(self.catalogue.fields_by_purpose.get(p, frozenset()) for p in purposes))
        known = self.recipients.get(recipient)
        return found if known is None or known.text.fields is None else found & known.text.fields

    def asked_as(self, purpose: str, recipient: str) -> str | None:
        """Return the recipient to ask the gate for; None for a joint controller, whose own data it is."""
        return None if self.is_joint(purpose, recipient) else recipient

    def is_joint(self, purpose: str, recipient: str) -> bool:
        """Say whether a recipient is a joint controller of a purpose."""
        return any(recipient in (one.code, JOINT) for one in joint_controllers(self.recipients.values(), purpose))

    def _concerns(self, closing: Closing, purpose: str, recipient: str) -> bool:
        if self.is_joint(purpose, recipient):
            return any(opened == purpose for opened, _ in self.opened)
        if closing.recipient not in ("", recipient):
            return False
        declared = self.catalogue.purposes.get(purpose)
        if (purpose, recipient) in self.opened or declared is None or declared.per_recipient:
            return (purpose, recipient) in self.opened
        known = self.recipients.get(recipient)
        is_told = recipient in declared.recipients or (known is not None and purpose in known.text.purposes)
        return is_told and (purpose, "") in self.opened


def closing_message(
    closing: Closing, recipient: str, *, person: str, fields: Sequence[str], exports: Mapping[str, str]
) -> bytes:
    """Return the body that tells of a closing.

    Args:
        person: the pseudonym in ``scope_of(recipient)``.
        fields: that may be used no more.
        exports: for each release to this recipient that holds the person, the pseudonym in it.
    """
    return _message(
        TYPES[closing.cause],
        closing,
        recipient,
        {
            "person": person,
            "fields": list(fields),
            "held_as": [{"export": export, "person": name} for export, name in sorted(exports.items())],
        },
    )


def recall_message(closing: Closing, recipient: str, *, export_id: str, person: str) -> bytes:
    """Return the body that tells of a recalled release; ``person`` is the pseudonym in it."""
    return _message(RECALLED, closing, recipient, {"person": person, "export": export_id})


def _message(kind: str, closing: Closing, recipient: str, data: Mapping[str, JsonValue]) -> bytes:
    at = format_instant(closing.at)
    told: dict[str, JsonValue] = {
        "recipient": recipient,
        "purpose": closing.purpose or None,
        "decision": closing.decision_id,
        "effective_at": at,
    }
    return canonical_json({"type": kind, "timestamp": at, "data": {**told, **data}})
