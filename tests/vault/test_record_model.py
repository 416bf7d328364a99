"""Versions, corrections, merges and splits against a model in memory: whatever comes in whatever order (R25, R26)."""

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consent.standing import Standing
from kernel.clock import FixedClock
from kernel.ids import RecordId, SubjectId
from tests.vault.conftest import House, opened_house
from tests.vault.test_corrections import correct
from tests.vault.test_moving import mover_of
from vault._keyring import keyring_of
from vault._storing import encoder_of
from vault.moving import Selection
from vault.records import PlainRecord

NIGHTLY = os.environ.get("CONSENTRY_NIGHTLY") == "1"
FIELDS = ("name", "diagnosis")
SOURCES = ("his", "app")
VALUES = st.sampled_from(["a", "b", "c"])
Place = tuple[str, str, int]
"""Whose record first, of which source, and its number there."""


@dataclass
class Version:
    """What the model knows of one version of one field."""

    value: str
    observed_at: datetime
    corrected_at: datetime | None = None


@dataclass
class Record:
    """One source record: its versions by field, in the order of storing, and every content that came."""

    owner: SubjectId
    place: Place
    versions: dict[str, list[Version]] = field(default_factory=dict)
    contents: set[tuple[Any, ...]] = field(default_factory=set)

    def standing(self, code: str) -> str | None:
        """The rule in words: the newest correction, unless its source observed something later."""
        said = self.versions.get(code, [])
        corrected = [one for one in said if one.corrected_at is not None]
        if not corrected:
            return said[-1].value if said else None
        last = max(enumerate(corrected), key=lambda pair: (pair[1].corrected_at, pair[0]))[1]
        later = [one for one in said if one.corrected_at is None and one.observed_at > last.corrected_at]
        return (later[-1] if later else last).value


