"""What the service's own PostgreSQL roles may do: nothing that changes the past, whatever the triggers say.

The owner of the tables migrates; the service runs as a role that owns nothing. It can add to what is append-only and
cannot change, remove or empty it, nor switch a trigger off. A second role, used by `consentry audit prune` alone, may
also empty what is past its time of keeping.
"""

import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy import MetaData, Table

import audit.tables
import consent.tables
import vault.tables
from consentry.migrations import Store, metadata_of
from consentry.stores.tables import view_build
from kernel.errors import BadInput

_ROLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""Names that PostgreSQL takes without quotes, so that nothing else can hide in the statements."""

_CHANGE_REFUSED: Final = re.compile(r"BEFORE UPDATE OR DELETE ON (\w+)")

_EVERYTHING: Final = "SELECT, INSERT, UPDATE, DELETE"
_APPENDING: Final = "SELECT, INSERT"

_OF_THE_LOG: Final = {
    audit.tables.inbox.name: "SELECT, INSERT, DELETE",
    audit.tables.head.name: "SELECT, INSERT, UPDATE",
    audit.tables.prune.name: "SELECT",
    **{
        table.name: _APPENDING
        for table in (
            audit.tables.alias,
            audit.tables.cohort,
            audit.tables.cohort_member,
            audit.tables.detail,
        )
    },
}
"""Tables of the log that are neither append-only by trigger nor open to every change."""

_OF_THE_VAULT: Final = {table.name: "SELECT, INSERT, UPDATE" for table in (vault.tables.legal_hold, vault.tables.sweep)}
"""Holds are closed and sweeps are finished; neither is ever taken away."""

_EMPTIED: Final = ("body", "act", "outcome", "actor", "role", "purpose", "request_id", "alias", "level")
"""Columns of ``audit_leaf`` that pruning empties; place, id, hash and time stay out of reach."""


def append_only_tables() -> frozenset[str]:
    """Return the tables of the data store whose triggers refuse every change."""
    statements = (*audit.tables.CREATE_TRIGGERS["postgresql"], *consent.tables.CREATE_TRIGGERS["postgresql"])
    found = {name for statement in statements for name in _CHANGE_REFUSED.findall(statement)}
    return frozenset(found - {audit.tables.head.name})


def grant_statements(store: Store, role: str, *, pruner: str | None = None, reader: str | None = None) -> list[str]:
    """Return the statements that give a role exactly what the service needs in one store.

    Run them as the owner of the tables, again after each upgrade.

    Args:
        store: the data store or the key store.
        role: of the service; it must exist and own nothing.
        pruner: of `consentry audit prune`, in the data store; it gets what ``role`` has, and the right to empty.
        reader: of whoever makes the rows of views or reads them; it may see which builds there are, and nothing else.
    Raises:
        BadInput: a name that is no plain lower-case identifier, or one for two of them.
    """
    for name in (role, pruner, reader):
        if name is not None and not _ROLE.fullmatch(name):
            raise BadInput("A role has a plain name", hint="Use lower-case letters, digits and underscores.")
    if role == pruner:
        raise BadInput("The pruner is a role of its own", hint="Name another role for --pruner.")
    if reader is not None and reader in (role, pruner):
        raise BadInput("The reader of views is a role of its own", hint="Name another role for --reader.")
    statements = [f"GRANT USAGE ON SCHEMA public TO {role}"]
    for metadata in metadata_of(store):
        statements += _of_tables(metadata, role)
    statements += [f"REVOKE ALL ON alembic_version FROM {role}", f"GRANT SELECT ON alembic_version TO {role}"]
    if pruner is not None and store is Store.DATA:
        statements += _of_pruner(role, pruner)
    return statements + ([] if reader is None else _of_reader(store, reader))


def _of_tables(metadata: MetaData, role: str) -> Iterator[str]:
    append_only = append_only_tables()
    for table in metadata.sorted_tables:
        others = _APPENDING if table.name in append_only else _EVERYTHING
        yield f"REVOKE ALL ON {table.name} FROM {role}"
        told = _OF_THE_LOG | _OF_THE_VAULT
        yield f"GRANT {told.get(table.name, others)} ON {table.name} TO {role}"
        if (column := _numbered(table)) is not None:
            yield f"GRANT USAGE ON SEQUENCE {table.name}_{column}_seq TO {role}"


def _numbered(table: Table) -> str | None:
    """Return the column whose numbers a sequence gives, by which PostgreSQL names the sequence."""
    column = table.autoincrement_column
    return None if column is None or column.server_default is not None else column.name


def _of_reader(store: Store, reader: str) -> list[str]:
    """Neither data nor keys: a view is a file, and its rows come under pseudonyms (R56)."""
    tables = [table.name for metadata in metadata_of(store) for table in metadata.sorted_tables]
    revoked = [f"REVOKE ALL ON {name} FROM {reader}" for name in tables]
    if store is not Store.DATA:
        return revoked
    return [*revoked, f"GRANT USAGE ON SCHEMA public TO {reader}", f"GRANT SELECT ON {view_build.name} TO {reader}"]


def _of_pruner(role: str, pruner: str) -> list[str]:
    besides = (audit.tables.detail, audit.tables.cohort, audit.tables.cohort_member, audit.tables.alias)
    return [
        f"GRANT {role} TO {pruner}",
        f"GRANT UPDATE ({', '.join(_EMPTIED)}) ON {audit.tables.leaf.name} TO {pruner}",
        f"GRANT INSERT ON {audit.tables.prune.name} TO {pruner}",
        f"GRANT UPDATE (subject_id, mark) ON {audit.tables.alias.name} TO {pruner}",
        *(f"GRANT DELETE ON {table.name} TO {pruner}" for table in besides),
    ]
