"""Cards and accounts of banks."""

import re
from typing import Final

from deid.text.candidates import Candidate
from deid.text.checks import has_card_prefix, is_card_length, passes_luhn
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind

_CARD: Final = re.compile(
    r"(?<![0-9])(?:[0-9]{15,19}|[0-9]{4}(?:[- ]{1,2}[0-9]{4}){3}(?:[- ]{1,2}[0-9]{1,3})?|[0-9]{6}[- ][0-9]{10,13})"
    r"(?![0-9])"
)

_CARD_WORDS: Final = re.compile(
    "银行|卡号|储蓄卡|信用卡|借记卡|账[号户]|帐[号户]|开户|打款|汇款|转账|退款到|bank|card|kh"
)


def _judge_card(candidate: Candidate) -> Verdict | None:
    """Accept a verified number with a card's prefix or words, and one with a slip in it that has both."""
    number = candidate.number
    if candidate.is_part_of_code or candidate.is_labelled_as_thing or not is_card_length(number):
        return None
    named = _CARD_WORDS.search(candidate.before(20) + candidate.after(8)) is not None
    prefixed = has_card_prefix(number)
    if passes_luhn(number):
        return Verdict(1.0, checked=True) if named or prefixed else None
    return Verdict(0.6) if named and prefixed else None


MONEY: Final = (Identifier("bank_card", Kind.BANK_CARD, _CARD, _judge_card, digits=15),)
