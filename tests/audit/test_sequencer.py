"""Appending what waits in the inbox to the tree."""

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from audit.sequencer import BATCH_SIZE, Sequencer, read_head
from audit.tables import inbox, leaf, subtree
from audit.verifier import CompactRange, leaf_hash
from kernel.errors import IntegrityFailed
from kernel.ids import EntryId


def advanced(desk):
    """Append one batch, and say of how many entries."""
    appended = desk.sequencer.advance()
    return 0 if appended is None else len(appended.hashes)


def order(desk):
    return [EntryId(row[0]) for row in desk.rows("SELECT entry_id FROM audit_leaf ORDER BY leaf_index")]


def test_entries_become_leaves_in_the_order_of_the_inbox(any_desk):
    """Every entry is appended once, gapless, with the hash of its bytes."""
    ids = any_desk.fill(7)
    assert advanced(any_desk) == 7
    assert order(any_desk) == ids
    with any_desk.database.read() as connection:
        leaves = connection.execute(select(leaf).order_by(leaf.c.leaf_index)).all()
        assert connection.scalar(select(func.count()).select_from(inbox)) == 0
    assert [row.leaf_index for row in leaves] == list(range(7))
    assert all(row.leaf_hash == leaf_hash(row.body) for row in leaves)
    assert advanced(any_desk) == 0


def test_head_is_the_root_over_all_leaves(any_desk):
    """Head and leaves always fit together, over several batches."""
    for count in (1, 2, 10):
        any_desk.fill(count)
        any_desk.sequencer.advance()
    tree = CompactRange()
    with any_desk.database.read() as connection:
        for hashed in connection.scalars(select(leaf.c.leaf_hash).order_by(leaf.c.leaf_index)):
            tree.append(hashed)
        assert read_head(connection).tree == tree


def test_long_inbox_is_taken_in_batches(desk):
    """A transaction stays short however much waits."""
    desk.fill(BATCH_SIZE + 3)
    assert [advanced(desk) for _ in range(3)] == [BATCH_SIZE, 3, 0]


def test_complete_subtrees_are_stored_once(desk):
    """Every 256 leaves leave one root for the proofs."""
    for _ in range(6):
        desk.fill(100)
        desk.sequencer.advance()
    with desk.database.read() as connection:
        hashes = list(connection.scalars(select(leaf.c.leaf_hash).order_by(leaf.c.leaf_index)))
        stored = connection.execute(select(subtree).order_by(subtree.c.position)).all()
    for position in range(2):
        part = CompactRange()
        for hashed in hashes[position * 256 : position * 256 + 256]:
            part.append(hashed)
        assert tuple(stored[position]) == (1, 1, position, part.root())
    assert len(stored) == 2


def test_look_up_columns_come_from_the_bytes(desk, subject):
    """The columns beside a leaf say what its bytes say."""
    desk.record(desk.permit(subject))
    desk.sequencer.advance()
    with desk.database.read() as connection:
        row = connection.execute(select(leaf)).one()
    members = json.loads(row.body)
    names = ("act", "outcome", "actor", "role", "purpose", "request_id")
    assert [getattr(row, name) for name in names] == [members[name] for name in names]
    assert (row.alias, row.entry_id) == (members["subject"], members["id"])


def test_further_writes_share_the_transaction(desk):
    """A failing further write leaves the inbox as it was."""
    desk.fill(2)

    def fail(connection):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        desk.sequencer.advance(also=fail)
    assert order(desk) == []
    assert advanced(desk) == 2


def test_leaf_missing_at_the_end_stops_the_sequencer(desk):
    """Nothing is appended to a tree that was cut."""
    desk.fill(3)
    desk.sequencer.advance()
    desk.unguarded("DELETE FROM audit_leaf WHERE leaf_index = 2")
    desk.fill(1)
    with pytest.raises(IntegrityFailed, match="counts 3"):
        desk.sequencer.advance()


def test_missing_head_over_leaves_stops_the_sequencer(desk):
    """A log never starts anew over an old one."""
    desk.fill(3)
    desk.sequencer.advance()
    desk.unguarded("DELETE FROM audit_head")
    desk.fill(1)
    with pytest.raises(IntegrityFailed):
        desk.sequencer.advance()


def test_damaged_head_stops_the_sequencer(desk):
    """Peaks must fit the size."""
    desk.fill(3)
    desk.sequencer.advance()
    desk.unguarded("UPDATE audit_head SET peaks = x'00'")
    desk.fill(1)
    with pytest.raises(IntegrityFailed, match="damaged"):
        desk.sequencer.advance()


def test_inbox_row_with_foreign_bytes_is_refused(desk, clock):
    """The id of a row is the id in its bytes."""
    with desk.database.write() as connection:
        connection.execute(insert(inbox), {"entry_id": "ent_other", "at": clock.now(), "body": b'{"id":"ent_mine"}'})
    with pytest.raises(IntegrityFailed, match="ent_other"):
        desk.sequencer.advance()


def test_entry_that_commits_late_is_not_skipped(open_desk, pg_url):
    """On PostgreSQL numbers become visible out of order; a cursor over them would lose the late one."""
    desk = open_desk(pg_url)
    with desk.database.write() as slow:
        late = desk.log.record(slow, desk.permit())
        (early,) = desk.fill(1)
        assert advanced(desk) == 1
    assert advanced(desk) == 1
    assert order(desk) == [early, late]


def test_inbox_order_decides_and_the_latest_time_stays(any_desk, clock):
    """Rows come by their number, and the head keeps the latest time, though a late entry is older."""
    rows = [
        {"seq": 9, "entry_id": "ent_last", "at": clock.now(), "body": b'{"id":"ent_last"}'},
        {"seq": 4, "entry_id": "ent_first", "at": clock.now() + timedelta(hours=1), "body": b'{"id":"ent_first"}'},
    ]
    fixed = b',"act":"a","actor":"a","outcome":"o","request_id":"q","role":"r"}'
    with any_desk.database.write() as connection:
        connection.execute(insert(inbox), [row | {"body": row["body"][:-1] + fixed} for row in rows])
    any_desk.sequencer.advance()
    assert order(any_desk) == ["ent_first", "ent_last"]
    with any_desk.database.read() as connection:
        assert read_head(connection).at == clock.now() + timedelta(hours=1)


def test_concurrent_sequencers_append_everything_once(any_desk):
    """Two sequencers and two writers at once: no entry is lost or doubled."""
    written: list[EntryId] = []
    failures: list[BaseException] = []

    def guarded(work):
        def run():
            try:
                for _ in range(10):
                    work()
            except BaseException as failure:
                failures.append(failure)
                raise

        return run

    jobs = [lambda: written.extend(any_desk.fill(3))] * 2 + [Sequencer(any_desk.database).advance] * 2
    threads = [threading.Thread(target=guarded(job)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    any_desk.log.settle()
    assert failures == []
    assert sorted(order(any_desk)) == sorted(written)
    assert len(written) == 60
