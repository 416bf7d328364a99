"""A subject's death: nothing is opened for the dead, and whoever decided for them, or through them, does no longer.

PIPL article 49: near kin may act on the data of the deceased, unless the deceased has directed otherwise while alive.
"""

from dataclasses import replace

from sqlalchemy import Connection

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.guardians import end_relations
from consent.representatives import read_live_relations, wards_with
from consent.standing import get_standing, lock_subjects, set_deceased
from kernel.ids import EntryId, SubjectId
from kernel.ports import Clock


def record_death(
    connection: Connection, subject: SubjectId, *, no_kin: bool, asking: Asking, log: EntryLog, clock: Clock
) -> EntryId | None:
    """Record a subject's death, and end every relation in which it stands; the same again changes nothing.

    Args:
        connection: a write transaction of the data store.
        subject: who has died.
        no_kin: the deceased has directed that not even kin acts for them.
        asking: who records it.
        log: the audit log.
        clock: tells the time.

    Returns:
        The entry that tells of it, or None where the death was recorded before.

    Raises:
        NotFound: the subject is not registered.
        Conflict: the death is recorded with another directive.
    """
    # Wards in one call with the deceased: locks are taken in one order, and what counts is read under them.
    lock_subjects(connection, wards_with(connection, subject), exclusive=True)
    now = now_in_log(connection, log, clock)
    if get_standing(connection, subject).deceased:
        set_deceased(connection, subject, no_kin=no_kin, now=now)
        return None
    set_deceased(connection, subject, no_kin=no_kin, now=now)
    refs = {"no_kin": "true" if no_kin else "false"}
    entry_id = log.record(connection, replace(event_of(asking, Act.SUBJECT_DECEASED), subject=subject, refs=refs))
    ended = read_live_relations(connection, subject)
    end_relations(connection, ended, reason="DECEASED", now=now, asking=asking, log=log)
    return entry_id
