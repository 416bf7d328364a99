"""Every trigger of the data store that refuses to change the past: the log's, and those of what people decided."""

from sqlalchemy import Connection

import audit.tables
import consent.tables
from audit.guards import missing_guards


def missing_triggers(connection: Connection) -> list[str]:
    """Return which triggers are dropped, disabled, changed or foreign, the log's first; empty when all are whole."""
    dialect = connection.dialect.name
    declared = (audit.tables.CREATE_TRIGGERS, consent.tables.CREATE_TRIGGERS)
    return list(dict.fromkeys(found for one in declared for found in missing_guards(connection, one[dialect])))
