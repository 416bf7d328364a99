"""The gazetteer: made from the tables, complete, with short names and what they are worth."""

import csv
import json
from pathlib import Path

import pytest

from deid.text import lists
from deid.text.addresses.gazetteer import places_in
from deid.text.lists.divisions import Level, Strength, divisions, divisions_called, spellings
from deid.text.lists.make_divisions import main

_FILE = Path(lists.__file__).parent / "divisions.txt"
_ZONES = ("区划", "开发区", "管理区", "园区", "示范区", "实验区", "食品区", "委员会", "管委会")


def test_the_list_is_compact():
    """It stays under 120 kB."""
    assert _FILE.stat().st_size < 120_000


def test_every_division_of_the_tables_is_found(outside_data: Path):
    """Each name is the first place that is found in a text of it alone; zones of commerce are none."""
    folder = outside_data / "cn_divisions"
    if not folder.is_dir():
        pytest.skip("outside data: cn_divisions is not in the folder that CONSENTRY_OUTSIDE_DATA names")
    names = [row["name"] for name in ("provinces", "cities", "areas") for row in _rows(folder / f"{name}.csv")]
    missing = {name for name in names if name not in spellings() and not name.endswith(_ZONES)}
    assert missing == {"市辖区", "县", "五台山风景名胜区", "保定白沟新城", "中沙群岛的岛礁及其海域"}
    found = [name for name in names if name in spellings() and places_in(name)[0].end == len(name)]
    assert len(found) > 3_000


def test_the_list_is_what_the_script_makes(outside_data: Path, tmp_path: Path):
    """Making it again changes nothing."""
    folder = outside_data / "cn_divisions"
    if not folder.is_dir():
        pytest.skip("outside data: cn_divisions is not in the folder that CONSENTRY_OUTSIDE_DATA names")
    main(folder, tmp_path)
    assert (tmp_path / "divisions.txt").read_text("utf-8") == _FILE.read_text("utf-8")


def test_divisions_are_made_from_the_tables(tmp_path: Path):
    """Districts follow their city; those directly under a province follow a dash; zones are left out."""
    (tmp_path / "provinces.csv").write_text('code,name\n11,"甲省"\n', "utf-8")
    (tmp_path / "cities.csv").write_text(
        'code,name,provinceCode\n1101,"乙市",11\n1190,"省直辖县级行政区划",11\n', "utf-8"
    )
    (tmp_path / "areas.csv").write_text(
        'code,name,cityCode,provinceCode\n110101,"丙区",1101,11\n110102,"乙经济开发区",1101,11\n119001,"丁市",1190,11\n',
        "utf-8",
    )
    main(tmp_path, tmp_path)
    lines = (tmp_path / "divisions.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["甲省", " 乙市 丙区", " - 丁市"]


@pytest.mark.parametrize(
    ("name", "level", "strength"),
    [
        ("浙江", Level.PROVINCE, Strength.SHORT),
        ("内蒙古", Level.PROVINCE, Strength.SHORT),
        ("广西", Level.PROVINCE, Strength.SHORT),
        ("新疆", Level.PROVINCE, Strength.SHORT),
        ("香港", Level.PROVINCE, Strength.SHORT),
        ("杭州市", Level.CITY, Strength.FULL),
        ("恩施", Level.CITY, Strength.SHORT),
        ("黔东南", Level.CITY, Strength.SHORT),
        ("博尔塔拉", Level.CITY, Strength.SHORT),
        ("西湖", Level.DISTRICT, Strength.PART),
        ("融水", Level.DISTRICT, Strength.PART),
        ("义乌", Level.DISTRICT, Strength.SHORT),
        ("和县", Level.DISTRICT, Strength.WORD),
        ("东方", Level.DISTRICT, Strength.WORD),
        ("襄樊", Level.CITY, Strength.SHORT),
    ],
)
def test_short_names_have_a_level_and_a_strength(name, level, strength):
    """Suffixes and peoples are dropped; names that are words too are only parts of addresses."""
    assert spellings()[name] == (level, strength)


def test_a_name_leads_to_where_it_lies():
    """A district knows its city and province; a name of several has all of them."""
    (district,) = divisions_called("余杭区")
    assert (district.province, district.city) == ("浙江省", "杭州市")
    assert {one.province for one in divisions_called("鼓楼区")} >= {"江苏省", "福建省", "河南省"}
    assert divisions_called("无此地") == ()


def test_divisions_are_all_there():
    """34 provinces, with Hong Kong, Macau and Taiwan; every district lies in one."""
    provinces = {one.name for one in divisions() if one.level is Level.PROVINCE}
    assert len(provinces) == 34
    assert {one.province for one in divisions() if one.level is not Level.PROVINCE} == provinces


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_with_codes_has_the_same_names(outside_data: Path):
    """The second reading of the tables, with codes, names the same provinces."""
    path = outside_data / "cn_divisions" / "pca-code.json"
    if not path.is_file():
        pytest.skip("outside data: cn_divisions is not in the folder that CONSENTRY_OUTSIDE_DATA names")
    coded = {province["name"] for province in json.loads(path.read_text("utf-8"))}
    assert coded <= {one.name for one in divisions() if one.level is Level.PROVINCE}
