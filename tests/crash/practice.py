"""A practice whose patients' records are worked on until something breaks, and what must be seen of each of them."""

import contextlib
import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select

from audit.receipts import Receipt
from audit.tables import leaf
from audit.verifier.certificates import verify_certificate
from consent.permits import Permit
from consent.standing import Standing, find_standings
from consent.wake import system_asking
from consentry.migrations import Store, metadata_of
from consentry.platform import Platform
from consentry.workflows.rotate import resume_rotations
from kernel.ids import SubjectId
from tests.consentry.conftest import ADMIN, Captured
from tests.crash.ward import Notes, Ward, check_started
from vault import tables
from vault.batches import BatchState
from vault.certificates import Certificate
from vault.key_report import report_keys
from vault.sampling import check_sample

FIELDS: dict[str, tuple[str, ...]] = {
    "P01": ("mobile",),
    "P02": ("department", "department_chosen", "images", "service_record"),
    "P04": ("package",),
}
"""By the purpose under which they are opened; `department` and `images` are held for fifteen years."""

HELD = frozenset({"department", "images"})


@dataclass(frozen=True)
class Seen:
    """What can be seen of somebody.

    Attributes:
        state: of the subject to whom the source's id leads; ``gone`` where it leads to nobody.
        values: field and value, each as often as it is stored; of files their digests.
        found: whether the value of an indexed field finds the person.
    """

    state: str
    values: tuple[tuple[str, str], ...] = ()
    found: bool = False

    def having(self, values: Iterable[tuple[str, str]]) -> "Seen":
        """The same with more values."""
        return replace(self, values=tuple(sorted((*self.values, *values))))

    def without(self, *codes: str) -> "Seen":
        """The same without some fields."""
        left = tuple(pair for pair in self.values if pair[0] not in codes)
        return replace(self, values=left, found=self.found and "mobile" not in codes)

    def erased(self) -> "Seen":
        """What is left: nothing, or what the law holds, which nobody opens."""
        is_held = any(code in HELD for code, _ in self.values)
        return Seen(Standing.RESTRICTED.value) if is_held else Seen("gone")


@dataclass
class Practice:
    """The deployment, its patients, and what must be seen of them.

    Attributes:
        seen: by the source's id.
        subjects: likewise; of the erased as well.
        gone: keys that were destroyed and must never be there again.
    """

    ward: Ward
    notes: Notes
    random: random.Random
    folder: Path
    seen: dict[str, Seen] = field(default_factory=dict)
    subjects: dict[str, SubjectId] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)
    number: int = 0

    def next(self) -> int:
        """A number that was never used."""
        self.number += 1
        return self.number

    def mobile(self, name: str) -> str:
        """Somebody's number."""
        return f"138{int(name.removeprefix('p-')):08d}"

    def newcomer(self, platform: Platform, *codes: str) -> str:
        """A new patient with a mobile number, and a value of each of these fields."""
        name = f"p-{self.next()}"
        self.subjects[name] = captured(self, platform).person(name, "P02")
        self.seen[name] = Seen(Standing.ACTIVE.value)
        values = {"mobile": self.mobile(name), **{code: self.value(code) for code in codes}}
        self.stored(platform, name, values)
        return name

    def value(self, code: str) -> str:
        """A value that no other record has."""
        return f"{code} {self.next()}"

    def stored(self, platform: Platform, name: str, values: Mapping[str, str], *, at: datetime | None = None) -> None:
        """Store a record of somebody who is seen from now on with its values."""
        record = self.posted(platform, name, values)
        at = at or platform.clock.now()
        said = captured(self, platform).store([record | {"observed_at": at.isoformat()}])
        assert said["stored_fields"] == len(values)
        self.seen[name] = replace(self.seen[name].having(values.items()), found=True)

    def posted(self, platform: Platform, name: str, values: Mapping[str, str]) -> dict:
        """A record as JSON, made an hour ago."""
        made = captured(self, platform).posted(name, "encounter", f"r-{self.next()}", **values)
        return made | {"observed_at": platform.clock.now().isoformat()}

    def forget(self, name: str) -> None:
        """Look for somebody no more under this id."""
        del self.seen[name], self.subjects[name]

    def living(self, platform: Platform, count: int) -> list[str]:
        """Some patients who are treated; new ones where there are too few."""
        names = sorted(name for name, seen in self.seen.items() if seen.state == Standing.ACTIVE)
        while len(names) < count:
            names.append(self.newcomer(platform, "department", "package"))
        return self.random.sample(names, count)


