"""A small catalogue, a store on either engine, and the parts of this package wired to a real journal."""

import dataclasses
import hmac
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

import audit.tables
import consent.tables
from audit.entries import decode_entry
from audit.journal import Journal
from audit.tables import inbox
from consent.asking import Asking
from consent.assessments import PARTS, record_assessment
from consent.gate import Gate
from consent.notices import NoticeRef, PublishedNotice, current_notice, publish
from consent.recipients import Recipient, record_recipient
from consent.registry import ActorKind, Decision, DecisionAct, DecisionRequest, Registry
from consent.standing import register_subjects
from kernel.catalogue import (
    AssessmentText,
    Catalogue,
    Compartment,
    ConsentKind,
    Field,
    FieldClass,
    FieldType,
    IndexKind,
    Label,
    LawfulBasis,
    NoticeText,
    Purpose,
    RecipientText,
    Retention,
)
from kernel.clock import FixedClock
from kernel.database import Database, open_database
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import IntegrityFailed
from kernel.ids import RequestId, SubjectId, new_id

ASKING = Asking("prn_test", "capture", RequestId("req_test"))
CARE = NoticeRef("care", "1", "en")
CHILD_CARE = NoticeRef("child_care", "1", "en")
GROWN_UP = date(1985, 3, 1)
STARTED = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
INSURERS = ("insurer_a", "insurer_b", "insurer")
RECIPIENTS = (*INSURERS, "lab")
SECTIONS = {
    name: f"The {name} of the processing."
    for name in ("controller", "contact", "purpose", "method", "categories", "retention", "end_of_retention", "rights")
}


class PlainSealer:
    """Binds to the context, hides nothing; the vault's sealer is not below this package."""

    def seal_details(self, details: Mapping[str, JsonValue], *, context: str) -> bytes:
        return canonical_json({"context": context, "details": details})

    def open_details(self, sealed: bytes, *, context: str) -> Mapping[str, JsonValue]:
        stored = json.loads(sealed)
        if stored["context"] != context:
            raise IntegrityFailed(f"The details do not belong to {context}")
        return stored["details"]

    def mark_texts(self, texts: Sequence[str]) -> list[bytes]:
        return [hmac.digest(b"key store", text.encode(), "sha256") for text in texts]


def purpose(code: str, *bases: LawfulBasis, **changes: object) -> Purpose:
    """A purpose of the small catalogue; withdrawable and active unless said otherwise."""
    facts: dict[str, object] = {
        "code": code,
        "label": Label(code, code),
        "bases": bases,
        "separate_consent": False,
        "per_recipient": False,
        "withdrawable": True,
        "sensitive": False,
        "necessity": None,
        "impact": None,
        "needs_assessment": False,
        "assessment": None,
    }
    return Purpose(**(facts | changes))


def field(code: str, collect: str, further: str, consent: ConsentKind, level: int = 2) -> Field:
    """A field of the small catalogue; ``further`` holds further purposes, separated by spaces."""
    return Field(
        code=code,
        label=Label(code, code),
        classes=(FieldClass.BEHAVIOUR,),
        level=level,
        compartment=Compartment.CLINICAL,
        type=FieldType.STRING,
        unit=None,
        code_system=None,
        collect=collect,
        purposes=frozenset({collect, *further.split()}),
        consent=consent,
        transform="drop",
        retention=Retention(None),
        index=IndexKind.NONE,
    )


