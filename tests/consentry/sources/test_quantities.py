"""Measurements: one indicator, one unit, a possible value."""

from decimal import Decimal

import pytest

from consentry.sources.quantities import Measured, load_indicators
from consentry.sources.records import RowFault, RowRefused


@pytest.fixture(scope="module")
def indicators(pack):
    """The indicators of the medical pack."""
    return load_indicators(pack)


def measure(indicators, code, value, *units, field="vitals_lab", flag=None):
    """The quantity of one LOINC measurement."""
    return indicators.measure(field, "loinc", code, Measured(Decimal(value), units, flag))


@pytest.mark.parametrize(
    ("code", "value", "unit", "expected"),
    [
        ("8480-6", "17.1", "kPa", {"code": "loinc:8480-6", "value": "128.2606", "unit": "mm[Hg]"}),
        ("8480-6", "128", "mmHg", {"code": "loinc:8480-6", "value": "128", "unit": "mm[Hg]"}),
        ("2345-7", "101", "mg/dL", {"code": "loinc:14749-6", "value": "5.6063", "unit": "mmol/L"}),
        ("2093-3", "200", "mg/dL", {"code": "loinc:14647-2", "value": "5.172", "unit": "mmol/L"}),
        ("2571-8", "150", "mg/dL", {"code": "loinc:14927-8", "value": "1.6936", "unit": "mmol/L"}),
        ("2160-0", "1", "mg/dL", {"code": "loinc:14682-9", "value": "88.4017", "unit": "umol/L"}),
        ("59261-8", "53", "mmol/mol", {"code": "loinc:4548-4", "value": "7.0004", "unit": "%"}),
        ("8310-5", "98.6", "[degF]", {"code": "loinc:8310-5", "value": "37", "unit": "Cel"}),
        ("6690-2", "5.1", "10*3/uL", {"code": "loinc:6690-2", "value": "5.1", "unit": "10*9/L"}),
        ("718-7", "13.2", "g/dL", {"code": "loinc:718-7", "value": "132", "unit": "g/L"}),
        ("44261-6", "12", "{score}", {"code": "loinc:44261-6", "value": "12", "unit": "{score}"}),
    ],
)
def test_measurement_gets_the_unit_of_its_indicator(indicators, code, value, unit, expected):
    """Pressure, sugar, lipids, creatinine, HbA1c, temperature and counts."""
    assert measure(indicators, code, value, unit).value == expected


@pytest.mark.parametrize(
    ("code", "value", "unit", "expected"),
    [
        ("8302-2", "1.75", "m", ("height", "175")),
        ("29463-7", "150", "斤", ("weight", "75")),
        ("29463-7", "70", "公斤", ("weight", "70")),
    ],
)
def test_height_and_weight_have_fields_of_their_own(indicators, code, value, unit, expected):
    """Metres, jin and kilograms."""
    quantity = measure(indicators, code, value, unit)
    assert (quantity.field, quantity.value["value"]) == expected


@pytest.mark.parametrize("code", ["7918-6", "5195-3", "16128-1", "21440-3"])
def test_sensitive_laboratory_values_go_to_their_field(indicators, code):
    """HIV, hepatitis B and C, HPV."""
    quantity = measure(indicators, code, "1", "{presence}", flag="POS")
    assert quantity.field == "sensitive_lab"
    assert quantity.value["flag"] == "POS"


def test_sensitive_value_stays_sensitive_in_a_home_reading(indicators):
    """A self-test for HIV is not a wearable's reading."""
    assert measure(indicators, "7918-6", "1", "{presence}", field="reading").field == "sensitive_lab"


def test_home_reading_stays_a_reading(indicators):
    """What is measured at home is kept for follow-up."""
    assert measure(indicators, "8480-6", "128", "mmHg", field="reading").field == "reading"


def test_unknown_clinical_code_takes_the_stricter_field(indicators):
    """Nobody knows whether it is a viral load."""
    quantity = measure(indicators, "99999-9", "3", "g/L")
    assert (quantity.field, quantity.is_mapped) == ("sensitive_lab", False)
    assert quantity.value == {"code": "loinc:99999-9", "value": "3", "unit": "g/L"}


def test_unknown_unit_of_an_unknown_code_is_kept(indicators):
    """Where nothing is known nothing is converted."""
    quantity = indicators.measure("questionnaire_score", "local", "stress", Measured(Decimal(3), ("points",)))
    assert (quantity.field, quantity.value["unit"]) == ("questionnaire_score", "points")


def test_only_possible_unit_is_taken(indicators):
    """A column that mixes units is read by what is possible at all."""
    assert measure(indicators, "2345-7", "5.6", "mmol/L", "mg/dL").value["value"] == "5.6"
    assert measure(indicators, "2345-7", "180", "mmol/L", "mg/dL").value["value"] == "9.9915"
    assert measure(indicators, "8302-2", "1.75", "cm", "m").value["value"] == "175"


@pytest.mark.parametrize(
    ("code", "value", "units", "fault"),
    [
        ("8302-2", "-170", ("cm",), RowFault.OUT_OF_RANGE),
        ("8302-2", "1700", ("cm",), RowFault.OUT_OF_RANGE),
        ("8480-6", "12", ("mmHg",), RowFault.OUT_OF_RANGE),
        ("8480-6", "128", ("mmol/L",), RowFault.UNKNOWN_UNIT),
        ("8480-6", "128", ("kg", "wat"), RowFault.UNKNOWN_UNIT),
        ("8480-6", "128", (), RowFault.UNKNOWN_UNIT),
        ("8480-6", "1E+400", ("kPa",), RowFault.BAD_NUMBER),
        ("99999-9", "NaN", (), RowFault.BAD_NUMBER),
        ("29463-7", "120", ("kg", "斤"), RowFault.UNKNOWN_UNIT),
        ("14771-0", "50", ("mmol/L", "mg/dL"), RowFault.UNKNOWN_UNIT),
        ("14771-0", "5000", ("mmol/L", "mg/dL"), RowFault.OUT_OF_RANGE),
    ],
)
def test_impossible_values_and_units_are_refused(indicators, code, value, units, fault):
    """A negative height, a pressure in another dimension, a number without a unit or with two that fit."""
    with pytest.raises(RowRefused) as refused:
        measure(indicators, code, value, *units)
    assert refused.value.fault is fault


def test_score_needs_no_unit(indicators):
    """A count of points is understood without one."""
    assert measure(indicators, "44261-6", "12").value["unit"] == "{score}"


def test_sensitive_value_without_unit_has_none(indicators):
    """A count of copies keeps the silence of its source."""
    assert "unit" not in measure(indicators, "20447-9", "50").value


def test_plaintext_is_not_in_the_repr(indicators):
    """A measurement and a quantity never show their values."""
    assert "128" not in repr(measure(indicators, "8480-6", "128", "mmHg"))
    assert "128" not in repr(Measured(Decimal(128), ("mmHg",)))
