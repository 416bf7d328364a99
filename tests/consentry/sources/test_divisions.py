"""Names and codes of places to six digits."""

import pytest

from consentry.sources.divisions import load_divisions
from consentry.sources.records import RowFault, RowRefused


@pytest.fixture(scope="module")
def divisions(pack):
    """The gazetteer of the medical pack."""
    return load_divisions(pack)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("110105", "110105"),
        ("4403", "440300"),
        ("11", "110000"),
        ("110103", "110000"),
        ("北京市朝阳区", "110105"),
        ("北京市市辖区朝阳区建国路1号", "110105"),
        ("广东深圳", "440300"),
        ("广东省 深圳市 南山区", "440305"),
        ("杭州西湖区", "330106"),
        ("吉林", "220000"),
        ("吉林市", "220200"),
        ("朝阳市", "211300"),
        ("恩施", "422800"),
        ("内蒙古呼和浩特", "150100"),
        ("香港", "810000"),
        ("深圳市某某新区", "440300"),
    ],
)
def test_place_is_found(divisions, text, code):
    """Full and short names, codes, and the narrowest division that is known."""
    assert divisions.find(text) == code


@pytest.mark.parametrize("text", ["", "火星", "朝阳区", "朝阳", "999999", "2", "1101051"])
def test_unknown_and_ambiguous_places_are_refused(divisions, text):
    """A district that several cities have needs its city."""
    with pytest.raises(RowRefused) as refused:
        divisions.find(text)
    assert refused.value.fault is RowFault.UNKNOWN_PLACE


def test_every_code_finds_itself(divisions):
    """Each of the divisions is known by its code."""
    assert all(divisions.find(code) == code for code in divisions.names)
    assert len(divisions.names) > 3300


def test_every_full_path_finds_its_district(divisions):
    """Province, city and district written out lead to the district, unless the city has two of that name."""
    missed = [
        code
        for code, name in divisions.names.items()
        if not code.endswith("00")
        and divisions.find(divisions.names[f"{code[:2]}0000"] + divisions.names.get(f"{code[:4]}00", "") + name) != code
    ]
    assert missed == []


def test_gazetteer_agrees_with_the_outside_list(divisions, outside_data):
    """Every area of the outside list is known under its name."""
    lines = (outside_data / "cn_divisions" / "areas.csv").read_text(encoding="utf-8").splitlines()[1:]
    pairs = [line.split(",")[:2] for line in lines]
    assert [code for code, name in pairs if divisions.names.get(code) != name.strip('"')] == []
