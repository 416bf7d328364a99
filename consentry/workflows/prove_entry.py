"""Prove one entry of the log to somebody outside; the proving is logged first."""

from audit.anchors import cosigned_note
from audit.events import Act, Event, Outcome
from audit.proofs import EntryProof, prove_entry
from audit.verifier import Checkpoint
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.ids import EntryId


def prove(platform: Platform, caller: Principal, entry_id: EntryId) -> EntryProof:
    """Return an entry's bytes with its inclusion proof under the newest checkpoint, cosignatures included.

    Raises:
        Denied: the role may not.
        NotFound: there is no such entry.
        BadInput: it stands in an earlier origin.
    """
    check_may_act(platform.catalogue, caller, "audit.export")
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
