"""Anchor the log outside the house: witnesses cosign its head, an authority timestamps it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Final

from sqlalchemy import Connection

from audit.anchors import (
    Anchor,
    AnchorKind,
    cosigned_note,
    cosigned_sizes,
    keep_anchors,
    keep_checkpoint,
    witness_name,
)
from audit.events import Act, Event, Outcome
from audit.origins import current_origin
from audit.timestamps import QUERY_MEDIA_TYPE, TimestampRefused, check_timestamp, request_timestamp
from audit.tree import StoredTree
from audit.verifier import Checkpoint, VerificationError, VerifierKey
from audit.verifier.handovers import KeyChain
from audit.verifier.policy import Policy
from audit.witnessing import HeadBehindWitness, Post, Stand, Statement, ask_witness, check_statements
from consent.asking import Asking
from consent.terms import suspend
from consent.wake import system_asking
from consentry.access import check_may_act
from consentry.outsiders import Outsiders, post_outside
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.errors import ConfigurationError, IntegrityFailed, Unavailable

ANCHOR_ACT: Final = "audit.export"
"""What a role must be allowed: a checkpoint leaves the house."""

REFUSED: Final = "a witness refuses the head of the log"
"""Why the gate is suspended then; the same words each time, so that it is told once."""

_ROUNDS: Final = 3
"""Another server may have a larger head cosigned between our signature and our question."""

_AT_ONCE: Final = 8
_NAMED: Final = 3


class KeyNotListed(ConfigurationError):
    """The policy lists logs, and neither the log's key nor one that handed over to it; nobody was asked."""


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """How a head was anchored.

    Attributes:
        said: what each witness of the policy answered.
        quorum_met: None where no policy is configured.
        timestamp: when the authority saw it; None where it did not, or where there is none.
        timestamp_problem: why not; empty where nothing went wrong.
        entry_id: the entry that tells of it; None when nothing new was stored.
    """

    checkpoint: Checkpoint
    said: tuple[Statement, ...]
    quorum_met: bool | None
    timestamp: datetime | None = None
    timestamp_problem: str = ""
    entry_id: str | None = None

    @property
    def problems(self) -> list[str]:
        """What went wrong, by who was asked."""
        failed = [f"witness {one.witness.name!a} {one.problem}" for one in self.said if one.problem]
        return failed + ([f"the timestamp authority {self.timestamp_problem}"] if self.timestamp_problem else [])


def anchor(platform: Platform, caller: Principal) -> AnchoredHead:
    """Have the log's head cosigned and timestamped, and keep what comes back; ``check_anchored`` judges it.

    Raises:
        Denied: the role may not.
        ConfigurationError: nobody outside is configured, or what is configured is wrong.
        KeyNotListed: the policy lists logs, and not this one.
        HeadBehindWitness: a witness cosigned more entries, or another history.
        IntegrityFailed: the log is not the one that was signed, or a stored cosignature is bad.
        Unavailable: store or signer cannot be used.
    """
    check_may_act(platform.catalogue, caller, ANCHOR_ACT)
    outsiders = Outsiders.of(platform.settings)
    if not outsiders.are_there:
        raise ConfigurationError(
            "Neither witnesses nor a timestamp authority are configured",
            hint="Set witness_policy_file or timestamp_url; see docs/how-to/witness.md.",
        )
    return anchor_head(platform, platform.asking(caller), outsiders)


def check_witnessed(platform: Platform, *, post: Post = post_outside) -> AnchoredHead | None:
    """Ask the witnesses before anything is served; None without a policy.

    A witness that cannot be reached is named in the answer and hinders nobody.

    Raises:
        HeadBehindWitness: a witness cosigned more entries than the log has, or another history.
        ConfigurationError: the policy is wrong.
    """
    outsiders = Outsiders.of(platform.settings)
    if outsiders.policy is None:
        return None
    only_witnesses = Outsiders(outsiders.policy, outsiders.policy_hash)
    return anchor_head(platform, system_asking(), only_witnesses, post=post)


def check_anchored(done: AnchoredHead) -> None:
    """Raise ``Unavailable`` unless the quorum is met and the timestamp there, as far as they are configured."""
    if done.quorum_met is False or done.timestamp_problem:
        cosigned = sum(one.stand is Stand.COSIGNED for one in done.said)
        lacks = "which is no quorum" if done.quorum_met is False else "and the timestamp is missing"
        named = "; ".join(done.problems[:_NAMED]) or "the policy asks for more"
        raise Unavailable(
            f"{cosigned} of {len(done.said)} witnesses cosigned, {lacks}: {named}",
            hint="The log is whole; ask those who run them, and repeat `consentry audit anchor`.",
        )


def anchor_head(platform: Platform, asking: Asking, outsiders: Outsiders, *, post: Post = post_outside) -> AnchoredHead:
    """Have the head cosigned and timestamped for whoever asks; see ``anchor``.

    A head that a witness refuses suspends the gate: the register may be as old as the log.
    """
    _check_key_listed(platform, outsiders)
    try:
        signed, said = _ask_witnesses(platform, outsiders, post)
    except HeadBehindWitness:
        with platform.data.write() as connection:
            suspend(connection, REFUSED, asking=asking, log=platform.log)
        raise
    at, token, problem = _ask_authority(signed, outsiders, post)
    given = [Anchor(AnchorKind.WITNESS, witness_name(one.witness.key), one.line) for one in said if one.line]
    given += [Anchor(AnchorKind.TIMESTAMP, outsiders.authority, token)] if token else []
    with platform.data.write() as connection:
        new = keep_anchors(connection, signed.size, given, platform.log.now(connection))
        met = _is_met(platform, connection, outsiders.policy, signed)
        done = AnchoredHead(signed, tuple(said), met, at, problem)
        entry_id = platform.log.record(connection, _event(done, asking, outsiders)) if new else None
    return AnchoredHead(signed, tuple(said), met, at, problem, entry_id)


