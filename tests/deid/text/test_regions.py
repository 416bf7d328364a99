"""In which division an address lies."""

import pytest

from deid.text.addresses.regions import Region, region_of


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("浙江省杭州市西湖区文三路259号", Region("浙江省", "杭州市", "西湖区")),
        ("杭州西湖区文三路259号", Region("浙江省", "杭州市", "西湖区")),
        ("杭州 西湖 文三路", Region("浙江省", "杭州市", "西湖区")),
        ("余杭区仓前街道", Region("浙江省", "杭州市", "余杭区")),
        ("北京市朝阳区建国路88号", Region("北京市", "", "朝阳区")),
        ("臺北市大安區", Region("台湾省", "台北市", "大安区")),
        ("吉林市船营区", Region("吉林省", "吉林市", "船营区")),
        ("河南", Region("河南省", "", "")),
        ("鼓楼区中山路", Region("", "", "")),
        ("文三路259号", Region("", "", "")),
        ("", Region("", "", "")),
    ],
)
def test_an_address_lies_where_its_divisions_say(address, region):
    """Full, short, spaced and traditional names; a district of several cities says nothing by itself."""
    assert region_of(address) == region


def test_a_road_named_after_a_city_is_no_region():
    """Only divisions that follow each other from the beginning count, and each lies in the one before."""
    assert region_of("上海市静安区南京西路1266号") == Region("上海市", "", "静安区")
    assert region_of("在很远的杭州市") == Region("", "", "")
