"""Records, receipts and FHIR on PostgreSQL: the same answers as on SQLite."""

import json

import pytest

from consent.receipts import verify_receipt
from consentry.interchange.releases import Release
from consentry.platform import open_platform
from consentry.receipt_keys import load_receipt_key
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.import_fhir import import_fhir
from consentry.workflows.interchange import export_fhir, issue_receipt, read_records


@pytest.fixture
def platform(tmp_path, copied_to, clock):
    """A deployment whose two stores are two PostgreSQL databases."""
    with open_platform(copied_to("postgresql", tmp_path / "home").settings, clock=clock) as opened:
        yield opened


def test_out_and_in_on_postgresql(platform, captured, tmp_path):
    """R05: what went out is taken over again; the rehearsal leaves nothing; records and receipts validate."""
    subject = captured.person("u-1", "P07")
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(export_fhir(platform, captured.caller, subject, Release.R5)), encoding="utf-8")
    before = platform.log.settle().size
    rehearsed = import_fhir(platform, captured.caller, file, source="app", dry_run=True)
    assert (rehearsed.refused, platform.log.settle().size) == ((), before)
    report = import_fhir(platform, captured.caller, file, source="app")
    assert (len(report.decisions), report.refused) == (1, ())
    assert import_fhir(platform, captured.caller, file, source="app").repeated == 1
    withdraw_purpose(platform, captured.caller, subject, "P07", recipient=None)
    (record,) = read_records(platform, captured.caller, subject)
    assert [event["act"] for event in record["events"]] == ["grant", "grant", "withdraw"]
    issued = issue_receipt(platform, captured.caller, report.decisions[0])
    claims = verify_receipt(issued.token, load_receipt_key(platform.settings.receipt_key_path).public_jwk).claims
    assert len(claims["consent_record"]["events"]) == 2