def small_catalogue() -> Catalogue:
    """One purpose and one field of each kind that the gate tells apart."""
    told = {
        "sensitive": True,
        "separate_consent": True,
        "necessity": Label("必要", "Needed."),
        "impact": Label("影响", "Small."),
    }
    purposes = (
        purpose("P01", LawfulBasis.CONTRACT, LawfulBasis.CONSENT, withdrawable=False, **told),
        purpose("P02", LawfulBasis.CONTRACT, LawfulBasis.LEGAL_DUTY, LawfulBasis.CONSENT, **told),
        purpose("P05", LawfulBasis.LEGAL_DUTY, withdrawable=False),
        purpose("P06", LawfulBasis.CONSENT, **told),
        purpose("P07", LawfulBasis.CONSENT, **told, needs_assessment=True, assessment="PIA-1"),
        purpose("P08", LawfulBasis.CONSENT),
        purpose("P09", LawfulBasis.CONSENT),
        purpose("P10", LawfulBasis.CONSENT, needs_assessment=True),
        purpose("P11", LawfulBasis.CONSENT, per_recipient=True, separate_consent=True, recipients=INSURERS),
        purpose("P12", LawfulBasis.CONSENT, recipients=("lab",)),
        purpose("P13", LawfulBasis.LEGAL_DUTY, withdrawable=False),
        purpose("P15", LawfulBasis.EMERGENCY, withdrawable=False),
    )
    fields = (
        field("name", "P02", "P05 P15", ConsentKind.CONTRACT, 4),
        field("sex", "P02", "P05 P07 P12", ConsentKind.CONTRACT, 3),
        field("id_photo", "P01", "", ConsentKind.SEPARATE, 4),
        field("mobile", "P01", "P06 P09", ConsentKind.CONTRACT, 4),
        field("diagnosis", "P02", "P05 P06 P07 P10 P11 P12", ConsentKind.SEPARATE),
        field("reading", "P06", "P07 P11", ConsentKind.SEPARATE, 3),
        field("topic", "P08", "P07 P09", ConsentKind.OPT_IN),
        field("device_id", "P13", "", ConsentKind.CONTRACT, 4),
        field("season", "P08", "P02 P05 P07 P11", ConsentKind.NONE, 1),
    )
    return Catalogue(
        pack="small",
        version="1",
        hash="ab" * 32,
        fields={item.code: item for item in fields},
        purposes={item.code: item for item in purposes},
        event_types={},
        relations={},
        notices=(),
        roles={},
    )


def third_party(name: str, **changes: str) -> Mapping[str, str]:
    """One row of the table of third parties."""
    facts = {"contact": f"{name}@example.org", "purpose": "studies", "method": "sent", "categories": "diagnosis"}
    return {"recipient": name} | facts | changes


def assessment_text(**changes: object) -> AssessmentText:
    """The assessment that the small catalogue names for P07."""
    facts: dict[str, object] = {
        "assessment_id": "PIA-1",
        "purposes": ("P07",),
        "parts": {name: f"The {name}." for name in PARTS},
        "approved_by": "data protection office",
        "approved_on": date(2026, 10, 1),
        "expires_on": date(2029, 10, 1),
    }
    return AssessmentText(**(facts | changes))


def recipient_text(code: str, **changes: object) -> RecipientText:
    """A recipient at home with a contract without end, for sharing and studies."""
    facts: dict[str, object] = {
        "code": code,
        "kind": "controller",
        "name": Label(code, code),
        "contact": f"{code}@example.org",
        "country": "CN",
        "purposes": ("P11", "P12"),
        "method": "sent",
        "contract": "C-1",
        "term_from": date(2026, 1, 1),
        "term_until": None,
    }
    return RecipientText(**(facts | changes))


def care_notice(version: str = "1", locale: str = "en", **changes: object) -> NoticeText:
    """A complete notice on every purpose of the small catalogue."""
    facts: dict[str, object] = {
        "code": "care",
        "version": version,
        "locale": locale,
        "title": "Care",
        "purposes": ("P01", "P02", "P05", "P06", "P07", "P08", "P09", "P10", "P11", "P12", "P13", "P15"),
        "sections": SECTIONS,
        "collected": ({"field": "diagnosis", "why": "care"},),
        "third_parties": (third_party("lab"),),
    }
    return NoticeText(**(facts | changes))


