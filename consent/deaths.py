"""A subject's death: nothing is opened for the dead, and whoever decided for them, or through them, does no longer.

PIPL article 49: near kin may act on the data of the deceased, unless the deceased has directed otherwise while alive.
"""

from dataclasses import replace

from sqlalchemy import Connection, Table, or_, select

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.guardians import end_relations
from consent.standing import get_standing, lock_subjects, set_deceased
from consent.tables import agent as agent_table
from consent.tables import guardian as guardian_table
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
    wards = {ward for _, _, ward in _live_relations(connection, subject)}
    lock_subjects(connection, sorted({subject, *wards}), exclusive=True)
    now = now_in_log(connection, log, clock)
    if get_standing(connection, subject).deceased:
        set_deceased(connection, subject, no_kin=no_kin, now=now)
        return None
    set_deceased(connection, subject, no_kin=no_kin, now=now)
    refs = {"no_kin": "true" if no_kin else "false"}
    entry_id = log.record(connection, replace(event_of(asking, Act.SUBJECT_DECEASED), subject=subject, refs=refs))
    ended = _live_relations(connection, subject)
    end_relations(connection, ended, reason="DECEASED", now=now, asking=asking, log=log)
    return entry_id


def _live_relations(connection: Connection, subject: SubjectId) -> list[tuple[Table, str, SubjectId]]:
    """Return table, id and ward of every live relation in which somebody is ward, guardian or agent."""
    found: list[tuple[Table, str, SubjectId]] = []
    for table, other in ((guardian_table, guardian_table.c.guardian), (agent_table, agent_table.c.agent)):
        stands_in = or_(table.c.subject_id == subject, other == subject)
        statement = select(table.c.relation_id, table.c.subject_id).where(stands_in, table.c.ended_at.is_(None))
        rows = connection.execute(statement.order_by(table.c.relation_id))
        found += [(table, row.relation_id, SubjectId(row.subject_id)) for row in rows]
    return found
