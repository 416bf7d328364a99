"""What counts as a special disease, and what gives one away."""

import pytest

from deid.special import load_special_diseases
from kernel.located_yaml import PackError


@pytest.mark.parametrize(
    "code",
    [
        "B20",
        "B24",
        "B201",
        "Z21",
        "A50",
        "A64",
        "A539",
        "F20",
        "F29",
        "F410",
        "C00",
        "C97",
        "C349",
        "C7A",
        "D05",
        "O982",
    ],
)
def test_special_diagnosis_is_known(special, code):
    """HIV, sexually transmitted, psychiatric and cancer codes are special, with and without a sub-category."""
    assert special.holds_diagnosis(code)


@pytest.mark.parametrize("code", ["I10", "E119", "A49", "A65", "B25", "C98", "E10", "G470", "O10"])
def test_ordinary_diagnosis_is_not_special(special, code):
    """Neighbours of the ranges and everyday codes are not on the list."""
    assert not special.holds_diagnosis(code)


def test_unclear_sub_class_takes_the_stricter_side(special):
    """Z11.4 (screening for HIV) is special, Z11.1 (tuberculosis) is not, and Z11 alone may be either."""
    assert special.holds_diagnosis("Z114")
    assert not special.holds_diagnosis("Z111")
    assert special.holds_diagnosis("Z11")


@pytest.mark.parametrize(
    ("code", "expected"), [("J05AR10", True), ("N05AH03", True), ("L01", True), ("C09AA05", False)]
)
def test_medicine_that_gives_a_disease_away_is_known(special, code, expected):
    """Antivirals, antipsychotics and cytostatics speak for the disease."""
    assert special.holds_medicine(code) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("精神科", True),
        ("皮肤性病科", True),
        ("肿 瘤科", True),
        ("肿\u200b瘤科", True),
        ("Oncology", True),
        ("心内科", False),
    ],
)
def test_department_that_gives_a_disease_away_is_known(special, name, expected):
    """Words in a department's name count in any case of letters and behind zero-width characters."""
    assert special.names_department(name) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("担心感染ＨＩＶ怎么办", True),
        ("我HIV阳性", True),
        ("achive", False),
        ("hives after eating shrimp", False),
        ("确诊乳腺癌半年", True),
        ("头晕三天", False),
        ("精神差，没胃口", False),
    ],
)
def test_text_about_a_disease_is_known(special, text, expected):
    """Latin terms match as whole words, also glued to Chinese; tiredness is no psychiatric disease."""
    assert special.names_disease(text) is expected


@pytest.mark.parametrize(("entry", "line"), [("B24-B20", 4), ("B2", 4), ("b20", 4), ("B20-B201", 4), ("B20-B2.1", 4)])
def test_wrong_range_is_named_with_its_line(tmp_path, entry, line):
    """A range that runs backwards, is no code or has ends of different lengths is a mistake of the pack."""
    path = tmp_path / "special_diseases.yaml"
    path.write_text(f"atc: {{}}\ndepartments: []\nterms: []\nicd10: {{hiv: [{entry}]}}\n", encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_special_diseases(path)
    assert caught.value.mistakes[0].line == line


def test_empty_lists_hold_nothing(tmp_path):
    """A pack without special diseases has an empty list, which matches nothing, not everything."""
    path = tmp_path / "special_diseases.yaml"
    path.write_text("icd10: {}\natc: {}\ndepartments: []\nterms: []\n", encoding="utf-8")
    empty = load_special_diseases(path)
    assert not empty.holds_diagnosis("B20")
    assert not empty.names_department("精神科")
    assert not empty.names_disease("HIV")
