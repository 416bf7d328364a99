"""Numbers as people write them who number, break and disguise them."""

import pytest

from deid.text import TextScrubber
from deid.text.own import OwnFinder, OwnIdentifiers
from deid.text.record_only import RecordDetector
from tests.deid.text.numbers import with_id_check

_MOBILE = "13812345678"
_ID = with_id_check("11010519491231003")


@pytest.fixture(scope="module")
def scrubber():
    return TextScrubber()


@pytest.mark.parametrize("sign", ["①", "⑩", "1️⃣", "²", "½", "㎡", "❶"])
@pytest.mark.parametrize("value", [_MOBILE, _ID, "2024年3月5日"])
def test_value_behind_an_items_number_is_found(scrubber, sign, value):
    """``①138…`` is item one and a number, however digits that are none are folded."""
    for text in (f"手机{sign}{value}", f"{sign}{value}，下一条"):
        scrubbed = scrubber.scrub(text)
        assert value not in scrubbed.text
        assert scrubber.scrub(scrubbed.text).text == scrubbed.text


def test_own_number_behind_an_items_number_is_found():
    """What the subject's record says is found beside such signs too."""
    own = [OwnFinder(OwnIdentifiers(mobiles=(_MOBILE,)))]
    assert _MOBILE not in TextScrubber(detector=RecordDetector()).scrub(f"①{_MOBILE}", own=own).text
