"""What is done to a practice while something breaks: each work is the same when its caller asks for it again."""

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import create_engine, select, text

from consent.standing import Standing
from consentry.platform import Platform, open_platform
from consentry.restoring import Sealed
from consentry.settings import Settings, load_settings
from consentry.workflows import ingest_arrow as bulk
from consentry.workflows.attach import SentFile, store_attachment
from consentry.workflows.backup import create_backup
from consentry.workflows.erase import erase_subject
from consentry.workflows.erase_part import erase_part
from consentry.workflows.ingest_http import ingest_posted
from consentry.workflows.represent import merge_subjects
from consentry.workflows.restore import restore
from consentry.workflows.rotate import rotate_blind_index, rotate_data, rotate_keys
from consentry.workflows.split_subject import split_subject
from consentry.workflows.sweep import sweep_expired
from kernel.catalogue import Compartment
from kernel.errors import Conflict
from kernel.ids import SubjectId
from tests.consentry.conftest import ADMIN, SECOND
from tests.crash.practice import Practice, Seen, captured, keys_of
from vault.backup_keys import BackupIdentity, BackupStore
from vault.blind_index import MOBILE, SOURCE_ID
from vault.data_rotation import DataKeys
from vault.moving import Selection
from vault.scopes import Scope, ScopeKind
from vault.tables import SEALED_TABLES, epoch, sealed_record

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Task:
    """One work on people who are there.

    Attributes:
        act: does it; called again it ends as if it had been called once.
        after: what is seen of people once it is done; before, it is what was seen all the time.
        going: keys that are destroyed by then.
        then: what is done without a fault afterwards.
        lose: for what works on stores that nobody can open yet: takes them away first.
    """

    act: Callable[[Platform | None], object]
    after: Mapping[str, Seen] = field(default_factory=dict)
    going: Collection[bytes] = ()
    then: Callable[[Platform], None] = lambda _platform: None
    lose: Callable[[], None] | None = None


Make = Callable[[Practice, Platform], Task]


def ingestion(practice: Practice, platform: Platform) -> Task:
    """Store a batch about two people."""
    names = practice.living(platform, 2)
    values = {name: {code: practice.value(code) for code in ("department", "service_record")} for name in names}
    records = [practice.posted(platform, name, values[name]) for name in names]
    after = {name: practice.seen[name].having(values[name].items()) for name in names}
    key = f"k-{practice.next()}"
    return Task(lambda platform: ingest_posted(platform, ADMIN, "app", records, key=key), after)


_MAPPING = """
source: app
subject: patient
record: visit
time: at
kind: encounter
columns: {department: department, service: service_record}
"""


def bulk_load(practice: Practice, platform: Platform) -> Task:
    """Load a file of prepared batches about two people, in two chunks."""
    names, number = practice.living(platform, 2), practice.next()
    rows = [(name, f"v-{number}-{place}", practice.value("department"), practice.value("service_record"))
            for place, name in enumerate(names * 3)]  # fmt: skip
    columns = dict(zip(("patient", "visit", "department", "service"), map(list, zip(*rows, strict=True)), strict=True))
    at = pa.array([platform.clock.now()] * len(rows), pa.timestamp("us", "UTC"))
    file, mapping = practice.folder / f"{number}.parquet", practice.folder / f"{number}.yaml"
    pq.write_table(pa.table(columns | {"at": at}), file)
    mapping.write_text(_MAPPING)
    after = {name: practice.seen[name].having(
        [pair for row in rows if row[0] == name for pair in (("department", row[2]), ("service_record", row[3]))]
    ) for name in names}  # fmt: skip

    def act(platform: Platform) -> None:
        with patch.object(bulk, "FIRST_ROWS", 2):  # the act is also finished in the process of the tests
            bulk.ingest_arrow(platform, ADMIN, file, mapping, processes=0)

    return Task(act, after)


def upload(practice: Practice, platform: Platform) -> Task:
    """Store a file."""
    (name,) = practice.living(platform, 1)
    content = PNG + practice.random.randbytes(300_000)
    sent = SentFile(
        source="app", source_record=f"img-{practice.next()}", field="images", observed_at=platform.clock.now(),
        name="x.png", media_type="image/png", source_subject=name,
    )  # fmt: skip
    after = {name: practice.seen[name].having([("images", hashlib.sha256(content).hexdigest())])}
    pieces = [content[:100_000], content[100_000:]]
    return Task(lambda platform: store_attachment(platform, ADMIN, sent, pieces), after)


def erasure(practice: Practice, platform: Platform) -> Task:
    """Erase somebody; of half of them the law holds something."""
    codes = practice.random.choice([("package", "service_record"), ("package", "department", "service_record")])
    name = practice.newcomer(platform, *codes)
    going = row_keys(platform, practice.subjects[name], *set(Compartment) - {Compartment.CLINICAL})

    def act(platform: Platform) -> None:
        erase_subject(platform, ADMIN, subject=practice.subjects[name], reason="asked by the person")

    return Task(act, {name: practice.seen[name].erased()}, going)


