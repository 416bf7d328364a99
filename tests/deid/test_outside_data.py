"""Measures against data and figures from elsewhere; skipped where CONSENTRY_OUTSIDE_DATA names no folder."""

import csv
import sys
from decimal import Decimal

import pyarrow as pa
import pytest

from deid.hierarchies import hierarchy_of_rows
from deid.privacy import anonymise, measure_k, measure_risk

ADULT = {
    "age": "age",
    "education": "education",
    "marital-status": "marital",
    "occupation": "occupation",
    "sex": "sex",
    "native-country": "country",
}
"""The six quasi-identifiers with the names of their hierarchy files."""


def _rows(path, delimiter):
    with path.open(encoding="utf-8", newline="") as file:
        return [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=delimiter) if row]


def _table(path, delimiter):
    head, *rows = _rows(path, delimiter)
    columns = dict(zip(head, zip(*rows, strict=True), strict=True))
    return pa.table({"pseudonym": [f"p{number}" for number in range(len(rows))], **columns})


def test_adult_is_made_anonymous_as_well_as_the_full_lattice_allows(outside_data, capsys):
    """32,561 rows, 6 quasi-identifiers, k=10, at most 5 % left out: discernibility 11.6 million."""
    folder = outside_data / "adult_anjana"
    table = _table(folder / "adult.csv", ",")
    hierarchies = {
        name: hierarchy_of_rows(name, _rows(folder / "hierarchies" / f"{file}.csv", ","))
        for name, file in ADULT.items()
    }
    made = anonymise(
        table,
        quasi_identifiers=tuple(ADULT),
        hierarchies=hierarchies,
        k=10,
        suppression_limit=Decimal("0.05"),
    )
    with capsys.disabled():
        levels = dict(made.levels)
        sys.stdout.write(f"\nAdult, k=10: DM {made.dm:,}, {made.suppressed} of {made.persons} left out, {levels}\n")
    assert made.k >= 10
    assert made.suppressed <= 0.05 * made.persons
    assert made.dm <= 11_650_000
    assert measure_k(made.table, tuple(ADULT)) == made.k


def test_risk_of_adult_is_that_of_arx(outside_data):
    """Average prosecutor risk and sample uniqueness over all nine columns, as ARX measures them."""
    table = _table(outside_data / "adult_arx" / "adult.csv", ";")
    risk = measure_risk(table, table.column_names[1:])
    assert float(risk.average) == pytest.approx(0.6465751607983555, abs=1e-12)
    assert float(risk.unique) == pytest.approx(0.5142895033485844, abs=1e-12)


@pytest.mark.parametrize("k", [2, 5, 7])
def test_k_of_a_table_is_the_one_in_its_name(outside_data, k):
    """Pycanon's tables were made for these values."""
    table = _table(outside_data / "pycanon" / f"StudentsMath_Score_k{k}.csv", ",")
    assert measure_k(table, ("Teacher", "Gender", "Ethnic", "Freeredu", "wesson")) == k
