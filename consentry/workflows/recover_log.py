"""Open a new origin after the log was lost or rolled back: two people, a new key, and what is known of the old head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.checkpoints import Checkpointer
from audit.origins import current_origin
from audit.recovery import Recovery, open_origin
from audit.rotation import load_tree_signer
from audit.signer import HeadSigner
from audit.signing import create_signing_key
from audit.verifier import Checkpoint, VerifierKey
from audit.verifier.notes import open_cosignatures
from consent.terms import suspend
from consentry.access import check_may_act
from consentry.outsiders import Outsiders
from consentry.platform import Platform, open_signer
from consentry.principals import Principal
from consentry.workflows.last_known import known_heads
from consentry.workflows.two_people import check_two_people
from kernel.errors import BadInput, Conflict, IntegrityFailed
from kernel.files import sync_folder

RECOVER_ACT: Final = "log.prune"
"""What the roles of all three must allow: who may let entries go may say that they are gone."""

RECOVERED: Final = "the log began anew after a loss; what was decided last may be missing from the register"
"""Why the gate is suspended then: a withdrawal may be among what was lost."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was opened.

    Attributes:
        previous: the last checkpoint of the old origin that is known; None where nobody has any.
    """

    entry_id: str
    checkpoint: Checkpoint
    verifier_key: str
    previous: Checkpoint | None


def recover_log(
    platform: Platform,
    caller: Principal,
    *,
    reason: str,
    accepted_by: Sequence[Principal],
    known: Sequence[bytes] = (),
    old_keys: Sequence[VerifierKey] = (),
) -> Recovered:
    """Open a new origin; the old key and its state are set aside, never deleted, and the gate is suspended.

    Args:
        platform: opened without a look at the log.
        caller: who does it.
        reason: what happened; sealed beside the entry, which commits to it.
        accepted_by: two different persons.
        known: checkpoints of the old origin that were kept elsewhere.
        old_keys: of the old origin; needed where the signer behind the socket has a new key already.
    Raises:
        Conflict: the log is the one that was signed: there is nothing to recover.
        BadInput: no reason, not two persons, no old key, or a checkpoint that does not verify under it.
        Denied: a role may not.
    """
    _check_people(platform, caller, reason, accepted_by)
    heads = known_heads(platform, known, old_keys)
    _check_lost(platform, heads.elsewhere)
    previous = heads.newest
    signer = _new_signer(platform)
    asking = platform.asking(caller)
    policy = Outsiders.of(platform.settings).policy
    witnesses = () if policy is None or previous is None else [one.key for one in policy.witnesses]
    cosigned = () if previous is None else tuple(key.name for key in open_cosignatures(previous.note, witnesses))
    first, second = (str(one.principal_id) for one in accepted_by)
    recovery = Recovery(
        asking.actor, asking.role, asking.request_id, signer.name, reason, (first, second), previous, cosigned
    )
    with platform.data.write() as connection:
        entry_id = open_origin(connection, platform.log.journal, recovery)
        suspend(connection, RECOVERED, asking=asking, log=platform.log)
    _take_into_use(platform)
    if platform.settings.signer_socket is None:
        signer = open_signer(platform.settings)
    signed = Checkpointer(platform.data, signer).sign_head()
    return Recovered(entry_id, signed, str(signer.verifier_key), previous)


def finish_recovery(platform: Platform) -> bool:
    """Put the key of a new origin in place where a crash came between; says whether it had to."""
    draft = _draft(platform.settings.signing_key_path)
    if platform.settings.signer_socket is not None or not draft.exists():
        return False
    with platform.data.read() as connection:
        origin = current_origin(connection)
    if origin.name is None or origin.name == platform.signer.name:
        return False
    _take_into_use(platform)
    return True


def _check_people(platform: Platform, caller: Principal, reason: str, accepted_by: Sequence[Principal]) -> None:
    check_may_act(platform.catalogue, caller, RECOVER_ACT)
    if not reason.strip():
        raise BadInput("A recovery needs its reason", hint="Say in --reason what happened.")
    check_two_people(platform, accepted_by, RECOVER_ACT)


def _check_lost(platform: Platform, known: Checkpoint | None) -> None:
    """Raise ``Conflict`` unless the stored log is not the one that was signed.

    Where store and signer were both restored from an older copy, a checkpoint that was kept elsewhere, by a witness for
    example, shows it: it covers more than the signer remembers.
    """
    try:
        platform.log.checkpointer.check()
    except IntegrityFailed:
        return
    remembered = platform.log.checkpointer.last_signed()
    if known is not None and known.size > (0 if remembered is None else remembered.size):
        return
    raise Conflict("The log is the one that was signed; there is nothing to recover", hint="Nothing was changed.")


def _new_signer(platform: Platform) -> HeadSigner:
    """Return the signer of the new origin: a fresh key here, or the one that was put behind the socket."""
    settings = platform.settings
    with platform.data.read() as connection:
        number = current_origin(connection).number + 1
    if settings.signer_socket is not None:
        if platform.signer.head() is not None:
            raise BadInput(
                "The signer behind the socket has signed before",
                hint="Start `consentry audit signer` with a new key and a new state, then recover.",
            )
        return platform.signer
    draft = _draft(settings.signing_key_path)
    name = f"{platform.signer.name.split('#')[0]}#{number}"
    if not draft.exists():
        create_signing_key(draft, name)
    return load_tree_signer(draft, _draft(settings.signer_state_path))


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}.recovered")


def _take_into_use(platform: Platform) -> None:
    """Set the old key with its memory aside under its origin's number, and put the new one in their place."""
    settings = platform.settings
    if settings.signer_socket is not None:
        return
    with platform.data.read() as connection:
        old = current_origin(connection).number - 1
    key, state = settings.signing_key_path, settings.signer_state_path
    beside = [state, state.with_name(f"{state.name}.handovers")]
    for path in beside:
        if path.exists() and not path.with_name(f"{path.name}.{old}").exists():
            path.rename(path.with_name(f"{path.name}.{old}"))
    sync_folder(state.parent)  # the new key must never meet the old memory
    kept = key.with_name(f"{key.name}.{old}")
    if not kept.exists():
        kept.hardlink_to(key)
    _draft(key).replace(key)
    sync_folder(key.parent)
