"""The store's answer to a commit is lost, before or after it happened: nothing opens on it, nothing stands twice."""

import os
import sqlite3

import pytest
from sqlalchemy import select

from audit.events import Act, Event, Outcome
from audit.tables import leaf
from consentry.platform import Platform
from kernel.errors import Unavailable
from kernel.ids import RequestId
from tests.crash.ward import Ward, access, check_started, in_child, ingestion, send_again


class Line:
    """Between the platform and its data store's driver; the answer to one commit is lost on it."""

    def __init__(self, platform: Platform, *, happens: bool) -> None:
        self.left = 0
        self._happens = happens
        self._dialect = platform.data.engine.dialect
        self._commit = self._dialect.do_commit
        self._dialect.do_commit = self._pass_on  # type: ignore[method-assign]

    def _pass_on(self, connection: object) -> None:
        """Commit; the last of those that were let through gets no answer, whether or not it happened."""
        self.left -= 1
        if self.left != 0:
            self._commit(connection)
            return
        if self._happens:
            self._commit(connection)
        raise sqlite3.OperationalError("the connection was lost during the commit")


@pytest.mark.parametrize("happens", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("work", [access, ingestion], ids=lambda work: work.__name__)
def test_lost_answer_to_each_commit_opens_nothing_on_it(ward, notes, work, happens):
    """At each commit in turn, readers' ends included: 503; the same process settles, and works again at once."""

    def child() -> None:
        with ward.opened() as platform:
            platform.log.settle()
            line = Line(platform, happens=happens)
            for number in range(1, 200):
                line.left = number
                try:
                    work(ward, platform, notes)
                except Unavailable as err:
                    notes.tell("refused", number, err.hint)
                if line.left > 0:
                    break
                platform.log.settle()
                send_again(platform, notes)
                work(ward, platform, notes)

    assert in_child(child) == os.EX_OK
    refused = notes.told("refused")
    assert len(refused) >= 2  # an access commits its entries, and ends the snapshot of proof and rows
    assert all(hint for _, *hint in refused)
    check_started(ward, notes)


@pytest.mark.parametrize("happens", [True, False], ids=["after", "before"])
def test_entry_whose_fate_is_unknown_is_not_written_again(ward: Ward, happens):
    """The caller of `write` gets 503; whether or not the entry stands, the log itself never tries a second time."""
    with ward.opened() as platform:
        platform.log.settle()
        line = Line(platform, happens=happens)
        line.left = 1
        assert not can_write(platform, "req_lost")
        assert can_write(platform, "req_next")
        with platform.data.read() as connection:
            asked = connection.scalars(select(leaf.c.request_id).where(leaf.c.act == Act.VIEW_READ.value)).all()
    assert sorted(asked) == (["req_lost", "req_next"] if happens else ["req_next"])


def can_write(platform: Platform, request: str) -> bool:
    """Try to write an entry; says whether it is known to stand."""
    try:
        platform.log.write(Event(Act.VIEW_READ, Outcome.DONE, "prn_1", "operator", RequestId(request)))
    except Unavailable:
        return False
    return True
