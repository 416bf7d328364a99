"""After a correction or a move of records nothing stays that was derived of other data (R25)."""

import pyarrow.compute as pc
import pytest
from sqlalchemy import text

from consentry.layout import VIEW_FILE
from consentry.principals import Principal, PrincipalKind
from consentry.rewriting import read_rows
from consentry.wake.runner import run_wake, run_wake_of
from consentry.workflows.build_view import build_view
from consentry.workflows.correct_record import Wrong, correct_record
from consentry.workflows.reconcile import reconcile
from consentry.workflows.represent import merge_subjects
from consentry.workflows.run_tags import run_tags
from consentry.workflows.split_subject import selection_of, split_subject
from kernel.errors import Conflict, Denied
from kernel.ids import PrincipalId, RecordId
from tests.consentry.conftest import SECOND

OFFICER = Principal(PrincipalId("prn_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
DOCTOR = Principal(PrincipalId("prn_doc"), "doc", PrincipalKind.PERSON, "clinician")


def record_of(shelf, subject) -> RecordId:
    """The id of the record that tells a subject's sex."""
    query = text("SELECT record_id FROM sealed_record WHERE subject_id = :who AND compartment = 'demographic'")
    with shelf.platform.data.read() as connection:
        return RecordId(connection.scalar(query, {"who": subject}))


def test_correction_takes_the_person_out_until_the_next_build_which_has_the_right_value(shelf):
    """Every build and run loses the rows of the wrong value; others stay; the decision stays as it is."""
    shelf.fill(3)
    wrong, stays = shelf.people[:2]
    before = shelf.rows_of(stays)
    asked = Wrong(wrong, record_of(shelf, wrong), {"sex": "male"}, "card seen")
    correct_record(shelf.platform, OFFICER, asked)
    run_wake_of(shelf.platform, wrong)
    assert (shelf.rows_of(wrong), shelf.tags_of(wrong)) == (0, 0)
    assert shelf.rows_of(stays) == before
    assert {item.closing.cause for item in shelf.items(wrong)} == {"revise"}
    build_view(shelf.platform, shelf.captured.caller, "event_rows")
    built = build_view(shelf.platform, shelf.captured.caller, "subject_profile")
    run_tags(shelf.platform, shelf.captured.caller)
    assert sorted(pc.unique(read_rows(built.folder / VIEW_FILE)["sex"]).to_pylist()) == ["female", "male"]
    assert shelf.tags_of(wrong) > 0


def test_correction_recalls_no_release_and_erases_nothing(shelf):
    """It closes nothing: exports and stored fields are not its business."""
    shelf.fill(1, builds=1)
    subject = shelf.people[0]
    correct_record(shelf.platform, OFFICER, Wrong(subject, record_of(shelf, subject), {"sex": "male"}, "card seen"))
    assert {item.handler for item in shelf.items(subject)} == {"views", "tags"}


def test_merge_clears_both_and_the_next_build_has_one_person(shelf):
    """The dropped one's rows and pseudonyms go; the kept one's are made of all records."""
    shelf.fill(3, builds=1)
    kept, dropped = shelf.people[:2]
    names = shelf.names(dropped)
    assert names
    merge_subjects(shelf.platform, OFFICER, kept=kept, dropped=dropped, reason="one person", accepted_by=SECOND)
    run_wake(shelf.platform, 100)
    assert shelf.rows_of(kept) == shelf.rows_of(dropped) == 0
    assert shelf.names(dropped) == set()
    built = build_view(shelf.platform, shelf.captured.caller, "subject_profile")
    assert built.people == 2
    assert shelf.platform.resolver.find("app", "u-1") == kept
    assert reconcile(shelf.platform, OFFICER).total == 0


def test_split_clears_the_former_and_asks_the_new_one(shelf):
    """What was derived was of two people; the new one is in no view before it has decided."""
    shelf.fill(2, builds=1)
    origin = shelf.people[0]
    selection = selection_of(sources=("app",), batches=(), records=(), source_ids=("app:u-0",))
    done = split_subject(
        shelf.platform, OFFICER, origin=origin, selection=selection, reason="two people", accepted_by=SECOND
    )
    run_wake(shelf.platform, 100)
    assert shelf.rows_of(origin) == 0
    assert shelf.platform.resolver.find("app", "u-0") == done.fresh
    built = build_view(shelf.platform, shelf.captured.caller, "subject_profile")
    assert built.people == 1
    assert built.left_out["NO_DECISION"] == 1
    assert reconcile(shelf.platform, OFFICER).total == 0


def test_who_may_not_say_who_is_who_neither_merges_nor_splits(shelf):
    """It is an officer's act; a source id that leads elsewhere is refused before anything happens."""
    shelf.fill(2, builds=1)
    one, two = shelf.people
    selection = selection_of(sources=("app",), batches=(), records=(), source_ids=())
    with pytest.raises(Denied):
        merge_subjects(shelf.platform, DOCTOR, kept=one, dropped=two, reason="x", accepted_by=SECOND)
    with pytest.raises(Denied):
        split_subject(shelf.platform, DOCTOR, origin=one, selection=selection, reason="x", accepted_by=SECOND)
    foreign = selection_of(sources=("app",), batches=(), records=(), source_ids=("app:u-1",))
    with pytest.raises(Conflict, match="is not known to"):
        split_subject(shelf.platform, OFFICER, origin=one, selection=foreign, reason="x", accepted_by=SECOND)
