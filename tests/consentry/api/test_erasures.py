"""Erasures over HTTP: parts and wholes, what becomes of them, and wrong requests."""

import json

import pytest

OTHER = "era_" + "a" * 24


@pytest.fixture
def patient(captured):
    """Somebody with a number and a held value."""
    subject = captured.person("u-1")
    captured.store([captured.posted("u-1", "profile", mobile="13800138000", sex="female")])
    return subject


@pytest.fixture
def officer(call, captured):
    return call(captured.token("compliance_officer"))


def test_part_and_whole_are_erased_and_shown(patient, officer):
    """Each with its certificate and its end; what the law holds is told with its date."""
    said = officer.post(f"/subjects/{patient}/erasures", {"reason": "request 1", "fields": ["mobile"]})
    assert said.status_code == 201, said.text
    made = said.json()["erasure"]
    assert (made["state"], made["fields"], made["final"]) == ("erased", ["mobile"], False)
    assert json.loads(made["certificate"])["scope"] == {"kind": "fields", "names": ["mobile"]}
    whole = officer.post(f"/subjects/{patient}/erasures", {"reason": "request 2"}).json()
    assert whole["erasure"]["state"] == "restricted"
    assert whole["held_until"] == whole["erasure"]["held_until"]
    listed = officer.get(f"/subjects/{patient}/erasures").json()
    assert {one["erasure"] for one in listed["erasures"]} == {made["erasure"], whole["erasure"]["erasure"]}
    assert listed["next"] is None
    assert officer.get(f"/erasures/{made['erasure']}").json() == made


def test_a_part_that_is_held_has_an_erasure_that_waits(patient, officer):
    """Whoever asked is told its id, until when it waits, and that nothing was destroyed by it."""
    said = officer.post(f"/subjects/{patient}/erasures", {"reason": "x", "fields": ["sex"]}).json()
    made = said["erasure"]
    assert (made["state"], made["held_until"], made["certificate"]) == ("restricted", said["held_until"], None)
    assert officer.get(f"/erasures/{made['erasure']}").json() == made


def test_what_cannot_be_erased_is_said(patient, officer, *, refused):
    """Nothing of it stored, two parts at once, names that nothing has, no such subject or erasure."""
    path = f"/subjects/{patient}/erasures"
    assert officer.post(path, {"reason": "x", "compartment": "wellness"}).json() == {
        "erasure": None,
        "held_until": None,
    }
    for body in (
        {"compartment": "clinical", "purpose": "P02"},
        {"compartment": "horoscope"},
        {"purpose": "P99"},
        {"fields": ["horoscope"]},
    ):
        refused(officer.post(path, {"reason": "x", **body}), 422, "BadInput")
    refused(officer.post(f"/subjects/sub_{'a' * 24}/erasures", {"reason": "x", "fields": ["sex"]}), 404, "NotFound")
    refused(officer.get(f"/erasures/{OTHER}"), 404, "NotFound")
