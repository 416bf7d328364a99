"""One request becomes one access, told by its strongest entry."""

import pytest

from audit.accesses import KINDS, AccessKind, every_access, find_accesses
from audit.events import Act, Event, Outcome
from audit.queries import Sought
from kernel.ids import RequestId, SubjectId, new_id


def made(act, outcome=Outcome.ALLOWED, request="req_1", **members):
    return Event(act, outcome, "usr_a", "clinician", RequestId(request), **members)


@pytest.fixture
def accesses(desk, subject):
    """Record entries, and return the accesses to the subject."""

    def read(*events, **conditions):
        desk.record(*events)
        desk.log.settle()
        with desk.database.read() as connection:
            return find_accesses(connection, Sought(subject, **conditions)).accesses

    return read


def test_every_kind_has_its_words():
    """No access is told without a label."""
    assert set(KINDS) == set(AccessKind)


def test_permit_and_opening_are_one_access(accesses, subject):
    """The permit brings the basis, the opening the kind, and both are evidence."""
    (found,) = accesses(
        made(Act.PERMIT, purpose="P02", subject=subject, fields=("sex",), level=3, basis="dec_1"),
        made(Act.REVEAL, purpose="P02", subject=subject, fields=("sex",)),
    )
    assert (found.kind, found.allowed, found.basis, found.level) == (AccessKind.OPENED, True, "dec_1", 3)
    assert (found.index, found.evidence, found.fields) == (0, (0, 1), ("sex",))


def test_refused_fields_stand_apart_from_permitted_ones(accesses, subject):
    """One request can be allowed for some fields and denied for others."""
    allowed, denied = accesses(
        made(Act.PERMIT, purpose="P02", subject=subject, fields=("sex",)),
        made(Act.REFUSAL, Outcome.DENIED, purpose="P02", subject=subject, fields=("name",), reason="WITHDRAWN"),
    )
    assert (allowed.kind, allowed.fields) == (AccessKind.USED, ("sex",))
    assert (denied.kind, denied.fields, denied.reason) == (AccessKind.ATTEMPTED, ("name",), "WITHDRAWN")


def test_export_of_many_is_a_disclosure_of_each(accesses, subject):
    """The entry of the release names nobody; the permit of its request and recipient does."""
    others = tuple(SubjectId(new_id("sub")) for _ in range(2))
    (found,) = accesses(
        made(Act.PERMIT, purpose="P12", recipient="partner", cohort=(subject, *others), fields=("sex",)),
        made(Act.EXPORT_RELEASED, Outcome.DONE, purpose="P12", recipient="partner"),
        made(Act.EXPORT_RELEASED, Outcome.DONE, request="req_2", purpose="P12", recipient="partner"),
    )
    assert (found.kind, found.released, found.evidence) == (AccessKind.DISCLOSED, True, (0, 1))


def test_permit_for_a_recipient_is_a_disclosure_and_for_a_view_is_not(accesses, subject):
    """Whoever outside was permitted is told; a permit that ended in a data set of ours is a use."""
    given, used = accesses(
        made(Act.PERMIT, purpose="P11", recipient="insurer", subject=subject, fields=("diagnosis",)),
        made(Act.PERMIT, request="req_2", purpose="P07", cohort=(subject,), fields=("sex",)),
        made(Act.VIEW_READ, request="req_2", purpose="P07"),
    )
    assert (given.kind, given.recipient) == (AccessKind.DISCLOSED, "insurer")
    assert used.kind is AccessKind.VIEW_USED


def test_refused_export_reads_like_no_disclosure(accesses, subject):
    """Permitted towards a recipient and then not k-anonymous: nothing was given, and the words say so."""
    (found,) = accesses(
        made(Act.PERMIT, purpose="P12", recipient="partner", cohort=(subject,), fields=("sex",)),
        made(Act.EXPORT_REFUSED, Outcome.DENIED, purpose="P12", recipient="partner"),
    )
    assert (found.kind, found.released) == (AccessKind.WITHHELD, False)
    assert "nothing was given" in KINDS[found.kind].en


def test_storing_for_a_recipient_is_collection(accesses, subject):
    """A batch of ingestion asks per recipient and gives nobody anything yet."""
    (found,) = accesses(
        made(Act.PERMIT, purpose="P03", recipient="pharmacy", cohort=(subject,), fields=("dose",)),
        made(Act.BATCH_COMPLETED, Outcome.DONE),
    )
    assert found.kind is AccessKind.COLLECTED


def test_decisions_of_the_person_are_no_access(accesses, subject):
    """Granting is not looking."""
    assert accesses(made(Act.CONSENT_GRANTED, Outcome.DONE, purpose="P02", subject=subject)) == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_access_across_two_pages_is_told_once_and_whole(desk, subject, newest_first):
    """Where a page ends within a request, the access stands on the page of its first entry."""
    for number in range(3):
        desk.record(
            made(Act.PERMIT, request=f"req_{number}", purpose="P02", subject=subject, fields=("sex",)),
            made(Act.REVEAL, request=f"req_{number}", purpose="P02", subject=subject, fields=("sex",)),
        )
    desk.log.settle()
    found, place = [], None
    with desk.database.read() as connection:
        while True:
            side = {"before_index" if newest_first else "after_index": place}
            page = find_accesses(connection, Sought(subject, newest_first=newest_first, **side), limit=3)
            found += page.accesses
            if page.next_index is None:
                break
            place = page.next_index
    expected = [(0, 1), (2, 3), (4, 5)]
    assert [access.evidence for access in found] == (expected[::-1] if newest_first else expected)
    assert {access.kind for access in found} == {AccessKind.OPENED}


def test_every_access_reads_on_to_the_end(desk, subject, monkeypatch):
    """However many pages there are."""
    monkeypatch.setattr("audit.accesses.PAGE_MAX", 2)
    desk.record(*(made(Act.REVEAL, request=f"req_{number}", subject=subject) for number in range(5)))
    desk.log.settle()
    with desk.database.read() as connection:
        assert [access.index for access in every_access(connection, Sought(subject))] == [0, 1, 2, 3, 4]
