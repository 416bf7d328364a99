"""Somebody who owns the data store edits signed entries, and what lies around them; only he has no key."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import text

from consentry.workflows.watch_lists import protect, show_lists, unprotect
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from tests.attacks.conftest import forge
from tests.consentry.conftest import ADMIN, Captured

OFFICER = replace(ADMIN, role="compliance_officer")

AT = 300
"""The place that is attacked: in the second tile, below every checkpoint that was handed out."""


def edited(bodies):
    return [*bodies[:AT], forge(bodies[AT], actor="usr_somebody_else"), *bodies[AT + 1 :]]


def deleted(bodies):
    return bodies[:AT] + bodies[AT + 1 :]


def swapped(bodies):
    return [*bodies[:AT], bodies[AT + 1], bodies[AT], *bodies[AT + 2 :]]


def inserted(bodies):
    return [*bodies[:AT], forge(bodies[AT], id="ent_" + "z" * 24), *bodies[AT:-1]]


def exchanged(bodies):
    return [*bodies[:AT], forge(bodies[50], id=json.loads(bodies[AT])["id"]), *bodies[AT + 1 :]]


@pytest.mark.parametrize(
    ("change", "kind"),
    [(edited, "changed"), (deleted, "removed"), (swapped, "swapped"), (inserted, "inserted"), (exchanged, "changed")],
)
def test_attacked_entry_is_named_by_the_verifier(house, change, kind):
    """Edited, deleted and the rest renumbered, swapped, inserted, or its payload exchanged for another valid one."""
    house.put_bodies(change(house.bodies()))
    found = house.verified()
    assert (found["kind"], found["index"]) == (kind, AT)


@pytest.mark.parametrize(
    "foreign",
    [
        f"(SELECT body FROM audit_leaf WHERE leaf_index = {AT - 1})",
        "zeroblob(70000)",
        "body || x'00'",
        "CAST(body AS TEXT) || ' '",
        f"(SELECT CAST(group_concat(leaf_hash, '') AS BLOB) FROM audit_leaf WHERE leaf_index IN ({AT}, {AT + 1}))",
    ],
    ids=["duplicated", "oversized", "trailing-byte", "text-with-a-blank", "node-in-place-of-a-leaf"],
)
def test_foreign_bytes_are_named_by_the_verifier(house, foreign):
    """A copy of its neighbour, too much, one byte more, or the hashes of two leaves: not the entry that was signed."""
    house.strike(f"UPDATE audit_leaf SET body = {foreign} WHERE leaf_index = {AT}")
    found = house.verified()
    assert (found["kind"], found["index"]) == ("changed", AT)


def test_gap_is_named_by_the_verifier(house):
    """A row that is gone, nothing moved into its place."""
    house.strike(f"DELETE FROM audit_leaf WHERE leaf_index = {AT}")
    found = house.verified()
    assert (found["kind"], found["index"]) == ("removed", AT)


def test_edited_entry_closes_the_gate_at_the_next_comparison(house):
    """`audit reconcile` hashes the whole log; nobody has to export anything for that."""
    house.put_bodies(edited(house.bodies()))
    assert "entry: index leaf_hash" in house.reconciled()


@pytest.mark.parametrize("change", [edited, swapped])
def test_log_rebuilt_below_the_signature_does_not_start(house, change):
    """Leaf hashes, subtrees and peaks all fit the forged bytes; the tree that was signed is another."""
    house.put_bodies(change(house.bodies()))
    house.rebuild()
    assert house.start() == f"The log's past below {house.size} entries is not the one that was signed"


def test_log_rebuilt_below_the_signature_is_narrowed_by_the_verifier(house):
    """Every tile was altered too: the checkpoints on both sides still bound the place."""
    house.put_bodies(edited(house.bodies()))
    house.rebuild()
    found = house.verified()
    first, last = found["within"]
    assert (found["kind"], first <= AT <= last) == ("changed", True)


def test_log_rebuilt_with_a_deletion_does_not_start(house):
    """One entry less than was signed for."""
    house.put_bodies(deleted(house.bodies()))
    house.rebuild()
    assert house.start() == f"The log holds {house.size} entries, but {house.size + 1} were signed"


@pytest.mark.parametrize(
    ("statement", "path"),
    [
        (f"UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE leaf_index = {AT}", "tile/0/001"),
        ("UPDATE audit_subtree SET hash = zeroblob(32) WHERE position = 1", "tile/1/000.p/2"),
    ],
)
def test_altered_hash_over_whole_entries_is_named_by_the_verifier(house, statement, path):
    """Entries are whole; what proofs would be made of is not."""
    house.strike(statement)
    found = house.verified()
    assert (found["kind"], found["message"].split()[0]) == ("tile", path)


def test_altered_head_does_not_start(house):
    """The peaks are compared with the signer's."""
    house.strike("UPDATE audit_head SET peaks = zeroblob(length(peaks))")
    assert house.start() == f"The log's past below {house.size} entries is not the one that was signed"