_PARTS = (
    (Scope(ScopeKind.FIELDS, ("mobile",)), "mobile", Compartment.CONTACT),
    (Scope(ScopeKind.FIELDS, ("service_record",)), "service_record", Compartment.BEHAVIOUR),
    (Scope(ScopeKind.COMPARTMENT, ("commerce",)), "package", Compartment.COMMERCE),
    (Scope(ScopeKind.PURPOSE, ("P04",)), "package", Compartment.COMMERCE),
)


def part_erasure(practice: Practice, platform: Platform) -> Task:
    """Erase fields, a compartment, or what was collected for a purpose."""
    scope, code, compartment = practice.random.choice(_PARTS)
    name = practice.newcomer(platform, "department", "package", "service_record", "department_chosen")
    going = row_keys(platform, practice.subjects[name], compartment)

    def act(platform: Platform) -> None:
        erase_part(platform, ADMIN, subject=practice.subjects[name], scope=scope, reason="asked by the person")

    return Task(act, {name: practice.seen[name].without(code)}, going)


def sweep(practice: Practice, platform: Platform) -> Task:
    """Delete what has expired within the last hour."""
    name = practice.newcomer(platform, "department", "service_record")
    after, now = practice.seen[name], platform.clock.now()
    kept = platform.catalogue.get_field("department_chosen").retention
    hours = (now - timedelta(hours=number) for number in range(5_000))
    latest = next(at for at in hours if kept.expires_at(at - timedelta(hours=1)) <= now)
    practice.stored(platform, name, {"department_chosen": practice.value("department_chosen")}, at=latest)
    going = row_keys(platform, practice.subjects[name], Compartment.BEHAVIOUR)
    practice.ward.clock.advance(timedelta(hours=1))
    return Task(lambda platform: sweep_expired(platform, ADMIN), {name: after}, going)


def data_key_rotation(practice: Practice, platform: Platform) -> Task:
    """Give every data key a successor."""
    practice.living(platform, 2)
    which = DataKeys()
    return Task(lambda platform: rotate_data(platform, ADMIN, which), going=keys_of(platform))


def suite_change(practice: Practice, platform: Platform) -> Task:
    """Move every data key to the other suite."""
    practice.living(platform, 2)
    other = "sm" if platform.settings.vault_suite == "aes" else "aes"
    settings = load_settings(**{**platform.settings.model_dump(), "vault_suite": other})
    practice.ward = replace(practice.ward, settings=settings)
    which = DataKeys(is_other_suite=True)
    return Task(lambda platform: rotate_data(platform, ADMIN, which), going=keys_of(platform))


def epoch_change(practice: Practice, platform: Platform) -> Task:
    """End the key epoch."""
    practice.living(platform, 2)
    with platform.keys.read() as connection:
        was = connection.scalars(select(epoch.c.epoch_id).where(epoch.c.wrapped.is_not(None))).all()

    def ended(platform: Platform) -> None:
        with platform.keys.read() as connection:
            left = select(epoch.c.epoch_id).where(epoch.c.wrapped.is_not(None), epoch.c.epoch_id.in_(was))
            assert connection.scalars(left).all() == []

    return Task(lambda platform: rotate_keys(platform, ADMIN), then=ended)


def reindexing(practice: Practice, platform: Platform) -> Task:
    """Give an index another key."""
    practice.living(platform, 2)
    index = practice.random.choice([MOBILE, SOURCE_ID])
    return Task(lambda platform: rotate_blind_index(platform, ADMIN, index))


def merge(practice: Practice, platform: Platform) -> Task:
    """Let one subject go on for two."""
    kept, dropped = (practice.newcomer(platform, "department", "package") for _ in range(2))
    both = practice.seen[kept].having(practice.seen[dropped].values)
    going = keys_of(platform, practice.subjects[dropped])
    return Task(
        lambda platform: merged(practice, platform, kept, dropped),
        {kept: both, dropped: both},
        going,
        lambda _platform: practice.forget(dropped),
    )


def merged(practice: Practice, platform: Platform, kept: str, dropped: str) -> None:
    """Merge, unless it is done."""
    goes_on, goes = practice.subjects[kept], practice.subjects[dropped]
    if platform.resolver.find("app", dropped) == goes:
        merge_subjects(platform, ADMIN, kept=goes_on, dropped=goes, reason="the same person", accepted_by=SECOND)