class RecordMachine(RuleBasedStateMachine):
    """Drives a real vault on SQLite and the model side by side."""

    @initialize()
    def begin(self) -> None:
        """Open a vault of three people."""
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        clock = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
        urls = (f"sqlite:///{folder / 'data.db'}", f"sqlite:///{folder / 'keys.db'}")
        self.house: House = self.stack.enter_context(opened_house(folder, clock, *urls))
        self.people = [self.house.subject() for _ in range(3)]
        self.gone: set[SubjectId] = set()
        self.records: list[Record] = []

    def teardown(self) -> None:
        """Close the stores."""
        if hasattr(self, "stack"):
            self.stack.close()

    def living(self) -> list[SubjectId]:
        return [one for one in self.people if one not in self.gone]

    def pick(self, index: int) -> SubjectId:
        return self.living()[index % len(self.living())]

    @rule(
        who=st.integers(0, 9), source=st.sampled_from(SOURCES), number=st.integers(1, 2),
        said=st.tuples(VALUES, VALUES), hours_ago=st.integers(0, 3),
    )  # fmt: skip
    def send(self, who: int, source: str, number: int, said: tuple[str, str], hours_ago: int) -> None:
        """A source sends a record, for the first time, again, or an older state of it."""
        self.house.clock.advance(timedelta(minutes=1))
        subject = self.pick(who)
        observed = self.house.clock.now() - timedelta(hours=hours_ago)
        values = dict(zip(FIELDS, said, strict=True))
        record = self.found(subject, source, number)
        content = (observed, *said)
        stored = self.house.store(PlainRecord(subject, "profile", source, str(number), observed, values))
        assert stored.duplicates == (content in record.contents)
        if content not in record.contents:
            record.contents.add(content)
            for code, value in values.items():
                record.versions.setdefault(code, []).append(Version(value, observed))

    def found(self, subject: SubjectId, source: str, number: int) -> Record:
        """The record that a subject's source means: its own, or one that came to it by a move, or a new one."""
        mine = [one for one in self.records if one.owner == subject and one.place[1:] == (source, number)]
        own = [one for one in mine if one.place[0] == subject]
        if not mine:
            self.records.append(Record(subject, (subject, source, number)))
        return (own or mine or self.records[-1:])[0]

    @precondition(lambda self: any(one.owner not in self.gone for one in self.records))
    @rule(which=st.integers(0, 9), code=st.sampled_from(FIELDS), value=VALUES)
    def correct_it(self, which: int, code: str, value: str) -> None:
        """An officer corrects a field of a record, named by any of its versions."""
        self.house.clock.advance(timedelta(minutes=1))
        record = self.records[which % len(self.records)]
        mine = [one for one in self.history(record.owner, code) if one.record_key == self.key_of(record.place)]
        correct(self.house, record.owner, RecordId(mine[0].record_id), **{code: value})
        now = self.house.clock.now()
        base = record.versions[code][-1]
        record.versions[code].append(Version(value, base.observed_at, now))

    def key_of(self, place: Place) -> str:
        encoder = encoder_of(keyring_of(self.house.keystore))
        subject, source, number = place
        plain = PlainRecord(SubjectId(subject), "profile", source, str(number), self.house.clock.now(), {})
        return encoder.encode(plain).record_key

    @precondition(lambda self: len(self.living()) > 1)
    @rule(first=st.integers(0, 9), second=st.integers(0, 9))
    def merge_them(self, first: int, second: int) -> None:
        """Two subjects turn out to be one person."""
        kept, dropped = self.pick(first), self.pick(second)
        if kept == dropped or self.clashes(kept, dropped):
            return
        with self.house.data.write() as connection:
            self.house.registry.merge(connection, kept=kept, dropped=dropped, asking=self.house.asking)
            change = mover_of(self.house).begin_merge(connection, kept=kept, dropped=dropped, asking=self.house.asking)
        mover_of(self.house).finish(change)
        self.gone.add(dropped)
        for record in self.records:
            if record.owner == dropped:
                record.owner = kept

    def clashes(self, kept: SubjectId, dropped: SubjectId) -> bool:
        """Whether both have a record of one source and number: which one the source means then is not this model's."""
        owned = [one.place[1:] for one in self.records if one.owner in (kept, dropped)]
        return len(owned) != len(set(owned))

    @precondition(lambda self: len(self.people) < 6)
    @rule(who=st.integers(0, 9), source=st.sampled_from(SOURCES))
    def split_it(self, who: int, source: str) -> None:
        """The records of one source turn out to be another person's."""
        origin = self.pick(who)
        moving = [one for one in self.records if one.owner == origin and one.place[1] == source]
        if not moving:
            return
        fresh = self.house.subject()
        with self.house.data.write() as connection:
            change = mover_of(self.house).begin_split(
                connection, origin=origin, fresh=fresh, selection=Selection(frozenset({source})),
                asking=self.house.asking,
            )  # fmt: skip
        mover_of(self.house).finish(change)
        self.people.append(fresh)
        for record in moving:
            record.owner = fresh

    @invariant()
    def opens_what_the_model_says(self) -> None:
        """Every subject opens what stands of its records and nothing else; the history has every version."""
        if not hasattr(self, "house"):
            return
        for subject in self.living():
            mine = [one for one in self.records if one.owner == subject]
            wanted = sorted(tuple(one.standing(code) for code in FIELDS) for one in mine)
            opened = self.house.open(subject, "P02", *FIELDS)
            assert sorted(tuple(one.values.get(code) for code in FIELDS) for one in opened) == wanted
            for code in FIELDS:
                told = sorted(one.value for one in self.history(subject, code))
                assert told == sorted(version.value for one in mine for version in one.versions.get(code, []))
        for subject in self.gone:
            assert self.house.standing(subject) is Standing.RESTRICTED

    def history(self, subject: SubjectId, code: str) -> list[Any]:
        permit = self.house.permit(subject, "P02", code)
        return self.house.vault.open_history(permit, self.house.receipt(permit), subject=subject, fields=[code])


TestRecords = RecordMachine.TestCase
TestRecords.settings = settings(
    max_examples=25 if NIGHTLY else 4,
    stateful_step_count=20 if NIGHTLY else 8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
