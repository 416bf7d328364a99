"""Records, receipts and FHIR out of a deployment."""

import pytest

from consent.receipts import verify_receipt
from consent.shapes import RECORD, check_shape
from consentry.interchange.choices import Choice, Names
from consentry.interchange.fhir_reading import ConsentReader
from consentry.interchange.purpose_codes import load_purpose_codes
from consentry.interchange.releases import Release
from consentry.packs import pack_folder
from consentry.principals import Principal, PrincipalKind
from consentry.receipt_keys import load_receipt_key
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.interchange import export_fhir, issue_receipt, read_records
from kernel.errors import BadInput, ConfigurationError, Denied, NotFound
from kernel.ids import DecisionId, PrincipalId, SubjectId, new_id

NOBODY = Principal(PrincipalId("prn_x"), "x", PrincipalKind.PERSON, "ingest")


def decided(platform, subject, act):
    with platform.data.read() as connection:
        return [made for made in platform.registry.history(connection, subject) if made.act == act]


def logged(platform, act):
    """Every settled entry of an act."""
    from audit.queries import find_entries

    platform.log.settle()
    with platform.data.read() as connection:
        return [view.members for view in find_entries(connection, act=act)]


def test_records_of_a_subject_validate_and_leave_an_entry(platform, captured):
    """R05: one record for each purpose that was agreed to, with the withdrawal in it; contracts make none."""
    subject = captured.person("u-1", "P07", "P09")
    withdraw_purpose(platform, captured.caller, subject, "P09", recipient=None)
    records = read_records(platform, captured.caller, subject)
    for record in records:
        check_shape(record, RECORD)
    told = {
        record["processing"]["purposes"][0]["purpose"]: [event["act"] for event in record["events"]]
        for record in records
    }
    assert told == {"P07": ["grant"], "P09": ["grant", "withdraw"]}
    assert logged(platform, "consent.read")[-1]["refs"]["what"] == "records"


def test_the_storage_place_is_what_the_operator_states(platform, captured):
    """R05: the pack's jurisdiction, unless the setting says more."""
    from dataclasses import replace

    subject = captured.person("u-1", "P07")
    stated = replace(platform, settings=platform.settings.model_copy(update={"storage_location": "CN, Beijing"}))
    places = [
        read_records(one, captured.caller, subject)[0]["processing"]["purposes"][0]["storage_locations"]
        for one in (platform, stated)
    ]
    assert places == [["CN"], ["CN, Beijing"]]


def test_a_receipt_verifies_offline_with_its_checkpoint(platform, captured):
    """R05: issued for one decision, entered in the log, under a checkpoint that holds both entries."""
    captured.person("u-1")
    decision = DecisionId(captured.grant("u-1", "P07"))
    issued = issue_receipt(platform, captured.caller, decision)
    found = verify_receipt(
        issued.token,
        load_receipt_key(platform.settings.receipt_key_path).public_jwk,
        log_key=platform.signer.verifier_key,
    )
    assert found.is_checkpoint_verified
    assert (found.receipt_id, found.claims["decision_id"]) == (issued.receipt_id, decision)
    entry = logged(platform, "receipt.issued")[-1]
    assert (entry["refs"]["receipt"], entry["id"]) == (issued.receipt_id, found.claims["log"]["issued_entry_id"])
    size = int(found.claims["log"]["checkpoint"].split("\n")[1])
    with platform.data.read() as connection:
        from audit.queries import get_entry

        held = [get_entry(connection, index).entry_id for index in range(size)]
    assert {found.claims["log"]["entry_id"], found.claims["log"]["issued_entry_id"]} <= set(held)


def test_a_receipt_of_the_grant_does_not_tell_of_the_withdrawal(platform, captured):
    """A receipt is for one decision: the record as it then stood; the withdrawal has a receipt of its own."""
    subject = captured.person("u-1")
    grant = DecisionId(captured.grant("u-1", "P07"))
    end = withdraw_purpose(platform, captured.caller, subject, "P07", recipient=None)
    key = load_receipt_key(platform.settings.receipt_key_path).public_jwk
    acts = [
        [event["act"] for event in verify_receipt(issued.token, key).claims["consent_record"]["events"]]
        for issued in (issue_receipt(platform, captured.caller, one) for one in (grant, end.decision_id))
    ]
    assert acts == [["grant"], ["grant", "withdraw"]]


def test_a_contract_has_no_receipt(platform, captured):
    """What rests on contract or law was not consented to."""
    subject = captured.person("u-1")
    with pytest.raises(BadInput, match="contract or law"):
        issue_receipt(platform, captured.caller, decided(platform, subject, "contract")[0].decision_id)


def test_an_end_of_nothing_has_no_receipt(platform, captured):
    """There is no notice that it could be recorded under."""
    subject = captured.person("u-1")
    end = withdraw_purpose(platform, captured.caller, subject, "P08", recipient=None)
    with pytest.raises(BadInput, match="never agreed"):
        issue_receipt(platform, captured.caller, end.decision_id)


def test_somebody_elses_decision_is_not_found(platform, captured):
    """A person's own call names the person; another's decision is not there for it."""
    captured.person("u-1")
    decision = DecisionId(captured.grant("u-1", "P07"))
    with pytest.raises(NotFound):
        issue_receipt(platform, captured.caller, decision, subject=SubjectId(new_id("sub")))


def test_without_the_key_nothing_is_issued_or_logged(platform, captured):
    """The message says how a deployment that is older than receipts gets its key."""
    captured.person("u-1")
    decision = DecisionId(captured.grant("u-1", "P07"))
    platform.settings.receipt_key_path.unlink()
    with pytest.raises(ConfigurationError, match="is missing"):
        issue_receipt(platform, captured.caller, decision)
    assert logged(platform, "receipt.issued") == []


def test_who_may_not_read_decisions_gets_none(platform, captured):
    """R47: default deny, for each way out."""
    subject = captured.person("u-1", "P07")
    for ask in (
        lambda: read_records(platform, NOBODY, subject),
        lambda: issue_receipt(platform, NOBODY, DecisionId(new_id("dec"))),
        lambda: export_fhir(platform, NOBODY, subject, Release.R4),
    ):
        with pytest.raises(Denied):
            ask()


def test_nobody_has_no_records(platform, captured):
    """An id that nobody is registered under."""
    with pytest.raises(NotFound):
        read_records(platform, captured.caller, SubjectId(new_id("sub")))
    with pytest.raises(NotFound):
        export_fhir(platform, captured.caller, SubjectId(new_id("sub")), Release.R5)


@pytest.mark.parametrize("release", list(Release))
def test_what_stands_goes_out_as_fhir(platform, captured, release):
    """R05: one Consent for each choice that stands, readable again; contracts are no consents and stay."""
    subject = captured.person("u-1", "P07", "P09")
    withdraw_purpose(platform, captured.caller, subject, "P09", recipient=None)
    bundle = export_fhir(platform, captured.caller, subject, release)
    reader = ConsentReader(
        Names(platform.settings.deployment, platform.catalogue),
        load_purpose_codes(pack_folder(platform.settings.pack)),
    )
    read = [reader.read(entry["resource"]) for entry in bundle["entry"]]
    assert all(isinstance(one, Choice) for one in read)
    assert {one.purposes[0]: one.act.value for one in read} == {"P07": "grant", "P09": "withdraw"}
    assert logged(platform, "consent.read")[-1]["refs"]["what"] == f"fhir_{release}"
