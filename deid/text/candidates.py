"""One place in a folded text that looks like an identifier, and the words around it.

Chinese has no spaces between words: what stands around a hit is read as characters, not as tokens.
"""

import re
from dataclasses import dataclass, field
from typing import Final

_MARK: Final = re.compile(r"(?:\A|〔)[^〔〕]{0,6}〕|〔[^〔〕]{0,6}\Z")
"""Marks of an earlier pass, also cut ones; the words in them are ours and say nothing about the number beside them."""

_LATIN_LABEL: Final = re.compile(
    "tel|telephone|phone|mobile|mob|cell|ph|call|wechat|weixin|wx|vx|v|qq|no|num|id|card|kh|sfz|sjh|dh|sj|hm|tx|e?mail|or|and"
)
"""Latin words and pinyin initials (sfz 身份证, sjh 手机号, kh 卡号) that people write directly against a number."""

_ORDER_LABEL: Final = re.compile(
    r"(?:订单|单号|运单|快递单|流水|交易|批号|批次|批文|准字|注[准进许]|注册证|备案|条形?码|货号|发票)(?:号码|编号|号)?"
    r"[^0-9A-Za-z\u4e00-\u9fff]{0,4}[是为]?[^0-9A-Za-z\u4e00-\u9fff]{0,2}\Z"
)
"""Labels that make the number after them a thing's and not a person's."""

_LETTERS: Final = re.compile("[A-Za-z]*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A match of a pattern; hidden from repr because it holds plaintext.

    Attributes:
        text: the whole folded text; start, end: the match in it.
    """

    text: str = field(repr=False)
    start: int
    end: int

    @property
    def matched(self) -> str:
        """The text of the match."""
        return self.text[self.start : self.end]

    @property
    def number(self) -> str:
        """Digits and a closing X only, without separators."""
        return re.sub("[^0-9Xx]", "", self.matched)

    @property
    def is_contiguous(self) -> bool:
        """Whether the match has no separators."""
        return self.matched.isalnum()

    def before(self, width: int) -> str:
        """Return up to ``width`` characters before the match, without marks, in lower case."""
        return _MARK.sub("", self.text[max(0, self.start - width) : self.start]).lower()

    def after(self, width: int) -> str:
        """Return up to ``width`` characters after the match, without marks, in lower case."""
        return _MARK.sub("", self.text[self.end : self.end + width]).lower()

    @property
    def is_part_of_code(self) -> bool:
        """Whether Latin letters make the digits a part of something longer, such as a licence or product number.

        Letters that are a label (``tel``, ``vx``) do not; nor do letters that only follow and end there.
        """
        left = self._letters_before()
        if left and not _is_label(left):
            return True
        right = _letters_at(self.text, self.end)
        behind = self.text[self.end + len(right) : self.end + len(right) + 1]
        return bool(right) and behind.isdigit() and not _is_label(right)

    @property
    def is_labelled_as_thing(self) -> bool:
        """Whether an order, batch or licence label stands directly before the match."""
        return _ORDER_LABEL.search(self.before(16)) is not None

    def _letters_before(self) -> str:
        reversed_text = self.text[max(0, self.start - 12) : self.start][::-1]
        return _letters_at(reversed_text, 0)[::-1]


def _letters_at(text: str, position: int) -> str:
    match = _LETTERS.match(text, position)
    return match.group() if match else ""


def _is_label(letters: str) -> bool:
    return _LATIN_LABEL.fullmatch(letters.lower()) is not None
