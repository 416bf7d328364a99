"""Prove one entry of the log to somebody outside; the proving is logged first."""

from audit.anchors import cosigned_note
from audit.events import Act, Event, Outcome
from audit.proofs import EntryProof, prove_entry
from audit.queries import find_entry, read_pruned
from audit.verifier import Checkpoint
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.errors import Conflict, NotFound
from kernel.ids import EntryId


class EntryPruned(Conflict):
    """The bytes of the entry were let go when their time was over; there is nothing that a proof could be of."""


def prove(platform: Platform, caller: Principal, named: str) -> EntryProof:
    """Return an entry's bytes with its inclusion proof under the newest checkpoint, cosignatures included.

    Args:
        platform: every part.
        caller: who may export the log.
        named: the entry's id, or its index in the log as accesses and queries tell it.
    Raises:
        Denied: the role may not.
        NotFound: there is no such entry.
        EntryPruned: only its hash is left.
        BadInput: it stands in an earlier origin.
    """
    check_may_act(platform.catalogue, caller, "audit.export")
    entry_id = find_provable(platform, named)
    asking = platform.asking(caller)
    signed = platform.log.write(
        Event(
            Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
            refs={"what": "proof", "entry": entry_id},
        )
    ).checkpoint  # fmt: skip
    with platform.data.read() as connection:
        note = cosigned_note(connection, signed)
        proven = Checkpoint(signed.origin, signed.size, signed.root, note)
        return prove_entry(connection, entry_id, proven)


def find_provable(platform: Platform, named: str) -> EntryId:
    """Return the id of an entry that has its bytes; raises ``NotFound`` and ``EntryPruned``."""
    platform.log.settle()
    with platform.data.read() as connection:
        found = find_entry(connection, named)
        if found is None:
            raise NotFound("No entry of the log has this id or index", hint="See `consentry audit query --wide`.")
        if not found.body:
            pruned = read_pruned(connection)
            on = "" if pruned is None else f" on {format_instant(pruned.on)[:10]}"
            raise EntryPruned(
                f"Entry {found.entry_id} at index {found.index} was pruned{on}: its bytes are gone, its hash stays",
                hint="`consentry audit export` has the hash, and every proof of it still verifies.",
            )
        return found.entry_id
