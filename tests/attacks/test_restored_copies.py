"""Somebody restores copies of the stores and tries numbers: what each copy gives away, and what not."""

import hashlib
import hmac
import shutil
import sqlite3
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import select

from consentry.backup_rows import receive_rows
from consentry.migrations import Store, upgrade
from consentry.settings import Settings, load_settings
from consentry.workflows.erase import erase_subject
from consentry.workflows.initialise import initialise
from consentry.workflows.rotate import rotate_keys
from kernel.clock import FixedClock
from kernel.database import open_database
from kernel.errors import IntegrityFailed
from tests.attacks.conftest import STARTED
from tests.consentry.conftest import ADMIN
from tests.consentry.workflows.test_backup import Yard
from vault._blinding import unlocked_blinding
from vault._keyring import KeyKind, keyring_of
from vault.backup_keys import BackupIdentity, BackupStore
from vault.backups import reading_backup
from vault.custodian import KeyfileCustodian, RootKeyWrong
from vault.envelope import length_prefixed
from vault.identity import IdentityKeys
from vault.keystore import KeyStore
from vault.subjects import SubjectResolver
from vault.tables import blind_index, blinding_key, data_key, epoch, identity_fact

MOBILE, ID_NUMBER = "13800138000", "110101198005204513"
GUESSES = [f"138001{number:05}" for number in range(37_990, 38_010)] + [
    f"11010119800520{number:04}" for number in range(4_500, 4_520)
]
assert {MOBILE, ID_NUMBER} <= set(GUESSES)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Settings:
    """A deployment that nobody has used; each test works on a copy."""
    settings = load_settings(home=tmp_path_factory.mktemp("pristine") / "home", busy_timeout_ms=5_000)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=FixedClock(STARTED))
    return load_settings(**{**settings.model_dump(), "deployment": made.deployment})


@pytest.fixture
def yard(tmp_path, pristine) -> Yard:
    """A deployment with recipients of backups."""
    shutil.copytree(pristine.home, tmp_path / "home")
    identities = {store: BackupIdentity.create(tmp_path / f"{store}.key", store) for store in BackupStore}
    settings = load_settings(**{**pristine.model_dump(), "home": tmp_path / "home"})
    return Yard(settings, identities, FixedClock(STARTED))


@pytest.fixture
def patient(yard):
    """Known by mobile and ID number, with both in a sealed record."""
    subject = yard.fill()
    with yard.opened() as platform:
        stated = IdentityKeys("his", "p-1", ID_NUMBER, None, "female", MOBILE)
        platform.resolver.link([(subject, stated)], batch=None)
    return subject


def thief(yard, tmp_path, files) -> dict[BackupStore, sqlite3.Connection]:
    """Open stolen backups with stolen backup keys, as bare databases: no custodian is asked."""
    stores = {}
    for store, sealed in files.items():
        path = tmp_path / f"stolen-{store}.db"
        database = open_database(f"sqlite:///{path}", label="loot", must_exist=False)
        with reading_backup(sealed.path, sealed.identity) as reader:
            upgrade(
                database,
                {BackupStore.DATA: Store.DATA, BackupStore.KEYS: Store.KEYS}[store],
                revision=reader.header.revision,
                finish=lambda connection, source=reader: receive_rows(connection, source),
            )
        database.dispose()
        stores[store] = sqlite3.connect(path)
    return stores


def known_bytes(stores) -> set[bytes]:
    """Every byte string and text of both stores: what a thief could take for a key."""
    found: set[bytes] = set()
    for connection in stores.values():
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):  # a name of the store's own
                found |= {one if isinstance(one, bytes) else str(one).encode() for one in row if one is not None}
    return found


def constructions(guess: str) -> Iterator[bytes]:
    """How a digest of a number could be fed, ours included."""
    text = guess.encode()
    yield text
    yield len(text).to_bytes(2) + text


def digests(guess: str, keys: set[bytes]) -> Iterator[bytes]:
    """Plain and keyed digests of a guess, whole and cut as ours are."""
    for content in constructions(guess):
        for plain in (hashlib.sha256, hashlib.md5, hashlib.sha1):
            yield plain(content).digest()
        for key in keys:
            yield hmac.digest(key, content, "sha256")


def test_numbers_cannot_be_tried_without_the_custodian(yard, patient, tmp_path):
    """Both backups, both backup keys and every byte in them as a key give no digest of the right number."""
    stores = thief(yard, tmp_path, yard.backup())
    everything = known_bytes(stores)
    index = {one for (one,) in stores[BackupStore.KEYS].execute("SELECT digest FROM blind_index")}
    rows = stores[BackupStore.DATA].execute("SELECT record_key, content_key FROM sealed_record").fetchall()
    assert index
    assert rows
    keys = {one for one in everything if 8 <= len(one) <= 64}
    prefixes = {one[:16] for one in everything}
    found = [guess for guess in GUESSES for one in digests(guess, keys) if one[:16] in prefixes]
    assert found == []
    assert MOBILE.encode() not in b"".join(everything)


