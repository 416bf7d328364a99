"""What lies beside the entries, against them: whose a name is, and the sealed details that an entry counts."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, exists, func, select

import audit.tables
from audit.aliases import COLUMNS, Name, read_names, unmarked
from audit.entries import details_digest, mentioned_aliases
from audit.scanning import ScannedEntry
from consent.inspection import BATCH, Findings, pages
from kernel.database import Database
from kernel.ports import Sealer


class BesideInspection:
    """Compares names and details batch by batch, while the log is read."""

    def __init__(self, found: Findings, sealer: Sealer) -> None:
        self._found = found
        self._sealer = sealer

    def compare(self, connection: Connection, batch: Sequence[ScannedEntry]) -> None:
        """Tell of every name that an entry mentions and nobody knows, and of details that are gone or others."""
        mentioned = {entry.entry_id: mentioned_aliases(entry.members) for entry in batch}
        known = {name.alias: name for name in read_names(connection, set().union(*mentioned.values()))}
        differs = {entry_id: ["name"] for entry_id, names in mentioned.items() if not names <= known.keys()}
        for entry_id in _nameless_members(connection, _with_their_cohort(batch)):
            differs.setdefault(entry_id, []).append("cohort name")
        for entry_id in self._differing_details(connection, batch, known):
            differs.setdefault(entry_id, []).append("details")
        for entry_id in _whole(connection, list(differs)):
            self._found.add("entry", entry_id, differs[entry_id])

    def conclude(self, database: Database) -> None:
        """Tell of every name that does not bear its mark: moved, or made by hand."""
        table = audit.tables.alias
        for _, rows in pages(database, select(*COLUMNS), table.c.alias):
            self._found.read("names", len(rows))
            for name in unmarked([Name(*row) for row in rows], self._sealer):
                self._found.add("name", name.alias, ("mark",))

    def _differing_details(
        self, connection: Connection, batch: Sequence[ScannedEntry], known: dict[str, Name]
    ) -> Iterable[str]:
        """Yield the entries that count details which are not there, or not the ones that were sealed."""
        counted = {entry.entry_id: entry for entry in batch if "details" in entry.members}
        stored = dict[str, str]()
        ids, table = sorted(counted), audit.tables.detail.c
        for start in range(0, len(ids), BATCH):
            rows = connection.execute(
                select(table.entry_id, table.sealed).where(table.entry_id.in_(ids[start : start + BATCH]))
            )
            stored.update((row.entry_id, details_digest(row.sealed)) for row in rows)
        for entry_id, entry in counted.items():
            digest = stored.get(entry_id)
            is_destroyed = digest is None and _is_about_the_forgotten(entry, known)
            if digest != entry.members["details"] and not is_destroyed:
                yield entry_id


def _is_about_the_forgotten(entry: ScannedEntry, known: dict[str, Name]) -> bool:
    """Say whether an entry's subject or actor was destroyed, and the details of the entry with the name."""
    named = [known.get(str(entry.members.get(member))) for member in ("subject", "actor")]
    return any(name is not None and name.is_forgotten for name in named)


def _with_their_cohort(batch: Sequence[ScannedEntry]) -> list[ScannedEntry]:
    """Return the entries of several people whose names are those of the digest; of the others the scan has told."""
    return [entry for entry in batch if "cohort" in entry.members and "cohort" not in entry.differing]


def _nameless_members(connection: Connection, batch: Sequence[ScannedEntry]) -> list[str]:
    """Return those of some entries among whose cohort is a name that nobody knows."""
    member, named = audit.tables.cohort_member.c, audit.tables.alias.c
    missing = ~exists().where(named.alias == member.alias)
    found: list[str] = []
    for start in range(0, len(batch), BATCH):
        ids = [entry.entry_id for entry in batch[start : start + BATCH]]
        found += connection.scalars(select(member.entry_id).where(member.entry_id.in_(ids), missing).distinct())
    return found


def _whole(connection: Connection, entry_ids: Sequence[str]) -> list[str]:
    """Return those of some entries that were not pruned since they were read: beside these everything must lie."""
    leaf, found = audit.tables.leaf.c, list[str]()
    for start in range(0, len(entry_ids), BATCH):
        of_them = leaf.entry_id.in_(entry_ids[start : start + BATCH]), func.length(leaf.body) > 0
        found += connection.scalars(select(leaf.entry_id).where(*of_them))
    return found
