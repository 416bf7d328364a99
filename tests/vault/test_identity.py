"""Who a record is about: the rule as a table."""

from datetime import date

import pytest

from vault.identity import (
    Evidence,
    IdentityKeys,
    ResolutionKind,
    Rule,
    decide,
    normalised,
    normalised_mobile,
)

BORN = date(1990, 3, 7)
K, N, D, U = ResolutionKind.KNOWN, ResolutionKind.NEW, ResolutionKind.DOUBTFUL, ResolutionKind.UNKNOWN_REFERENCE

# what is stated                                 by ID  by source  contradicted  other ID   kind  rule
TABLE = [
    ({"source_subject": "1", "id_number": "x"}, "a", "a", False, False, K, Rule.ID_NUMBER),
    ({"source_subject": "1", "id_number": "x"}, "a", None, False, False, K, Rule.ID_NUMBER),
    ({"id_number": "x"}, "a", None, False, False, K, Rule.ID_NUMBER),
    ({"id_number": "x"}, "a", None, True, False, D, Rule.ID_NUMBER_CONTRADICTED),
    ({"source_subject": "1", "id_number": "x"}, "a", "b", False, False, D, Rule.TWO_PEOPLE),
    ({"source_subject": "1", "id_number": "x"}, None, "b", False, False, K, Rule.SOURCE_ID),
    ({"source_subject": "1", "id_number": "x"}, None, "b", False, True, D, Rule.SOURCE_ID_CONTRADICTED),
    ({"source_subject": "1", "birth_date": BORN}, None, "b", False, False, K, Rule.SOURCE_ID),
    ({"source_subject": "1", "birth_date": BORN}, None, "b", True, False, D, Rule.SOURCE_ID_CONTRADICTED),
    ({"source_subject": "1"}, None, "b", False, False, K, Rule.SOURCE_ID),
    ({"source_subject": "1"}, None, None, False, False, U, Rule.NEVER_SENT),
    ({"source_subject": "1", "sex": "unknown"}, None, None, False, False, U, Rule.NEVER_SENT),
    ({"source_subject": "1", "sex": "female"}, None, None, False, False, N, Rule.FIRST_SEEN),
    ({"source_subject": "1", "mobile": "139"}, None, None, False, False, N, Rule.FIRST_SEEN),
    ({"source_subject": "1", "birth_date": BORN}, None, None, False, False, N, Rule.FIRST_SEEN),
    ({"id_number": "x"}, None, None, False, False, N, Rule.FIRST_SEEN),
    ({"mobile": "139", "birth_date": BORN, "sex": "male"}, None, None, False, False, U, Rule.NOTHING_TO_GO_BY),
    ({}, None, None, False, False, U, Rule.NOTHING_TO_GO_BY),
]


@pytest.mark.parametrize("case", TABLE)
def test_the_rule_decides_as_the_table_says(case):
    """Each line of the table is one case of the identity rule."""
    stated, by_id, by_source, contradicted, other, kind, rule = case
    said = decide(
        Evidence(IdentityKeys("his", **stated), by_id, by_source, lambda _person: contradicted, lambda _person: other)
    )
    assert (said.kind, said.how) == (kind, rule)
    assert said.subject == ({Rule.ID_NUMBER: by_id, Rule.SOURCE_ID: by_source}.get(rule))
    assert set(said.candidates) == ({person for person in (by_id, by_source) if person} if kind is D else set())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("11010119900307451x", "11010119900307451X"), (" 1101０1 ", "110101"), ("ａb", "AB")],
)
def test_id_numbers_are_compared_without_width_case_and_space(text, expected):
    """Full-width digits, a small x and spaces do not make another person."""
    assert normalised(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("139 1234 5678", "13912345678"),
        ("+86-13912345678", "13912345678"),
        ("008613912345678", "13912345678"),
        ("１３９12345678", "13912345678"),
        ("8613912", "8613912"),
        ("4413912345678", "4413912345678"),
    ],
)
def test_mobiles_are_compared_by_their_digits(text, expected):
    """The prefix of China, separators and full width do not count; another country's does."""
    assert normalised_mobile(text) == expected


def test_identity_keys_hide_their_values():
    """A repr names the source only."""
    keys = IdentityKeys("his", "p-1", "110101199003074514", BORN, "female", "13912345678")
    assert repr(keys) == "IdentityKeys(source='his', redacted)"
