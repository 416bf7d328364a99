"""Backup and restore of both stores, on both engines: whole or not at all, and never behind the log unnoticed."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, text

from audit.events import Act
from audit.queries import find_entries
from audit.signing import create_signing_key
from audit.tables import leaf
from consent.standing import Standing, get_standing
from consentry import restoring
from consentry.backup_copies import SCRATCH, scratch_folder, snapshots
from consentry.backup_rows import send_rows
from consentry.migrations import Store, metadata_of
from consentry.platform import Platform, open_platform
from consentry.restoring import Sealed
from consentry.settings import load_settings
from consentry.workflows.backup import create_backup, list_backups, prune_backups
from consentry.workflows.erase import erase_subject
from consentry.workflows.export_audit import export_audit
from consentry.workflows.initialise import initialise
from consentry.workflows.keep_log import check_log
from consentry.workflows.recover_log import recover_log
from consentry.workflows.restore import Terms, restore, verify_backup
from consentry.workflows.rotate import rotate_keys
from kernel.errors import BadInput, ConfigurationError, Conflict, Denied, IntegrityFailed, NotFound, Unavailable
from tests.consentry.conftest import ADMIN, Captured
from vault.backup_keys import BackupIdentity, BackupStore
from vault.backups import SIGNATURE_BYTES, check_signature, read_header, writing_backup
from vault.tables import data_key, key_tombstone, sealed_record, tombstone

DATA, KEYS = BackupStore.DATA, BackupStore.KEYS


@pytest.fixture(scope="module")
def identities(tmp_path_factory) -> dict[BackupStore, BackupIdentity]:
    folder = tmp_path_factory.mktemp("identities")
    return {store: BackupIdentity.create(folder / store, store) for store in BackupStore}


class Yard:
    """A deployment with recipients of backups."""

    def __init__(self, settings, identities, clock) -> None:
        recipients = {f"backup_{store}_recipient": str(one.recipient) for store, one in identities.items()}
        self.settings = load_settings(**{**settings.model_dump(), **recipients})
        self.identities, self.clock = identities, clock
        self.numbers = iter(range(1, 1_000_000))

    @contextmanager
    def opened(self, **changed) -> Iterator[Platform]:
        with open_platform(load_settings(**{**self.settings.model_dump(), **changed}), clock=self.clock) as platform:
            yield platform

    def fill(self, name: str = "u-1"):
        """Somebody with a record."""
        with self.opened() as platform:
            captured = Captured(platform, numbers=self.numbers)
            subject = captured.person(name)
            captured.store([captured.posted(name, "profile", f"r-{name}", mobile="13800138000")])
            platform.log.settle()
        return subject

    def backup(self, **more) -> dict[BackupStore, Sealed]:
        with self.opened() as platform:
            made = create_backup(platform, ADMIN, **more)
        return {one.header.store: Sealed(one.path, self.identities[one.header.store]) for one in made}

    def lose(self, *stores: BackupStore) -> None:
        """Take stores away, as a dead disk would."""
        for store in stores or tuple(BackupStore):
            url = self.settings.data_store_url if store is DATA else self.settings.key_store_url
            if url.startswith("sqlite"):
                for path in self.settings.home.glob(f"{store}.db*"):
                    path.unlink()
                continue
            engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
            with engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text("CREATE SCHEMA public"))
            engine.dispose()

    def forget_signer(self, kept: Path) -> None:
        """Put the signer's memory back to an older copy."""
        shutil.copy(kept, self.settings.signer_state_path)

    def rows(self) -> dict[str, list[tuple]]:
        """Every row of both stores."""
        found = {}
        with self.opened() as platform:
            for store, database in ((Store.DATA, platform.data), (Store.KEYS, platform.keys)):
                with database.read() as connection:
                    for metadata in metadata_of(store):
                        for table in metadata.sorted_tables:
                            rows = connection.execute(select(table).order_by(*table.primary_key.columns)).all()
                            found[table.name] = [tuple(row) for row in rows]
        return found


@pytest.fixture
def yard(deployment, identities, clock) -> Yard:
    """On SQLite."""
    return Yard(deployment.settings, identities, clock)


@pytest.fixture
def pg_yard(tmp_path, pg_database, identities, clock) -> Yard:
    """On two PostgreSQL databases."""
    settings = load_settings(home=tmp_path / "home", data_store=pg_database(), key_store=pg_database())
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    return Yard(load_settings(**{**settings.model_dump(), "deployment": made.deployment}), identities, clock)


