"""Check digits and issuing rules of Chinese identifiers; pure functions over plain ASCII digits."""

from datetime import date
from typing import Final

_PROVINCES: Final = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83)
)
"""First two digits of GB/T 2260 codes; 81 to 83 also stand on residence permits for Hong Kong, Macao and Taiwan."""

_CITIES: Final = frozenset((*range(1, 44), 51, 52, 53, 90))
"""Prefecture part of GB/T 2260 codes in use: cities, prefectures and leagues; 90 stands directly under the province."""

_BIRTH_YEARS: Final = range(1900, 2100)
_ID_LENGTH: Final = 18
_FIRST_GENERATION_LENGTH: Final = 15

_CREDIT_CODE_LENGTH: Final = 18
_CREDIT_VALUES: Final = {character: value for value, character in enumerate("0123456789ABCDEFGHJKLMNPQRTUWXY")}

_WEIGHTS: Final = tuple(2 ** (17 - place) % 11 for place in range(17))
_CHECK_CHARACTERS: Final = "10X98765432"
"""GB 11643-1999 (ISO 7064 MOD 11-2): weights 2^(18 - i) mod 11 and the character for each remainder."""

_CARD_RANGES: Final = (
    ("62", "62", range(16, 20)),  # UnionPay
    ("81", "81", range(16, 20)),  # UnionPay
    ("4", "4", range(16, 17)),  # Visa
    ("51", "55", range(16, 17)),  # Mastercard
    ("2221", "2720", range(16, 17)),  # Mastercard
    ("3528", "3589", range(16, 17)),  # JCB
    ("6011", "6011", range(16, 17)),  # Discover
    ("65", "65", range(16, 17)),  # Discover
    ("34", "34", range(15, 16)),  # American Express
    ("37", "37", range(15, 16)),  # American Express
    ("9558", "9558", range(19, 20)),  # ICBC, from before UnionPay numbers
    ("436742", "436742", range(19, 20)),  # China Construction Bank, from before UnionPay numbers
    ("456351", "456351", range(19, 20)),  # Bank of China, from before UnionPay numbers
)
"""First and last issuer prefix and the lengths issued under it (ISO/IEC 7812-1 issuer identification numbers)."""

_CARD_LENGTHS: Final = range(15, 20)


def id_check_character(first_seventeen: str) -> str:
    """Return the check character of a resident identity number.

    Args:
        first_seventeen: its first 17 digits.
    Source: GB 11643-1999 section 6.
    """
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, first_seventeen, strict=True))
    return _CHECK_CHARACTERS[total % 11]


def has_id_shape(number: str) -> bool:
    """Say whether 18 characters have region and birth date of an identity number, whatever the check character.

    Of the region only the province is checked: most district codes on valid cards were abolished since.
    """
    if len(number) != _ID_LENGTH or not _are_digits(number[:17]):
        return False
    return int(number[:2]) in _PROVINCES and _is_day(number[6:14])


def is_resident_id(number: str) -> bool:
    """Say whether this is a valid identity number of 18 characters; a lower-case x is accepted."""
    return has_id_shape(number) and id_check_character(number[:17]) == number[17].upper()


def is_first_generation_id(number: str) -> bool:
    """Say whether this is an identity number of 15 digits, as issued until 1999: region, birth date, no check digit."""
    if len(number) != _FIRST_GENERATION_LENGTH or not _are_digits(number):
        return False
    return int(number[:2]) in _PROVINCES and int(number[2:4]) in _CITIES and _is_day(f"19{number[6:12]}")


def passes_luhn(number: str) -> bool:
    """Say whether the last digit checks the others (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        total += sum(divmod(int(digit) * (1 + place % 2), 10))
    return total % 10 == 0


def is_card_length(number: str) -> bool:
    """Say whether a bank card in use in China has this many digits."""
    return len(number) in _CARD_LENGTHS


def has_card_prefix(number: str) -> bool:
    """Say whether the number begins like a card that its length allows."""
    return any(low <= number[: len(low)] <= high and len(number) in lengths for low, high, lengths in _CARD_RANGES)


def is_credit_code(code: str) -> bool:
    """Say whether the last character of a unified social credit code checks the others.

    Args:
        code: 18 digits and capital letters.
    Source: GB 32100-2015: weights 3^i mod 31 over an alphabet without I, O, S, V and Z.
    """
    if len(code) != _CREDIT_CODE_LENGTH or not set(code) <= _CREDIT_VALUES.keys():
        return False
    total = sum(pow(3, place, 31) * _CREDIT_VALUES[character] for place, character in enumerate(code[:-1]))
    return (31 - total % 31) % 31 == _CREDIT_VALUES[code[-1]]


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_day(digits: str) -> bool:
    """Say whether eight digits are a calendar day from 1900 on."""
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return day.year in _BIRTH_YEARS
