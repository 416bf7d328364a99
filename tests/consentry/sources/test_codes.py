"""Which of our codes a source's code means, and the tables themselves."""

import csv
import re

import pytest

from consentry.sources.codes import icd10_shape, join, load_code_maps, parse_code, shown
from consentry.sources.records import RowFault, RowRefused
from kernel.errors import ConfigurationError


@pytest.fixture(scope="module")
def codes(pack):
    """The tables of the medical pack."""
    return load_code_maps(pack)


def place(codes, field, code):
    """Field, code and whether it is mapped."""
    placed = codes.place(field, *parse_code(code, None))
    return placed.field, placed.code, placed.is_mapped


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("diagnosis", "snomed:38341003", ("diagnosis", "icd10:I10", True)),
        ("diagnosis", "snomed:44054006", ("diagnosis", "icd10:E11.9", True)),
        ("diagnosis", "snomed:55822004", ("diagnosis", "icd10:E78.5", True)),
        ("diagnosis", "snomed:53741008", ("diagnosis", "icd10:I25.1", True)),
        ("diagnosis", "snomed:195967001", ("diagnosis", "icd10:J45.9", True)),
        ("diagnosis", "snomed:4556007", ("diagnosis", "icd10:K29.7", True)),
        ("diagnosis", "snomed:193462001", ("diagnosis", "icd10:G47.0", True)),
        ("diagnosis", "snomed:54150009", ("diagnosis", "icd10:J06.9", True)),
        ("diagnosis", "snomed:72892002", ("diagnosis", "icd10:Z34.9", True)),
        ("diagnosis", "snomed:86569001", ("diagnosis", "icd10:Z39.2", True)),
        ("diagnosis", "snomed:405737000", ("diagnosis", "icd10:J02.9", True)),
        ("diagnosis", "snomed:86406008", ("special_disease", "icd10:B24", True)),
        ("diagnosis", "snomed:35489007", ("special_disease", "icd10:F32.9", True)),
        ("diagnosis", "snomed:254837009", ("special_disease", "icd10:C50.9", True)),
        ("diagnosis", "icd10:a53.9", ("special_disease", "icd10:A53.9", True)),
        ("diagnosis", "icd10:D66", ("special_disease", "icd10:D66", True)),
        ("special_disease", "icd10:I10", ("diagnosis", "icd10:I10", True)),
        ("diagnosis", "snomed:123456789", ("special_disease", "snomed:123456789", False)),
        ("family_history", "snomed:44054006", ("family_history", "icd10:E11.9", True)),
        ("family_history", "snomed:123456789", ("family_history", "snomed:123456789", False)),
        ("prescription", "rxnorm:314076", ("prescription", "atc:C09AA03", True)),
        ("prescription", "atc:c09aa03", ("prescription", "atc:C09AA03", True)),
        ("prescription", "rxnorm:99999999", ("prescription", "rxnorm:99999999", False)),
        ("vaccination", "cvx:8", ("vaccination", "atc:J07BC", True)),
        ("vaccination", "cvx:999", ("vaccination", "cvx:999", False)),
        ("allergy", "snomed:762952008", ("allergy", "snomed:91935009", True)),
        ("allergy", "rxnorm:7984", ("allergy", "atc:J01CE02", True)),
        ("allergy", "snomed:123456789", ("allergy", "snomed:123456789", False)),
        ("surgery", "snomed:80146002", ("surgery", "snomed:80146002", True)),
        ("surgery", "snomed:287664005", ("reproductive_history", "snomed:287664005", True)),
        ("surgery", "snomed:123456789", ("surgery", "snomed:123456789", False)),
        ("questionnaire", "local:gad7", ("questionnaire", "local:gad7", True)),
    ],
)
def test_code_goes_to_its_field(codes, field, given, expected):
    """Known codes are mapped; special diseases, and diagnoses of unclear kind, take the stricter field."""
    assert place(codes, field, given) == expected


@pytest.mark.parametrize(
    ("field", "code"),
    [("surgery", "snomed:428191000124101"), ("diagnosis", "snomed:160903007"), ("allergy", "snomed:716186003")],
)
def test_what_the_catalogue_has_no_field_for_is_refused(codes, field, code):
    """A record of medicines is no surgery, work is no diagnosis, no allergy is no allergy."""
    with pytest.raises(RowRefused) as refused:
        place(codes, field, code)
    assert refused.value.fault is RowFault.NO_FIELD


def test_pack_without_tables_keeps_codes_as_they_come(tmp_path):
    """Another industry's pack has no medical tables."""
    codes = load_code_maps(tmp_path)
    assert place(codes, "diagnosis", "snomed:38341003") == ("diagnosis", "snomed:38341003", False)
    assert place(codes, "diagnosis", "icd10:B20") == ("diagnosis", "icd10:B20", True)