@pytest.fixture(params=["yard", "pg_yard"])
def any_yard(request) -> Yard:
    return request.getfixturevalue(request.param)


def test_a_lost_store_comes_back_row_by_row(any_yard):
    """Every row of every table, and the way on from there: numbers are given after the restored ones."""
    yard = any_yard
    yard.fill()
    state = yard.settings.signer_state_path
    with yard.opened() as platform:
        platform.log.settle()
    kept = state.with_name("kept")
    shutil.copy(state, kept)
    before = yard.rows()
    files = yard.backup()
    yard.lose()
    yard.forget_signer(kept)
    done = restore(yard.settings, ADMIN, files, clock=yard.clock)
    assert done.missing_entries is None
    after = yard.rows()
    log = {"audit_inbox", "audit_leaf", "audit_subtree", "audit_head", "audit_checkpoint"}
    assert {name: rows for name, rows in after.items() if name not in log} == {
        name: rows for name, rows in before.items() if name not in log
    }
    assert after["audit_leaf"][: len(before["audit_leaf"])] == before["audit_leaf"]
    yard.fill("u-2")
    with yard.opened() as platform:
        check_log(platform)


def test_verifying_restores_into_a_scratch_folder_and_opens_rows(yard):
    """Counts, log and records are looked at, nothing of it is left on disk, and the act is logged."""
    yard.fill()
    files = yard.backup()
    with yard.opened() as platform:
        done = verify_backup(platform, ADMIN, files)
        assert done.sample.checked > 0
        assert (done.sample.erased, done.sample.without_key) == (0, 0)
        assert done.log_size > 0
        with platform.data.read() as connection:
            acts = connection.scalars(select(leaf.c.act).where(leaf.c.act.like("backup.%"))).all()
        assert acts == ["backup.created", "backup.created", "backup.verified", "backup.verified"]
        assert verify_backup(platform, ADMIN, {KEYS: files[KEYS]}).log_size is None
    assert list(yard.settings.home.rglob(f"{SCRATCH}*")) == []


def test_a_backup_behind_the_log_needs_a_recovery(yard, clock):
    """Without it nothing is put in place; with it nothing opens or is resumed before the log is recovered."""
    subject = yard.fill()
    files = yard.backup()
    with yard.opened() as platform:
        erase_subject(platform, ADMIN, subject=subject, reason="request")
        export_audit(platform, ADMIN, yard.settings.home / "export")
        people = [Captured(platform).person_account(f"o-{n}", "compliance_officer")[0] for n in (1, 2)]
    kept = yard.settings.home / "keys.db"
    yard.lose(DATA)
    with pytest.raises(Conflict, match="signed entries"):
        restore(yard.settings, ADMIN, {DATA: files[DATA]}, clock=clock)
    assert not (yard.settings.home / "data.db").exists()
    assert kept.exists()
    terms = Terms(for_recovery=True, log_export=yard.settings.home / "export")
    done = restore(yard.settings, ADMIN, {DATA: files[DATA]}, terms=terms, clock=clock)
    assert done.missing_entries > 0
    assert done.replayed is None
    with yard.opened() as platform:
        with pytest.raises(IntegrityFailed):
            check_log(platform)
        assert standing(platform, subject) is Standing.ACTIVE
        recover_log(platform, ADMIN, reason="disk", accepted_by=people)
    with yard.opened() as platform:
        check_log(platform)
        assert standing(platform, subject) is Standing.ERASED
        assert count(platform.data, sealed_record) == 0


def test_an_older_key_store_loses_what_was_erased_since(any_yard):
    """A start replays the tombstones of the data store; the keys are gone before anything is opened."""
    yard = any_yard
    subject = yard.fill()
    yard.fill("u-2")
    files = yard.backup()
    with yard.opened() as platform:
        erase_subject(platform, ADMIN, subject=subject, reason="request")
        before = ids(platform.keys, data_key.c.key_id)
    yard.lose(KEYS)
    done = restore(yard.settings, ADMIN, {KEYS: files[KEYS]}, clock=yard.clock)
    assert done.missing_entries is None
    with yard.opened() as platform:
        assert ids(platform.keys, data_key.c.key_id) == before
        assert ids(platform.keys, key_tombstone.c.key_id) == ids(platform.data, tombstone.c.key_id) != set()


