"""Transfers abroad: distinct people of a year, and the thresholds of the law."""

from datetime import UTC, datetime

import pytest

from consent.recipients import MechanismKind
from consent.transfers import (
    TransferCount,
    TransferNeed,
    count_transfer,
    is_sensitive,
    need_of,
    suffices,
    total_transfers,
    transfer_counts,
)

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("subjects", "sensitive", "need"),
    [
        (0, 0, TransferNeed.NOTHING),
        (99_999, 0, TransferNeed.NOTHING),
        (100_000, 0, TransferNeed.CONTRACT_OR_CERTIFICATION),
        (1, 1, TransferNeed.CONTRACT_OR_CERTIFICATION),
        (9_999, 9_999, TransferNeed.CONTRACT_OR_CERTIFICATION),
        (10_000, 10_000, TransferNeed.SECURITY_ASSESSMENT),
        (999_999, 0, TransferNeed.CONTRACT_OR_CERTIFICATION),
        (1_000_000, 0, TransferNeed.SECURITY_ASSESSMENT),
    ],
)
def test_number_of_people_decides_what_is_needed(subjects, sensitive, need):
    """Any sensitive: contract or certification; 10,000 sensitive or a million: assessment; few others: exempt (R11)."""
    assert need_of(TransferCount(subjects, sensitive)) is need


@pytest.mark.parametrize("mechanism", MechanismKind)
def test_mechanism_answers_the_needs_up_to_its_own(mechanism):
    """An assessment answers all, an exemption only where nothing is needed (R11)."""
    answered = {need for need in TransferNeed if suffices(mechanism, need)}
    expected = {
        MechanismKind.SECURITY_ASSESSMENT: set(TransferNeed),
        MechanismKind.STANDARD_CONTRACT: set(TransferNeed) - {TransferNeed.SECURITY_ASSESSMENT},
        MechanismKind.CERTIFICATION: set(TransferNeed) - {TransferNeed.SECURITY_ASSESSMENT},
        MechanismKind.EXEMPT: {TransferNeed.NOTHING},
    }
    assert answered == expected[mechanism]


def test_people_are_counted_once_a_year_and_recipient(either_office):
    """Twice the same person counts once, for the law's total over all recipients as well (R11)."""
    first, second = (either_office.subject() for _ in range(2))

    def count(recipient, subjects, *, sensitive=False, at=NOON):
        with either_office.database.write() as connection:
            count_transfer(
                connection, either_office.catalogue, recipient=recipient, subjects=subjects, sensitive=sensitive, at=at
            )

    count("abroad", [first, first, second])
    count("abroad", [first], sensitive=True)
    count("abroad", [first])
    count("elsewhere", [first])
    count("elsewhere", [])
    count("abroad", [second], at=datetime(2026, 12, 31, 16, tzinfo=UTC))  # the new year has begun in Shanghai
    with either_office.database.read() as connection:
        assert transfer_counts(connection, 2026) == {"abroad": TransferCount(2, 1), "elsewhere": TransferCount(1, 0)}
        assert total_transfers(connection, 2026) == TransferCount(2, 1)
        assert transfer_counts(connection, 2027) == {"abroad": TransferCount(1, 0)}
        assert total_transfers(connection, 2025) == TransferCount(0, 0)


def test_transfer_is_sensitive_by_its_purpose_or_a_field(office, sensitive_field):
    """A sensitive field makes a harmless purpose sensitive (R11)."""
    assert is_sensitive(office.catalogue, "P07", ["season"]) is True
    assert is_sensitive(office.catalogue, "P08", ["topic", "nothing_known"]) is False
    assert is_sensitive(sensitive_field, "P08", ["topic"]) is True


@pytest.fixture
def sensitive_field(office):
    """The small catalogue with a topic that tells of health."""
    from dataclasses import replace

    from kernel.catalogue import FieldClass

    topic = replace(office.catalogue.fields["topic"], classes=(FieldClass.BEHAVIOUR, FieldClass.SENSITIVE))
    return replace(office.catalogue, fields=office.catalogue.fields | {"topic": topic})
