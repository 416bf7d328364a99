"""Cleans single values: text, numbers, dates, sexes, ID numbers, mobiles; pure, refuses what it cannot be sure of."""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final

from consentry.sources.records import RowFault, RowRefused

MAX_VALUE_BYTES: Final = 64 * 1024
"""The longest value that the vault seals."""

_MAX_KEY: Final = 256

_MAX_DIGITS: Final = 15
"""Digits before the point, and after it: beyond any quantity, and far below what could exhaust memory."""

_EARLIEST: Final = date(1880, 1, 1)
"""No living person's record is older."""

_INVISIBLE: Final = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_MONEY: Final = re.compile(r"^(?:CNY|RMB|¥)|(?:元|CNY|RMB)$", re.IGNORECASE)

_DATE: Final = re.compile(
    r"(?P<y>[0-9]{4})(?:-(?P<m1>[0-9]{1,2})-(?P<d1>[0-9]{1,2})|/(?P<m2>[0-9]{1,2})/(?P<d2>[0-9]{1,2})"
    r"|\.(?P<m3>[0-9]{1,2})\.(?P<d3>[0-9]{1,2})|年(?P<m4>[0-9]{1,2})月(?P<d4>[0-9]{1,2})日?|(?P<m5>[0-9]{2})(?P<d5>[0-9]{2}))"
)
_TIME: Final = re.compile(
    r"(?P<h>[0-9]{1,2})(?::(?P<mi>[0-9]{2})(?::(?P<s>[0-9]{2})(?P<f>\.[0-9]{1,9})?)?|[时点](?:(?P<mi2>[0-9]{1,2})分(?:(?P<s2>[0-9]{1,2})秒)?)?)"
    r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_COMPACT: Final = re.compile(r"([0-9]{8})([0-9]{2})([0-9]{2})([0-9]{2})?")
_EPOCH: Final = re.compile(r"[0-9]{10}|[0-9]{13}")

_SEXES: Final = {
    **dict.fromkeys(("男", "男性", "m", "male", "1"), "male"),
    **dict.fromkeys(("女", "女性", "f", "female", "2"), "female"),
    **dict.fromkeys(("其他", "other", "o", "9"), "other"),
    **dict.fromkeys(("未知", "不详", "未说明", "unknown", "u", "0"), "unknown"),
}
"""Words, and the codes of GB/T 2261.1: 0 unknown, 1 male, 2 female, 9 not stated."""

_TRUTHS: Final = {
    **dict.fromkeys(("true", "1", "yes", "y", "t", "是", "有", "对"), True),
    **dict.fromkeys(("false", "0", "no", "n", "f", "否", "无", "没有", "错"), False),
}

_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS: Final = "10X98765432"
"""GB 11643-1999: ISO 7064 MOD 11-2."""

_MOBILE: Final = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9]{9})")
_FOREIGN_MOBILE: Final = re.compile(r"\+(?!86)[1-9][0-9]{6,14}")


def fold(text: str) -> str:
    """Return the text in NFKC, without invisible characters and outer white space; for all but free text."""
    if text.isascii():
        return text.strip()
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip()


def check_length(text: str) -> None:
    """Raise ``RowRefused`` for a text of more than 64 Ki characters, before any work is done on it."""
    if len(text) > MAX_VALUE_BYTES:
        raise RowRefused(RowFault.TOO_LONG)


def clean_key(text: str) -> str:
    """Return an identifier that a source gives: folded, at most 256 characters, printable."""
    folded = fold(text) if len(text) <= _MAX_KEY else text
    if len(folded) > _MAX_KEY:
        raise RowRefused(RowFault.TOO_LONG)
    return clean_text(folded)


def clean_text(text: str) -> str:
    """Return free text as it was written, without outer white space.

    Raises:
        RowRefused: longer than 64 KiB, or holding control characters or unpaired surrogates.
    """
    stripped = text.strip()
    check_length(stripped)
    if _UNPRINTABLE.search(stripped):
        raise RowRefused(RowFault.BAD_TEXT)
    if len(stripped.encode()) > MAX_VALUE_BYTES:
        raise RowRefused(RowFault.TOO_LONG)
    return stripped


def parse_decimal(text: str) -> Decimal:
    """Read a decimal number; thousands may be grouped by commas.

    Raises:
        RowRefused: not a number, or one with more than 15 digits before or after its point.
    """
    folded = fold(text)
    if _GROUPED.fullmatch(folded):
        folded = folded.replace(",", "")
    elif not _DECIMAL.fullmatch(folded):
        raise RowRefused(RowFault.BAD_NUMBER)
    return bounded(Decimal(folded))


def bounded(value: Decimal) -> Decimal:
    """Return a finite value with at most 15 digits on either side of its point, the rest rounded half to even."""
    if not value.is_finite() or value.adjusted() >= _MAX_DIGITS:
        raise RowRefused(RowFault.BAD_NUMBER)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_MAX_DIGITS:
        try:
            return value.quantize(Decimal(1).scaleb(-_MAX_DIGITS))
        except InvalidOperation:
            raise RowRefused(RowFault.BAD_NUMBER) from None
    return value


def parse_money(text: str) -> Decimal:
    """Read an amount of yuan such as ``¥1,280.50`` or ``99元``."""
    return parse_decimal(_MONEY.sub("", fold(text)))


