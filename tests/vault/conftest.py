"""A whole vault over two real stores, with the gate and the log that it needs."""

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

import audit.tables
import consent.tables
from audit.checkpoints import Checkpointer
from audit.entries import decode_entry
from audit.journal import Journal
from audit.log import AuditLog
from audit.receipts import Receipt
from audit.sequencer import Sequencer
from audit.signer import TreeSigner
from audit.signing import NoteSigner, create_signing_key
from audit.tables import leaf
from consent.asking import Asking
from consent.gate import Gate
from consent.permits import Permit
from consent.registry import ActorKind, DecisionAct, DecisionRequest, Registry
from consent.standing import Standing, get_standing, register_subjects
from kernel.catalogue import (
    Catalogue,
    Compartment,
    ConsentKind,
    EventType,
    Field,
    FieldClass,
    FieldType,
    IndexKind,
    Label,
    LawfulBasis,
    Purpose,
    Retention,
)
from kernel.clock import FixedClock
from kernel.database import Database, open_database
from kernel.encoding import JsonValue
from kernel.ids import RequestId, SubjectId, new_id
from vault._keyring import keyring_of
from vault.batches import Batch, Batches
from vault.bulk_columns import SUBJECT
from vault.custodian import KeyfileCustodian
from vault.details import DetailSealer
from vault.erasure import Eraser
from vault.keystore import KeyStore
from vault.pseudonyms import Pseudonyms
from vault.records import OpenedRecord, PlainRecord, StoreCounts, Vault
from vault.subjects import SubjectResolver
from vault.suites import AES, SM, Suite
from vault.tables import data_metadata, keystore_metadata

ASKING = Asking("prn_test", "ingest", RequestId("req_test"))
DEPLOYMENT = "dep_test"
YEAR = timedelta(days=365)


def _purpose(code: str, basis: LawfulBasis) -> Purpose:
    return Purpose(
        code=code,
        label=Label(code, code),
        bases=(basis,),
        separate_consent=False,
        per_recipient=False,
        withdrawable=False,
        sensitive=False,
        necessity=None,
        impact=None,
        needs_assessment=False,
        assessment=None,
    )


def _field(code: str, compartment: Compartment, collect: str, retention: Retention, *further: str) -> Field:
    return Field(
        code=code,
        label=Label(code, code),
        classes=(FieldClass.SENSITIVE,),
        level=3,
        compartment=compartment,
        type=FieldType.STRING,
        unit=None,
        code_system=None,
        collect=collect,
        purposes=frozenset({collect, "P05", *further}),
        consent=ConsentKind.CONTRACT,
        transform="drop",
        retention=retention,
        index=IndexKind.NONE,
    )


def small_catalogue() -> Catalogue:
    """Fields with and without a legal floor, two of them in one compartment; everything rests on a contract."""
    bases = dict.fromkeys(("P01", "P02", "P04", "P06", "P08"), LawfulBasis.CONTRACT)
    bases |= dict.fromkeys(("P05", "P13"), LawfulBasis.LEGAL_DUTY)
    held = Retention(15 * YEAR, 15 * YEAR)
    fields = (
        _field("name", Compartment.IDENTITY, "P02", Retention(15 * YEAR)),
        _field("id_number", Compartment.IDENTITY, "P01", Retention(15 * YEAR)),
        _field("mobile", Compartment.CONTACT, "P01", Retention(None)),
        _field("diagnosis", Compartment.CLINICAL, "P02", held, "P06"),
        _field("consult_chat", Compartment.CLINICAL, "P02", Retention(3 * YEAR)),
        _field("order_amount", Compartment.COMMERCE, "P04", Retention(None, 3 * YEAR)),
        _field("reading", Compartment.WELLNESS, "P06", Retention(2 * YEAR)),
        _field("event_type", Compartment.BEHAVIOUR, "P08", Retention(15 * YEAR)),
        _field("page", Compartment.BEHAVIOUR, "P08", Retention(15 * YEAR)),
        _field("coupon", Compartment.COMMERCE, "P08", Retention(YEAR, 3 * YEAR)),
        _field("device_id", Compartment.OPERATIONAL, "P13", Retention(YEAR / 2)),
    )
    views = EventType(
        "page_view", Label("浏览", "page view"), "self", ("page",), (), frozenset({"P08"}), Retention(YEAR / 2)
    )
    return Catalogue(
        pack="small",
        version="1",
        hash="ab" * 32,
        fields={item.code: item for item in fields},
        purposes={code: _purpose(code, basis) for code, basis in bases.items()},
        event_types={"page_view": views},
        relations={},
        notices=(),
        roles={},
    )


