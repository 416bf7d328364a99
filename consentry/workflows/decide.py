"""Ask the gate about one subject; the answer is recorded and opens nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from consent.permits import Refusal
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.ids import SubjectId


@dataclass(frozen=True, slots=True)
class Answer:
    """The reasons of the fields that do not pass; empty when all do."""

    refused: Mapping[str, str]
    entry_id: str


def decide(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
    recipient: str | None = None,
) -> Answer:
    """Return the gate's answer for one subject."""
    with platform.data.write() as connection:
        said = platform.gate.check(
            connection,
            asking=platform.asking(caller),
            purpose=purpose,
            subject=subject,
            fields=fields,
            recipient=recipient,
        )
    if isinstance(said, Refusal):
        return Answer({field: reason.value for field, reason in said.reasons.items()}, said.entry_id)
    return Answer({}, said.entry_id)
