"""Check digits and issuing rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.text.checks import (
    has_card_prefix,
    has_id_shape,
    id_check_character,
    is_card_length,
    is_first_generation_id,
    is_resident_id,
    passes_luhn,
)


def test_published_example_of_the_standard_verifies() -> None:
    """The two examples printed in GB 11643-1999 end in X and 5."""
    assert is_resident_id("11010519491231002X")
    assert is_resident_id("440524188001010014") is False, "its birth year lies before the range of living people"
    assert id_check_character("44052418800101001") == "4"


def test_lower_case_x_is_accepted() -> None:
    """People type a small x."""
    assert is_resident_id("11010519491231002x")


@pytest.mark.parametrize(
    "number",
    [
        "110105194912310021",  # check character
        "16010519491231002X",  # province
        "11010519490231002X",  # no 31 February
        "11010521491231002X",  # birth year
        "1101051949123100",  # length
        "11010519A91231002X",  # letter inside
        "１１０１０５１９４９１２３１００２X",  # not folded
    ],
)
def test_invalid_identity_number_is_refused(number: str) -> None:
    """Each rule alone refuses."""
    assert not is_resident_id(number)


@given(st.from_regex(r"[1-9][0-9]{16}", fullmatch=True), st.integers(0, 16), st.integers(1, 9))
def test_check_character_finds_every_single_slip(seventeen: str, place: int, shift: int) -> None:
    """A changed digit always changes the check character (ISO 7064 MOD 11-2)."""
    slipped = seventeen[:place] + str((int(seventeen[place]) + shift) % 10) + seventeen[place + 1 :]
    assert id_check_character(slipped) != id_check_character(seventeen)


def test_shape_ignores_the_check_character_only() -> None:
    """A slip in the last place keeps the shape, an impossible day does not."""
    assert has_id_shape("110105194912310021")
    assert not has_id_shape("110105194913310021")


def test_first_generation_number_needs_region_and_day() -> None:
    """Fifteen digits: province, prefecture and birth date must exist."""
    assert is_first_generation_id("110105491231002")
    assert not is_first_generation_id("170105491231002")
    assert not is_first_generation_id("119905491231002")
    assert not is_first_generation_id("110105491331002")
    assert not is_first_generation_id("11010549123100")
    assert not is_first_generation_id("11010549123100X")


def test_luhn_accepts_published_test_numbers_and_refuses_a_slip() -> None:
    """The card networks' own test numbers."""
    for number in ("4111111111111111", "5555555555554444", "378282246310005", "3530111333300000"):
        assert passes_luhn(number)
    assert not passes_luhn("4111111111111112")


@pytest.mark.parametrize(
    ("number", "plausible"),
    [
        ("6222020200112230004", True),
        ("6222020200112230", True),
        ("9558801234567890123", True),
        ("4563511234567890123", True),
        ("4111111111111111", True),
        ("5555555555554444", True),
        ("2221000000000009", True),
        ("3530111333300000", True),
        ("378282246310005", True),
        ("41111111111111111", False),  # 17 digits
        ("4111111111111111111", False),  # 19 digits, no Chinese issuer
        ("7777777777777777", False),
        ("202603151822334", False),
    ],
)
def test_card_prefix_depends_on_the_length(number: str, *, plausible: bool) -> None:
    """An issuer prefix counts only with a length that is issued under it."""
    assert has_card_prefix(number) is plausible


def test_card_lengths_are_fifteen_to_nineteen() -> None:
    """American Express has 15 digits, UnionPay up to 19."""
    assert [length for length in range(10, 25) if is_card_length("1" * length)] == [15, 16, 17, 18, 19]