def test_a_key_stores_backup_ends_with_its_epoch(yard, clock):
    """It says so itself; it is refused afterwards and goes with the next pruning."""
    yard.fill()
    files = yard.backup()
    clock.advance(timedelta(days=1))
    with yard.opened() as platform:
        with pytest.raises(Conflict, match="ended with its epoch"):
            verify_backup(platform, ADMIN, files)
        with pytest.raises(Conflict, match="over its time"):
            create_backup(platform, ADMIN)
        assert {one.header.store: one.is_over for one in list_backups(platform)} == {DATA: False, KEYS: True}
        with pytest.raises(Conflict, match="ended with its epoch"):
            restore(yard.settings, ADMIN, files, clock=clock)
        assert [one.header.store for one in prune_backups(platform, ADMIN)] == [KEYS]
        rotate_keys(platform, ADMIN)
        create_backup(platform, ADMIN)


def test_data_backups_are_kept_for_their_days_and_the_newest_always(yard, clock):
    """Pruning never takes the last one."""
    for _ in range(3):
        yard.backup(stores=[DATA])
        clock.advance(timedelta(days=40))
    with yard.opened() as platform:
        assert len(prune_backups(platform, ADMIN)) == 2
        assert len(list_backups(platform)) == 1
        assert prune_backups(platform, ADMIN) == []


def test_a_store_that_is_there_is_never_overwritten(yard):
    """Restoring over a living store is refused, and changes nothing."""
    yard.fill()
    files = yard.backup()
    before = yard.rows()
    with pytest.raises(Conflict, match="is there already"):
        restore(yard.settings, ADMIN, files, clock=yard.clock)
    assert yard.rows() == before


def test_a_second_file_that_fails_takes_the_first_store_back(any_yard):
    """All or none: a backup whose key store part is cut off leaves no data store either."""
    yard = any_yard
    yard.fill()
    files = yard.backup()
    kept = yard.settings.home / "kept.state"
    shutil.copy(yard.settings.signer_state_path, kept)
    yard.lose()
    whole = files[KEYS].path.read_bytes()
    files[KEYS].path.write_bytes(whole[:-1])
    terms = Terms(for_recovery=True)
    with pytest.raises(IntegrityFailed):
        restore(yard.settings, ADMIN, files, terms=terms, clock=yard.clock)
    files[KEYS].path.write_bytes(whole)
    assert restore(yard.settings, ADMIN, files, terms=terms, clock=yard.clock).rows["data"] > 0


def test_files_of_others_are_refused(yard, clock, tmp_path, copied):
    """Of another deployment, of the other store, under another key, and one whose key is missing."""
    yard.fill()
    files = yard.backup()
    with yard.opened() as platform:
        swapped = {DATA: Sealed(files[KEYS].path, yard.identities[KEYS])}
        with pytest.raises(BadInput, match="not both of the data store"):
            verify_backup(platform, ADMIN, swapped)
        other = BackupIdentity.create(tmp_path / "other", DATA)
        with pytest.raises(IntegrityFailed, match="another key"):
            verify_backup(platform, ADMIN, {DATA: Sealed(files[DATA].path, other)})
        with pytest.raises(BadInput, match="No backup"):
            verify_backup(platform, ADMIN, {})
    renamed = Yard(yard.settings.model_copy(update={"deployment": "dep_other"}), yard.identities, clock)
    with pytest.raises(BadInput, match="another deployment"):
        restore(renamed.settings, ADMIN, files, clock=clock)
    yard.lose()
    with pytest.raises(Conflict, match="no key store"):
        restore(yard.settings, ADMIN, {DATA: files[DATA]}, terms=Terms(for_recovery=True), clock=clock)


def test_a_file_that_is_exchanged_after_its_signature_was_looked_at_is_found(yard, monkeypatch):
    """Whoever has the public half and the place where backups lie puts no rows of its own into a store."""
    yard.fill()
    files = yard.backup()
    signed = files[DATA].path.read_bytes()
    forged, other = (
        yard.settings.home / "forged",
        create_signing_key(yard.settings.home / "other.key", "audit.example/log"),
    )
    with (
        yard.opened() as platform,
        platform.data.read() as connection,
        writing_backup(forged, read_header(files[DATA].path), files[DATA].identity.recipient, other) as writer,
    ):
        send_rows(connection, Store.DATA, writer)
    yard.lose(DATA)

    def exchanged(path, public_key):
        found = check_signature(path, public_key)
        files[DATA].path.write_bytes(forged.read_bytes()[:-SIGNATURE_BYTES] + signed[-SIGNATURE_BYTES:])
        return found

    monkeypatch.setattr(restoring, "check_signature", exchanged)
    with pytest.raises(IntegrityFailed, match="another log's key"):
        restore(yard.settings, ADMIN, {DATA: files[DATA]}, clock=yard.clock)
    assert not list(yard.settings.home.glob("data.db*"))


