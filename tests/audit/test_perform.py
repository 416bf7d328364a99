"""Work that enters an access: in one round it is committed, appended, signed for and proven."""

import threading

import pytest
from sqlalchemy.event import listen, remove

from audit.log import Claim, LogUnavailable
from audit.receipts import Binding, ReceiptRefused
from audit.together import Draft
from kernel.errors import ConsentryError, Denied, Unavailable


@pytest.fixture
def binding(subject):
    """What a clinician asks to open."""
    return Binding("prn_clinician", "P06", frozenset([subject]), frozenset({"mobile", "name"}))


def asked(binding: Binding) -> dict:
    return {
        "actor": binding.actor, "purpose": binding.purpose, "subjects": binding.subjects, "fields": binding.fields,
    }  # fmt: skip


def entering(desk, subject, binding, then=lambda: None):
    """Work that records a permit and claims it."""

    def work(connection):
        entry_id = desk.log.record(connection, desk.permit(subject))
        then()
        return entry_id, Claim(entry_id, binding)

    return work


def at_once(works) -> list[object]:
    """What each returned or raised, all of them in threads of their own."""
    said: list[object] = [None] * len(works)

    def run(place: int) -> None:
        try:
            said[place] = works[place]()
        except (ConsentryError, ZeroDivisionError) as err:
            said[place] = err

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return said


def deny() -> None:
    raise Denied("no")


def broken() -> None:
    raise ZeroDivisionError


def test_each_gets_the_receipt_of_its_own_entry(any_desk, subject, binding):
    """Sixteen at once: places of their own under a signed head, and each receipt opens once."""
    said = at_once([lambda: any_desk.log.perform(entering(any_desk, subject, binding)) for _ in range(16)])
    assert sorted(receipt.index for _, receipt in said) == list(range(16))
    for entry_id, receipt in said:
        rows = any_desk.rows(f"SELECT leaf_index FROM audit_leaf WHERE entry_id = '{entry_id}'")
        assert (receipt.entry_id, [(receipt.index,)]) == (entry_id, rows)
        assert receipt.index < receipt.tree_size
        receipt.redeem(**asked(binding))
        with pytest.raises(ReceiptRefused):
            receipt.redeem(**asked(binding))


def test_one_commit_enters_and_appends(desk, subject, binding):
    """On SQLite a commit costs several flushes of the disk."""
    desk.log.settle()
    commits: list[object] = []
    listen(desk.database.engine, "commit", lambda connection: commits.append(writes(connection)))
    desk.log.perform(entering(desk, subject, binding))
    assert commits.count(True) == 1


def writes(connection) -> bool:
    return bool(connection.get_execution_options().get("consentry_write", True))


def test_refused_work_leaves_nothing_and_takes_nobody_along(any_desk, subject, binding):
    """A refusal is its caller's own; the others have their receipts."""
    works = [entering(any_desk, subject, binding, deny if number == 2 else lambda: None) for number in range(6)]
    said = at_once([lambda work=work: any_desk.log.perform(work) for work in works])
    assert [number for number, one in enumerate(said) if isinstance(one, Denied)] == [2]
    assert any_desk.log.settle().size == 5


def test_work_that_breaks_takes_nobody_along_and_enters_nobody_twice(any_desk, subject, binding):
    """An error that is no refusal undoes the transaction; the others run again, each with one entry and its receipt."""
    works = [entering(any_desk, subject, binding, broken if number == 2 else lambda: None) for number in range(6)]
    said = at_once([lambda work=work: any_desk.log.perform(work) for work in works])
    assert [number for number, one in enumerate(said) if isinstance(one, ZeroDivisionError)] == [2]
    assert sorted(one[1].index for number, one in enumerate(said) if number != 2) == list(range(5))
    assert any_desk.log.settle().size == 5


def test_commit_that_fails_mints_nothing(desk, subject, binding):
    """Nothing of the work stands, and what was appended with it is not signed for."""
    desk.fill(2)
    before = desk.log.settle()

    def fail(connection) -> None:
        if writes(connection):
            raise ZeroDivisionError

    listen(desk.database.engine, "commit", fail)
    with pytest.raises(ZeroDivisionError):
        desk.log.perform(entering(desk, subject, binding))
    remove(desk.database.engine, "commit", fail)
    assert desk.log.settle() == before
    assert desk.log.perform(entering(desk, subject, binding))[1].index == 2


def test_claim_that_its_entry_does_not_bear_out_mints_nothing(any_desk, subject, binding):
    """The stored bytes decide, for each claim of a round by itself."""
    wider = Binding(binding.actor, binding.purpose, binding.subjects, frozenset({"mobile", "diagnosis"}))
    works = [entering(any_desk, subject, claim) for claim in (binding, wider, binding)]
    said = at_once([lambda work=work: any_desk.log.perform(work) for work in works])
    assert [isinstance(one, LogUnavailable) for one in said] == [False, True, False]
    assert "fields differ" in said[1].message


def test_what_claims_nothing_gets_no_receipt(any_desk):
    """A refusal of the gate stands in the log, and opens nothing."""
    said, receipt = any_desk.log.perform(lambda connection: (any_desk.log.record(connection, any_desk.permit()), None))
    assert receipt is None
    assert said
    assert any_desk.log.settle().size == 1


def test_log_that_was_changed_keeps_the_try_and_mints_nothing(desk, subject, binding):
    """What cannot be appended stays in the inbox, so that the log tells of it once it is whole again."""
    desk.fill(3)
    desk.log.settle()
    desk.unguarded("DELETE FROM audit_leaf WHERE leaf_index = 2")
    with pytest.raises(LogUnavailable, match="not proven"):
        desk.log.perform(entering(desk, subject, binding))
    assert desk.rows("SELECT count(*) FROM audit_inbox") == [(1,)]


