"""Numbers with the check digits that they need, worked out here and not by what is tested."""

_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def with_id_check(seventeen: str) -> str:
    """GB 11643: weights are powers of two mod 11."""
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(seventeen))
    return seventeen + "10X98765432"[total % 11]


def with_credit_check(seventeen: str) -> str:
    """GB 32100: weights are powers of three mod 31."""
    total = sum(_CREDIT.index(sign) * 3**place for place, sign in enumerate(seventeen))
    return seventeen + _CREDIT[-total % 31]


def with_luhn(body: str) -> str:
    """ISO/IEC 7812: every second digit from the right is doubled."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(body))]
    return body + str(-sum(number // 10 + number % 10 for number in doubled) % 10)