def test_recipients_are_two_and_each_of_its_store(yard):
    """No backup without them, with one for both, or with the two exchanged."""
    data, keys = (str(yard.identities[store].recipient) for store in (DATA, KEYS))
    wrong = [
        ({"backup_data_recipient": ""}, "no recipient"),
        ({"backup_keys_recipient": data.replace(":data:", ":keys:")}, "same backup key"),
        ({"backup_data_recipient": keys, "backup_keys_recipient": data}, "of the other store"),
    ]
    for changed, said in wrong:
        with yard.opened(**changed) as platform, pytest.raises(ConfigurationError, match=said):
            create_backup(platform, ADMIN)
    with yard.opened() as platform, pytest.raises(NotFound, match="no folder"):
        create_backup(platform, ADMIN, folder=yard.settings.home / "nowhere")
    assert not list(yard.settings.home.rglob("*.backup"))


def test_only_roles_that_back_up_do(yard):
    """Default deny."""
    from dataclasses import replace

    with yard.opened() as platform:
        officer = replace(ADMIN, role="compliance_officer")
        for call in (create_backup, prune_backups):
            with pytest.raises(Denied):
                call(platform, officer)


def test_a_full_disk_leaves_no_file(yard, monkeypatch):
    """What was written until then goes, the copies as well."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    yard.fill()
    with yard.opened() as platform:
        monkeypatch.setattr("vault.backups.os.fsync", full)
        with pytest.raises((Unavailable, OSError)):
            create_backup(platform, ADMIN)
        monkeypatch.undo()
        assert not list(platform.settings.backups_path.glob("*.backup"))
        create_backup(platform, ADMIN)
        assert not list(platform.settings.backups_path.glob(f"{SCRATCH}*"))


def test_a_backup_is_taken_while_somebody_writes(yard):
    """Writers wait for no longer than the copy takes; what they commit meanwhile is not in the copy."""
    yard.fill()
    with yard.opened() as platform:
        captured = Captured(platform, numbers=yard.numbers)
        from consentry import backup_rows
        from consentry.workflows import backup

        def sent(connection, store, sink):
            captured.person(f"late-{store}")
            return backup_rows.send_rows(connection, store, sink)

        original, backup.send_rows = backup.send_rows, sent
        try:
            made = create_backup(platform, ADMIN)
        finally:
            backup.send_rows = original
        files = {one.header.store: Sealed(one.path, yard.identities[one.header.store]) for one in made}
        assert verify_backup(platform, ADMIN, files).sample.without_key == 0


def test_rows_and_log_that_do_not_fit_their_backup_are_found(yard, clock):
    """A store whose log was edited before the backup is found when the backup is verified."""
    yard.fill()
    with yard.opened() as platform, platform.data.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_leaf_no_update")
        connection.exec_driver_sql("UPDATE audit_leaf SET body = replace(body, 'done', 'dome') WHERE leaf_index = 3")
        connection.exec_driver_sql(
            "CREATE TRIGGER audit_leaf_no_update BEFORE UPDATE ON audit_leaf BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
    files = yard.backup()
    with yard.opened() as platform, pytest.raises(IntegrityFailed, match="not the one that was hashed"):
        verify_backup(platform, ADMIN, files)


def standing(platform, subject) -> Standing:
    with platform.data.read() as connection:
        return get_standing(connection, subject).state


def count(database, table) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def ids(database, column) -> set[bytes]:
    with database.read() as connection:
        return set(connection.scalars(select(column)))


def test_copies_that_a_crash_left_go_with_the_next_backup(tmp_path):
    """They hold wrapped keys: overwritten first, then removed, as every copy is."""
    left = tmp_path / f"{SCRATCH}crashed"
    left.mkdir()
    (left / "lock").touch()
    kept = tmp_path / "seen-from-elsewhere"
    (left / "keys.db").write_bytes(b"wrapped key" * 1000)
    kept.hardlink_to(left / "keys.db")
    with scratch_folder(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not left.exists()
        assert kept.read_bytes() == bytes(11_000)
    assert list(tmp_path.iterdir()) == [kept]


def test_copies_of_a_backup_that_runs_are_not_taken_for_left_ones(tmp_path):
    """A server backs its key store up every few minutes, also while a backup of both stores takes an hour."""
    with scratch_folder(tmp_path) as running:
        (running / "data.db").write_bytes(b"rows")
        with scratch_folder(tmp_path) as other:
            assert other != running
        assert (running / "data.db").read_bytes() == b"rows"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["folder", "file"])
def test_a_link_among_what_was_left_overwrites_nothing(tmp_path, how):
    """Whoever may write into the folder of backups makes no backup overwrite what lies elsewhere."""
    elsewhere, left = tmp_path / "elsewhere", tmp_path / "backups" / f"{SCRATCH}planted"
    for folder in (elsewhere, left.parent):
        folder.mkdir()
    (elsewhere / "keys.db").write_bytes(b"wrapped keys")
    (elsewhere / "lock").touch()
    if how == "folder":
        left.symlink_to(elsewhere)
    else:
        left.mkdir()
        (left / "lock").touch()
        (left / "keys.db").symlink_to(elsewhere / "keys.db")
    with scratch_folder(left.parent):
        assert (elsewhere / "keys.db").read_bytes() == b"wrapped keys"


def test_keys_that_are_destroyed_between_the_copies_have_them_taken_anew(yard, monkeypatch):
    """A row that has moved to another key must not lose it; where it never ends, no backup is made."""
    subject = yard.fill()
    with yard.opened() as platform:
        stores = {Store.DATA: platform.data, Store.KEYS: platform.keys}
        counted = iter([0, 1, 1, 1, *range(2, 40)])
        monkeypatch.setattr("consentry.backup_copies._destroyed", lambda _keys: next(counted))
        with scratch_folder(yard.settings.home) as scratch:
            with snapshots(stores, list(Store), scratch) as found:
                rows = found[Store.DATA].scalar(select(func.count()).where(sealed_record.c.subject_id == subject))
                assert rows == 1
            with pytest.raises(Unavailable, match="destroyed all the time"), snapshots(stores, list(Store), scratch):
                raise AssertionError


def restored_entries(platform) -> list[dict]:
    platform.log.settle()
    with platform.data.read() as connection:
        return [view.members for view in find_entries(connection, act=Act.BACKUP_RESTORED)]


@pytest.fixture
def interrupted(any_yard) -> tuple[Yard, dict[BackupStore, Sealed]]:
    """A restore of the data store that ended once it was in place, before its entry: the root key was not there."""
    yard = any_yard
    yard.fill()
    kept = yard.settings.signer_state_path.with_name("kept")
    shutil.copy(yard.settings.signer_state_path, kept)
    files = yard.backup()
    yard.lose(DATA)
    yard.forget_signer(kept)
    aside = yard.settings.root_key_path.rename(yard.settings.home / "aside")
    with pytest.raises(Unavailable):
        restore(yard.settings, ADMIN, {DATA: files[DATA]}, clock=yard.clock)
    aside.rename(yard.settings.root_key_path)
    return yard, files


def test_an_interrupted_restore_is_told_by_the_next_start(interrupted):
    """By who restored, once; the marker is gone then, and the store is one that is there."""
    yard, files = interrupted
    with yard.opened() as platform:
        (told,) = restored_entries(platform)
    assert (told["actor"], told["refs"]["store"]) == (ADMIN.principal_id, "data")
    with yard.opened() as platform:
        assert len(restored_entries(platform)) == 1
    with pytest.raises(Conflict, match="is there already"):
        restore(yard.settings, ADMIN, {DATA: files[DATA]}, clock=yard.clock)


def test_an_interrupted_restore_goes_on_when_it_is_asked_again(interrupted):
    """What is in place stays, what is not follows, and both are told once."""
    yard, files = interrupted
    yard.lose(KEYS)
    done = restore(yard.settings, ADMIN, files, clock=yard.clock)
    assert (set(done.rows), done.replayed is None) == ({"keys"}, False)
    with yard.opened() as platform:
        assert sorted(told["refs"]["store"] for told in restored_entries(platform)) == ["data", "keys"]
        check_log(platform)


@pytest.mark.parametrize("written", ["", "[]", '{"going": 1}'])
def test_a_marker_that_cannot_be_read_is_told(yard, written):
    """Nobody guesses what it said."""
    files = yard.backup()
    yard.lose()
    (yard.settings.home / "restoring.json").write_text(written)
    with pytest.raises(IntegrityFailed, match=r"restoring\.json cannot be read"):
        restore(yard.settings, ADMIN, files, clock=yard.clock)
