"""What outside parties said of the log, each word of it verified again without asking anybody."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from audit.anchors import Anchor, Anchored, AnchorKind, newest_anchored, witness_name
from audit.handovers import handover_keys
from audit.origins import current_origin
from audit.timestamps import TimestampRefused, TimestampRoots, check_timestamp
from audit.verifier import VerificationError, VerifierKey, open_checkpoint
from audit.verifier.notes import open_cosignatures
from consentry.access import check_may_act
from consentry.outsiders import Outsiders
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.anchor import ANCHOR_ACT
from kernel.encoding import JsonValue

VERIFIED: Final = "verified"
UNKNOWN: Final = "nobody configured vouches for it"
BAD: Final = "bad"


@dataclass(frozen=True, slots=True)
class ListedAnchor:
    """One thing that was said of a checkpoint.

    Attributes:
        kind: ``log`` for the log's own signature, ``witness`` or ``timestamp``.
        states: the time that it states, in UTC, once it is verified.
        verdict: ``VERIFIED``, ``UNKNOWN``, or ``BAD`` and why.
        said: the very bytes: the note, a signature line, or a DER timestamp response.
    """

    size: int
    root: str
    kind: str
    name: str
    states: datetime | None
    verdict: str
    said: bytes = field(repr=False)

    @property
    def is_bad(self) -> bool:
        """Whether it does not verify although whoever should have said it is known."""
        return self.verdict.startswith(BAD)

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        states = None if self.states is None else self.states.isoformat()
        return {
            "size": self.size, "root": self.root, "kind": self.kind, "name": self.name, "states": states,
            "verdict": self.verdict, "said": base64.b64encode(self.said).decode(),
        }  # fmt: skip


def list_anchors(platform: Platform, caller: Principal, *, limit: int) -> list[ListedAnchor]:
    """Return what was said of the newest anchored checkpoints, verified under policy and roots as they are now.

    Args:
        platform: every part.
        caller: who asks.
        limit: how many checkpoints at most.
    Raises:
        Denied: the role may not.
        ConfigurationError: policy or roots are wrong.
    """
    check_may_act(platform.catalogue, caller, ANCHOR_ACT)
    outsiders = Outsiders.of(platform.settings)
    with platform.data.read() as connection:
        found = newest_anchored(connection, limit=limit)
        number = current_origin(connection).number
    signer = platform.log.checkpointer.signer
    keys = [signer.verifier_key, *(handover_keys(note)[0] for note in signer.handovers())]
    return [line for one in found for line in _verified(one, keys if one.origin_no == number else None, outsiders)]


def _verified(one: Anchored, keys: Sequence[VerifierKey] | None, outsiders: Outsiders) -> list[ListedAnchor]:
    root, verdict = _log_verdict(one, keys)
    lines = [
        ListedAnchor(one.size, root, "log", keys[0].name if keys else "an earlier origin", None, verdict, one.note)
    ]
    witnesses = {witness_name(w.key): w.key for w in (outsiders.policy.witnesses if outsiders.policy else ())}
    for said in one.anchors:
        if said.kind is AnchorKind.WITNESS:
            states, verdict = _witness_verdict(one, said, witnesses)
        else:
            states, verdict = _timestamp_verdict(one, said, outsiders.roots)
        lines.append(ListedAnchor(one.size, root, said.kind.value, said.name, states, verdict, said.token))
    return lines


def _log_verdict(one: Anchored, keys: Sequence[VerifierKey] | None) -> tuple[str, str]:
    """Return the root that the note states, and whether a key of the log signed it; earlier origins had other keys."""
    if keys is None:
        return "", UNKNOWN
    for key in keys:
        try:
            opened = open_checkpoint(one.note, key)
        except VerificationError:
            continue
        return opened.root.hex(), VERIFIED if opened.size == one.size else f"{BAD}: it is of another size"
    return "", f"{BAD}: no key of this log signed it"


def _witness_verdict(one: Anchored, said: Anchor, witnesses: Mapping[str, VerifierKey]) -> tuple[datetime | None, str]:
    key = witnesses.get(said.name)
    if key is None:
        return None, UNKNOWN
    try:
        at = open_cosignatures(one.note + said.token, [key])[key]
    except (VerificationError, KeyError):
        return None, f"{BAD}: it is not this witness's cosignature of this checkpoint"
    return _instant(at), VERIFIED


def _timestamp_verdict(one: Anchored, said: Anchor, roots: TimestampRoots | None) -> tuple[datetime | None, str]:
    if roots is None:
        return None, UNKNOWN
    try:
        return check_timestamp(said.token, one.note, roots), VERIFIED
    except TimestampRefused as err:
        return None, f"{BAD}: {err.message}"


def _instant(seconds: int) -> datetime | None:
    """Return a cosignature's time; a witness may state one that no calendar holds."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
