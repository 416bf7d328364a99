"""A person's entries as a folder that a regulator checks offline; the handing over leaves its entry first."""

from dataclasses import dataclass
from pathlib import Path

from audit.anchors import cosigned_note
from audit.bundles import Shown, entries_about, write_bundle
from audit.events import Act, Event, Outcome
from audit.export import check_new_folder
from audit.verifier import Checkpoint
from consent.cohorts import entries_of
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.seen_by import READ, Stretch, pruned_of
from kernel.encoding import JsonValue
from kernel.ids import SubjectId


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written: how many entries by what shows whom they are about, and the key that verifies them."""

    folder: Path
    entries: dict[Shown, int]
    key: str


def bundle_seen(platform: Platform, caller: Principal, subject: SubjectId, asked: Stretch, folder: Path) -> Bundled:
    """Write every entry about a subject with its proof, the subject's aliases, and salt and members of its cohorts.

    Args:
        platform: every part.
        caller: who may read accesses and export the log.
        subject: whose entries.
        asked: the period; its limit and place do not count.
        folder: a new one.
    Raises:
        Denied: the role may not.
        NotFound: nobody is registered under this id.
        BadInput: the folder holds something already.
        Conflict: the log was pruned meanwhile; there is no list then.
        IntegrityFailed: a name of the subject was moved or made by hand.
    """
    for act in (READ, "audit.export"):
        check_may_act(platform.catalogue, caller, act)
    check_new_folder(folder)
    with platform.data.read() as connection:
        get_standing(connection, subject)
    asking = platform.asking(caller)
    event = Event(
        Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
        subject=subject, refs={"what": "bundle"},
    )  # fmt: skip
    signed = platform.log.write(event).checkpoint
    with platform.data.read() as connection:
        proven = Checkpoint(signed.origin, signed.size, signed.root, cosigned_note(connection, signed))
        own = platform.log.aliases_of(connection, subject)
        stated: dict[str, JsonValue] = {
            "subject": subject,
            "aliases": list(own),
            "origin": signed.origin,
            "size": signed.size,
            "root": signed.root.hex(),
            "pruned": pruned_of(connection, asked.since),
        }
        also = entries_of(connection, subject)
    found = entries_about(platform.data, asked.sought(subject), proven, own=own, also=also)
    counted = write_bundle(folder, found, stated)
    return Bundled(folder, counted, str(platform.signer.verifier_key))
