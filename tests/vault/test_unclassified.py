"""R54: a field that the catalogue does not classify is refused at the gate and by the vault, whatever else is right."""

from dataclasses import replace

import pytest

from consent.gate import Gate, Reason
from consent.permits import Permit, Refusal
from kernel.errors import BadInput, Denied
from kernel.ids import RecordId
from tests.vault.conftest import ASKING, DEPLOYMENT
from tests.vault.filing import with_files
from vault.corrections import Correction, Corrector
from vault.records import Vault
from vault.tables import sealed_record


def test_gate_refuses_a_field_outside_the_catalogue_by_name(house):
    """Unknown means no, under every basis; a permit for the others is not given for it as well."""
    subject = house.subject()
    with house.data.write() as connection:
        said = house.gate.check(
            connection, asking=ASKING, purpose="P02", subject=subject, fields=["diagnosis", "shoe_size"]
        )
        many = house.gate.check_many(connection, asking=ASKING, purpose="P02", subjects=[subject], fields=["shoe_size"])
    assert isinstance(said, Refusal)
    assert said.reasons == {"shoe_size": Reason.UNKNOWN_FIELD}
    assert many.permit is None


@pytest.mark.parametrize("codes", [["shoe_size"], ["diagnosis", "shoe_size"]], ids=["alone", "beside a known one"])
def test_vault_stores_no_field_outside_the_catalogue(any_house, codes):
    """Even under a permit for the rest nothing of the chunk is stored, the classified fields neither."""
    subject = any_house.subject()
    batch = any_house.open_batch()
    known = any_house.record(subject, diagnosis="icd10:I10")
    any_house.make_keys(known, batch=batch)
    record = any_house.record(subject, **dict.fromkeys(codes, "icd10:I10"))
    with any_house.data.write() as connection:
        permits = any_house.permits(connection, [known])
        with pytest.raises(BadInput, match="'shoe_size' is not in the catalogue"):
            any_house.vault.store(connection, [record], permits=permits, batch=batch)
    with any_house.data.read() as connection:
        assert connection.execute(sealed_record.select()).all() == []


def test_field_of_files_takes_no_plain_value(house):
    """Under whatever permit: what opens files would find no file there, neither stored at once nor as a correction."""
    catalogue = with_files(house.catalogue)
    deployed = replace(house, catalogue=catalogue, gate=Gate(catalogue, house.log, house.clock))
    vault = Vault(house.data, house.keystore, catalogue, house.log, house.clock, DEPLOYMENT)
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    file = house.record(subject, number=2, images="a.png")
    wrong = Correction(subject, RecordId("rec"), file.values, "wrong file")
    batch = house.open_batch()
    parts = (catalogue, house.log, house.clock, house.batches)
    with house.data.write() as connection:
        permits = deployed.permits(connection, [file])
        assert permits["P02"].allows(subject, "images")
        with pytest.raises(BadInput, match="'images' holds files"):
            vault.store(connection, [file], permits=permits, batch=batch)
        with pytest.raises(BadInput, match="'images' holds files"):
            Corrector(house.data, house.keystore, *parts, deployment=DEPLOYMENT).correct(
                connection, wrong, permits=permits, asking=ASKING
            )


@pytest.mark.parametrize("way", ["open", "open_history", "open_current"])
def test_vault_opens_no_field_outside_the_catalogue(house, way):
    """No permit covers it."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    permit = house.permit(subject, "P02", "diagnosis")
    assert isinstance(permit, Permit)
    with pytest.raises(Denied):
        getattr(house.vault, way)(permit, house.receipt(permit), subject=subject, fields=["shoe_size"])