def captured(practice: Practice, platform: Platform) -> Captured:
    """Short forms whose acts are never called the same."""
    return Captured(platform, numbers=iter(practice.next, None))


def keys_of(platform: Platform, *subjects: SubjectId) -> set[bytes]:
    """The data keys of some people; of everybody without any."""
    query = select(tables.data_key.c.key_id)
    if subjects:
        query = query.where(tables.data_key.c.subject_id.in_(subjects))
    with platform.keys.read() as connection:
        return set(connection.scalars(query))


# what is seen


def look(practice: Practice, platform: Platform) -> dict[str, Seen]:
    """What is seen of everybody."""
    return {name: look_at(practice, platform, name) for name in practice.seen}


def look_at(practice: Practice, platform: Platform, name: str) -> Seen:
    """Find somebody as a source does, and open all that is stored."""
    subject = platform.resolver.find("app", name)
    finding = platform.resolver.find_by_field("mobile", practice.mobile(name), limit=9)
    assert finding in ([], [subject])
    if subject is None:
        with platform.data.read() as connection:
            (standing,) = find_standings(connection, [practice.subjects[name]]).values()
        assert standing.state is Standing.ERASED
        return Seen("gone")
    with platform.data.read() as connection:
        (standing,) = find_standings(connection, [subject]).values()
    if standing.state is not Standing.ACTIVE:
        return Seen(standing.state.value, found=bool(finding))
    values = [pair for purpose in FIELDS for pair in open_all(platform, subject, purpose)]
    return Seen(standing.state.value, tuple(sorted(values)), bool(finding))


def open_all(platform: Platform, subject: SubjectId, purpose: str) -> Iterator[tuple[str, str]]:
    """Open every value and file of one purpose, each under a permit and a receipt; nothing without a yes."""
    fields = FIELDS[purpose]
    permit = permitted(platform, subject, purpose, fields)
    if permit is None:
        return
    records = platform.vault.open(permit, receipt(platform, permit), subject=subject, fields=fields)
    for record in records:
        for code, value in record.values.items():
            yield code, str(value)
    with platform.data.read() as connection:
        files = platform.attachments.list_of(connection, subject) if "images" in fields else []
    for file in files:
        permit = permitted(platform, subject, purpose, ["images"])
        opened = platform.attachments.open(permit, receipt(platform, permit), attachment_id=file.attachment_id)
        yield "images", hashlib.sha256(b"".join(opened.pieces)).hexdigest()


def permitted(platform: Platform, subject: SubjectId, purpose: str, fields: Iterable[str]) -> Permit | None:
    """Ask the gate."""
    with platform.data.write() as connection:
        asking = platform.asking(ADMIN)
        said = platform.gate.check(connection, asking=asking, purpose=purpose, subject=subject, fields=list(fields))
    return said if isinstance(said, Permit) else None


def receipt(platform: Platform, permit: Permit) -> Receipt:
    """Wait for the permit's entry to be signed for."""
    return platform.log.receipt(
        permit.entry_id, actor=permit.actor, purpose=permit.purpose, subjects=permit.subjects, fields=permit.fields
    )


# what must hold of the stores


def check_stores(practice: Practice, platform: Platform) -> None:
    """Look at both stores without opening anything: nothing is left to do, no key too many, none too few."""
    check_nothing_waits(platform)
    check_keys(practice, platform)
    check_indexes(practice, platform)
    check_certificates(platform)
    sampled = check_sample(platform.data, platform.keystore, deployment=platform.settings.deployment, rows=1_000_000)
    assert (sampled.erased, sampled.without_key) == (0, 0)


