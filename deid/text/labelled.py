"""Numbers that a word before them names: records of patients, WeChat and QQ, accounts, devices.

By themselves they look like any code, so that the word is part of what is recognised; the span is the number alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

_BETWEEN: Final = re.compile(
    r"(?:号码|编号|卡号|账号|帐号|单号|号|码|id|no\.?|number)?"
    r"(?:[ \t]{0,3}(?:是|为|叫|就是|[:=#(\[【“\"'>-])){0,4}(?:(?<=[:=])[ \t]{0,3}\r?\n)?[ \t]{0,3}",
    re.IGNORECASE,
)
"""What may stand between the word and the number; the line may end after a colon."""

_CODE: Final = r"(?:[A-Za-z]{1,6}[-_]?)?[0-9](?:[-_/]?[0-9A-Za-z]){2,29}"
_DIGITS: Final = r"[0-9](?:[ -]?[0-9]){7,29}"
_USER: Final = r"[A-Za-z][A-Za-z0-9_-]{4,19}"
_END: Final = r"(?![0-9A-Za-z])"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One kind of numbers and the words that name it.

    Attributes:
        words: a pattern in small letters; the case of the text does not matter.
        value: a pattern of what follows.
        digits: that it holds at least.
    """

    name: str
    kind: Kind
    words: str
    value: re.Pattern[str]
    digits: int = 3
    score: float = 0.95


def _value(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?:{pattern}){_END}")


_WECHAT_WORDS: Final = (
    r"加?(?:[微威薇徽维][-. ]?[信x芯❤]|(?<![a-z])(?:[wv][-. ]?[x信❤]|wei信|we ?chat|weixin))(?:号|id)?"
    r"|[加➕](?:[微威薇卫]星?|v)|(?<![a-z0-9])\+ ?v(?![a-z])"
)
_QQ_WORDS: Final = r"(?:q[-. ]?q|[扣抠][-. ]?[扣抠]|企鹅|球球|蔻蔻|口口|加q)(?:号|群)?"

LABELLED: Final = (
    Labelled(
        "record_number",
        Kind.RECORD_NUMBER,
        r"(?:病历|病案|住院|门诊|登记|病人|患者|档案|电子病历|体检)(?:编号|号码|号|id)|住院流水号|(?<![a-z])(?:mrn|pid)(?![a-z])",
        _value(_CODE),
    ),
    Labelled(
        "visit_number",
        Kind.VISIT_NUMBER,
        r"就诊(?:卡?号|编号|流水号|序号|id)|就诊卡|诊疗卡号?|挂号(?:单号|编号|凭证号|流水号)|预约(?:号|编号|单号)"
        r"|visit (?:no\.?|number|id)",
        _value(_CODE),
    ),
    Labelled(
        "prescription_number",
        Kind.PRESCRIPTION_NUMBER,
        r"处方(?:编号|单号|流水号|号码|号)|(?:rx|prescription) (?:no\.?|number|#)",
        _value(_CODE),
    ),
    Labelled(
        "insurance_number",
        Kind.INSURANCE_NUMBER,
        r"(?:医保|社保|新农合|农合|参保|医疗保险|社会保险|社会保障)(?:卡号|编号|号码|卡|号|证号|账号|id)|保单(?:号码|编号|号)",
        _value(_CODE),
        digits=5,
    ),
    Labelled(
        "examination_number",
        Kind.EXAMINATION_NUMBER,
        r"(?:检查|检验|化验|报告|标本|样本|影像|放射|超声|病理|胃镜|心电|ct|mr|mri|dr|b超|彩超|x光|x线|条码|申请单)"
        r"(?:编号|单号|条码号?|报告号|号码|号|id)",
        _value(_CODE),
        digits=4,
    ),
    Labelled(
        "wechat",
        Kind.WECHAT,
        _WECHAT_WORDS,
        _value(r"wxid_[0-9a-z]{6,24}|[A-Za-z][A-Za-z0-9_-]{5,19}|1[3-9][0-9]{9}|[1-9][0-9]{5,10}"),
        digits=0,
        score=0.8,
    ),
    Labelled("qq", Kind.QQ, _QQ_WORDS, _value(r"[1-9](?:[ -]?[0-9]){4,10}"), digits=5, score=0.8),
    Labelled("account", Kind.ACCOUNT_NUMBER, r"(?:账|帐)[号户]", _value(f"{_DIGITS}|{_USER}"), digits=0, score=0.6),
    Labelled("postcode", Kind.POSTCODE, r"邮编|邮政编码|邮码", _value("[0-9]{6}"), digits=6, score=0.9),
    Labelled(
        "officer_number",
        Kind.OFFICER_ID,
        r"(?:军官|士官|士兵|警官|军人|文职干部|军残|残疾军人|义务兵)证|警号",
        re.compile(f"(?:(?:[\u4e00-\u9fff]{{1,2}}字第? ?)?[0-9]{{5,10}}号?|{_CODE}){_END}"),
        digits=5,
    ),
    Labelled("driver_licence", Kind.DRIVER_LICENCE, r"(?:驾驶证|驾照|驾驶执照)(?:档案编号)?", _value(_CODE), digits=8),
    Labelled(
        "passport_number", Kind.PASSPORT, r"护照", _value(r"[A-Za-z]{0,2}[0-9]{6,9}[A-Za-z]?"), digits=6, score=0.9
    ),
    Labelled(
        "device",
        Kind.DEVICE_ID,
        r"(?:oaid|idfa|idfv|gaid|aaid|udid|imsi|android ?id|设备(?:号|id|标识|码))",
        _value(r"[0-9A-Za-z]{8,64}(?:-[0-9A-Za-z]{2,32}){0,5}"),
        digits=2,
    ),
    Labelled("open_id", Kind.OPENID, r"(?:open|union) ?id", _value(r"[A-Za-z0-9_-]{20,40}"), digits=1),
    Labelled("coordinate", Kind.COORDINATES, r"[经纬]度", _value(r"[0-9]{1,3}\.[0-9]{2,12}°?"), digits=3),
    Labelled(
        "plate_by_word", Kind.PLATE, r"车牌", _value(r"[\u4e00-\u9fff]?[A-Za-z][-·. ]?[0-9A-Za-z]{5,6}"), digits=1
    ),
)

