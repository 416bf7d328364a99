"""What is known of a lost log's head: by its signer, by its store, and by whoever kept a checkpoint elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.handovers import handover_keys
from audit.origins import Origin, current_origin
from audit.recovery import has_notes, newest_stored
from audit.verifier import Checkpoint, VerificationError, VerifierKey, open_checkpoint
from consentry.platform import Platform
from kernel.errors import BadInput, IntegrityFailed


@dataclass(frozen=True, slots=True)
class KnownHeads:
    """The newest checkpoint of the current origin by each source; None where a source has none.

    Attributes:
        remembered: by the signer.
        stored: in the data store, whose owner may have taken later ones away.
        elsewhere: by the operator.
    """

    remembered: Checkpoint | None
    stored: Checkpoint | None
    elsewhere: Checkpoint | None

    @property
    def newest(self) -> Checkpoint | None:
        """The largest of the three."""
        found = [one for one in (self.remembered, self.stored, self.elsewhere) if one is not None]
        return max(found, key=lambda one: one.size, default=None)


def known_heads(platform: Platform, known: Sequence[bytes], old_keys: Sequence[VerifierKey]) -> KnownHeads:
    """Return what is known of the current origin's head.

    Args:
        platform: opened without a look at the log.
        known: checkpoints that were kept elsewhere.
        old_keys: of the log, where the signer behind the socket has a new one already.
    Raises:
        BadInput: a checkpoint verifies under none of the log's keys, or no key is there to verify it under.
        IntegrityFailed: the signer's memory is damaged, and no checkpoint is known otherwise.
    """
    with platform.data.read() as connection:
        origin, has_stored = current_origin(connection), has_notes(connection)
    _check_names(platform, origin, old_keys)
    damage = None
    try:
        state = platform.signer.head()
    except IntegrityFailed as err:
        state, damage = None, err
    is_new = platform.settings.signer_socket is not None and state is None and damage is None
    if is_new and not old_keys and (known or has_stored):
        raise BadInput(
            "The signer behind the socket has a new key, which says nothing of the old log",
            hint="Name the log's old public key with --old-key; log.pub of an earlier export holds it.",
        )
    keys = [*_own_keys(platform), *old_keys]
    with platform.data.read() as connection:
        stored = newest_stored(connection, keys)
    elsewhere = max((_opened(note, keys) for note in known), key=lambda one: one.size, default=None)
    heads = KnownHeads(None if state is None else state.checkpoint, stored, elsewhere)
    if damage is not None and heads.newest is None:
        raise damage
    return heads


def _check_names(platform: Platform, origin: Origin, old_keys: Sequence[VerifierKey]) -> None:
    """A key's name is its origin; the first origin's is not stored, and only a signer in this process still has it."""
    is_own = platform.settings.signer_socket is None
    name = origin.name or (platform.signer.name if is_own else None)
    if name is not None and any(key.name != name for key in old_keys):
        raise BadInput(f"The log's key is named {name}", hint="Check --old-key.")


def _own_keys(platform: Platform) -> list[VerifierKey]:
    """Return the signer's key and those that handed over to it."""
    signer = platform.signer
    return [signer.verifier_key, *(handover_keys(note)[0] for note in signer.handovers())]


def _opened(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    said = ""
    for key in keys:
        try:
            return open_checkpoint(note, key)
        except VerificationError as err:
            said = said or err.message
    raise BadInput(f"A checkpoint does not verify: {said}", hint="Give checkpoints of this log.")
