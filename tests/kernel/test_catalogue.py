"""The catalogue's own small rules."""

from datetime import UTC, datetime, timedelta

import pytest

from kernel.catalogue import Catalogue, Retention
from kernel.errors import BadInput

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_retention_counts_from_the_observation():
    """Both ends move with the instant of observation."""
    retention = Retention(keep=timedelta(days=10), floor=timedelta(days=3))
    assert retention.expires_at(NOON) == NOON + timedelta(days=10)
    assert retention.held_until(NOON) == NOON + timedelta(days=3)


def test_the_law_keeps_longer_than_the_pack():
    """A floor beyond the time of keeping moves its end; without a time of keeping there is no end to move."""
    retention = Retention(keep=timedelta(days=3), floor=timedelta(days=10))
    assert retention.expires_at(NOON) == retention.held_until(NOON) == NOON + timedelta(days=10)
    assert Retention(keep=None, floor=timedelta(days=10)).expires_at(NOON) is None


def test_the_life_of_the_account_has_no_date():
    """Without a period nothing expires by itself, and without a floor nothing is held."""
    assert Retention(keep=None).expires_at(NOON) is None
    assert Retention(keep=None).held_until(NOON) is None


def test_what_the_pack_declares_is_found(medical: Catalogue):
    """Each look-up returns the entry of that code."""
    assert medical.get_field("diagnosis").code == "diagnosis"
    assert medical.get_purpose("P07").code == "P07"
    assert medical.get_role("clinician").code == "clinician"


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda catalogue: catalogue.get_field("shoe_size"), "Field 'shoe_size' is not in the catalogue"),
        (lambda catalogue: catalogue.get_purpose("P99"), "Purpose 'P99' is not in the catalogue"),
        (lambda catalogue: catalogue.get_role("king"), "Role 'king' is not in the pack"),
    ],
)
def test_what_is_not_in_the_pack_is_refused(medical: Catalogue, look_up, message):
    """Unknown means no, with a hint where to declare it."""
    with pytest.raises(BadInput, match=message) as caught:
        look_up(medical)
    assert caught.value.hint


def test_fields_are_found_by_purpose(medical: Catalogue):
    """The inverse of each field's purposes, for every purpose."""
    by_purpose = medical.fields_by_purpose
    assert by_purpose.keys() == medical.purposes.keys()
    assert "reading" in by_purpose["P06"]
    assert all(
        (code in by_purpose[p]) == (p in field.purposes) for code, field in medical.fields.items() for p in by_purpose
    )


def test_direct_identifiers_are_known_by_any_of_their_classes(medical: Catalogue):
    """A chat is sensitive first, and names a person all the same."""
    assert medical.fields["consult_chat"].is_direct
    assert not medical.fields["birth_date"].is_direct