def with_indexes(catalogue: Catalogue, **kinds: IndexKind) -> Catalogue:
    """The same catalogue, with indexes of some fields."""
    indexed = {code: replace(catalogue.fields[code], index=kind) for code, kind in kinds.items()}
    return replace(catalogue, fields={**catalogue.fields, **indexed})


@dataclass
class House:
    """Every part, with short forms of their calls."""

    folder: Path
    data: Database
    keys: Database
    clock: FixedClock
    catalogue: Catalogue
    custodian: KeyfileCustodian
    keystore: KeyStore
    signer: NoteSigner
    sealer: DetailSealer
    log: AuditLog
    registry: Registry
    gate: Gate
    vault: Vault
    batches: Batches
    resolver: SubjectResolver
    pseudonyms: Pseudonyms
    eraser: Eraser
    asking: Asking = ASKING

    def subject(self, *purposes: str) -> SubjectId:
        """Register somebody under a contract, or duty, for these purposes; for all without any."""
        subject = SubjectId(new_id("sub"))
        duties = [code for code in purposes or self.catalogue.purposes if code in {"P05", "P13"}]
        contracts = [code for code in purposes or self.catalogue.purposes if code not in {"P05", "P13"}]
        with self.data.write() as connection:
            register_subjects(connection, {subject: None}, clock=self.clock)
            for act, codes in ((DecisionAct.CONTRACT, contracts), (DecisionAct.DUTY, duties)):
                if codes:
                    request = DecisionRequest(
                        subject=subject,
                        purposes=tuple(codes),
                        act=act,
                        recipient=None,
                        notice=None,
                        actor_kind=ActorKind.OPERATOR,
                        actor_subject=None,
                        evidence={"mechanism": "contract"},
                        decided_at=self.clock.now(),
                    )
                    self.registry.record(connection, request, asking=ASKING)
        return subject

    def record(
        self, subject: SubjectId, kind: str = "encounter", number: object = 1, **values: JsonValue
    ) -> PlainRecord:
        """A record of the hospital, observed now."""
        return PlainRecord(subject, kind, "his", f"{kind}-{number}", self.clock.now(), values)

    def open_batch(self, content: bytes | None = None) -> Batch:
        content = content if content is not None else new_id("in").encode()
        with self.data.write() as connection:
            digest = self.batches.digest([content])
            return self.batches.open(connection, kind="fhir", input_digest=digest, asking=ASKING)

    def permits(self, connection, records: Sequence[PlainRecord]) -> dict[str, Permit]:
        """Ask the gate for everything that these records need."""
        asked: dict[str, set[str]] = {}
        for record in records:
            for code in record.values:
                asked.setdefault(self.catalogue.get_field(code).collect, set()).add(code)
        subjects = sorted({record.subject for record in records})
        permits = {}
        for purpose, fields in asked.items():
            verdict = self.gate.check_many(
                connection, asking=ASKING, purpose=purpose, subjects=subjects, fields=sorted(fields)
            )
            if verdict.permit is not None:
                permits[purpose] = verdict.permit
        return permits

    def pairs(self, *records: PlainRecord) -> set[tuple[SubjectId, Compartment]]:
        """The subjects and compartments that these records need keys for."""
        return {(one.subject, self.catalogue.get_field(code).compartment) for one in records for code in one.values}

    def make_keys(self, *records: PlainRecord, batch: Batch | None = None) -> None:
        """Make keys as an ingestion does before its rows."""
        self.keystore.ensure_data_keys(self.pairs(*records), batch=None if batch is None else batch.batch_id)

    def store_chunk(self, batch: Batch, *records: PlainRecord) -> StoreCounts:
        self.make_keys(*records, batch=batch)
        with self.data.write() as connection:
            return self.vault.store(connection, records, permits=self.permits(connection, records), batch=batch)

    def complete(self, batch: Batch) -> None:
        with self.data.write() as connection:
            self.batches.complete(connection, batch, asking=ASKING)

    def store(self, *records: PlainRecord) -> StoreCounts:
        """Store records in a batch of their own and complete it."""
        batch = self.open_batch()
        counts = self.store_chunk(batch, *records)
        self.complete(batch)
        return counts

    def permit(self, subjects: SubjectId | Collection[SubjectId], purpose: str, *fields: str) -> Permit:
        with self.data.write() as connection:
            if isinstance(subjects, str):
                said = self.gate.check(connection, asking=ASKING, purpose=purpose, subject=subjects, fields=fields)
            else:
                said = self.gate.check_many(
                    connection, asking=ASKING, purpose=purpose, subjects=sorted(subjects), fields=fields
                ).permit
        assert isinstance(said, Permit)
        return said

    def receipt(self, permit: Permit) -> Receipt:
        return self.log.receipt(
            permit.entry_id,
            actor=permit.actor,
            purpose=permit.purpose,
            subjects=permit.subjects,
            fields=permit.fields,
        )

    def open(self, subject: SubjectId, purpose: str, *fields: str) -> list[OpenedRecord]:
        permit = self.permit(subject, purpose, *fields)
        return self.vault.open(permit, self.receipt(permit), subject=subject, fields=fields)

    def cohort(self, permit: Permit, receipt: Receipt, *fields: str, **options: Any) -> dict[str, list[dict[str, Any]]]:
        """Open a cohort: the values of each person's records; who has none is left out."""
        found: dict[str, list[dict[str, Any]]] = {}
        for columns in self.vault.open_cohort(permit, receipt, fields=fields, **options):
            for row in columns.to_pylist():
                values = {code: row[code] for code in fields if row[code] is not None}
                found.setdefault(row[SUBJECT], []).append(values)
        return found

    def standing(self, subject: SubjectId) -> Standing:
        with self.data.read() as connection:
            return get_standing(connection, subject).state

    def erase(self, subject: SubjectId):
        return self.eraser.erase(subject, asking=ASKING, reason="asked by the person")

    def entries(self, act: str) -> list[Mapping[str, JsonValue]]:
        """Return the settled entries of one act, in the log's order."""
        self.log.settle()
        with self.data.read() as connection:
            rows = connection.execute(leaf.select().where(leaf.c.act == act).order_by(leaf.c.leaf_index))
            return [decode_entry(row.body) for row in rows]

    def files(self) -> bytes:
        """Return every byte of both SQLite stores and whatever lies beside them."""
        self.data.dispose()
        self.keys.dispose()
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.db*")))

    def restarted(self, suite: Suite | None = None) -> "House":
        """The same stores in what could be another process, perhaps with another suite for new keys."""
        return _wired(
            self.folder,
            self.data,
            self.keys,
            clock=self.clock,
            custodian=self.custodian,
            signer=self.signer,
            suite=suite or keyring_of(self.keystore).suite,
        )


