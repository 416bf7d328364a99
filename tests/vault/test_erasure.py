"""Erasure: order, resumption, legal holds, and what is left on disk."""

import json
from datetime import date, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select

from consent.guardians import agents_of, guardians_of, record_agent, record_guardian
from consent.standing import Standing, get_standing, register_subjects, set_standing
from kernel.catalogue import Compartment
from kernel.errors import Denied, NotFound, Unavailable
from kernel.ids import SubjectId, new_id
from vault.certificates import SIGNED_PREFIX
from vault.epoch_rotation import rotate_epoch
from vault.erasure import Eraser
from vault.identity import IdentityKeys
from vault.keystore import KeyUnavailable
from vault.tables import (
    blind_index,
    data_key,
    doubtful_identity,
    erasure,
    identity_fact,
    key_tombstone,
    pseudonym,
    sealed_record,
    tombstone,
)

STEPS = 7


def fill(house, *, held: bool, number: int = 1) -> SubjectId:
    """A subject with two compartments, links and a pseudonym; with or without a legal hold on a part of one."""
    subject = house.subject()
    values = {"name": "张三", "consult_chat": "头疼"}
    if held:
        values |= {"diagnosis": "icd10:I10"}
    house.store(house.record(subject, number=number, **values))
    keys = IdentityKeys("his", f"p-{number}", id_number=f"id-{number}", sex="female", mobile=f"1380000000{number}")
    house.resolver.link([(subject, keys)], batch=None)
    house.pseudonyms.pseudonyms([subject], scope="view:profile")
    return subject


def rows(database, table, subject) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table).where(table.c.subject_id == subject))


def tombstones(database, table) -> set[bytes]:
    with database.read() as connection:
        return set(connection.execute(select(table.c.key_id)).scalars())


def run_until(eraser: Eraser, subject: SubjectId, asking, stop: int) -> None:
    """Do the first steps of an erasure and stop, as a crash would; step 0 is the mark alone."""
    with eraser._data.write() as connection:
        erasure_id = eraser._begin(connection, subject, asking)
    work = eraser._work(eraser._row(erasure_id))
    for step in eraser._steps[:stop]:
        step(work)


def test_erasing_leaves_nothing_of_the_subject(any_house):
    """Rows, keys, blind indexes, facts and pseudonyms are gone; the standing is ERASED; others stay."""
    subject, other = fill(any_house, held=False, number=1), fill(any_house, held=False, number=2)
    outcome = any_house.erase(subject)
    assert any_house.standing(subject) is Standing.ERASED
    assert outcome.restricted_until is None
    assert outcome.counts == {"keys": 4, "rows": 2, "held_rows": 0}
    for database, table in (
        (any_house.data, sealed_record),
        (any_house.keys, data_key),
        (any_house.keys, blind_index),
        (any_house.keys, identity_fact),
        (any_house.keys, pseudonym),
    ):
        assert rows(database, table, subject) == 0
        assert rows(database, table, other) > 0
    assert any_house.resolver.find("his", "p-1") is None
    assert any_house.open(other, "P02", "name")[0].values == {"name": "张三"}


def test_erasure_ends_every_relation(any_house):
    """Who is erased decides for nobody, and nobody for them; each end has its entry, and the wards' revision moves."""
    house = any_house
    subject, ward, agent = house.subject(), house.subject(), house.subject()
    adult = dict.fromkeys((subject, ward, agent), date(1985, 3, 1))
    how = {"asking": house.asking, "log": house.log, "clock": house.clock}
    with house.data.write() as connection:
        register_subjects(connection, adult, clock=house.clock)
        record_guardian(connection, subject=ward, guardian=subject, verification="court_order", **how)
        ends = house.clock.now() + timedelta(days=9)
        record_agent(connection, subject=subject, agent=agent, purposes=["P06"], expires_at=ends, **how)
        before = get_standing(connection, ward).revision
    house.erase(subject)
    with house.data.read() as connection:
        assert [known.ended_at is not None for known in guardians_of(connection, ward)] == [True]
        assert [known.ended_at is not None for known in agents_of(connection, subject)] == [True]
        assert get_standing(connection, ward).revision == before + 1
    assert [house.entries(act)[0]["reason"] for act in ("guardian.ended", "agent.ended")] == ["ERASED", "ERASED"]