def test_signer_that_is_down_mints_nothing(any_desk, subject, binding):
    """No signature, no receipt; a refusal needs none."""
    any_desk.state_path.mkdir()
    with pytest.raises(LogUnavailable, match="state cannot be read"):
        any_desk.log.perform(entering(any_desk, subject, binding))
    assert any_desk.log.perform(lambda _: ("refused", None)) == ("refused", None)


class Together:
    """Enters permits for several at once; leaves those that ask for ``alone`` to their own work."""

    def __init__(self, desk, fails: str = "") -> None:
        self._desk = desk
        self._fails = fails
        self.rounds: list[int] = []

    def draft(self, connection, asked):
        self.rounds.append(len(asked))
        if self._fails == "draft":
            raise Denied("together")
        return [None if alone else self._drafted(subject, binding) for subject, binding, alone in asked]

    def _drafted(self, subject, binding):
        def finish(ids):
            return ("together", ids[0]), Claim(ids[0], binding)

        return Draft([self._desk.permit(subject)], finish)

    def gather(self, connection, asked, results):
        if self._fails == "gather":
            raise ValueError("unreadable")
        return len(results)


def jointly(desk, joint, subject, binding, *, alone=False):
    """A work that a round may take over."""
    work = entering(desk, subject, binding)
    return lambda: desk.log.perform_jointly(
        lambda connection: (("alone", (done := work(connection))[0]), done[1]),
        joint=joint,
        asked=(subject, binding, alone),
    )


def test_those_of_a_kind_are_entered_together(any_desk, subject, binding):
    """On both engines, with a receipt and an entry of its own each, and fewer rounds than members."""
    joint = Together(any_desk)
    said = at_once([jointly(any_desk, joint, subject, binding) for _ in range(16)])
    assert [one.result[0] for one in said] == ["together"] * 16
    assert sorted(one.receipt.index for one in said) == list(range(16))
    assert sum(joint.rounds) == 16
    assert len(joint.rounds) < 16
    for one in said:
        assert one.receipt.entry_id == one.result[1]
        assert one.gathered in joint.rounds
        one.receipt.redeem(**asked(binding))


def test_whoever_is_left_does_its_own_work(any_desk, subject, binding):
    """And is entered and proven all the same."""
    joint = Together(any_desk)
    said = at_once([jointly(any_desk, joint, subject, binding, alone=n % 3 == 0) for n in range(9)])
    assert [one.result[0] for one in said] == ["alone", "together", "together"] * 3
    assert len({one.receipt.index for one in said}) == 9
    assert any_desk.log.settle().size == 9


def test_where_it_cannot_be_done_together_each_does_its_own(any_desk, subject, binding):
    """An error of the common way is nobody's."""
    joint = Together(any_desk, fails="draft")
    said = at_once([jointly(any_desk, joint, subject, binding) for _ in range(5)])
    assert [one.result[0] for one in said] == ["alone"] * 5
    assert any_desk.log.settle().size == 5


def test_where_nothing_could_be_gathered_the_receipts_stand(any_desk, subject, binding):
    """Each reads for itself then."""
    joint = Together(any_desk, fails="gather")
    said = at_once([jointly(any_desk, joint, subject, binding) for _ in range(3)])
    assert [one.gathered for one in said] == [None] * 3
    for one in said:
        one.receipt.redeem(**asked(binding))


def test_a_commit_that_fails_mints_nothing_for_anybody(any_desk, subject, binding):
    """What a round has entered together falls together, and everybody is told."""
    any_desk.log.settle()
    joint = Together(any_desk)
    broken = []

    def fail(connection) -> None:
        if writes(connection) and not broken and joint.rounds:
            broken.append(connection)
            raise Unavailable("the disk is gone")

    listen(any_desk.database.engine, "commit", fail)
    (said,) = at_once([jointly(any_desk, joint, subject, binding)])
    assert isinstance(said, Unavailable)
    assert any_desk.log.settle().size == 0


def test_what_waits_in_the_inbox_comes_before_a_round(any_desk, subject, binding):
    """The order of the entries is the order of the commits."""
    with any_desk.database.write() as connection:
        before = any_desk.log.record(connection, any_desk.permit(subject))
    (one,) = at_once([jointly(any_desk, Together(any_desk), subject, binding)])
    assert (one.result[0], one.receipt.index) == ("together", 1)
    assert any_desk.rows("SELECT entry_id FROM audit_leaf WHERE leaf_index = 0") == [(before,)]


def test_a_round_waits_for_a_log_that_is_behind(any_desk, subject, binding, monkeypatch):
    """More waits than one batch takes: the round does not overtake it, and each enters by itself."""
    monkeypatch.setattr("audit.sequencer.BATCH_SIZE", 3)
    monkeypatch.setattr("audit.works.BATCH_SIZE", 3)
    monkeypatch.setattr("audit.writer.BATCH_SIZE", 3)
    any_desk.fill(4)
    (one,) = at_once([jointly(any_desk, Together(any_desk), subject, binding)])
    assert (one.result[0], one.receipt.index) == ("alone", 4)


def test_signer_that_is_down_mints_nothing_for_a_round(any_desk, subject, binding):
    """The entries stand and tell of the try; nothing may be opened."""
    any_desk.state_path.mkdir()
    said = at_once([jointly(any_desk, Together(any_desk), subject, binding) for _ in range(3)])
    assert [isinstance(one, LogUnavailable) for one in said] == [True] * 3
