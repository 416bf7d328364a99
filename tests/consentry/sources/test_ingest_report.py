"""What of a source's counts reaches the report of its ingestion."""

import json

from consentry.cli.ingesting import show
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.ingest_files import ingest_fhir
from kernel.ids import PrincipalId

CALLER = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1990"}


def test_what_no_field_holds_is_in_the_report_and_on_the_screen(platform, bundle, capsys):
    """A birth date without its day is left out, and counted for people and programs."""
    report = ingest_fhir(platform, CALLER, [bundle(PATIENT)], source="his")
    assert report.as_json()["left_out"] == {"partial:birth_date": 1}
    show(report, as_json=True)
    assert json.loads(capsys.readouterr().out)["left_out"] == {"partial:birth_date": 1}
    show(report, as_json=False)
    assert "partial:birth_date" in capsys.readouterr().out


def test_record_that_refers_to_nobody_is_listed_by_the_documented_reason(platform, bundle):
    """A diagnosis of a patient whom the source never sent."""
    named = bundle({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p9"}, "code": I10,
                    "recordedDate": "2026-01-03"}, name="c.json")  # fmt: skip
    lines = named.with_suffix(".ndjson")
    lines.write_text(json.dumps(json.loads(named.read_text(encoding="utf-8"))["entry"][0]["resource"]) + "\n", "utf-8")
    report = ingest_fhir(platform, CALLER, [lines], source="his")
    assert report.as_json()["bad_rows"] == {"unknown_person": 1}
    assert report.quarantine.read_text(encoding="utf-8").splitlines()[1] == "c.ndjson:1,unknown_person,"


I10 = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"}]}