def test_key_store_backup_needs_its_own_root_key(yard, patient, tmp_path):
    """Another custodian's key opens no epoch, and so no index key and no data key."""
    thief(yard, tmp_path, yard.backup())[BackupStore.KEYS].close()
    stolen = open_database(f"sqlite:///{tmp_path / 'stolen-keys.db'}", label="loot")
    guessed = KeyStore(stolen, KeyfileCustodian.create(tmp_path / "guessed.key"), yard.clock)
    for tried in (guessed.check, lambda: SubjectResolver(guessed).find_by_id_number(ID_NUMBER)):
        with pytest.raises(RootKeyWrong):
            tried()
    stolen.dispose()


def test_keys_of_an_ended_epoch_do_not_open_under_the_next(yard, patient, tmp_path):
    """Today's epoch key, even with its custodian, unwraps nothing that an older key store backup holds."""
    with closing(thief(yard, tmp_path, yard.backup())[BackupStore.KEYS]) as loot:
        older = loot.execute("SELECT epoch_id, wrapped FROM epoch WHERE wrapped IS NOT NULL").fetchone()
        with yard.opened() as platform:
            rotate_keys(platform, ADMIN)
            with platform.keys.read() as connection:
                (newer,) = connection.scalars(select(epoch.c.wrapped).where(epoch.c.wrapped.is_not(None)))
        assert newer != older[1]
        loot.execute("UPDATE epoch SET wrapped = ? WHERE epoch_id = ?", (newer, older[0]))
        loot.commit()
    stolen = open_database(f"sqlite:///{tmp_path / 'stolen-keys.db'}", label="loot")
    custodian = KeyfileCustodian.load(yard.settings.root_key_path)
    with pytest.raises(IntegrityFailed):
        SubjectResolver(KeyStore(stolen, custodian, yard.clock)).find_by_id_number(ID_NUMBER)
    stolen.dispose()


def test_erased_number_is_not_found_beside_todays_key_store(yard, patient, tmp_path):
    """R26: even who runs the deployment finds nobody by numbers of the erased, and opens no row of an older copy."""
    files = yard.backup(stores=[BackupStore.DATA])
    with yard.opened() as platform:
        assert platform.resolver.find_by_id_number(ID_NUMBER) == patient
        erase_subject(platform, ADMIN, subject=patient, reason="request")
        assert all(platform.resolver.find_by_id_number(guess) is None for guess in GUESSES)
        with platform.keys.read() as connection:
            alive = set(connection.scalars(select(data_key.c.key_id)))
            for table in (blind_index, identity_fact):
                assert connection.execute(select(table).where(table.c.subject_id == patient)).all() == []
    (loot,) = thief(yard, tmp_path, files).values()
    rows = loot.execute("SELECT key_id FROM sealed_record WHERE subject_id = ?", (patient,)).fetchall()
    loot.close()
    assert rows
    assert alive.isdisjoint(key_id for (key_id,) in rows)


def right_guesses(platform, rows) -> set[str]:
    """Try numbers as contents of copied records, with every key that the key store of today has."""
    keyring = keyring_of(platform.keystore)
    mac = keyring.mac_keys(KeyKind.SERVICE, ["content-key"])["content-key"]
    with platform.keys.read() as connection:
        subjects = set(connection.scalars(select(blinding_key.c.subject_id)))
    with unlocked_blinding(keyring, subjects) as blinding:
        known = {blinding.digest(content, by) for content, _, _, by in rows}
    found = set()
    for guess in GUESSES:
        value = f'"{guess}"'.encode()
        for _, record_key, observed_at, _ in rows:
            content = length_prefixed("mobile") + len(value).to_bytes(4) + value
            if mac.digest(b64decode(record_key + "==") + observed_at.to_bytes(8) + content) in known:
                found.add(guess)
    return found


def test_contents_of_the_erased_cannot_be_tried_beside_todays_key_store(yard, patient, tmp_path):
    """Promise 4: with an older copy of the data store and every key of today a guessed value is not confirmed."""
    (loot,) = thief(yard, tmp_path, yard.backup(stores=[BackupStore.DATA])).values()
    with closing(loot):
        query = "SELECT content_key, record_key, observed_at, blinding_id FROM sealed_record WHERE subject_id = ?"
        rows = loot.execute(query, (patient,)).fetchall()
    with yard.opened() as platform:
        assert right_guesses(platform, rows) == {MOBILE}
        erase_subject(platform, ADMIN, subject=patient, reason="request")
        assert right_guesses(platform, rows) == set()


def test_one_backup_with_its_key_opens_nothing_of_the_other(yard, patient):
    """Who holds the data store's backup and its key has no wrapped key, and the reverse no sealed value."""
    files = yard.backup()
    for store, other in ((BackupStore.DATA, BackupStore.KEYS), (BackupStore.KEYS, BackupStore.DATA)):
        with (
            pytest.raises(IntegrityFailed, match="another key"),
            reading_backup(files[other].path, yard.identities[store]),
        ):
            raise AssertionError
        assert names(yard, files, store, {BackupStore.DATA: "sealed_record", BackupStore.KEYS: "data_key"}[store])
        assert not names(yard, files, store, {BackupStore.DATA: "data_key", BackupStore.KEYS: "sealed_record"}[store])


def names(yard, files, store: BackupStore, table: str) -> bool:
    """Whether the stream of a backup has a table."""
    content = bytearray()
    with reading_backup(files[store].path, yard.identities[store]) as reader:
        with pytest.raises(IntegrityFailed, match="too early"):
            while True:
                content += reader.read(1)
        reader.check_end()
    return f'"table": "{table}"'.encode() in content
