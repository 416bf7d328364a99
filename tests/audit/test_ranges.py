"""Ranges of entries: read window by window, hashed again, placed in their tree."""

from datetime import timedelta

import pytest

from audit.ranges import WINDOW, EntryRange, count_entries, read_entries
from audit.verifier import leaf_hash
from kernel.errors import IntegrityFailed

REPLACED = (
    "UPDATE audit_leaf SET (body, leaf_hash) = (SELECT body, leaf_hash FROM audit_leaf WHERE leaf_index = 2) "
    "WHERE leaf_index = 1"
)
OF_TABLE = "SELECT leaf_index, leaf_hash FROM audit_leaf ORDER BY leaf_index"


def read(desk, signed, **wanted):
    asked = EntryRange(**({"first": 0, "end": signed.size} | wanted))
    found = [entry for window in read_entries(desk.database, asked, signed) for entry in window]
    assert count_entries(desk.database, asked) == len(found)
    return found


def test_whole_log_is_read_in_order_over_windows(any_desk):
    """Every entry once, on both engines, though no read transaction saw all of them."""
    any_desk.fill(2 * WINDOW + 3)
    signed = any_desk.log.settle()
    found = read(any_desk, signed)
    assert [(entry.index, entry.leaf_hash) for entry in found] == any_desk.rows(OF_TABLE)
    assert all(leaf_hash(entry.body) == entry.leaf_hash for entry in found)
    assert {entry.origin for entry in found} == {signed.origin}


@pytest.mark.parametrize(("first", "end"), [(0, 0), (3, 3), (0, 1), (2, 7), (WINDOW - 1, WINDOW + 1)])
def test_range_is_half_open(desk, first, end):
    """The last index is the first one that is not wanted."""
    desk.fill(WINDOW + 5)
    assert [e.index for e in read(desk, desk.log.settle(), first=first, end=end)] == list(range(first, end))


def test_acts_and_times_narrow_a_range(any_desk):
    """What does not fit is left out, and the count knows it."""
    any_desk.fill(3)
    moment = any_desk.clock.now() + timedelta(hours=1)
    any_desk.clock.advance(timedelta(hours=1))
    any_desk.fill(2)
    signed = any_desk.log.settle()
    assert [e.index for e in read(any_desk, signed, since=moment)] == [3, 4]
    assert [e.index for e in read(any_desk, signed, until=moment)] == [0, 1, 2]
    assert len(read(any_desk, signed, acts=("gate.permit", "vault.reveal"))) == 5
    assert read(any_desk, signed, acts=("vault.reveal",)) == []


def test_pruned_entries_are_left_out_and_the_tree_still_compared(desk):
    """An entry without bytes is neither read nor counted; its hash still has its place under the root."""
    desk.fill(6)
    signed = desk.log.settle()
    desk.unguarded(
        "INSERT INTO audit_prune (below, entry_id, at) VALUES (4, 'ent_x', 0)",
        "UPDATE audit_leaf SET body = x'' WHERE leaf_index IN (0, 2, 3)",
    )
    assert [entry.index for entry in read(desk, signed)] == [1, 4, 5]
    assert [entry.index for entry in read(desk, signed, acts=("gate.permit",))] == [1, 4, 5]
    desk.unguarded("UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE leaf_index = 2")
    with pytest.raises(IntegrityFailed, match="not those that were signed"):
        read(desk, signed)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_leaf SET body = replace(body, 'P06', 'P07') WHERE leaf_index = 1",
        "UPDATE audit_leaf SET body = x'' WHERE leaf_index = 1",
        "DELETE FROM audit_leaf WHERE leaf_index = 1",
        REPLACED,
    ],
    ids=["changed", "emptied", "deleted", "replaced"],
)
def test_changed_entry_is_not_handed_out_as_signed(desk, change):
    """Bytes are hashed again, gaps are seen, and the root of the whole is compared."""
    desk.fill(4)
    signed = desk.log.settle()
    desk.unguarded(change)
    with pytest.raises(IntegrityFailed, match="not those that were signed"):
        read(desk, signed)


def test_entries_of_a_later_origin_have_their_place_in_its_tree(desk):
    """After a recovery the index in the tree starts again, under the new name."""
    desk.fill(3)
    signed = desk.log.settle()
    desk.log.settle()
    note = f"{signed.origin}\n2\n"
    desk.unguarded(
        "INSERT INTO audit_origin (origin_no, name, base, entry_id, at) VALUES (2, 'audit.example/later', 2, 'e', 0)",
        f"INSERT INTO audit_checkpoint (origin_no, size, root, note) VALUES (1, 2, x'', '{note}')",
    )
    found = read(desk, signed, end=3)
    assert [(e.index, e.tree_index, e.origin) for e in found] == [
        (0, 0, signed.origin),
        (1, 1, signed.origin),
        (2, 0, "audit.example/later"),
    ]
