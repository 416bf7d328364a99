"""Hospitals, schools, employers and banks in Chinese text: what is found, what is none."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.text.kinds import Kind
from deid.text.lists import simplified
from deid.text.organisations import OrganisationFinder
from deid.text.reading import read
from deid.text.spans import settle

_FINDER = OrganisationFinder()


def _found(text: str) -> list[str]:
    reading = read(text, "zh")
    return [reading.text[span.start : span.end] for span in settle(_FINDER.find(reading))]


@pytest.mark.parametrize(
    "name",
    [
        "杭州市第一人民医院",
        "浙江大学医学院附属邵逸夫医院",
        "复旦大学附属中山医院",
        "首都医科大学附属北京天坛医院",
        "华中科技大学同济医学院附属协和医院",
        "武汉协和医院",
        "中国人民解放军总医院",
        "解放军第301医院",
        "第三人民医院",
        "仁爱医院",
        "余杭区仓前街道社区卫生服务中心",
        "张氏中医诊所",
        "北京大学",
        "西安交通大学",
        "杭州第二中学",
        "成都七中",
        "海淀区中关村第三小学",
        "阳光幼儿园",
        "杭州阳光科技有限公司",
        "比亚迪股份有限公司",
        "中国石油天然气集团公司",
        "阿里巴巴集团",
        "上海第二毛纺厂",
        "杭州市公安局西湖分局",
        "招商银行杭州分行西湖支行",
    ],
)
@pytest.mark.parametrize("carrier", ["我在{}上班", "{}", "去{}看过，还是疼", "患者就职于{}"])
def test_names_are_found_whole(name, carrier):
    """With a place, a number, a university, a known or a proper name before the suffix; cues before are left."""
    assert _found(carrier.format(name)) == [name]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("去年在协和看的", ["协和"]),
        ("转到华西治疗", ["华西"]),
        ("清华毕业的", ["清华"]),
        ("我在富士康打工", ["富士康"]),
        ("妈妈在建行工作", ["建行"]),
        ("上海九院", ["上海九院"]),
        ("北京天坛医院和宣武医院都好", ["北京天坛医院", "宣武医院"]),
        ("北京大學第三醫院", ["北京大学第三医院"]),
    ],
)
def test_well_known_names_are_found_without_their_suffix(text, names):
    """Behind a cue, or where somebody works there."""
    assert [simplified(name) for name in _found(text)] == names


@pytest.mark.parametrize(
    "text",
    [
        "我们医院和当地医院、三甲医院、人民医院、大医院",
        "建议去正规医院检查，就近到专科医院复查",
        "去县医院、市人民医院、中医院、妇幼保健院看过",
        "北京三甲医院，上海大医院，杭州的医院",
        "癫痫病医院、肿瘤医院、口腔诊所",
        "上小学，读大学，幼儿园，我们学校，重点中学",
        "我们公司，保险公司，外贸公司，一家上市公司",
        "服装厂上班，派出所，公安局，去银行取钱，药店买药",
        "协和的意思是和睦，华为手机",
        "发展中心，急救中心，转氨酶",
    ],
)
def test_what_says_only_the_sort_stays(text):
    """Sorts of hospitals, schools and firms, with whose they are or how good."""
    assert _found(text) == []


def test_marks_are_not_touched():
    """Words in marks of an earlier round are none of a person's, and no name goes over a mark."""
    assert _found("〔机构〕医院") == []
    assert _found("在〔地区〕第一人民医院") == ["第一人民医院"]


@given(st.text(st.sampled_from("杭州市第一二人民中医院大学公司银行支局厂301附属〔〕协和在去的我A "), max_size=40))
@settings(max_examples=60)
def test_any_text_gives_hits_within_it(text):
    """Nothing crashes; hits are not empty, lie within the text and touch no mark."""
    reading = read(text, "zh")
    for hit in _FINDER.find(reading):
        assert hit.kind is Kind.ORGANIZATION
        assert 0 <= hit.start < hit.end <= len(reading.text)
        assert "〔" not in reading.text[hit.start : hit.end]


@pytest.mark.parametrize("unit", ["医院", "第一人民医院", "大学附属", "杭州市", "301", "招商银行", "有限公司科技"])
def test_long_texts_take_linear_time(unit):
    """Four times the text takes about four times the time, far from sixteen."""

    def seconds(characters: int) -> float:
        reading = read((unit * characters)[:characters], "zh")
        started = time.process_time()
        list(_FINDER.find(reading))
        return time.process_time() - started

    seconds(100)
    assert min(seconds(2_000) for _ in range(2)) < 10 * min(seconds(500) for _ in range(2)) + 0.01
