"""Receipts open once, for what they were minted for, and cannot be had otherwise."""

import copy
import os
import pickle
import threading

import pytest

from audit.receipts import Binding, Receipt, ReceiptRefused
from kernel.ids import SubjectId, new_id


@pytest.fixture
def people():
    """Three subjects."""
    return [SubjectId(new_id("sub")) for _ in range(3)]


@pytest.fixture
def asked(people):
    """What the receipt is minted for."""
    return {"actor": "prn_clinician", "purpose": "P06", "subjects": people, "fields": ["mobile", "name"]}


@pytest.fixture
def receipt(desk, people, asked):
    """A receipt that was minted the one way there is."""
    (entry_id,) = desk.record(desk.permit(cohort=tuple(people)))
    return desk.log.receipt(entry_id, **asked)


def test_receipt_opens_once(receipt, asked):
    """The second use is refused."""
    receipt.redeem(**asked)
    with pytest.raises(ReceiptRefused, match="used before"):
        receipt.redeem(**asked)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("actor", "prn_other"),
        ("purpose", "P07"),
        ("subjects", [SubjectId("sub_" + "a" * 24)]),
        ("fields", ["mobile", "birth_date"]),
        ("fields", "mobile"),
    ],
)
def test_receipt_opens_nothing_else(receipt, asked, part, value):
    """Another actor, purpose, subject or field is refused by name, and the receipt stays good for its own use."""
    with pytest.raises(ReceiptRefused, match=part):
        receipt.redeem(**{**asked, part: value})
    receipt.redeem(**asked)


def test_more_subjects_than_bound_are_refused(receipt, asked, people):
    """All bound ones and one more is one too many."""
    with pytest.raises(ReceiptRefused, match="subjects"):
        receipt.redeem(**{**asked, "subjects": [*people, SubjectId(new_id("sub"))]})


def test_part_of_the_bound_may_be_opened(receipt, asked, people):
    """Less than was asked for is no harm, and uses the receipt up."""
    receipt.redeem(**{**asked, "subjects": people[:1], "fields": ["name"]})
    with pytest.raises(ReceiptRefused, match="used before"):
        receipt.redeem(**asked)


def test_receipt_cannot_be_built():
    """Only the log holds the mint."""
    binding = Binding("prn_1", "P06", frozenset(), frozenset())
    with pytest.raises(TypeError, match="AuditLog"):
        Receipt(object(), binding, entry_id="ent_1", index=0, tree_size=1)


def test_object_that_was_not_minted_opens_nothing(receipt, asked):
    """A shell with every slot copied is not the receipt."""
    forged = object.__new__(Receipt)
    for slot in ("_binding", "_entry_id", "_index", "_tree_size"):
        object.__setattr__(forged, slot, getattr(receipt, slot))
    with pytest.raises(ReceiptRefused):
        forged.redeem(**asked)
    receipt.redeem(**asked)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, pickle.dumps, lambda receipt: copy.copy([receipt])[0].__reduce_ex__(4)]
)
def test_receipt_cannot_be_duplicated(receipt, duplicate):
    """Neither copied nor pickled."""
    with pytest.raises(TypeError):
        duplicate(receipt)


def test_receipt_cannot_be_changed_or_varied(receipt):
    """No attribute is set or removed, no subclass made."""
    with pytest.raises(AttributeError):
        receipt._binding = None
    with pytest.raises(AttributeError):
        del receipt._binding
    with pytest.raises(AttributeError):
        receipt.extra = 1
    with pytest.raises(TypeError):
        type("Variant", (Receipt,), {})


def test_receipt_shows_no_subject(receipt, people):
    """The repr names the entry only."""
    assert repr(receipt) == f"<Receipt of entry {receipt.entry_id}>"
    assert not any(person in repr(receipt._binding) for person in people)


def test_one_of_many_threads_gets_through(receipt, asked):
    """Two at the same moment are one too many."""
    barrier, outcomes = threading.Barrier(16), []

    def redeem():
        barrier.wait()
        try:
            receipt.redeem(**asked)
            outcomes.append("opened")
        except ReceiptRefused:
            outcomes.append("refused")

    threads = [threading.Thread(target=redeem) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["opened"] + ["refused"] * 15


def test_forked_child_inherits_no_receipt(receipt, asked):
    """A fork would otherwise be a copy."""
    child = os.fork()
    if child == 0:
        try:
            receipt.redeem(**asked)
            os._exit(1)
        except ReceiptRefused:
            os._exit(0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    receipt.redeem(**asked)