def check_nothing_waits(platform: Platform) -> None:
    """Every outbox is empty, and every batch and file is whole or gone."""
    done = {BatchState.COMPLETE, BatchState.DISCARDED}
    with platform.data.read() as connection:
        assert set(connection.scalars(select(tables.batch.c.state))) <= done
        assert set(connection.scalars(select(tables.record_change.c.state))) <= {"done"}
        assert "started" not in set(connection.scalars(select(tables.erasure.c.state)))
        assert "started" not in set(connection.scalars(select(tables.sweep.c.state)))
        assert connection.scalar(select(func.count()).select_from(tables.retiring_key)) == 0
        assert set(connection.scalars(select(tables.attachment.c.state))) <= {"complete"}
    report = report_keys(platform.keystore)
    assert not report.unfinished
    assert len(report.epochs) == 1
    assert len(report.indexes) == len({one.index for one in report.indexes})


def check_keys(practice: Practice, platform: Platform) -> None:
    """Keys that rows need are there; no destroyed one is, nor any of the erased; both stores name the same ones."""
    with platform.keys.read() as connection:
        alive = {row.key_id: row.subject_id for row in connection.execute(select(tables.data_key))}
        buried = set(connection.scalars(select(tables.key_tombstone.c.key_id)))
    with platform.data.read() as connection:
        assert set(connection.scalars(select(tables.tombstone.c.key_id))) == buried
        needed = {row.key_id: row.subject_id for table in tables.SEALED_TABLES for row in connection.execute(
            select(table.c.key_id, table.c.subject_id))}  # fmt: skip
        standings = find_standings(connection, set(practice.subjects.values()) | set(alive.values()))
    assert needed.items() <= alive.items(), "a key that a row needs is missing"
    assert not alive.keys() & (buried | practice.gone), "a destroyed key is there"
    assert practice.gone <= buried
    erased = {subject for subject, one in standings.items() if one.state is Standing.ERASED}
    assert not erased & {*alive.values(), *needed.values()}, "something of the erased is left"


def check_indexes(practice: Practice, platform: Platform) -> None:
    """Nothing finds the erased, or states what they were."""
    gone = {practice.subjects[name] for name, seen in practice.seen.items() if seen.state == "gone"}
    with platform.keys.read() as connection:
        for table in (tables.blind_index, tables.identity_fact, tables.pseudonym):
            assert not gone & set(connection.scalars(select(table.c.subject_id)))


def check_certificates(platform: Platform) -> None:
    """Each erasure and sweep that destroyed something has one that verifies, and the log tells of both its ends."""
    keys = [platform.signer.verifier_key]
    with platform.data.read() as connection:
        entries = set(connection.scalars(select(leaf.c.entry_id)))
        nothing = select(tables.erasure.c.erasure_id).where(tables.erasure.c.certificate.is_(None))
        buried = select(tables.tombstone.c.key_id).where(tables.tombstone.c.erasure_id.in_(nothing))
        assert connection.scalars(buried).all() == []
        for table in (tables.erasure, tables.sweep):
            signed = select(table.c.certificate, table.c.signature).where(table.c.certificate.is_not(None))
            for row in connection.execute(signed):
                certified = verify_certificate(Certificate(row.certificate, row.signature).as_file(), keys)
                assert set(certified.content["entries"].values()) <= entries


def contents(platform: Platform) -> dict[str, str]:
    """A digest of each table of both stores."""
    found = {}
    for store, database in ((Store.DATA, platform.data), (Store.KEYS, platform.keys)):
        with database.read() as connection:
            for table in (table for metadata in metadata_of(store) for table in metadata.sorted_tables):
                rows = sorted(repr(tuple(row)) for row in connection.execute(select(table)))
                found[table.name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


@contextlib.contextmanager
def started_twice(practice: Practice) -> Iterator[Platform]:
    """Start, go on as a running server does, and start again: the second start finds nothing to do."""
    with practice.ward.opened() as platform:
        go_on(platform)
        before = contents(platform)
    with practice.ward.opened() as platform:
        go_on(platform)
        assert changed(before, contents(platform)) == []
        yield platform


def go_on(platform: Platform) -> None:
    """What a server does beside its requests."""
    resume_rotations(platform, ADMIN)
    platform.eraser.confirm_final(asking=system_asking())
    platform.log.settle()


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The tables that differ."""
    return sorted(name for name in before if before[name] != after[name])


def check_whole(practice: Practice) -> None:
    """Everything at once, and the log as its own tests look at it."""
    with practice.ward.opened() as platform:
        check_stores(practice, platform)
        assert look(practice, platform) == practice.seen
    check_started(practice.ward, practice.notes)