def _wired(
    folder: Path,
    data: Database,
    keys: Database,
    *,
    clock: FixedClock,
    custodian: KeyfileCustodian,
    signer: NoteSigner,
    suite: Suite,
) -> House:
    catalogue = small_catalogue()
    keystore = KeyStore(keys, custodian, clock, suite=suite)
    sealer = DetailSealer(keystore)
    log = AuditLog(
        data, Journal(clock, sealer), Sequencer(data), Checkpointer(data, TreeSigner(signer, folder / "signer.state"))
    )
    return House(
        folder=folder,
        data=data,
        keys=keys,
        clock=clock,
        catalogue=catalogue,
        custodian=custodian,
        keystore=keystore,
        signer=signer,
        sealer=sealer,
        log=log,
        registry=Registry(catalogue, log, sealer, clock),
        gate=Gate(catalogue, log, clock),
        vault=Vault(data, keystore, catalogue, log, clock, DEPLOYMENT),
        batches=Batches(data, keystore, log, clock),
        resolver=SubjectResolver(keystore),
        pseudonyms=Pseudonyms(keystore),
        eraser=Eraser(data, keystore, log, signer, clock, deployment=DEPLOYMENT),
    )


def create_tables(data: Database, keys: Database) -> None:
    """Create what the vault, the gate and the log need."""
    for metadata in (audit.tables.metadata, consent.tables.metadata, data_metadata):
        metadata.create_all(data.engine)
    keystore_metadata.create_all(keys.engine)


