"""Each subject's standing and its history against the log: state, death, directive, merge and age."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, Row, select

import audit.tables
from audit.events import Act
from audit.scanning import ScannedEntry, find_scanned, waiting_entries
from consent.ages import AgeClass, age_told, majority_on
from consent.comparing import Names, is_told_at
from consent.inspection import Findings, names_behind
from consent.setwise import among_subjects, bind_subjects
from consent.standing import Standing
from consent.tables import standing_change
from kernel.ids import SubjectId

_Row = Row[*tuple[Any, ...]]

STATE_AFTER: Final = {
    Act.SUBJECT_RESTRICTED.value: Standing.RESTRICTED.value,
    Act.SUBJECT_RELEASED.value: Standing.ACTIVE.value,
    Act.ERASURE_STARTED.value: Standing.ERASING.value,
    Act.ERASURE_COMPLETED.value: Standing.ERASED.value,
}
_TELLING: Final = (
    *STATE_AFTER,
    Act.SUBJECT_REGISTERED.value,
    Act.SUBJECT_AGED.value,
    Act.SUBJECT_DECEASED.value,
)
_KEPT_TWICE: Final = ("state", "deceased", "age_class", "age_class_until")
"""Columns of a standing that its history has as well."""

FORGOTTEN: Final = ""
"""Stands for a subject whose alias was destroyed after the log's floor."""

