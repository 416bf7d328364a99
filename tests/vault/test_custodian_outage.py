"""A custodian that fails while the vault is at work: told in time, nothing half-written, and work goes on after it."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import MetaData, delete, select

from kernel.errors import Unavailable
from tests.vault.custodian_services import TransitEngine, answering, misbehaving
from vault.custodians.held import HeldKeys
from vault.custodians.transit import TransitCustodian, TransitKey
from vault.epoch_rotation import resume_epochs, rotate_epoch
from vault.tables import data_metadata, epoch, keystore_metadata, named_key

OUTAGES = {
    "status 500": (500, b"{}"),
    "sealed": (503, b'{"errors":["Vault is sealed"]}'),
    "expired token": (403, b'{"errors":["permission denied"]}'),
    "nonsense": (200, b"<html>"),
}


@pytest.fixture
def engine():
    return TransitEngine()


@pytest.fixture
def far(house, engine, tmp_path):
    """A house under a transit key that is asked for each unit of work."""
    token = tmp_path / "token"
    token.write_text("s.root")
    token.chmod(0o600)
    with house.keys.write() as connection:
        connection.execute(delete(named_key))
        connection.execute(delete(epoch))
    with answering(engine.answer) as url:
        key = TransitKey(url, "consentry", token_file=token)
        house.custodian = HeldKeys(TransitCustodian(key, deployment="dep", timeout_ms=5_000), house.clock, seconds=0)
        remote = house.restarted()
        remote.keystore.initialise()
        yield remote


def moved_to(house, address):
    """The same engine, reached at another address."""
    inner = house.custodian._custodian
    inner._patience._timeout_ms = 200
    inner._key = TransitKey(address, "consentry", token_file=inner._key.token_file)


def failing(house, engine, answer) -> None:
    """From now on every question is answered so, and given up after a fifth of a second."""
    engine.fault = lambda _path: answer
    house.custodian._custodian._patience._timeout_ms = 200


def healed(house, engine) -> None:
    """The engine is back."""
    engine.fault = lambda _path: None
    house.custodian._custodian._patience._timeout_ms = 5_000


def contents(database, metadata: MetaData):
    """Every row of the vault's tables in one store."""
    with database.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}


def everything(house):
    return contents(house.data, data_metadata), contents(house.keys, keystore_metadata)


class Work:
    """One subject with one stored record, and what may be under way when the custodian fails."""

    def __init__(self, house) -> None:
        self.house = house
        self.subject = house.subject()
        house.store(house.record(self.subject, consult_chat="hello"))
        self.batch = house.open_batch()
        self.next = house.record(house.subject(), consult_chat="again")
        self.permit = house.permit(self.subject, "P02", "consult_chat")

    def ingest(self) -> None:
        self.house.store_chunk(self.batch, self.next)

    def reveal(self) -> None:
        house = self.house
        house.vault.open(self.permit, house.receipt(self.permit), subject=self.subject, fields=["consult_chat"])

    def rotate(self) -> None:
        rotate_epoch(self.house.keystore, self.house.data, self.house.log, asking=self.house.asking)

    def start(self) -> None:
        self.house.keystore.check()


ACTS: dict[str, Callable[[Work], None]] = {
    "ingest": Work.ingest, "reveal": Work.reveal, "rotate": Work.rotate, "start": Work.start
}  # fmt: skip


@pytest.mark.parametrize(
    ("act", "outage"),
    [*(("ingest", outage) for outage in OUTAGES), *((act, "sealed") for act in ACTS if act != "ingest")],
)
def test_an_outage_is_told_and_nothing_is_half_written(far, engine, act, outage):
    """Both stores stand row for row as before, and the same act succeeds once the custodian is back."""
    work = Work(far)
    before = everything(far)
    failing(far, engine, OUTAGES[outage])
    begun = time.monotonic()
    with pytest.raises(Exception, match=r"custodian|refuses the token|no answer of the transit engine") as told:
        ACTS[act](work)
    assert isinstance(told.value, Unavailable) or outage == "nonsense"
    assert time.monotonic() - begun < 5
    assert everything(far) == before
    healed(far, engine)
    ACTS[act](work)


@pytest.mark.parametrize("act", ACTS)
def test_a_custodian_that_never_answers_holds_nobody(far, act):
    """The bound holds for each act, and no lock of a store is left."""
    work = Work(far)
    before = everything(far)
    with misbehaving("accepts and never answers") as url:
        moved_to(far, url)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"did not answer within 200 ms|ReadTimeout"):
            ACTS[act](work)
        assert time.monotonic() - begun < 5
    assert everything(far) == before
    with far.keys.write(), far.data.write():
        pass


def test_nobody_waits_for_the_lock_while_the_custodian_is_asked(far, engine, clock):
    """New keys ask before the write lock is taken, so that others write meanwhile."""
    locked = []

    def fault(_path):
        with far.keys.write():
            locked.append(False)

    record = far.record(far.subject(), consult_chat="hello")
    far.custodian = HeldKeys(far.custodian._custodian, clock, seconds=60)
    holding = far.restarted()
    engine.fault = fault
    holding.make_keys(record)
    assert locked == [False]


def test_an_erasure_that_meets_an_outage_ends_when_the_custodian_is_back(far, engine):
    """The subject is blocked at once; nothing is destroyed before its rows were verified."""
    work = Work(far)
    keys_before = contents(far.keys, keystore_metadata)
    failing(far, engine, OUTAGES["sealed"])
    with pytest.raises(Unavailable):
        far.erase(work.subject)
    assert far.standing(work.subject) == "erasing"
    assert contents(far.keys, keystore_metadata) == keys_before
    healed(far, engine)
    (outcome,) = far.eraser.resume()
    assert outcome.certificate is not None
    assert far.standing(work.subject) == "erased"


def test_an_outage_between_two_epochs_leaves_both_readable(far, engine):
    """The next epoch is open, the old one closing; the rotation goes on afterwards."""
    work = Work(far)

    def at(point):
        if point == "epoch.closing":
            failing(far, engine, OUTAGES["status 500"])

    with pytest.raises(Unavailable):
        rotate_epoch(far.keystore, far.data, far.log, asking=far.asking, at=at)
    healed(far, engine)
    work.reveal()
    (rotation,) = resume_epochs(far.keystore, far.data, far.log, asking=far.asking)
    assert rotation.ended
    assert len(far.open(work.subject, "P02", "consult_chat")) == 1


def test_a_held_key_rides_out_a_short_outage(far, engine, clock):
    """Within the hold a server works on; that is what it is for."""
    work = Work(far)
    far.custodian = HeldKeys(far.custodian._custodian, clock, seconds=60)
    work.house = far.restarted()
    work.start()
    failing(far, engine, OUTAGES["sealed"])
    asked = len(engine.asked)
    work.reveal()
    work.ingest()
    assert len(engine.asked) == asked
