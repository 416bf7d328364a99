"""The root key's change: epoch keys move under another root, and everything opens as before, also after a crash."""

import pytest
from sqlalchemy import delete, select, update

from kernel.errors import BadInput, IntegrityFailed
from tests.vault.custodian_services import TransitEngine, answering
from vault._keyring import keyring_of
from vault.custodian import CustodianUnavailable, KeyfileCustodian, RootKeyWrong
from vault.custodians.either import EitherCustodian
from vault.custodians.held import HeldKeys
from vault.custodians.transit import TransitCustodian, TransitKey
from vault.epoch_rotation import rotate_epoch
from vault.key_report import report_keys
from vault.root import RootChange, rewrap_root
from vault.tables import epoch, named_key

POINTS = ("root.announced", "root.wrapped", "root.replaced")


class Killed(Exception):
    """Stands for a process that is gone."""


@pytest.fixture
def new_root(tmp_path):
    return KeyfileCustodian.create(tmp_path / "new.key")


@pytest.fixture
def engine():
    return TransitEngine()


@pytest.fixture
def transit(engine, tmp_path):
    path = tmp_path / "token"
    path.write_text("s.root")
    path.chmod(0o600)
    with answering(engine.answer) as url:
        yield TransitCustodian(TransitKey(url, "consentry", token_file=path), deployment="dep", timeout_ms=5_000)


def change(house, to, **more) -> RootChange:
    return rewrap_root(house.keystore, house.data, house.log, to=to, asking=house.asking, **more)


def under(house, custodian):
    """The same stores in a process that has another custodian configured."""
    house.custodian = custodian
    return house.restarted()


def diagnoses(house, subject):
    return [record.values["diagnosis"] for record in house.open(subject, "P02", "diagnosis")]


def stored(house):
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    return subject


def killing(point):
    def at(reached):
        if reached == point:
            raise Killed

    return at


def test_everything_opens_under_the_new_root_and_nothing_under_the_old(any_house, new_root):
    """From one root key file to another; the old file opens the key store no more."""
    subject, old = stored(any_house), any_house.custodian
    done = change(any_house, new_root)
    assert done == RootChange(old.name, new_root.name, 1)
    assert diagnoses(under(any_house, new_root), subject) == ["icd10:I10"]
    with pytest.raises(RootKeyWrong):
        under(any_house, old).keystore.check()


def test_the_change_is_logged_before_and_after(house, new_root):
    """Two entries name both roots; neither holds a key."""
    done = change(house, new_root)
    (before,), (after,) = house.entries("root.rewrapping"), house.entries("root.rewrapped")
    assert before["refs"] == after["refs"] == {"from": done.before, "to": done.after}
    assert after["counts"] == {"epochs": 1}


def test_who_works_meanwhile_reads_both_roots(house, new_root):
    """A server with both custodians serves before, during and after; the epochs it makes are under its first."""
    subject, old = stored(house), house.custodian
    seen = []
    serving = under(house, EitherCustodian(old, new_root))
    house.custodian = old
    change(house, new_root, at=lambda point: seen.append((point, diagnoses(serving, subject))))
    assert seen == [(point, ["icd10:I10"]) for point in POINTS]
    rotate_epoch(serving.keystore, serving.data, serving.log, asking=serving.asking)
    assert diagnoses(serving, subject) == ["icd10:I10"]
    assert change(under(house, old), new_root).rewrapped == 1
    assert diagnoses(under(house, new_root), subject) == ["icd10:I10"]


@pytest.mark.parametrize("point", POINTS)
def test_a_change_that_was_killed_goes_on(any_house, new_root, point):
    """Wherever it was killed, both roots read everything, and the same call ends it."""
    subject, old = stored(any_house), any_house.custodian
    with pytest.raises(Killed):
        change(any_house, new_root, at=killing(point))
    assert diagnoses(under(any_house, EitherCustodian(old, new_root)), subject) == ["icd10:I10"]
    again = under(any_house, old)
    assert change(again, new_root).rewrapped == 1
    assert diagnoses(under(any_house, new_root), subject) == ["icd10:I10"]


def test_both_living_epochs_move(any_house, new_root):
    """While an epoch is closing, its key moves as well."""
    subject = stored(any_house)
    with pytest.raises(Killed):
        rotate_epoch(
            any_house.keystore, any_house.data, any_house.log, asking=any_house.asking, at=killing("epoch.closing")
        )
    assert change(any_house, new_root).rewrapped == 2
    moved = under(any_house, new_root)
    assert diagnoses(moved, subject) == ["icd10:I10"]
    rotate_epoch(moved.keystore, moved.data, moved.log, asking=moved.asking)
    assert diagnoses(moved, subject) == ["icd10:I10"]


