"""Recipients: complete, versioned, ended with a certificate, and in chains that hang on processors."""

from datetime import date, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError

from consent.recipients import (
    RecipientIncomplete,
    end_recipient,
    get_recipient,
    joint_controllers,
    list_recipients,
)
from consent.tables import recipient as recipient_table
from kernel.catalogue import Label, TransferMechanism
from kernel.clock import format_instant
from kernel.errors import BadInput, Conflict, NotFound
from tests.consent.conftest import ASKING, RECIPIENTS, recipient_text


@pytest.fixture
def record(either_office):
    """Records a version of a recipient."""

    def recorded(code="press", **changes):
        with either_office.database.write() as connection:
            return either_office.recipient_in(connection, code, **changes)

    return recorded


@pytest.fixture
def end(either_office):
    """Ends the relation with a recipient."""

    def ended(code, certificate="All copies were destroyed."):
        with either_office.database.write() as connection:
            return end_recipient(connection, code, certificate=certificate, asking=ASKING, log=either_office.journal)

    return ended


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"name": Label("印刷", " ")}, "a name in both languages"),
        ({"contact": ""}, "contact"),
        ({"method": " "}, "method"),
        ({"contract": ""}, "contract"),
        ({"purposes": ()}, "purposes"),
        ({"country": "China"}, "a country of two capital letters"),
        ({"code": " press"}, "a code of 1 to 128 characters"),
        ({"kind": "friend"}, "a kind of the four"),
        ({"term_until": date(2026, 1, 1)}, "a term that ends after it begins"),
        ({"fields": frozenset()}, "fields that its purposes use"),
        ({"fields": frozenset({"id_photo"})}, "fields that its purposes use"),
        ({"mechanism": TransferMechanism("trust", "T-1", date(2027, 1, 1))}, "a kind of mechanism of the four"),
        ({"mechanism": TransferMechanism("exempt", " ", date(2027, 1, 1))}, "the mechanism's document"),
        ({"engaged_by": "lab"}, "the kind processor for one that is engaged"),
    ],
)
def test_recipient_that_lacks_what_the_law_asks_is_refused(office, changes, missing):
    """Name, contact, purpose, method and contract, with what bounds them (R08, R38)."""
    with office.database.write() as connection, pytest.raises(RecipientIncomplete, match=missing):
        office.recipient_in(connection, changes.pop("code", "press"), **changes)


def test_recipient_of_an_unknown_purpose_is_refused(record):
    """It receives for purposes of the catalogue."""
    with pytest.raises(BadInput, match="P99"):
        record(purposes=("P99",))


def test_recipient_is_kept_as_it_was_declared(record, either_office):
    """Everything comes back, with a hash and an entry (R08)."""
    told = {
        "kind": "processor",
        "country": "SG",
        "term_until": date(2027, 1, 1),
        "fields": frozenset({"sex"}),
        "mechanism": TransferMechanism("certification", "CE-1", date(2027, 6, 1)),
    }
    made = record(**told)
    assert made.text == recipient_text("press", **told)
    assert (made.is_overseas, made.is_ended, made.certificate, str(made)) == (True, False, None, "press/1")
    entry = either_office.entries()[-1]
    assert (entry["act"], entry["id"], entry["recipient"]) == ("recipient.recorded", made.entry_id, "press")
    told = {"recipient": "press/1", "hash": made.hash, "recorded_at": format_instant(made.recorded_at)}
    assert entry["refs"] == told | {"revision": "9"}
    with either_office.database.read() as connection:
        row = connection.execute(recipient_table.select().where(recipient_table.c.code == "press")).one()
    assert sha256(row.content).hexdigest() == made.hash


def test_same_recipient_again_changes_nothing(record, either_office):
    """No second version, and no entry."""
    record()
    before = len(either_office.entries())
    assert record().version == 1
    assert len(either_office.entries()) == before
    assert record(contact="new@example.org").version == 2


def test_relation_ends_with_a_certificate(end, either_office):
    """That the data were returned or destroyed is kept with the last version (R38)."""
    with pytest.raises(RecipientIncomplete, match="lacks the certificate"):
        end("lab", " ")
    ended = end("lab")
    assert (ended.version, ended.is_ended, ended.certificate) == (2, True, "All copies were destroyed.")
    assert either_office.entries()[-1]["counts"] == {"ended": 1}
    with pytest.raises(Conflict, match="ended already"):
        end("lab")
    with pytest.raises(NotFound, match="moon"):
        end("moon")


def test_ended_relation_needs_a_new_contract(record, end, clock):
    """The old contract does not come back by recording it again (R38)."""
    end("lab")
    with pytest.raises(Conflict, match="was ended after this contract began"):
        record("lab")
    clock.advance(timedelta(days=30))
    assert record("lab", contract="C-2", term_from=date(2026, 12, 1)).is_ended is False


def test_sub_processor_hangs_on_a_registered_processor(record):
    """Not on somebody unknown, not on a controller, not on itself (R38)."""
    for engaged_by in ("nobody", "lab", "press"):
        with pytest.raises(BadInput, match=f"engaged by {engaged_by}"):
            record(kind="processor", engaged_by=engaged_by)
    record(kind="processor")
    assert record("binder", kind="processor", engaged_by="press").text.engaged_by == "press"
    with pytest.raises(BadInput, match="no processor above it"):
        record(kind="processor", engaged_by="binder")


def test_joint_controllers_of_a_purpose_are_found(record, end, either_office):
    """What a person tells one of them, all of them are told, one that has left as well (R39)."""
    record("sister", kind="joint", purposes=("P11",))
    record("brother", kind="joint", purposes=("P12",))
    record("cousin", kind="joint", purposes=("P11",))
    record("press", kind="processor", purposes=("P11",))
    end("cousin")
    with either_office.database.read() as connection:
        assert [one.code for one in joint_controllers(list_recipients(connection), "P11")] == ["cousin", "sister"]


def test_recipients_are_listed_as_of_an_instant(record, end, either_office, clock):
    """The newest version of each; the past knows the version of then."""
    before = clock.now()
    clock.advance(timedelta(days=1))
    end("lab")
    record()
    with either_office.database.read() as connection:
        now = {one.code: one.is_ended for one in list_recipients(connection)}
        then = {one.code: one.is_ended for one in list_recipients(connection, as_of=before)}
        assert get_recipient(connection, "lab").is_ended is True
        with pytest.raises(NotFound, match="moon"):
            get_recipient(connection, "moon")
    assert now == dict.fromkeys(sorted(RECIPIENTS), False) | {"lab": True, "press": False}
    assert then == dict.fromkeys(RECIPIENTS, False)


def test_record_of_a_recipient_cannot_be_deleted(either_office):
    """Records of processors are kept (R38)."""
    with pytest.raises(DBAPIError, match="append-only"), either_office.database.write() as connection:
        connection.execute(delete(recipient_table))
