"""Who acted, for officers: names beside the ids of the log, and the id behind a name that somebody asks for."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from audit.queries import has_actor
from consentry.stores.tables import principal
from kernel.errors import BadInput


def names_of(connection: Connection, actors: Collection[str]) -> dict[str, str]:
    """Return the account's name of each id that has one."""
    rows = connection.execute(
        select(principal.c.principal_id, principal.c.name).where(principal.c.principal_id.in_(sorted(set(actors))))
    )
    return {str(row.principal_id): str(row.name) for row in rows}


def resolve_actor(connection: Connection, asked: str) -> str:
    """Return the id under which an actor stands in the log.

    Args:
        connection: a read transaction of the data store.
        asked: the name or id of an account or key, or an actor as entries name it (``local:root``, an alias).
    Raises:
        BadInput: neither an account nor an entry has it.
    """
    by_either = (principal.c.name == asked) | (principal.c.principal_id == asked)
    found = connection.scalar(select(principal.c.principal_id).where(by_either))
    if found is not None:
        return str(found)
    if not asked or not has_actor(connection, asked):
        raise BadInput("No account and no entry has this actor", hint="See `consentry account list` for names and ids.")
    return asked