def test_from_a_key_file_to_the_engine_and_back(house, engine, transit):
    """Into a key service, under its newest version, and out again."""
    subject, file = stored(house), house.custodian
    assert [one.custodian for one in report_keys(house.keystore).epochs] == ["keyfile"]
    assert change(house, transit).after == "transit:transit/consentry"
    assert [one.custodian for one in report_keys(house.keystore).epochs] == ["transit"]
    remote = under(house, HeldKeys(transit, house.clock, seconds=60))
    assert diagnoses(remote, subject) == ["icd10:I10"]
    engine.rotate()
    assert change(remote, None) == RootChange(transit.name, transit.name, 1)
    engine.min_decryption_version = 2
    assert diagnoses(under(house, transit), subject) == ["icd10:I10"]
    change(under(house, transit), file)
    assert diagnoses(under(house, file), subject) == ["icd10:I10"]


def test_an_epoch_that_ended_meanwhile_stays_ended(house, new_root):
    """Whoever was faster wins, and no key comes back."""

    def ended(point):
        if point == "root.wrapped":
            with house.keys.write() as connection:
                row = select(epoch.c.epoch_id).where(epoch.c.wrapped.is_not(None)).limit(1)
                gone = update(epoch).where(epoch.c.epoch_id.in_(row))
                connection.execute(gone.values(wrapped=None, destroyed_at=house.clock.now()))

    change(house, new_root, at=ended)
    with house.keys.read() as connection:
        assert connection.execute(select(epoch.c.wrapped)).scalars().all() == [None]


def test_a_key_file_has_no_newer_version(house):
    """Whoever wants another root key names it; the same one again is a mistake."""
    with pytest.raises(BadInput, match="no newer version"):
        change(house, None)
    with pytest.raises(BadInput, match="the one that is configured"):
        change(house, house.custodian)
    assert house.entries("root.rewrapping") == []


class Lying(KeyfileCustodian):
    """Gives back another key than it was given."""

    def unwrap(self, blob, context):
        super().unwrap(blob, context)
        return bytes(32)


def test_a_custodian_that_gives_back_another_key_gets_none(house, tmp_path):
    """The old wrapped key stays where it is."""
    subject = stored(house)
    lying = Lying.create(tmp_path / "lying.key")
    with pytest.raises(IntegrityFailed, match="does not give back"):
        change(house, lying)
    assert diagnoses(house.restarted(), subject) == ["icd10:I10"]


def test_a_new_custodian_that_fails_leaves_everything_as_it_was(house, engine, transit):
    """Nothing is half-written; the second entry is missing, which tells of it."""
    subject = stored(house)
    engine.fault = lambda _path: (503, b"{}")
    transit._patience._timeout_ms = 200
    with pytest.raises(CustodianUnavailable):
        change(house, transit)
    assert diagnoses(house.restarted(), subject) == ["icd10:I10"]
    assert house.entries("root.rewrapped") == []


def test_the_old_wrapped_key_is_nowhere_in_the_files(house, new_root):
    """Also not in free pages or a journal of the key store."""
    with house.keys.read() as connection:
        old = connection.execute(select(epoch.c.wrapped)).scalar_one()
    change(house, new_root)
    assert old not in house.files()


def test_custodians_destroy_what_they_no_longer_need(house, tmp_path):
    """The old one is told which blob stands, the new one as well; at the end of the epoch neither keeps any."""
    told = []

    class Telling(KeyfileCustodian):
        def destroy(self, context, *, keep=None):
            told.append((self.name, keep))

    old, new = Telling.create(tmp_path / "t1"), Telling.create(tmp_path / "t2")
    with house.keys.write() as connection:
        connection.execute(delete(named_key))
        connection.execute(delete(epoch))
    first = under(house, old)
    first.keystore.initialise()
    change(first, new)
    with house.keys.read() as connection:
        stands = connection.execute(select(epoch.c.wrapped)).scalar_one()
    assert told == [(old.name, stands), (new.name, stands)]
    told.clear()
    moved = under(house, new)
    rotate_epoch(moved.keystore, moved.data, moved.log, asking=moved.asking)
    assert told == [(new.name, None)]
    assert keyring_of(moved.keystore).custodian_name == new.name
