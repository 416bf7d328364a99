"""Corrections by an officer: role, gate, what follows; histories and current values for staff; conflicts."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from audit.entries import decode_entry
from audit.events import Act
from audit.tables import leaf
from consent.ages import AgeClass
from consent.standing import Standing, get_standing, set_standing
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.admit import NotPermitted, begin_reading
from consentry.workflows.approvals import ApprovalNeeded
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.correct_record import Wrong, correct_record
from consentry.workflows.list_conflicts import list_conflicts
from consentry.workflows.read_versions import current_json, open_history, open_profile, version_json
from consentry.workflows.tend import end_basis
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import PrincipalId, RecordId, SubjectId
from vault.corrections import Correction

OFFICER = Principal(PrincipalId("prn_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
DOCTOR = Principal(PrincipalId("prn_doc"), "doc", PrincipalKind.PERSON, "clinician")
MACHINE = Principal(PrincipalId("prn_key"), "key", PrincipalKind.KEY, "administrator")


@pytest.fixture
def patient(captured) -> SubjectId:
    """Somebody whose profile the app has sent."""
    subject = captured.person("u-1", "P02", "P07", birth_date="1980-05-20")
    captured.store([captured.posted(kind="profile", birth_date="1980-05-20", sex="female", district="110105")])
    return subject


def history(platform, subject: SubjectId, *fields: str, caller: Principal = DOCTOR) -> list[dict[str, Any]]:
    reading = begin_reading(platform, caller, subject=subject, purpose="P02", fields=fields, reason="consultation")
    return [version_json(version) for version in open_history(platform, reading).versions]


def profile(platform, subject: SubjectId, *fields: str) -> dict[str, dict[str, Any]]:
    reading = begin_reading(platform, DOCTOR, subject=subject, purpose="P02", fields=fields, reason="consultation")
    return {code: current_json(value) for code, value in open_profile(platform, reading).values.items()}


def wrong(platform, subject: SubjectId, reason: str = "card seen", **values: Any) -> Wrong:
    """A correction of the newest record that holds the first of these fields."""
    known = next((code for code in values if code in platform.catalogue.fields), "sex")
    versions = history(platform, subject, known) or history(platform, subject, "sex")
    return Wrong(subject, RecordId(versions[-1]["record"]), values, reason)


def entries(platform, act: Act) -> list[Any]:
    """The log's entries of one act, in order."""
    platform.log.settle()
    with platform.data.read() as connection:
        bodies = connection.scalars(select(leaf.c.body).where(leaf.c.act == act).order_by(leaf.c.leaf_index)).all()
    return [decode_entry(body) for body in bodies]


def test_corrected_value_is_cleaned_stored_and_told(platform, patient):
    """The officer's value goes through the cleaning of sources; the history shows both, and who corrected why."""
    made = correct_record(platform, OFFICER, wrong(platform, patient, birth_date="1980年5月21日"))
    first, second = history(platform, patient, "birth_date")
    assert (first["value"], first["stands"]) == ("1980-05-20", False)
    assert (second["value"], second["stands"], second["record"]) == ("1980-05-21", True, made.records["birth_date"])
    assert second["stored_by"] == OFFICER.principal_id
    assert second["correction"]["reason"] == "card seen"
    assert profile(platform, patient, "birth_date", "sex")["birth_date"]["corrected"]


@pytest.mark.parametrize("caller", [DOCTOR, MACHINE], ids=["a role that reveals", "a machine"])
def test_who_may_reveal_may_not_correct_for_that(platform, patient, caller):
    """Correcting is an act of its own, and a person's."""
    asked = wrong(platform, patient, sex="male")
    with pytest.raises(Denied):
        correct_record(platform, caller, asked)
    assert len(history(platform, patient, "sex")) == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"district": "999999"}, "value of district cannot be stored: unknown_place"),
        ({"sex": ""}, "value of sex cannot be stored: missing"),
        ({"sex": ["female", "male"]}, "value of sex cannot be stored"),
        ({"shoe_size": "41"}, "'shoe_size' is not in the catalogue"),
        ({}, "needs a value"),
    ],
    ids=["no such place", "blank", "two values", "unclassified field", "nothing"],
)
def test_value_that_no_source_could_send_is_refused(platform, patient, values, said):
    """A field outside the catalogue, or a value that its type cannot have, is not stored by this way either (R54)."""
    with pytest.raises(BadInput, match=said) as refused:
        correct_record(platform, OFFICER, wrong(platform, patient, **values))
    assert refused.value.hint


def test_file_is_no_value_of_a_correction(platform, patient):
    """Whoever wants another file sends it."""
    asked = wrong(platform, patient, sex="male")
    with pytest.raises(BadInput, match="'images' holds files"):
        correct_record(platform, OFFICER, Wrong(patient, asked.record, {"images": "chest.png"}, "x"))


@pytest.mark.parametrize(
    ("state", "hint"), [(Standing.RESTRICTED, "Lift the restriction"), (Standing.ERASING, "left of an erasure")]
)
def test_correction_of_who_is_not_active_says_what_to_do(platform, patient, state, hint):
    """The gate refuses as well; the vault's own word comes where the state changes after its permit."""
    asked = wrong(platform, patient, sex="male")
    correction = Correction(patient, asked.record, {"sex": "male"}, "x")
    with platform.data.write() as connection:
        set_standing(connection, patient, state, now=platform.clock.now())
    with platform.data.write() as connection, pytest.raises(Denied) as refused:
        platform.corrector.correct(connection, correction, permits={}, asking=platform.asking(OFFICER))
    assert hint in refused.value.hint