_SIGNS: Final = "".join(sorted({sign for one in LABELLED for sign in one.words if sign.isalnum() or sign in "➕+"}))
"""All that words are written with: where another sign stands, none of the patterns is tried."""

_WORDS: Final = re.compile(f"(?=[{_SIGNS}])(?:{'|'.join(f'(?P<{one.name}>{one.words})' for one in LABELLED)})")
_BY_NAME: Final = {one.name: one for one in LABELLED}

_CODES: Final = re.compile("[0-9A-Za-z](?:[-_.]?[0-9A-Za-z]){2,}+")
"""Every value holds one; texts without any, and all that stands far from one, are not read for words."""

_NUMBERS: Final = re.compile(f"(?=[A-Za-z_.-]{{0,16}}[0-9]){_CODES.pattern}")
_CHINESE: Final = re.compile("[\u3400-\u9fff](?![\u3400-\u9fff]{0,5}〕)")
"""A Chinese character that stands in no mark of an earlier round."""
_APPS: Final = re.compile("we ?chat|weixin|wx|vx|qq", re.IGNORECASE)
"""Where nothing is written in Chinese, words are codes to no end: only accounts of apps are words without digits."""

_REACH: Final = 24
"""Characters before a code in which a word for it stands, with what is between them."""

_SMALL: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

_PLAIN_WORD: Final = re.compile("[A-Za-z-]+")


class LabelFinder:
    """All labelled numbers as one finder."""

    name = "labelled"
    kinds = frozenset(one.kind for one in LABELLED)
    languages = frozenset(("zh", "en"))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Return a hit for each word with a number behind it."""
        if not reading.has_codes:
            return iter(())
        has_names = (reading.has_han and _CHINESE.search(reading.text)) or _APPS.search(reading.text)
        return self._find(reading.text, _CODES if has_names else _NUMBERS)

    def _find(self, text: str, codes: re.Pattern[str]) -> Iterator[Hit]:
        done = 0
        for code in codes.finditer(text):
            if code.end() <= done:
                continue
            begin = max(done, code.start() - _REACH)
            for label in _WORDS.finditer(text[begin : code.end()].translate(_SMALL)):
                hit = _named(text, begin + label.end(), label)
                if hit is not None:
                    yield hit
                    done = hit.end


def _named(text: str, end: int, label: re.Match[str]) -> Hit | None:
    one = _BY_NAME[label.lastgroup or ""]
    between = _BETWEEN.match(text, end)
    value = one.value.match(text, between.end() if between else end) or one.value.match(text, end)
    if value is None or sum(map(str.isdigit, value.group())) < one.digits:
        return None
    is_told = value.start() > end or label.group()[-1] in "号d"
    if one.digits == 0 and not is_told and _PLAIN_WORD.fullmatch(value.group()):
        return None  # an English word after the word for an app says nothing
    return Hit(value.start(), value.end(), one.kind, one.score, checked=False, source=one.name)
