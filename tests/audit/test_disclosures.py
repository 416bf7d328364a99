"""The accounting of disclosures under HIPAA and PIPL; 45 CFR 164.528."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from audit.accesses import Access, AccessKind
from audit.disclosures import LEFT_OUT, Circumstances, Law, LeftOut, account, hipaa_since

AT = datetime(2026, 11, 21, 2, tzinfo=UTC)
GIVEN = Access(
    0, AT, AccessKind.DISCLOSED, allowed=True, actor="usr_a", role="operator", request_id="req_1", purpose="P15",
    recipient="authority", fields=("name", "diagnosis"), basis="none",
)  # fmt: skip


def circumstances(*bases):
    return Circumstances(
        care_purposes={"P02": "treatment", "P04": "payment", "P01": "operations"},
        direct_fields={"name"},
        own={"als_me"},
        bases_of=lambda access: bases or ("legal_duty",),
    )


def test_every_exception_has_its_words():
    """No number is told without its reason."""
    assert set(LEFT_OUT) == set(LeftOut)


def test_disclosure_to_an_authority_is_accounted_for():
    """What rests on a duty is told under both laws (R53)."""
    for law in Law:
        assert account(law, [GIVEN], circumstances()).accesses == [GIVEN]


@pytest.mark.parametrize(
    ("changes", "bases", "why"),
    [
        ({"purpose": "P02"}, (), LeftOut.TREATMENT),
        ({"purpose": "P04"}, (), LeftOut.PAYMENT),
        ({"purpose": "P01"}, (), LeftOut.OPERATIONS),
        ({"recipient": "als_me"}, (), LeftOut.INDIVIDUAL),
        ({"purpose": "P11"}, ("consent",), LeftOut.AUTHORISED),
        ({"released": True, "fields": ("diagnosis",)}, (), LeftOut.LIMITED_DATA_SET),
    ],
)
def test_hipaa_leaves_out_what_the_rule_leaves_out_and_pipl_nothing(changes, bases, why):
    """Each exception is counted by its reason; PIPL's view keeps the row (R53)."""
    access = replace(GIVEN, **changes)
    told = account(Law.HIPAA, [access], circumstances(*bases))
    assert (told.accesses, told.left_out) == ([], {why: 1})
    assert account(Law.PIPL, [access], circumstances(*bases)).accesses == [access]


@pytest.mark.parametrize(
    ("changes", "bases"),
    [
        ({"released": True}, ()),
        ({"fields": ("diagnosis",)}, ()),
        ({"purpose": "P11"}, ("consent", "contract")),
    ],
)
def test_what_might_not_be_an_exception_is_told(changes, bases):
    """A release with a direct identifier, a hand-over that is no data set, a basis that is not only consent."""
    access = replace(GIVEN, **changes)
    assert account(Law.HIPAA, [access], circumstances(*bases)).accesses == [access]


@pytest.mark.parametrize("changes", [{"kind": AccessKind.OPENED}, {"allowed": False}])
def test_hipaa_tells_of_disclosures_that_happened(changes):
    """Uses inside and denied tries are PIPL's only, and not counted as left out."""
    told = account(Law.HIPAA, [replace(GIVEN, **changes)], circumstances())
    assert (told.accesses, told.left_out) == ([], {})


@pytest.mark.parametrize(
    ("now", "since"), [("2026-11-21", "2020-11-21"), ("2028-02-29", "2022-02-28"), ("2026-03-01", "2020-03-01")]
)
def test_accounting_covers_six_years(now, since):
    """164.528(a)(1); a leap day counts as the day before."""
    begin = hipaa_since(datetime.fromisoformat(f"{now}T08:00:00+00:00"))
    assert begin == datetime.fromisoformat(f"{since}T08:00:00+00:00")