def split(practice: Practice, platform: Platform) -> Task:
    """Take a merge back: the other's records, and what finds the person, go to a subject without any yes."""
    kept, other = (practice.newcomer(platform, "department", "package") for _ in range(2))
    before = {name: practice.seen[name] for name in (kept, other)}
    batches = batches_of(platform, practice.subjects[other])
    merged(practice, platform, kept, other)
    practice.seen |= dict.fromkeys((kept, other), before[kept].having(before[other].values))
    going = row_keys(platform, practice.subjects[kept], Compartment.CLINICAL, Compartment.CONTACT, Compartment.COMMERCE)
    selection = Selection(batches=frozenset(batches), source_ids=(("app", other),))

    def act(platform: Platform) -> None:
        if platform.resolver.find("app", other) == practice.subjects[kept]:
            origin = practice.subjects[kept]
            split_subject(platform, ADMIN, origin=origin, selection=selection, reason="two people", accepted_by=SECOND)

    def then(platform: Platform) -> None:
        """The person decides anew, and is seen."""
        practice.subjects[other] = platform.resolver.find("app", other)
        assert captured(practice, platform).person(other, "P02") == practice.subjects[other]
        practice.seen[other] = before[other]

    undecided = Seen(Standing.ACTIVE.value, found=True)
    return Task(act, {kept: before[kept], other: undecided}, going, then)


def restoration(practice: Practice, platform: Platform) -> Task:
    """Put back a lost key store from a backup that still has the keys of somebody who was erased since."""
    practice.living(platform, 2)
    name, number = practice.newcomer(platform, "package", "service_record"), practice.next()
    identity = BackupIdentity.create(practice.folder / f"identity-{number}", BackupStore.KEYS)
    settings = load_settings(**{**platform.settings.model_dump(), "backup_keys_recipient": str(identity.recipient)})
    with open_platform(settings, clock=platform.clock) as backing_up:
        (made,) = create_backup(backing_up, ADMIN, folder=practice.folder, stores=[BackupStore.KEYS])
    going = keys_of(platform, practice.subjects[name])
    erase_subject(platform, ADMIN, subject=practice.subjects[name], reason="asked by the person")
    practice.seen[name] = Seen("gone")
    files = {BackupStore.KEYS: Sealed(made.path, identity)}

    return Task(restoring(practice, settings, files), going=going, lose=lambda: lose(practice, *files))


def data_restoration(practice: Practice, platform: Platform) -> Task:
    """Put back a lost data store, perhaps with its key store, from backups that lack nothing but their own entries."""
    practice.living(platform, 2)
    stores = practice.random.choice([[BackupStore.DATA], list(BackupStore)])
    number = practice.next()
    identities = {store: BackupIdentity.create(practice.folder / f"{store}-{number}", store) for store in BackupStore}
    recipients = {f"backup_{store}_recipient": str(one.recipient) for store, one in identities.items()}
    settings = load_settings(**{**platform.settings.model_dump(), **recipients})
    kept = settings.signer_state_path.with_name(f"kept-{number}")
    platform.log.settle()
    shutil.copy(settings.signer_state_path, kept)
    with open_platform(settings, clock=platform.clock) as backing_up:
        made = create_backup(backing_up, ADMIN, folder=practice.folder, stores=stores)
    files = {one.header.store: Sealed(one.path, identities[one.header.store]) for one in made}

    def lost() -> None:
        lose(practice, *files)
        kept.replace(settings.signer_state_path)  # nobody has signed for the entries of the backups themselves

    return Task(restoring(practice, settings, files), lose=lost)


def restoring(
    practice: Practice, settings: Settings, files: Mapping[BackupStore, Sealed]
) -> Callable[[Platform | None], None]:
    """Put backups in the places of lost stores."""

    def act(_platform: Platform | None) -> None:
        with contextlib.suppress(Conflict):  # it is in place already: a start does the rest
            restore(settings, ADMIN, files, clock=practice.ward.clock)

    return act


def lose(practice: Practice, *stores: BackupStore) -> None:
    """Take stores away, as a dead disk would."""
    settings = practice.ward.settings
    urls = {BackupStore.DATA: settings.data_store_url, BackupStore.KEYS: settings.key_store_url}
    for store in stores:
        if urls[store].startswith("sqlite"):
            for path in settings.home.glob(f"{store}.db*"):
                path.unlink()
            continue
        engine = create_engine(urls[store].replace("postgresql:", "postgresql+psycopg:", 1))
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()


def row_keys(platform: Platform, subject: SubjectId, *compartments: Compartment) -> set[bytes]:
    """The keys that seal somebody's rows."""
    with platform.data.read() as connection:
        rows = [
            connection.scalars(select(table.c.key_id).where(
                table.c.subject_id == subject, table.c.compartment.in_(compartments)
            )).all()
            for table in SEALED_TABLES
        ]  # fmt: skip
    return {key_id for found in rows for key_id in found}


def batches_of(platform: Platform, subject: SubjectId) -> set[str]:
    """The batches in which somebody's records came."""
    with platform.data.read() as connection:
        return set(connection.scalars(select(sealed_record.c.batch_id).where(sealed_record.c.subject_id == subject)))


WORKS: tuple[Make, ...] = (
    ingestion, bulk_load, upload, erasure, part_erasure, sweep, data_key_rotation, suite_change, epoch_change,
    reindexing, merge, split, restoration, data_restoration,
)  # fmt: skip