_Age = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One state of a subject as the log tells of it; ``entry`` is the one that tells."""

    state: str
    deceased: bool
    age: _Age | None
    entry: ScannedEntry

    def is_as(self, change: _Row) -> bool:
        """Say whether a row of the history holds this state, since then."""
        same = (change.state, change.deceased, _age_of(change)) == (self.state, self.deceased, self.age)
        return same and is_told_at(self.entry, "changed_at", change.changed_at)


@dataclass(frozen=True, slots=True)
class Tale:
    """What the log tells of a subject's standing.

    Attributes:
        is_registered: an entry tells of the registration.
        tells_ages: it names the age class; entries before these words do not.
        age: the latest that was told; None where none was.
        no_kin: None where the entry of the death is older than this word.
        merged_into: None while it was not merged; ``FORGOTTEN`` where nobody can say into whom.
        steps: every state, in order.
    """

    state: str = Standing.ACTIVE.value
    deceased: bool = False
    is_registered: bool = False
    tells_ages: bool = False
    age: _Age | None = None
    no_kin: bool | None = False
    merged_into: str | None = None
    steps: tuple[Step, ...] = ()

    def after(self, entry: ScannedEntry, names: Names) -> "Tale":
        """Return what it tells with one entry more."""
        act, refs = str(entry.members.get("act")), entry.refs
        told = replace(self, state=STATE_AFTER.get(act, self.state))
        if "age_class" in refs:
            told = replace(told, age=(str(refs["age_class"]), str(refs.get("age_until"))))
        if act == Act.SUBJECT_REGISTERED.value:
            told = replace(told, is_registered=True, tells_ages=self.tells_ages or "age_class" in refs)
        if act == Act.SUBJECT_DECEASED.value:
            said = refs.get("no_kin")
            told = replace(told, deceased=True, no_kin=None if said is None else said == "true")
        if act == Act.SUBJECT_RESTRICTED.value and "kept" in refs:
            told = replace(told, merged_into=names.subjects.get(str(refs["kept"]), FORGOTTEN))
        step, last = Step(told.state, told.deceased, told.age, entry), self.steps[-1] if self.steps else None
        # Whoever is restricted can be restricted again: nothing of it is new, and the history has no row for it.
        is_same = last is not None and replace(last, entry=entry) == step
        return told if is_same else replace(told, steps=(*self.steps, step))


def inspect_standings(connection: Connection, rows: Sequence[_Row], found: Findings) -> None:
    """Compare some standings with their histories, and both with what the log tells."""
    subjects = [SubjectId(row.subject_id) for row in rows]
    about = among_subjects(standing_change.c.subject_id, connection.dialect.name)
    history = select(standing_change).where(about).order_by(standing_change.c.position)
    changes: dict[str, list[_Row]] = {}
    for change in connection.execute(history, bind_subjects(connection, subjects)):
        changes.setdefault(change.subject_id, []).append(change)
    tales = _tales(connection, subjects)
    for row in rows:
        known, tale = changes.get(row.subject_id, []), tales.get(SubjectId(row.subject_id), Tale())
        is_erased = row.state == Standing.ERASED and bool(known) and known[-1].state == row.state
        if is_erased and not tale.steps:
            continue  # its names were destroyed after the log's floor: nobody can say what was told of it
        found.add("standing", row.subject_id, [*differing_standing(row, tale), *differing_history(row, known, tale)])


def differing_standing(row: _Row, tale: Tale) -> list[str]:
    """Return what of a standing is not as the log tells."""
    differs = {
        "logged registration": not tale.is_registered,
        "logged state": row.state != tale.state,
        "logged death": row.deceased != tale.deceased,
        "logged directive": tale.no_kin not in (None, row.no_kin),
        "logged merge": tale.merged_into not in (FORGOTTEN, row.merged_into),
        "logged age": tale.age not in (None, _age_of(row)),
        "registered_at": bool(tale.steps) and not is_told_at(tale.steps[0].entry, "changed_at", row.registered_at),
    }
    return [name for name, does in differs.items() if does]


def differing_history(row: _Row, changes: Sequence[_Row], tale: Tale) -> list[str]:
    """Return what of a history does not lead to the standing, or has no entry behind it, or not one for each entry.

    Of a registration that is older than the words about age the history begins later, with the state that stood when
    it was first kept; there an age class may only have become stricter, or known.
    """
    differs = []
    if changes:
        differs = [name for name in _KEPT_TWICE if getattr(row, name) != getattr(changes[-1], name)]
    if tale.tells_ages:
        same = len(changes) == len(tale.steps)
        is_told = same and all(step.is_as(change) for step, change in zip(tale.steps, changes, strict=True))
    else:
        told = _collapsed((step.state, step.deceased) for step in tale.steps)
        kept = _collapsed((change.state, change.deceased) for change in changes)
        is_told = told[len(told) - len(kept) :] == kept and _only_stricter(changes)
    return differs if is_told else [*differs, "history"]


def _collapsed(states: Iterable[tuple[str, bool]]) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for state in states:
        if not found or found[-1] != state:
            found.append(state)
    return found


def _only_stricter(changes: Sequence[_Row]) -> bool:
    """Say whether an age class never made a known minor a minor for shorter, nor anybody's age unknown."""
    for before, after in pairwise(changes):
        if before.age_class == AgeClass.UNKNOWN or _age_of(before) == _age_of(after):
            continue
        majority = majority_on(AgeClass(after.age_class), after.age_class_until)
        earlier = majority_on(AgeClass(before.age_class), before.age_class_until)
        if majority is None or (earlier is not None and majority < earlier):
            return False
    return True


def _age_of(row: _Row) -> _Age:
    return age_told(AgeClass(row.age_class), row.age_class_until)


def _tales(connection: Connection, subjects: Sequence[SubjectId]) -> dict[SubjectId, Tale]:
    """Return what the log tells of the standing of some subjects."""
    alias, leaf = audit.tables.alias.c, audit.tables.leaf.c
    statement = (
        select(alias.subject_id, leaf.entry_id)
        .join(audit.tables.leaf, leaf.alias == alias.alias)
        .where(among_subjects(alias.subject_id, connection.dialect.name), leaf.act.in_(_TELLING))
        .order_by(leaf.leaf_index)
    )
    rows = connection.execute(statement, bind_subjects(connection, subjects)).all()
    stored = find_scanned(connection, [row.entry_id for row in rows])
    waiting = [entry for entry in waiting_entries(connection) if entry.members.get("act") in _TELLING]
    names = names_behind(connection, [*stored.values(), *waiting])
    told = [(SubjectId(row.subject_id), stored[row.entry_id]) for row in rows]
    told += [(names.subjects.get(str(entry.members.get("subject")), SubjectId("")), entry) for entry in waiting]
    found: dict[SubjectId, Tale] = {}
    for subject, entry in told:
        found[subject] = found.get(subject, Tale()).after(entry, names)
    return found