@dataclass
class Office:
    """The parts of this package over one store, with short forms of their calls."""

    database: Database
    catalogue: Catalogue
    clock: FixedClock
    journal: Journal
    registry: Registry
    gate: Gate
    asking: Asking = ASKING

    @property
    def sections(self) -> Mapping[str, str]:
        """The sections of every notice here, unless it is published with others."""
        return SECTIONS

    def notice(self, version: str, **changes: object) -> NoticeText:
        """A complete notice that is not published yet."""
        return care_notice(version, **changes)

    def publish(self, **changes: object) -> NoticeRef:
        with self.database.write() as connection:
            return self.publish_in(connection, **changes).ref

    def tell_of(self, recipient: str, *, purpose: str = "P11", version: str = "2") -> NoticeRef:
        """Publish the next edition of the care notice, which tells of one more recipient, declared from now on."""
        known = self.catalogue.purposes[purpose]
        wider = dataclasses.replace(known, recipients=(*known.recipients, recipient))
        told = dataclasses.replace(self.catalogue, purposes={**self.catalogue.purposes, purpose: wider})
        rows = (third_party("lab"), third_party(recipient))
        with self.database.write() as connection:
            notice = care_notice(version, third_parties=rows)
            return publish(connection, notice, told, asking=ASKING, log=self.journal).ref

    def fill_register(self) -> None:
        """Record the assessment and the recipients that the tests count on."""
        with self.database.write() as connection:
            record_assessment(connection, assessment_text(), self.catalogue, asking=ASKING, log=self.journal)
            for code in RECIPIENTS:
                self.recipient_in(connection, code)

    def recipient_in(self, connection: Connection, code: str, **changes: object) -> Recipient:
        text = recipient_text(code, **changes)
        return record_recipient(connection, text, self.catalogue, asking=ASKING, log=self.journal)

    def publish_in(self, connection: Connection, **changes: object) -> PublishedNotice:
        return publish(connection, care_notice(**changes), self.catalogue, asking=ASKING, log=self.journal)

    def latest(self, code: str, locale: str = "en") -> NoticeRef:
        """The newest edition of a notice."""
        with self.database.read() as connection:
            return current_notice(connection, code, locale).ref

    def subject(self, birth_date: date | None = GROWN_UP) -> SubjectId:
        subject = SubjectId(new_id("sub"))
        with self.database.write() as connection:
            register_subjects(connection, {subject: birth_date}, clock=self.clock)
        return subject

    def request(self, subject: SubjectId, act: DecisionAct, *purposes: str, **changes: object) -> DecisionRequest:
        """An act made one second later than the one before."""
        self.clock.advance(timedelta(seconds=1))
        notice = CHILD_CARE if changes.get("actor_kind") is ActorKind.GUARDIAN else CARE
        facts: dict[str, object] = {
            "recipient": None,
            "notice": notice if act in (DecisionAct.GRANT, DecisionAct.RENEW) else None,
            "actor_kind": ActorKind.SELF,
            "actor_subject": None,
            "evidence": {"mechanism": "checkbox"},
            "decided_at": self.clock.now(),
        }
        return DecisionRequest(subject=subject, purposes=purposes, act=act, **(facts | changes))

    def record(self, subject: SubjectId, act: DecisionAct, *purposes: str, **changes: object) -> tuple[Decision, ...]:
        with self.database.write() as connection:
            return self.registry.record(connection, self.request(subject, act, *purposes, **changes), asking=ASKING)

    def grant(self, subject: SubjectId, *purposes: str, **changes: object) -> Decision:
        return self.record(subject, DecisionAct.GRANT, *purposes, **changes)[0]

    def withdraw(self, subject: SubjectId, *purposes: str, **changes: object) -> tuple[Decision, ...]:
        return self.record(subject, DecisionAct.WITHDRAW, *purposes, **changes)

    def check(self, subject: SubjectId, purpose: str, *fields: str, recipient: str | None = None):
        with self.database.write() as connection:
            return self.gate.check(
                connection, asking=ASKING, purpose=purpose, subject=subject, fields=fields, recipient=recipient
            )

    def reason(self, subject: SubjectId, purpose: str, field: str, recipient: str | None = None):
        """The reason for one field, or None when it passes."""
        with self.database.read() as connection:
            found = self.gate.preview_many(
                connection, asking=ASKING, purpose=purpose, subjects=[subject], fields=[field], recipient=recipient
            )
        return found[subject][field]

    def entries(self) -> list[Mapping[str, JsonValue]]:
        """Every entry, in the inbox's order."""
        with self.database.read() as connection:
            rows = connection.execute(inbox.select().order_by(inbox.c.seq))
            return [decode_entry(row.body) for row in rows]


def open_office(database: Database, clock: FixedClock, catalogue: Catalogue | None = None) -> Office:
    """Wire the parts over a store that has its tables."""
    known = catalogue or small_catalogue()
    sealer = PlainSealer()
    journal = Journal(clock, sealer)
    return Office(database, known, clock, journal, Registry(known, journal, sealer, clock), Gate(known, journal, clock))