def test_tombstones_stand_in_both_stores_and_in_the_log(house):
    """The same random key ids are in the key store, the data store and the entry."""
    house.erase(fill(house, held=False))
    left = tombstones(house.keys, key_tombstone)
    (entry,) = house.entries("keys.destroyed")
    named = {bytes.fromhex(value) for name, value in entry["refs"].items() if name.startswith("key_")}
    assert len(left) == 4
    assert left == tombstones(house.data, tombstone) == named


def test_the_certificate_is_signed_and_holds_no_subject(house):
    """Anybody with the public key can check it; it names keys, counts, dates and entries only."""
    subject = fill(house, held=False)
    certificate = house.erase(subject).certificate
    public_key = Ed25519PublicKey.from_public_bytes(house.signer.public_key)
    public_key.verify(certificate.signature, SIGNED_PREFIX + certificate.content)
    content = json.loads(certificate.content)
    assert set(content) == {
        "v", "erasure", "deployment", "scope", "fields", "why", "basis", "started_at", "finished_at", "final", "keys",
        "counts", "tables", "held", "entries", "signer",
    }  # fmt: skip
    assert subject.encode() not in certificate.content
    acts = ("erasure.started", "keys.destroyed", "erasure.completed")
    logged = [house.entries(act)[0]["id"] for act in acts]
    assert [content["entries"][step] for step in ("started", "keys_destroyed", "completed")] == logged


def test_the_reason_is_sealed_beside_the_entry(house):
    """A person's own words never stand in the log."""
    house.erase(fill(house, held=False))
    (entry,) = house.entries("erasure.started")
    assert "asked by the person" not in json.dumps(entry)
    with house.data.read() as connection:
        assert house.log.read_details(connection, entry["id"]) == {"reason": "asked by the person"}


def test_a_second_erasure_returns_the_first_certificate(house):
    """Erasing again changes nothing."""
    subject = fill(house, held=False)
    assert house.erase(subject) == house.erase(subject)
    assert len(house.entries("erasure.started")) == 1


def test_a_subject_without_data_is_erased_too(house):
    """Nothing stored is no obstacle."""
    subject = house.subject()
    assert house.erase(subject).counts == {"keys": 0, "rows": 0, "held_rows": 0}
    assert house.standing(subject) is Standing.ERASED


def test_an_unknown_subject_is_not_found(house):
    """Erasing nobody is an error."""
    with pytest.raises(NotFound):
        house.erase(SubjectId(new_id("sub")))


def test_an_erased_subject_takes_no_more_data(house):
    """The gate refuses, and nothing comes back."""
    subject = fill(house, held=False)
    house.erase(subject)
    with pytest.raises(Denied):
        house.store(house.record(subject, diagnosis="icd10:I10"))


def test_what_the_law_holds_stays_restricted_and_readable_for_storage(any_house):
    """A mixed compartment is split: the free value is gone, the held one moves to a new key and stays RESTRICTED."""
    subject = fill(any_house, held=True)
    outcome = any_house.erase(subject)
    assert any_house.standing(subject) is Standing.RESTRICTED
    assert not outcome.is_complete
    assert outcome.restricted_until == any_house.clock.now() + timedelta(days=15 * 365)
    assert outcome.counts == {"keys": 4, "rows": 2, "held_rows": 1}
    (opened,) = any_house.open(subject, "P05", "diagnosis", "consult_chat", "name")
    assert opened.values == {"diagnosis": "icd10:I10"}
    (entry,) = any_house.entries("subject.restricted")
    assert (entry["reason"], entry["counts"]["held_rows"]) == ("LEGAL_HOLD", 1)


def test_the_held_value_is_sealed_under_another_key(house):
    """The old key, which also sealed what was erased, is destroyed."""
    subject = fill(house, held=True)
    with house.data.read() as connection:
        before = set(connection.execute(select(sealed_record.c.key_id)).scalars())
    house.erase(subject)
    with house.data.read() as connection:
        (after,) = connection.execute(select(sealed_record.c.key_id)).scalars()
    assert after not in before
    assert tombstones(house.keys, key_tombstone) > before
    assert after not in tombstones(house.keys, key_tombstone)