def test_correction_needs_a_reason_and_a_record_of_the_subject(platform, captured, patient):
    """Blank words are none; another's record is not found."""
    with pytest.raises(BadInput, match="reason"):
        correct_record(platform, OFFICER, wrong(platform, patient, " ", sex="male"))
    other = captured.person("u-2", "P02")
    asked = wrong(platform, patient, sex="male")
    with pytest.raises(NotFound):
        correct_record(platform, OFFICER, Wrong(other, asked.record, asked.values, "x"))


def test_field_whose_purpose_stands_no_more_is_not_corrected(platform, captured, patient):
    """What the gate would refuse from a source it refuses from an officer, with its entry."""
    asked = wrong(platform, patient, sex="male")
    end_basis(platform, captured.caller, patient, "P02")
    withdraw_purpose(platform, captured.caller, patient, "P02", recipient=None)
    with pytest.raises(NotPermitted, match="The gate refuses sex: "):
        correct_record(platform, OFFICER, asked)
    assert len(entries(platform, Act.REFUSAL)) == 1
    assert entries(platform, Act.RECORD_CORRECTED) == []


def test_corrected_birth_date_keeps_a_minor_for_longer_and_never_for_shorter(platform, patient):
    """The stricter age counts, whichever date was wrong (R21, R22)."""
    correct_record(platform, OFFICER, wrong(platform, patient, birth_date="2015-05-20"))
    with platform.data.read() as connection:
        assert get_standing(connection, patient).age_class is AgeClass.UNDER_14
    with pytest.raises(ApprovalNeeded):
        history(platform, patient, "birth_date")


def test_corrected_value_of_an_indexed_field_can_be_searched(platform, patient):
    """Whoever looks for the right value finds the person, and by the wrong one nobody."""
    for number in ("mz-1", "mz-2"):
        correct_record(platform, OFFICER, wrong(platform, patient, record_number=number, district="310115"))
    assert patient in platform.resolver.find_by_field("district", "310115", limit=10)
    assert patient in platform.resolver.find_by_field("record_number", "mz-2", limit=10)
    assert platform.resolver.find_by_field("record_number", "mz-1", limit=10) == []


def test_id_number_of_another_subject_is_refused(platform, captured, patient):
    """Two subjects with one number are for a merge; a free one finds the person from then on."""
    number = "110101199003078523"
    captured.person("u-2", "P02", birth_date="1990-03-07")
    captured.store(
        [captured.posted("u-2", kind="profile", number="r-9", sex="female") | {"identity": {"id_number": number}}]
    )
    asked = wrong(platform, patient, sex="female")
    with pytest.raises(Conflict, match="is that of subject"):
        correct_record(platform, OFFICER, Wrong(patient, asked.record, {"id_number": number}, "x"))
    (told,) = entries(platform, Act.SUBJECT_LOOKED_UP)
    assert (told["fields"], told["counts"], told["actor"]) == (["id_number"], {"found": 1}, OFFICER.principal_id)
    assert number not in str(told)
    free = "110101198005203741"
    correct_record(platform, OFFICER, Wrong(patient, asked.record, {"id_number": free}, "x"))
    assert platform.resolver.find_by_id_number(free) == patient


def test_conflicts_are_listed_page_by_page_with_an_entry_and_without_values(platform, captured, patient):
    """An officer sees where to look: field, sources and records."""
    correct_record(platform, OFFICER, wrong(platform, patient, sex="male"))
    platform.clock.advance(timedelta(hours=2))
    later = captured.posted(kind="profile", sex="female") | {"observed_at": platform.clock.now().isoformat()}
    assert captured.store([later])["stored_records"] == 1, "a source that goes on stating the wrong sex is not doubted"
    page = list_conflicts(platform, OFFICER, subject=patient)
    assert [(one.field, one.why.value, one.sources) for one in page.found] == [
        ("sex", "correction_overtaken", ("app",))
    ]
    everybody = list_conflicts(platform, OFFICER)
    assert list(everybody.found) == list(page.found)
    assert everybody.after is None
    assert [entry["counts"]["conflicts"] for entry in entries(platform, Act.CONFLICTS_READ)] == [1, 1]
    with pytest.raises(Denied):
        list_conflicts(platform, DOCTOR)
    with pytest.raises(NotFound):
        list_conflicts(platform, OFFICER, subject=SubjectId("sub_" + "a" * 24))


def test_history_of_somebody_elses_role_is_denied_and_logged(platform, patient):
    """A history is a reveal: role, purpose and level count, and the entry says what was asked for."""
    with pytest.raises(Denied):
        history(platform, patient, "sex", caller=OFFICER)
    history(platform, patient, "sex")
    denied = entries(platform, Act.ACCESS_DENIED)[-1]
    revealed = entries(platform, Act.REVEAL)[-1]
    assert (denied["refs"].get("what"), revealed["refs"].get("what")) == ("history", "history")


def test_no_correction_repr_shows_its_values(platform, patient):
    """What is asked for redacts itself."""
    asked = Wrong(patient, RecordId("rec_" + "a" * 24), {"birth_date": "1980-05-21"}, "card of 1980")
    assert "1980" not in repr(asked)
    assert date(1980, 5, 20).isoformat() not in repr(history(platform, patient, "birth_date")[0]["record"])
