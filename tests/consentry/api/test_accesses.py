"""Who saw me, and accountings, over HTTP: for the person, its guardian and officers."""

import pytest

from consentry.workflows.represent import end_guardianship


@pytest.fixture
def officer(call, captured):
    """A compliance officer with a token."""
    return call(captured.token("compliance_officer"))


def test_person_sees_who_looked_without_ids_of_staff(call, captured, login, officer):
    """The officer's reading is an access, told by role; the officer is told the id."""
    subject = captured.person("u-1", "P02")
    officer.get(f"/subjects/{subject}/accesses")
    mine = call(login.token("u-1")).get("/subjects/me/accesses", locale="en").json()
    assert mine["subject_id"] == subject
    told = [row for row in mine["accesses"] if row["who"] == "compliance officer"]
    assert [(row["kind"], row["actor"]) for row in told] == [("log_read", None)]
    theirs = officer.get(f"/subjects/{subject}/accesses", locale="en").json()["accesses"]
    assert all(row["actor"] for row in theirs)
    assert "usr_" not in str(mine)


def test_guardian_sees_a_childs_only_while_it_is_the_guardian(call, captured, login, platform, refused):
    """After the end of the guardianship nothing is told, and a stranger never."""
    captured.person("u-1")
    child = captured.person("u-8", birth_date="2016-05-20")
    guardian = {"kind": "guardian", "subject": captured.known("u-1")}
    captured.record(captured.act("guardian", captured.known("u-8"), actor=guardian))
    parent, path = call(login.token("u-1")), f"/subjects/{child}/accesses"
    assert parent.get(path).status_code == 200
    assert parent.get(f"/subjects/{child}/disclosures").status_code == 200
    captured.person("u-2")
    refused(call(login.token("u-2")).get(path), 403, "NotRepresented")
    with platform.data.read() as connection:
        relation = connection.exec_driver_sql("SELECT relation_id FROM guardian").scalar_one()
    end_guardianship(platform, captured.caller, relation)
    refused(parent.get(path), 403, "NotRepresented")


def test_agent_is_told_nothing(call, captured, login, refused):
    """An authority covers purposes, not the account of everything."""
    subject = captured.person("u-1")
    captured.person("u-2")
    actor = {"kind": "agent", "subject": captured.known("u-2")}
    until = "2027-01-01T00:00:00Z"
    captured.record(captured.act("agent", captured.known("u-1"), "P02", actor=actor, valid_until=until))
    refused(call(login.token("u-2")).get(f"/subjects/{subject}/accesses"), 403, "NotRepresented")


def test_accounting_says_whose_view_it_is(officer, captured):
    """PIPL by default; HIPAA counts from six years ago."""
    subject = captured.person("u-1", "P02")
    pipl = officer.get(f"/subjects/{subject}/disclosures").json()
    hipaa = officer.get(f"/subjects/{subject}/disclosures", view="hipaa").json()
    assert (pipl["view"], pipl["since"], hipaa["view"], hipaa["since"][:4]) == ("pipl", None, "hipaa", "2020")
    assert pipl["rows"]
    assert hipaa["rows"] == []


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("accesses", {"after": "-1"}),
        ("accesses", {"limit": "501"}),
        ("accesses", {"since": "yesterday"}),
        ("disclosures", {"view": "gdpr"}),
        ("disclosures", {"locale": "13912345678"}),
    ],
)
def test_wrong_question_is_refused_without_repeating_it(officer, captured, refused, path, asked):
    """The answer names the parameter."""
    document = refused(officer.get(f"/subjects/{captured.person()}/{path}", **asked), 422, "InvalidRequest")
    (value,) = asked.values()
    assert value not in document["detail"].replace("500", "")


def test_unknown_person_is_not_found(officer, refused):
    """For an officer, who may know."""
    refused(officer.get(f"/subjects/sub_{'a' * 24}/accesses"), 404, "NotFound")