def test_a_subject_whose_data_is_all_held_keeps_its_key(house):
    """Nothing is destroyed that the law holds; the person is still found by ID number, no longer by mobile."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    house.resolver.link([(subject, IdentityKeys("his", "p-1", id_number="id-1", mobile="13800000001"))], batch=None)
    outcome = house.erase(subject)
    assert outcome.counts == {"keys": 2, "rows": 0, "held_rows": 1}, "those of the sealed mobile and ID number"
    assert house.open(subject, "P05", "diagnosis")[0].values == {"diagnosis": "icd10:I10"}
    assert house.erase(subject).counts["keys"] == 0
    assert house.resolver.find_by_id_number("id-1") == subject
    with house.keys.read() as connection:
        assert set(connection.execute(select(blind_index.c.field)).scalars()) == {"id_number", "source_subject"}


def test_after_the_hold_the_rest_is_erased(house):
    """A restricted subject can be erased when its time has come."""
    subject = fill(house, held=True)
    house.erase(subject)
    assert house.erase(subject).restricted_until is not None
    house.clock.advance(timedelta(days=15 * 365))
    outcome = house.erase(subject)
    assert outcome.certificate is not None
    assert house.standing(subject) is Standing.ERASED
    assert rows(house.data, sealed_record, subject) == rows(house.keys, data_key, subject) == 0


def test_a_released_subject_that_was_resealed_can_be_erased_in_part_again(house):
    """New free values under the newest key are split from the held ones once more."""
    subject = fill(house, held=True)
    house.erase(subject)
    with house.data.write() as connection:
        set_standing(connection, subject, Standing.ACTIVE, now=house.clock.now())
    house.store(house.record(subject, number=9, consult_chat="again"))
    assert house.erase(subject).counts == {"keys": 1, "rows": 1, "held_rows": 1}
    (opened,) = house.open(subject, "P05", "diagnosis", "consult_chat")
    assert opened.values == {"diagnosis": "icd10:I10"}


def test_rows_of_an_open_batch_are_erased_too(house):
    """What is not visible yet is personal data all the same."""
    subject = house.subject()
    house.store_chunk(house.open_batch(), house.record(subject, name="张三"))
    assert house.erase(subject).counts["rows"] == 1


def test_doubts_about_the_subject_go_with_it(house):
    """The list of doubtful records holds a keyed digest of the person; it goes as well."""
    subject = house.subject()
    house.resolver.link([(subject, IdentityKeys("his", "p-1", id_number="id-1", sex="male"))], batch=None)
    stated = IdentityKeys("his", "p-2", id_number="id-1", sex="female")
    house.resolver.note_doubtful([(stated, house.resolver.resolve_many([stated])[0])], batch=None)
    house.erase(subject)
    with house.keys.read() as connection:
        assert connection.execute(select(doubtful_identity)).all() == []


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("stop", range(STEPS + 1))
def test_a_crash_after_any_step_is_finished_at_the_next_start(house, stop, held):
    """Wherever an erasure stops, resuming brings it to the same end."""
    subject, other = fill(house, held=held, number=1), fill(house, held=held, number=2)
    run_until(house.eraser, subject, house.asking, stop)
    if stop < STEPS:
        assert house.standing(subject) is Standing.ERASING
    restarted = house.restarted()
    resumed = restarted.eraser.resume()
    assert len(resumed) == (0 if stop == STEPS else 1)
    assert restarted.standing(subject) is (Standing.RESTRICTED if held else Standing.ERASED)
    assert restarted.eraser.resume() == []
    assert rows(house.data, sealed_record, subject) == (1 if held else 0)
    assert tombstones(house.keys, key_tombstone) == tombstones(house.data, tombstone)
    assert len(tombstones(house.data, tombstone)) == 4
    assert len(house.entries("keys.destroyed")) == len(house.entries("erasure.started")) == 1
    assert len(restarted.open(other, "P02", "name")) == 1
    if held:
        (opened,) = restarted.open(subject, "P05", "diagnosis", "consult_chat")
        assert opened.values == {"diagnosis": "icd10:I10"}


@pytest.mark.parametrize("stop", range(STEPS))
def test_asking_again_after_a_crash_finishes_the_same_erasure(house, stop):
    """A repeated request goes on with what was begun instead of beginning anew."""
    subject = fill(house, held=True)
    run_until(house.eraser, subject, house.asking, stop)
    assert house.erase(subject).restricted_until is not None
    with house.data.read() as connection:
        assert connection.execute(select(erasure.c.state)).scalars().all() == ["restricted"]


def test_every_step_can_be_repeated(house):
    """A step that ran before the crash runs again without harm."""
    subject = fill(house, held=True)
    with house.data.write() as connection:
        erasure_id = house.eraser._begin(connection, subject, house.asking)
    work = house.eraser._work(house.eraser._row(erasure_id))
    for step in house.eraser._steps:
        step(work)
        step(work)
    assert len(house.entries("subject.restricted")) == 1
    (opened,) = house.open(subject, "P05", "diagnosis")
    assert opened.values == {"diagnosis": "icd10:I10"}


def test_between_keys_and_rows_nothing_opens_and_nothing_alarms(house):
    """A permit that is older than the erasure finds the rows, not the keys, and gets nothing for this subject."""
    subject, other = fill(house, held=False, number=1), fill(house, held=False, number=2)
    permit = house.permit([subject, other], "P02", "name")
    receipt = house.receipt(permit)
    run_until(house.eraser, subject, house.asking, STEPS - 1)
    assert rows(house.data, sealed_record, subject) > 0
    opened = house.cohort(permit, receipt, "name")
    assert opened.keys() == {other}
    assert len(opened[other]) == 1


class FailingSigner:
    """A signer that cannot be reached."""

    name = "audit.example/log"
    public_key = bytes(32)

    def sign(self, message: bytes) -> bytes:
        raise Unavailable("The signer cannot be reached")


def test_without_a_signer_the_last_step_rolls_back_and_can_be_repeated(house):
    """No certificate, no end: the subject stays ERASING until the signer is back."""
    subject = fill(house, held=False)
    broken = Eraser(house.data, house.keystore, house.log, FailingSigner(), house.clock, deployment="dep_test")
    with pytest.raises(Unavailable):
        broken.erase(subject, asking=house.asking, reason="asked")
    assert house.standing(subject) is Standing.ERASING
    assert rows(house.data, sealed_record, subject) > 0
    (outcome,) = house.eraser.resume()
    assert outcome.certificate is not None
    assert rows(house.data, sealed_record, subject) == 0


def test_a_restored_data_store_beside_todays_key_store_opens_nothing_erased(house):
    """Rows that come back from a backup have no key; the others of the backup open as before."""
    subject, other = fill(house, held=False, number=1), fill(house, held=False, number=2)
    house.data.dispose()
    backup = (house.folder / "data.db").read_bytes()
    signed = (house.folder / "signer.state").read_bytes() if (house.folder / "signer.state").exists() else None
    house.erase(subject)
    house.data.dispose()
    (house.folder / "data.db").write_bytes(backup)
    if signed is None:
        (house.folder / "signer.state").unlink(missing_ok=True)
    else:
        (house.folder / "signer.state").write_bytes(signed)
    assert house.open(subject, "P02", "name") == []
    assert len(house.open(other, "P02", "name")) == 1


def test_what_was_derived_is_forgotten_while_it_can_still_be_found(house):
    """The part above is told while pseudonyms and keys are there, under the caller of the erasure."""
    subject = fill(house, held=False)
    told = []

    def forget(whose, asking):
        told.append((whose, asking.actor, rows(house.keys, pseudonym, whose), house.standing(whose)))

    eraser = Eraser(
        house.data, house.keystore, house.log, house.signer, house.clock, deployment="dep_test", forget=forget
    )
    eraser.erase(subject, asking=house.asking, reason="asked")
    assert told == [(subject, "prn_test", 1, Standing.ERASING)]


def test_resealing_without_a_new_key_is_refused(house):
    """A held value is never left under the key that is about to be destroyed."""
    subject = fill(house, held=True)
    run_until(house.eraser, subject, house.asking, 3)
    with house.data.read() as connection:
        work = house.eraser._work(house.eraser._row(connection.execute(select(erasure.c.erasure_id)).scalar_one()))
    with pytest.raises(KeyUnavailable, match="no new key"):
        house.eraser._reseal(work)
    assert house.erase(subject).counts["held_rows"] == 1


@pytest.mark.parametrize("way", ["start-up", "end of epoch"])
def test_what_came_just_after_an_erasure_is_swept(any_house, way):
    """A link, pseudonym and key that an ingestion brought for an erased subject go at the next start or epoch."""
    subject, other = fill(any_house, held=False, number=1), fill(any_house, held=False, number=2)
    any_house.erase(subject)
    any_house.resolver.link([(subject, IdentityKeys("his", "p-1", id_number="id-1", sex="female"))], batch=None)
    any_house.pseudonyms.pseudonyms([subject], scope="view:profile")
    any_house.keystore.ensure_data_keys([(subject, Compartment.CLINICAL)], batch=None)
    if way == "start-up":
        assert any_house.restarted().eraser.resume() == []
    else:
        rotate_epoch(any_house.keystore, any_house.data, any_house.log, asking=any_house.asking)
    for table in (blind_index, identity_fact, pseudonym, data_key):
        assert rows(any_house.keys, table, subject) == 0
        assert rows(any_house.keys, table, other) > 0
