"""Masks show their share of a value and never more, whatever stands in its place."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.catalogue import Mask
from vault.masking import HIDDEN, mask_value, mask_values

DIGITS = st.text("0123456789", min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        ("name", "张三", "张*"),
        ("name", "欧阳修", "欧阳*"),
        ("name", "John Smith", "J*"),
        ("mobile", "13812345678", "138****5678"),
        ("mobile", "＋８６ １３８-1234-5678", "138****5678"),
        ("id_number", "110101199001011234", "110***********1234"),
        ("id_number", "11010119900101123X", "110***********123X"),
        ("id_number", "110101900101123", "110********1123"),
        ("email", "alice@x.cn", "a***@x.cn"),
        ("card", "6222 0212 3456 7890 123", "***0123"),
        ("address", "北京市朝阳区望京街道1号", "北京市朝阳区***"),
        ("address", "上海浦东新区世纪大道1号", "上海浦东新区***"),
        ("address", "新疆维吾尔自治区乌鲁木齐市天山区民主路2号", "新疆维吾尔自治区乌鲁木齐市天山区***"),
        ("address", "浙江省杭州市文三路1号", "浙江省杭州市***"),
        ("year", "1990-05-06", "1990"),
        ("year", "1990-05-06T01:02:03Z", "1990"),
    ],
)
def test_value_of_the_usual_form_shows_its_share(mask, value, shown):
    """The forms of the field's practice, full-width and separated ones too."""
    assert mask_value(value, Mask(mask)) == shown


@pytest.mark.parametrize(
    ("mask", "value"),
    [
        ("name", "张"),
        ("name", ""),
        ("name", "🙂三"),
        ("name", "4711"),
        ("mobile", "1381234"),
        ("mobile", "138123456789"),
        ("mobile", "٠١٢٣٤٥٦٧٨٩٠"),
        ("id_number", "1101011990010112345"),
        ("email", "a@x.cn"),
        ("email", "no address"),
        ("email", "two@at@x.cn"),
        ("card", "1234"),
        ("address", "北京市朝阳区"),
        ("address", "我家小区5号"),
        ("year", "1990"),
        ("year", "yesterday"),
        ("hidden", "anything"),
        ("mobile", 13812345678),
        ("name", None),
        ("name", {"family": "张"}),
        ("name", True),
    ],
)
def test_what_is_short_odd_or_no_text_shows_nothing(mask, value):
    """A value that has not the form has no share that could be shown."""
    assert mask_value(value, Mask(mask)) == HIDDEN


def test_community_is_no_district():
    """An address shows what stands in the list of provinces and ends as a district, and no name of an estate."""
    assert mask_value("北京市张三的小区5号", Mask.ADDRESS) == "北京市***"


def test_each_item_of_a_list_is_masked():
    """A field that holds several values shows a share of each."""
    assert mask_value(["13812345678", 4], Mask.MOBILE) == ["138****5678", HIDDEN]


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_middle_of_a_mobile_is_never_shown(mobile):
    """Four digits stay hidden in their place."""
    assert mask_value(mobile, Mask.MOBILE) == f"{mobile[:3]}****{mobile[7:]}"


@given(st.from_regex(r"[0-9]{17}[0-9X]", fullmatch=True))
def test_birth_date_in_an_id_number_is_never_shown(number):
    """Of 18 characters eleven stay hidden, the birth date among them."""
    shown = mask_value(number, Mask.ID_NUMBER)
    assert (shown[:3], shown[3:14], shown[14:]) == (number[:3], "*" * 11, number[14:])


@given(st.text(min_size=1, max_size=60), st.sampled_from(sorted(Mask)))
def test_no_mask_shows_more_than_its_share(value, mask):
    """Of any text at all: never the whole, and of letters and digits never more than the form leaves."""
    shown = str(mask_value(value, mask))
    folded = unicodedata.normalize("NFKC", value).strip()
    most = {Mask.NAME: 2, Mask.MOBILE: 7, Mask.ID_NUMBER: 7, Mask.CARD: 4, Mask.YEAR: 4, Mask.HIDDEN: 0}
    kept = sum(character.isalnum() for character in shown)
    assert shown != folded or folded == HIDDEN
    assert kept <= most.get(mask, kept)


@given(st.text(min_size=2, max_size=30), DIGITS)
def test_street_and_house_never_show(street, number):
    """What follows the district is hidden, whatever it is."""
    shown = str(mask_value(f"广东省深圳市南山区{street}{number}", Mask.ADDRESS))
    assert shown == f"广东省深圳市南山区{HIDDEN}"


@given(st.from_regex(r"[a-z][a-z0-9.+_-]{1,30}", fullmatch=True))
def test_local_part_shows_its_first_letter(local):
    """Whose mailbox it is stays hidden, and how long its name is."""
    assert mask_value(f"{local}@example.cn", Mask.EMAIL) == f"{local[0]}***@example.cn"


def test_only_the_named_fields_of_a_record_are_masked(medical):
    """Each by its own mask, as the pack says or by its type; others stay."""
    values = {"name": "张三", "mobile": "13812345678", "birth_date": "1990-05-06", "diagnosis": "icd10:I10"}
    shown = mask_values(values, medical, {"name", "birth_date", "diagnosis"})
    assert shown == {"name": "张*", "mobile": "13812345678", "birth_date": "1990", "diagnosis": HIDDEN}
