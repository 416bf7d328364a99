"""Numbers and addresses that are broken by line ends, or by signs that nobody writes in them but to evade.

They are looked for in the whole text: what breaks them may be of any kind.
"""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.candidates import Candidate
from deid.text.checks import has_card_prefix, is_card_length, is_resident_id, passes_luhn
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind
from deid.text.spans import Hit

_BREAK: Final = r"[^0-9A-Za-z\u3400-\u9fff〔〕]"
"""Anything but digits, letters, Chinese characters and the brackets of marks."""

_MOBILE: Final = re.compile(
    rf"(?<![0-9])1[3-9][0-9](?P<sign>{_BREAK}{{1,3}})[0-9]{{4}}(?P=sign)[0-9]{{4}}(?![0-9])"
    r"|(?<![0-9])(?=1[3-9][0-9]{1,6} ?\r?\n)(?=(?:[0-9][ \r\n]{0,3}){11}(?![0-9]))"
    r"1[3-9][0-9]{1,6} ?\r?\n ?[0-9]{3,8}(?![0-9])"
)
"""Three, four and four digits with the same sign between them, or eleven of which some stand on the next line."""

_ID: Final = re.compile(
    rf"(?<![0-9])[1-9](?:{_BREAK}{{0,2}}[0-9]){{5}}{_BREAK}{{0,2}}(?:19|20)(?:{_BREAK}{{0,2}}[0-9]){{9}}{_BREAK}{{0,2}}[0-9Xx](?![0-9])"
)

_EMAIL: Final = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{2,64}+ ?(?:[(\[]at[)\]]|艾特|小老鼠|圈a) ?"
    r"[A-Za-z0-9-]{2,63} ?(?:[.。点]|[(\[]dot[)\]]|dot ) ?(?:com|cn|net|org|edu|gov)(?![A-Za-z])",
    re.IGNORECASE,
)
"""An e-mail address with a word for the @ (艾特, (at)), and perhaps one for the dot."""

_AT: Final = ("at)", "AT)", "at]", "AT]", "艾特", "小老鼠", "圈a")

_ELEVEN: Final = re.compile("(?:[^0-9]*+[0-9]){11}")
"""Fewer digits make no number."""


def _judge_mobile(candidate: Candidate) -> Verdict | None:
    return None if candidate.is_part_of_code or candidate.is_labelled_as_thing else Verdict(0.8)


def _judge_id(candidate: Candidate) -> Verdict | None:
    return Verdict(1.0, checked=True) if is_resident_id(candidate.number) else None


def _judge_email(_: Candidate) -> Verdict | None:
    return Verdict(0.8)


_CARD: Final = re.compile(r"(?<![0-9])[3-9][0-9]{3}(?:[ -]?[0-9]){0,14} ?\r?\n ?[0-9](?:[ -]?[0-9]){0,14}(?![0-9])")
"""A bank card over a line end."""


def _judge_card(candidate: Candidate) -> Verdict | None:
    number = candidate.number
    if not (is_card_length(number) and has_card_prefix(number) and passes_luhn(number)):
        return None
    return None if candidate.is_part_of_code else Verdict(1.0, checked=True)


NUMBERS: Final = (
    Identifier("mobile_broken", Kind.MOBILE, _MOBILE, _judge_mobile),
    Identifier("id_number_broken", Kind.ID_NUMBER, _ID, _judge_id),
    Identifier("bank_card_broken", Kind.BANK_CARD, _CARD, _judge_card),
)
ADDRESS: Final = Identifier("email_in_words", Kind.EMAIL, _EMAIL, _judge_email)


def broken_in(text: str) -> Iterator[Hit]:
    """Yield the hits in a whole text, which is read for them only where it could hold one."""
    if _ELEVEN.match(text) is not None:
        for identifier in NUMBERS:
            yield from identifier.hits(text, 0, len(text))
    if any(sign in text for sign in _AT):
        yield from ADDRESS.hits(text, 0, len(text))
