"""A key store from before there were suites: its keys are of AES, open as ever, and are not taken back from SM."""

import os
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text

from consentry.migrations import Store, downgrade, upgrade
from kernel.clock import FixedClock
from kernel.database import open_database
from vault.custodian import KeyfileCustodian
from vault.keystore import KeyStore
from vault.pseudonyms import Pseudonyms

EPOCH, SECRET, KEY_ID = "epo_" + "a" * 24, bytes(range(32)), bytes(range(8))
INSERTS = (
    ("INSERT INTO epoch (epoch_id, wrapped, opened_at) VALUES (:epoch, :wrapped, 1)"),
    (
        "INSERT INTO named_key (key_id, kind, name, version, epoch_id, wrapped, created_at)"
        " VALUES (:key_id, 'scope', 'view:a', 1, :epoch, :key, 1)"
    ),
)


def texts(*parts: str) -> bytes:
    """Length and bytes of each, as the format page says; the code under test has its own."""
    return b"".join(len(part).to_bytes(2) + part.encode() for part in parts)


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    """A store at revision 0001 with an epoch and one key, and the custodian of it."""
    url = f"sqlite:///{tmp_path / 'keys.db'}" if request.param == "sqlite" else request.getfixturevalue("pg_database")()
    database = open_database(url, label="key store", must_exist=False)
    upgrade(database, Store.KEYS, revision="0001")
    custodian = KeyfileCustodian.create(tmp_path / "root.key")
    nonce = os.urandom(12)
    row = {
        "epoch": EPOCH,
        "wrapped": custodian.wrap(SECRET, texts("consentry epoch key 1", EPOCH)),
        "key_id": KEY_ID,
        "key": nonce
        + AESGCM(SECRET).encrypt(nonce, bytes(32), texts("consentry named key 1", "scope", "view:a", "1") + KEY_ID),
    }
    with database.write() as connection:
        for statement in INSERTS:
            connection.execute(text(statement), row)
    yield database, custodian
    database.dispose()


def test_keys_from_before_suites_are_of_aes_and_open(old):
    """Neither an epoch nor a key needs to be touched; the same pseudonym comes out as HMAC-SHA256 gives it."""
    database, custodian = old
    upgrade(database, Store.KEYS)
    store = KeyStore(database, custodian, FixedClock(datetime(2026, 11, 21, tzinfo=UTC)))
    assert store.check().epoch_id == EPOCH
    assert Pseudonyms(store).unrecorded("sub_1", scope="view:a") == "mlfstjyv7ubqxrlr7pnfakuh7m"
    with database.read() as connection:
        assert connection.execute(text("SELECT suite FROM epoch UNION ALL SELECT suite FROM named_key")).all() == [
            (1,),
            (1,),
        ]


def test_keys_of_sm_have_no_way_back(old):
    """The older release would take them for keys of AES."""
    database, _ = old
    upgrade(database, Store.KEYS, revision="0002")
    downgrade(database, Store.KEYS, revision="0001")
    upgrade(database, Store.KEYS, revision="0002")
    with database.write() as connection:
        connection.execute(text("UPDATE named_key SET suite = 2"))
    with pytest.raises(ValueError, match="named_key holds what revision 0001 cannot express"):
        downgrade(database, Store.KEYS, revision="0001")