def decimal_text(value: Decimal) -> str:
    """Return the one way to write a decimal: no exponent, no trailing zeros, no negative zero."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def whole(value: Decimal) -> int:
    """Return a whole number as such; ``3.0`` counts as one."""
    if value != value.to_integral_value():
        raise RowRefused(RowFault.BAD_NUMBER)
    return int(value)


def parse_boolean(text: str) -> bool:
    """Read a truth value in Chinese or English."""
    try:
        return _TRUTHS[fold(text).casefold()]
    except KeyError:
        raise RowRefused(RowFault.UNKNOWN_CATEGORY) from None


def parse_date(text: str) -> date:
    """Read a day: ``2026-01-03``, ``2026/1/3``, ``2026.1.3``, ``2026年1月3日`` or ``20260103``; drop a time behind it.

    Raises:
        RowRefused: another form (``03/01/2026`` is ambiguous), or no such day.
    """
    folded = fold(text)
    match = _DATE.match(folded)
    rest = folded[match.end() :] if match else ""
    if match is None or (rest and not _is_time(rest)):
        raise RowRefused(RowFault.BAD_DATE)
    return _date_of(match)


def parse_time(text: str, zone: tzinfo) -> datetime:
    """Read an instant: a day with or without a time of day, RFC 3339, or Unix seconds or milliseconds.

    Args:
        text: as it stands in the source.
        zone: where a time without an offset was written; a bare day is its first instant there.
    Returns:
        An aware instant in UTC.
    """
    folded = fold(text)
    if _EPOCH.fullmatch(folded):
        return _from_epoch(int(folded))
    if (compact := _COMPACT.fullmatch(folded)) is not None:
        folded = f"{compact[1]} {compact[2]}:{compact[3]}:{compact[4] or '00'}"
    match = _DATE.match(folded)
    if match is None:
        raise RowRefused(RowFault.BAD_DATE)
    rest = folded[match.end() :]
    return _at(_date_of(match), rest, zone)


def check_date(day: date, *, today: date) -> date:
    """Return the day; refuses one after today or before any living person's record."""
    if day > today:
        raise RowRefused(RowFault.FUTURE_DATE)
    if day < _EARLIEST:
        raise RowRefused(RowFault.BAD_DATE)
    return day


def parse_sex(text: str) -> str:
    """Read a sex in words or in the codes of GB/T 2261.1."""
    try:
        return _SEXES[fold(text).casefold()]
    except KeyError:
        raise RowRefused(RowFault.UNKNOWN_CATEGORY) from None


def parse_id_number(text: str) -> str:
    """Return a resident ID number with 18 characters; an old one with 15 is completed (GB 11643-1999).

    Raises:
        RowRefused: not the shape of an ID number, a birth date that is no day, or a wrong check digit.
    """
    folded = re.sub(r"[\s-]", "", fold(text)).upper()
    if re.fullmatch(r"[1-9][0-9]{14}", folded):
        body = folded[:6] + "19" + folded[6:]
        folded = body + _check_digit(body)
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", folded):
        raise RowRefused(RowFault.CHECK_DIGIT)
    birth_date_of(folded)
    if _check_digit(folded[:17]) != folded[17]:
        raise RowRefused(RowFault.CHECK_DIGIT)
    return folded


def birth_date_of(id_number: str) -> date:
    """Return the birth date inside an 18-character ID number."""
    try:
        return date(int(id_number[6:10]), int(id_number[10:12]), int(id_number[12:14]))
    except ValueError:
        raise RowRefused(RowFault.CHECK_DIGIT) from None


def parse_mobile(text: str) -> str:
    """Return a mobile of mainland China as 11 digits, any other with its plus sign and country code."""
    folded = re.sub(r"[\s().-]", "", fold(text))
    if (match := _MOBILE.fullmatch(folded)) is not None:
        return match[1]
    if _FOREIGN_MOBILE.fullmatch(folded):
        return folded
    raise RowRefused(RowFault.BAD_MOBILE)


def _check_digit(body: str) -> str:
    return _ID_CHECKS[sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True)) % 11]


def _date_of(match: re.Match[str]) -> date:
    month = next(match[f"m{i}"] for i in range(1, 6) if match[f"m{i}"])
    day = next(match[f"d{i}"] for i in range(1, 6) if match[f"d{i}"])
    try:
        return date(int(match["y"]), int(month), int(day))
    except ValueError:
        raise RowRefused(RowFault.BAD_DATE) from None


def _is_time(rest: str) -> bool:
    return _TIME.fullmatch(rest.removeprefix("T").strip()) is not None


def _at(day: date, rest: str, zone: tzinfo) -> datetime:
    if not rest:
        return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    match = _TIME.fullmatch(rest.removeprefix("T").strip())
    if match is None:
        raise RowRefused(RowFault.BAD_DATE)
    micros = int((match["f"] or ".0")[1:7].ljust(6, "0"))
    try:
        local = datetime(  # noqa: DTZ001 - the zone follows: an offset in the text goes first
            day.year,
            day.month,
            day.day,
            int(match["h"]),
            int(match["mi"] or match["mi2"] or 0),
            int(match["s"] or match["s2"] or 0),
            micros,
        )
        return local.replace(tzinfo=_offset(match["z"]) or zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowRefused(RowFault.BAD_DATE) from None


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def _from_epoch(number: int) -> datetime:
    milliseconds = number if number >= 10**12 else number * 1000
    return datetime.fromtimestamp(milliseconds // 1000, UTC) + timedelta(milliseconds=milliseconds % 1000)
