"""Erasure of a part: a compartment, a purpose of collection, fields; with its certificate and its end."""

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import insert, select

from audit.verifier.certificates import PREFIXES
from consent.standing import Standing
from kernel.errors import Conflict, NotFound
from kernel.ids import SubjectId, new_id
from vault.certificates import SIGNED_PREFIX
from vault.epoch_rotation import rotate_epoch
from vault.erasure import Eraser
from vault.erasures import get_erasure, list_erasures
from vault.finality import Because, Keeping, confirm_final, foresee
from vault.scopes import WHOLE, Scope, ScopeKind, Why, scope_of
from vault.tables import erasure, legal_hold, sealed_record

BEHAVIOUR = Scope(ScopeKind.COMPARTMENT, ("behaviour",))
CLINICAL = Scope(ScopeKind.COMPARTMENT, ("clinical",))


def fill(house, number: int = 1) -> SubjectId:
    """Identity, free and held clinical values, behaviour, collected for three purposes."""
    subject = house.subject()
    house.store(
        house.record(subject, number=number, name="张三", consult_chat="头疼", diagnosis="icd10:I10"),
        house.record(subject, "event", number=number, event_type="page_view", page="/a"),
    )
    return subject


def erase(house, subject, scope):
    return house.eraser.fields.erase_scope(subject, scope, asking=house.asking, reason="asked by the person")


def stored(house, subject) -> set[str]:
    found = house.open(subject, "P05", "name", "consult_chat", "diagnosis", "event_type", "page")
    return {code for record in found for code in record.values}


EVERYTHING = {"name", "consult_chat", "diagnosis", "event_type", "page"}


@pytest.mark.parametrize(
    ("scope", "gone", "held"),
    [
        (BEHAVIOUR, {"event_type", "page"}, 0),
        (CLINICAL, {"consult_chat"}, 1),
        (Scope(ScopeKind.PURPOSE, ("P08",)), {"event_type", "page"}, 0),
        (Scope(ScopeKind.PURPOSE, ("P02",)), {"name", "consult_chat"}, 1),
        (Scope(ScopeKind.FIELDS, ("name", "page")), {"name", "page"}, 0),
    ],
    ids=["compartment", "held compartment", "purpose", "held purpose", "fields"],
)
def test_the_part_goes_and_the_rest_is_read_as_before(house, scope, gone, held):
    """What a legal floor holds stays and is counted; other people keep theirs."""
    subject, other = fill(house, 1), fill(house, 2)
    done = erase(house, subject, scope)
    assert (done.fields, done.counts["held_values"]) == (gone, held)
    assert stored(house, subject) == EVERYTHING - gone
    assert stored(house, other) == EVERYTHING
    assert house.standing(subject) is Standing.ACTIVE
    assert len(house.entries("fields.erased")) == 1
    assert house.entries("fields.erasing")[0]["refs"]["scope"] == scope.kind


def test_the_part_goes_on_both_engines(any_house):
    """A compartment, with its keys."""
    subject = fill(any_house)
    assert erase(any_house, subject, CLINICAL).counts == {"values": 1, "rows": 1, "keys": 1, "held_values": 1}
    assert stored(any_house, subject) == EVERYTHING - {"consult_chat"}


def test_the_certificate_of_a_part_says_what_why_and_until_when(house):
    """Signed, with scope, codes and counts; no value, no subject and no word of the reason."""
    subject = fill(house)
    certificate = erase(house, subject, CLINICAL).certificate
    assert PREFIXES["erasure"] == SIGNED_PREFIX
    public_key = Ed25519PublicKey.from_public_bytes(house.signer.public_key)
    public_key.verify(certificate.signature, SIGNED_PREFIX + certificate.content)
    said = json.loads(certificate.content)
    assert said["scope"] == {"kind": "compartment", "names": ["clinical"]}
    assert (said["fields"], said["why"]) == (["consult_chat"], "request")
    assert said["held"]["count"] == 1
    assert said["tables"] == {"data_key": 1, "sealed_record": 1, "attachment": 0}
    assert len(said["keys"]) == 1
    assert json.loads(certificate.as_file())["certificate"].encode() == certificate.content
    for secret in (subject, "asked by the person", "头疼"):
        assert secret.encode() not in certificate.content