@pytest.mark.parametrize(
    ("code", "state"),
    [("Z34.9", "pregnant"), ("O24.4", "pregnant"), ("Z39.2", "postpartum"), ("Z31.6", "preparing"), ("I10", None)],
)
def test_diagnosis_tells_the_reproductive_state(codes, code, state):
    """Pregnancy, childbed and preparation are told by their categories."""
    assert codes.reproductive_state(code) == state


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("e11.9", "E11.9"),
        ("E119", "E11.9"),
        ("I10.x00x002", "I10.X00X002"),
        ("A17.0†", "A17.0"),
        ("G01*", "G01"),
        ("U07.1", "U07.1"),
    ],
)
def test_icd10_has_one_form(given, expected):
    """Chinese extensions, missing points and daggers."""
    assert icd10_shape(given) == expected


@pytest.mark.parametrize("code", ["icd10:高血压", "snomed:12", "loinc:abc", "atc:123", "local:", "other:1", "cvx:ab"])
def test_what_is_no_code_is_refused(code):
    """A text in the place of a code never becomes one."""
    system, _, plain = code.partition(":")
    with pytest.raises(RowRefused) as refused:
        join(system, plain)
    assert refused.value.fault is RowFault.BAD_CODE


def test_bare_code_needs_a_system():
    """Without a system a code means nothing."""
    assert parse_code("I10", "icd10") == ("icd10", "I10")
    with pytest.raises(RowRefused):
        parse_code("I10", None)


def test_local_code_that_may_be_a_number_of_a_person_is_not_shown():
    """Counts of unmapped codes never show what could be a mobile."""
    assert shown("local:JB001") == "local:JB001"
    assert shown("local:13800138000") == "local:*"
    assert shown("snomed:123456789") == "snomed:123456789"


def test_table_that_repeats_a_code_is_named_with_its_line(tmp_path):
    """A code with two meanings is a mistake of the pack."""
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "vaccines.csv").write_text("cvx,atc\n08,J07BC\n08,J07BB\n")
    with pytest.raises(ConfigurationError, match=r"vaccines.csv:3"):
        load_code_maps(tmp_path)


def test_table_with_a_short_row_is_named_with_its_line(tmp_path):
    """A row without all its columns is a mistake of the pack."""
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "vaccines.csv").write_text("cvx,atc\n08\n")
    with pytest.raises(ConfigurationError, match=r"vaccines.csv:2"):
        load_code_maps(tmp_path)


def column(pack, table, name):
    """One column of a table."""
    with (pack / "codes" / f"{table}.csv").open(encoding="utf-8", newline="") as handle:
        return [row[name] for row in csv.DictReader(handle)]


def is_snomed(code):
    """Check a SNOMED CT identifier by its Verhoeff digit (SNOMED CT release file specification, appendix B)."""
    turn = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]

    def dihedral(a, b):
        if a < 5:
            return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
        return 5 + (a - b) % 5 if b < 5 else (a - b) % 5

    check = 0
    for place_, digit in enumerate(reversed(code)):
        value = int(digit)
        for _ in range(place_ % 8):
            value = turn[value]
        check = dihedral(check, value)
    return check == 0


def is_loinc(code):
    """Check a LOINC code by its mod 10 digit (LOINC users' guide)."""
    body, _, check = code.partition("-")
    total = 0
    for place_, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place_ % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return (10 - total % 10) % 10 == int(check)


def test_every_snomed_code_has_a_valid_check_digit(pack):
    """No slip of the pen stands in the tables."""
    found = [
        *column(pack, "diagnoses", "snomed"),
        *column(pack, "procedures", "snomed"),
        *column(pack, "smoking", "snomed"),
    ]
    found += [
        code[7:]
        for name in ("code", "allergy")
        for code in column(pack, "allergens", name)
        if code.startswith("snomed:")
    ]
    assert [code for code in found if not is_snomed(code)] == []
    assert not is_snomed("38341004")


def test_every_loinc_code_has_a_valid_check_digit(pack):
    """No slip of the pen stands in the table of indicators."""
    found = [*column(pack, "indicators", "loinc"), *column(pack, "indicators", "canonical")]
    assert [code for code in found if not is_loinc(code)] == []
    assert not is_loinc("8480-7")


def test_every_target_has_the_shape_of_its_system(pack):
    """ICD-10 and ATC codes in the tables are written as the readers write them."""
    assert all(code == "none" or icd10_shape(code) == code for code in column(pack, "diagnoses", "icd10"))
    assert all(re.fullmatch(r"[A-Z]\d{2}[A-Z]{2}\d{2}", code) for code in column(pack, "medicines", "atc"))
    assert all(re.fullmatch(r"J07[A-Z]{2}", code) for code in column(pack, "vaccines", "atc"))