@pytest.mark.parametrize("column", ["act", "actor", "request_id"])
def test_look_up_column_that_leads_elsewhere_is_found_by_the_comparison(house, column):
    """A column that hides an entry from a query says otherwise than the bytes."""
    house.strike(f"UPDATE audit_leaf SET {column} = 'elsewhere' WHERE leaf_index = {AT}")
    assert house.reconciled() == [f"entry: index {column}"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_cohort_member WHERE rowid = (SELECT min(rowid) FROM audit_cohort_member)",
        "UPDATE audit_cohort_member SET alias = 'als_' || substr(alias, 5, 23) || 'x'",
        "UPDATE audit_cohort SET salt = zeroblob(32)",
        "DELETE FROM audit_cohort",
    ],
)
def test_name_taken_out_of_a_cohort_is_found_by_the_comparison(house, statement):
    """Who was among the many stands beside the log, under a digest in the signed entry."""
    house.strike(statement)
    assert house.reconciled() == ["entry: index cohort"]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_alias SET subject_id = 'sub_aaaaaaaaaaaaaaaaaaaaaaaa' WHERE rowid = 1", "DELETE FROM audit_alias"],
)
def test_name_that_leads_to_another_person_is_found_by_their_decisions(house, statement):
    """In a year in which the person decided something, the decision's row and its entry no longer agree."""
    house.strike(statement)
    assert "decision: subject" in house.reconciled()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("INSERT INTO audit_alias SELECT alias || 'q', subject_id, 2031, mark FROM audit_alias LIMIT 1", "name: mark"),
        ("INSERT INTO audit_alias SELECT alias || 'q', subject_id, 2031, NULL FROM audit_alias LIMIT 1", "name: mark"),
        ("UPDATE audit_alias SET year = 2031 WHERE rowid = 1", "name: mark"),
        ("UPDATE audit_alias SET mark = 'text' WHERE rowid = 1", "name: mark"),
        ("UPDATE audit_alias SET subject_id = alias WHERE rowid = 1", "name: mark"),
        ("DELETE FROM audit_alias WHERE rowid = 1", "entry: name"),
        ("DELETE FROM audit_alias WHERE rowid = 1", "entry: cohort name"),
    ],
)
def test_name_that_was_moved_made_or_taken_away_is_found_by_its_mark(house, statement, found):
    """Also in a year without a decision: whose a name is stands under a key that the store's owner has not."""
    house.strike(statement)
    assert found in house.reconciled()


def test_details_that_were_deleted_close_the_gate(house):
    """The entry counts its sealed details; without them the lists of the officer are not read as if they were empty."""
    with house.opened() as platform:
        with platform.data.read() as connection:
            subject = SubjectId(connection.scalar(text("SELECT subject_id FROM subject_standing LIMIT 1")))
        protect(platform, OFFICER, subject, reason="a minister")
        assert show_lists(platform, OFFICER).protected == {subject}
    house.strike("DELETE FROM audit_detail")
    assert {"entry: details"} == {*house.reconciled()}
    with house.opened() as platform, pytest.raises(IntegrityFailed, match=r"details of entry ent_.* are gone"):
        show_lists(platform, OFFICER)


def test_details_of_another_entry_close_the_gate(house):
    """Sealed bytes that are not the ones that the entry counts are told, whether they open or not."""
    with house.opened() as platform:
        with platform.data.read() as connection:
            subject = SubjectId(connection.scalar(text("SELECT subject_id FROM subject_standing LIMIT 1")))
        protect(platform, OFFICER, subject, reason="a minister")
        unprotect(platform, OFFICER, subject, reason="no minister any more")
    house.strike("UPDATE audit_detail SET sealed = (SELECT max(sealed) FROM audit_detail)")
    assert "entry: details" in house.reconciled()


def test_inserted_entry_without_a_row_is_found_by_the_comparison(house):
    """Who owns the store can have a grant signed through the inbox; nobody's decision stands behind it."""
    grants = [body for body in house.bodies() if json.loads(body)["act"] == "consent.granted"]
    house.slip_in(forge(grants[0], id="ent_" + "f" * 24, refs={"decision": "dec_" + "f" * 24}))
    house.live_on()
    assert "entry: no decision dec_" + "f" * 24 in house.reconciled()


def test_inserted_entry_that_needs_no_row_stands_for_ever(house):
    """The limit: a look-up that nobody made is signed like any other; it cannot be taken back either."""
    house.slip_in(forge(house.bodies()[AT], id="ent_" + "f" * 24))
    house.live_on()
    assert (house.start(), house.verified(), b"ent_" + b"f" * 24 in b"".join(house.bodies())) == ("", {}, True)


def test_waiting_entry_that_was_changed_is_found_by_the_comparison(house):
    """Between commit and signature the bytes are the store's; the row that they tell of is compared with them."""
    with house.opened() as platform:
        people = Captured(platform, numbers=count(200))
        people.record(people.act("withdraw", people.known("u-2"), "P07"))
    with closing(sqlite3.connect(house.home / "data.db")) as connection, connection:
        (body,) = connection.execute("SELECT body FROM audit_inbox").fetchone()
        turned = body.replace(b"consent.withdrawn", b"consent.granted")
        connection.execute("UPDATE audit_inbox SET body = ?", (turned,))
    assert "decision: kind" in house.reconciled()