def _ask_witnesses(platform: Platform, outsiders: Outsiders, post: Post) -> tuple[Checkpoint, list[Statement]]:
    """Ask every witness at once; where one is ahead, ask again with the head as it has become meanwhile."""
    witnesses = outsiders.policy.witnesses if outsiders.policy else ()
    asked = -1
    for _ in range(_ROUNDS):
        signed = platform.log.settle()
        with platform.data.write() as connection:
            kept = keep_checkpoint(connection, signed)
            last = cosigned_sizes(connection)

        def prove(old: int, size: int = kept.size) -> Sequence[bytes]:
            with platform.data.read() as reading:
                return StoredTree(reading, current_origin(reading)).consistency_proof(old, size)

        with ThreadPoolExecutor(_AT_ONCE) as asking:
            waiting = [
                asking.submit(ask_witness, one, kept, last=last.get(witness_name(one.key), 0), prove=prove, post=post)
                for one in witnesses
            ]
            said = [one.result() for one in waiting]
        if kept.size == asked or not any(one.stand is Stand.AHEAD for one in said):
            break
        asked = kept.size
    newest = platform.log.settle().size
    said = [_overtaken(one) if one.stand is Stand.AHEAD and one.size <= newest else one for one in said]
    check_statements(kept, said)
    return kept, said


def _overtaken(said: Statement) -> Statement:
    """Return what it means that another server of this log was faster each time: no cosignature, and no alarm.

    Should the log be another one than the witness knows, the next question, from what it names, is refused.
    """
    return replace(said, stand=Stand.FAILED, size=0, problem="cosigned a newer head of this log meanwhile")


def _ask_authority(signed: Checkpoint, outsiders: Outsiders, post: Post) -> tuple[datetime | None, bytes | None, str]:
    """Return time and token of a timestamp over the note, and what went wrong."""
    if not outsiders.timestamp_url or outsiders.roots is None:
        return None, None, ""
    request = request_timestamp(signed.note)
    try:
        reply = post(outsiders.timestamp_url, request.content, QUERY_MEDIA_TYPE)
        if reply.status != HTTPStatus.OK:
            return None, None, f"answered {reply.status}"
        at = check_timestamp(reply.content, signed.note, outsiders.roots, nonce=request.nonce)
    except Unavailable as err:
        return None, None, err.message
    except TimestampRefused as err:
        return None, None, f"is not believed: {err.message}"
    return at, reply.content, ""


def _check_key_listed(platform: Platform, outsiders: Outsiders) -> None:
    """Raise ``KeyNotListed`` where a policy that lists logs knows neither the log's key nor one that led to it."""
    key = platform.signer.verifier_key
    if outsiders.policy is not None and not outsiders.policy.believes(key, _chain(platform)):
        raise KeyNotListed("The witness policy does not list the log's key", hint=f"Add the line: log {key}")


def _chain(platform: Platform) -> tuple[VerifierKey, ...]:
    """Return the keys of the current origin, one after the other, as the signer's hand-overs tell of them."""
    try:
        return KeyChain(platform.signer.verifier_key, platform.signer.handovers()).keys
    except VerificationError as err:
        raise IntegrityFailed(
            f"The hand-overs of signing keys do not verify: {err.message}", hint="Restore their newest copy."
        ) from None


def _is_met(platform: Platform, connection: Connection, policy: Policy | None, signed: Checkpoint) -> bool | None:
    """Say whether the stored cosignatures make the policy's quorum, those of earlier rounds counted."""
    if policy is None:
        return None
    try:
        policy.check(cosigned_note(connection, signed), _chain(platform))
    except VerificationError as err:
        if err.kind == "quorum":
            return False
        raise IntegrityFailed(
            f"The head does not pass the witness policy: {err.message}",
            hint="A stored cosignature is damaged; export the log and keep it.",
        ) from None
    return True


def _event(done: AnchoredHead, asking: Asking, outsiders: Outsiders) -> Event:
    counts = {
        "size": done.checkpoint.size,
        "witnesses_asked": len(done.said),
        "witnesses_cosigned": sum(one.stand is Stand.COSIGNED for one in done.said),
        "timestamps": int(done.timestamp is not None),
    }
    refs = {"root": done.checkpoint.root.hex()} | ({"policy": outsiders.policy_hash} if outsiders.policy else {})
    is_met = done.quorum_met is not False and not done.timestamp_problem
    return Event(
        Act.LOG_ANCHORED,
        Outcome.DONE if is_met else Outcome.FAILED,
        asking.actor,
        asking.role,
        asking.request_id,
        reason=None if is_met else ("NO_QUORUM" if done.quorum_met is False else "NO_TIMESTAMP"),
        counts=counts,
        refs=refs,
    )