def test_nothing_of_the_part_is_no_erasure(house):
    """Nothing is written down where nothing is stored of it; where all of it is held, the request waits under an id."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    assert erase(house, subject, BEHAVIOUR).erasure_id is None
    held = erase(house, subject, CLINICAL)
    assert held.erasure_id is not None
    assert not any(held.counts[what] for what in ("values", "rows", "keys"))
    assert held.held_until == house.clock.now() + timedelta(days=15 * 365)


def test_whom_no_part_is_erased_of(house):
    """Unknown subjects, and those that are restricted: a restriction keeps what it finds."""
    with pytest.raises(NotFound):
        erase(house, SubjectId(new_id("sub")), BEHAVIOUR)
    subject = fill(house)
    house.erase(subject)
    assert house.standing(subject) is Standing.RESTRICTED
    house.clock.advance(timedelta(days=16 * 365))
    with pytest.raises(Conflict, match="single fields"):
        erase(house, subject, Scope(ScopeKind.FIELDS, ("diagnosis",)))


def test_what_was_derived_is_forgotten_before_the_keys_go(house):
    """The parts above are told while pseudonyms can still be told."""
    subject, told = fill(house), []
    eraser = Eraser(
        house.data, house.keystore, house.log, house.signer, house.clock, deployment="dep_test",
        forget_part=lambda whose, asking: told.append((whose, asking.actor)),
    )  # fmt: skip
    eraser.fields.erase_scope(subject, BEHAVIOUR, asking=house.asking, reason="asked")
    assert told == [(subject, "prn_test")]


def test_an_officers_hold_keeps_what_it_covers(house):
    """The compartment or field that it names; a whole erasure leaves the subject restricted until it ends."""
    subject = fill(house)
    hold(house, subject, compartment="behaviour", field="page")
    done = erase(house, subject, BEHAVIOUR)
    assert (done.fields, done.counts["held_values"]) == ({"event_type"}, 1)
    outcome = house.erase(subject)
    assert house.standing(subject) is Standing.RESTRICTED
    assert not outcome.is_complete
    assert {"page", "diagnosis"} <= stored(house, subject)
    assert "name" not in stored(house, subject)


def hold(house, subject, *, compartment=None, field=None) -> None:
    with house.data.write() as connection:
        connection.execute(
            insert(legal_hold).values(
                hold_id=new_id("hld"),
                subject_id=subject,
                compartment=compartment,
                field=field,
                reference="c-1",
                set_by="prn_o",
                set_at=house.clock.now(),
                entry_id="ent_x",
            )
        )


def test_an_erasure_is_final_at_the_end_of_its_epoch(any_house):
    """Not before; then an entry says so, once."""
    house = any_house
    subject = house.subject()
    house.store(house.record(subject, name="张三"))
    house.erase(subject)
    assert confirm(house) == []
    with house.data.read() as connection:
        (view,) = list_erasures(connection, subject=subject)
        assert (view.scope, view.why, view.final_entry) == (WHOLE, Why.REQUEST, None)
        assert view.final_at == house.clock.now() + timedelta(days=1)
    rotate_epoch(house.keystore, house.data, house.log, asking=house.asking)
    assert confirm(house) == [view.erasure_id]
    assert confirm(house) == []
    (entry,) = house.entries("erasure.final")
    with house.data.read() as connection:
        assert get_erasure(connection, view.erasure_id).final_entry == entry["id"]
        with pytest.raises(NotFound):
            get_erasure(connection, "era_none")


def test_archives_delay_the_end(house):
    """Where the database keeps archives, an erasure is final only after their time."""
    keeping = Keeping(timedelta(days=1), archives=timedelta(days=7))
    now = house.clock.now()
    final = foresee(house.keys, keeping, now=now)
    assert (final.at, final.because) == (now + timedelta(days=8), Because.KEY_EPOCH_AND_ARCHIVES)
    subject = fill(house)
    erase(house, subject, BEHAVIOUR)
    rotate_epoch(house.keystore, house.data, house.log, asking=house.asking)
    assert confirm(house, keeping) == []
    house.clock.advance(timedelta(days=7))
    assert len(confirm(house, keeping)) == 1


def test_an_epoch_that_is_overdue_is_given_one_more_life(house):
    """The certificate promises nothing that has passed already."""
    house.clock.advance(timedelta(days=3))
    now = house.clock.now()
    assert foresee(house.keys, Keeping(timedelta(days=1)), now=now).at == now + timedelta(days=1)


def confirm(house, keeping: Keeping | None = None) -> list[str]:
    return confirm_final(
        house.data, house.keystore, house.log, asking=house.asking, keeping=keeping or Keeping(), clock=house.clock
    )


def test_erasures_of_older_versions_have_their_scope_as_well(house):
    """By their fields, or the whole subject where they name none."""
    assert scope_of(None, None) == WHOLE
    assert scope_of(None, '["a","b"]') == Scope(ScopeKind.FIELDS, ("a", "b"))
    assert scope_of(CLINICAL.as_text(), None) == CLINICAL
    subject = fill(house)
    done = erase(house, subject, BEHAVIOUR)
    with house.data.write() as connection:
        connection.execute(erasure.update().values(scope=None, why=None, final_at=None, epoch_id=None))
    with house.data.read() as connection:
        view = get_erasure(connection, done.erasure_id)
        assert list_erasures(connection, after=done.erasure_id) == []
        assert connection.scalar(select(sealed_record.c.row_no).limit(1)) is not None
    assert (view.why, view.scope.kind, view.fields) == (None, ScopeKind.FIELDS, ("event_type", "page"))