@contextmanager
def opened_house(folder: Path, clock: FixedClock, data_url: str, keys_url: str, suite: Suite = AES) -> Iterator[House]:
    """Build a house over new stores by URL, and close them in the end."""
    data = open_database(data_url, label="data store", must_exist=False, busy_timeout_ms=5_000)
    keys = open_database(keys_url, label="key store", must_exist=False, busy_timeout_ms=5_000)
    try:
        if not inspect(keys.engine).has_table("data_key"):
            create_tables(data, keys)
        signer = create_signing_key(folder / "signing.key", "audit.example/log")
        custodian = KeyfileCustodian.create(folder / "root.key")
        house = _wired(folder, data, keys, clock=clock, custodian=custodian, signer=signer, suite=suite)
        house.keystore.initialise()
        yield house
    finally:
        data.dispose()
        keys.dispose()


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two SQLite stores with their tables; tests work on copies."""
    folder = tmp_path_factory.mktemp("tables")
    stores = [open_database(f"sqlite:///{folder / name}.db", label=name, must_exist=False) for name in ("data", "keys")]
    create_tables(*stores)
    for store in stores:
        store.dispose()
    return folder


@pytest.fixture(scope="session")
def pg_tables(lasting_pg_database: Callable[..., str]) -> str:
    """The URL of a PostgreSQL store with the tables of both; tests work on copies."""
    url = lasting_pg_database()
    store = open_database(url, label="data store")
    create_tables(store, store)
    store.dispose()
    return url


@pytest.fixture
def build(tmp_path: Path, clock: FixedClock) -> Iterator[Callable[..., House]]:
    """Build a house over stores by URL."""
    with ExitStack() as opened:
        yield lambda data_url, keys_url, suite=AES: opened.enter_context(
            opened_house(tmp_path, clock, data_url, keys_url, suite)
        )


@pytest.fixture
def sqlite_stores(tmp_path: Path, sqlite_tables: Path) -> tuple[str, str]:
    """The URLs of two SQLite files with their tables."""
    shutil.copytree(sqlite_tables, tmp_path, dirs_exist_ok=True)
    return f"sqlite:///{tmp_path / 'data.db'}", f"sqlite:///{tmp_path / 'keys.db'}"


@pytest.fixture
def house(sqlite_stores: tuple[str, str], build: Callable[..., House]) -> House:
    """A house on two SQLite files."""
    return build(*sqlite_stores)


@pytest.fixture
def sm_house(sqlite_stores: tuple[str, str], build: Callable[..., House]) -> House:
    """A house on two SQLite files with keys of SM4 and SM3."""
    return build(*sqlite_stores, SM)


@pytest.fixture(params=["house", "sm_house"], ids=["aes", "sm"])
def suited_house(request: pytest.FixtureRequest) -> House:
    """A house of each suite."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def pg_house(pg_tables: str, pg_database: Callable[..., str], build: Callable[..., House]) -> House:
    """A house on PostgreSQL; both stores lie in one database here, their tables do not meet."""
    url = pg_database(pg_tables)
    return build(url, url)


@pytest.fixture(params=["house", "pg_house"])
def any_house(request: pytest.FixtureRequest) -> House:
    """A house on each engine."""
    return request.getfixturevalue(request.param)