def open_filled(database: Database, clock: FixedClock) -> Office:
    """Wire the parts, record the assessment and the recipients, and publish the care notices."""
    office = open_office(database, clock)
    office.fill_register()
    office.publish()
    office.publish(code="child_care", audience="child")
    return office


def create_tables(database: Database) -> None:
    """Create what this package and the log need."""
    with database.write() as connection:
        audit.tables.metadata.create_all(connection)
        consent.tables.metadata.create_all(connection)


@pytest.fixture(scope="session")
def offices(filled_on_sqlite: Path) -> Callable[[str], Office]:
    """Opens the parts over a new store at a URL, with its tables; the care notice is published."""

    def opened(url: str) -> Office:
        if url.startswith("sqlite:///"):
            shutil.copy(filled_on_sqlite, url.removeprefix("sqlite:///"))
            return open_office(open_database(url, label="data store"), FixedClock(STARTED))
        store = open_database(url, label="data store", must_exist=False)
        create_tables(store)
        return open_filled(store, FixedClock(STARTED))

    return opened


@pytest.fixture(scope="session")
def reopened() -> Callable[[Database], Office]:
    """Wires the parts over a store that is there already, with a clock that stands a day after the first one's."""
    return lambda store: open_office(store, FixedClock(datetime(2026, 11, 22, 2, 0, tzinfo=UTC)))


@pytest.fixture(scope="session")
def tables_of_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with its tables; tests work on copies."""
    path = tmp_path_factory.mktemp("tables") / "data.db"
    store = open_database(f"sqlite:///{path}", label="data store", must_exist=False)
    create_tables(store)
    store.dispose()
    return path


@pytest.fixture(scope="session")
def tables_of_postgresql(lasting_pg_database: Callable[..., str]) -> str:
    """The URL of a PostgreSQL store with its tables; tests work on copies."""
    url = lasting_pg_database()
    store = open_database(url, label="data store")
    create_tables(store)
    store.dispose()
    return url


@pytest.fixture
def database(tables_of_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """A SQLite store with its tables."""
    shutil.copy(tables_of_sqlite, tmp_path / "data.db")
    store = open_database(f"sqlite:///{tmp_path / 'data.db'}", label="data store")
    yield store
    store.dispose()


@pytest.fixture
def postgres(tables_of_postgresql: str, pg_database: Callable[..., str]) -> Iterator[Database]:
    """A PostgreSQL store with its tables."""
    store = open_database(pg_database(tables_of_postgresql), label="data store")
    yield store
    store.dispose()


@pytest.fixture(params=["database", "postgres"])
def either(request: pytest.FixtureRequest) -> Database:
    """The store on each engine in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def filled_on_sqlite(tables_of_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with the care notice published; tests work on copies."""
    path = tmp_path_factory.mktemp("filled") / "data.db"
    shutil.copy(tables_of_sqlite, path)
    store = open_database(f"sqlite:///{path}", label="data store")
    open_filled(store, FixedClock(STARTED))
    store.dispose()
    return path


@pytest.fixture(scope="session")
def filled_on_postgresql(tables_of_postgresql: str, lasting_pg_database: Callable[..., str]) -> str:
    """The URL of a PostgreSQL store with the care notice published; tests work on copies."""
    url = lasting_pg_database(tables_of_postgresql)
    store = open_database(url, label="data store")
    open_filled(store, FixedClock(STARTED))
    store.dispose()
    return url


@pytest.fixture
def office(filled_on_sqlite: Path, tmp_path: Path, clock: FixedClock) -> Iterator[Office]:
    """The parts over SQLite, with the care notice published."""
    shutil.copy(filled_on_sqlite, tmp_path / "data.db")
    store = open_database(f"sqlite:///{tmp_path / 'data.db'}", label="data store")
    yield open_office(store, clock)
    store.dispose()


@pytest.fixture
def office_on_postgresql(
    filled_on_postgresql: str, pg_database: Callable[..., str], clock: FixedClock
) -> Iterator[Office]:
    """The parts over PostgreSQL, with the care notice published."""
    store = open_database(pg_database(filled_on_postgresql), label="data store")
    yield open_office(store, clock)
    store.dispose()


@pytest.fixture(params=["office", "office_on_postgresql"], ids=["database", "postgres"])
def either_office(request: pytest.FixtureRequest) -> Office:
    """The parts over each engine in turn, with the care notice published."""
    return request.getfixturevalue(request.param)
