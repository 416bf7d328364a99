"""The columns that rules may name are those that the medical pack's views declare."""

import pyarrow.parquet as pq
import pytest

from deid.schemas import arrow_schema
from deid.views import load_views
from kernel.located_yaml import load
from kernel.pack import builtin_pack_path
from tagging.schema import DENIED, EVENT_COLUMNS, PSEUDONYM, SUBJECT_COLUMNS, readable
from tagging.session import check_columns, locked


@pytest.mark.parametrize(("view", "columns"), [("subject_profile", SUBJECT_COLUMNS), ("event_rows", EVENT_COLUMNS)])
def test_schema_is_that_of_the_view(view, columns):
    """Names and order agree with the view's definition; the pseudonym comes first."""
    definition = load(builtin_pack_path("medical") / "views" / f"{view}.yaml")
    assert [PSEUDONYM, *(column["name"].text() for column in definition["columns"].sequence())] == list(columns)


@pytest.mark.parametrize(("view", "columns"), [("subject_profile", SUBJECT_COLUMNS), ("event_rows", EVENT_COLUMNS)])
def test_file_of_the_view_has_the_types_that_are_read(view, columns, medical, tmp_path):
    """An empty Parquet file in the Arrow schema that de-identification writes is accepted."""
    definition = load_views(builtin_pack_path("medical"), medical)[view]
    path = tmp_path / f"{view}.parquet"
    pq.write_table(arrow_schema(definition).empty_table(), path)
    with locked(path) as (session, (given,)):
        check_columns(session, given, columns, frozenset(columns))
        assert session.types(given).keys() == columns.keys()


@pytest.mark.parametrize("name", ["sex", "reproductive_state"])
def test_closed_values_are_those_of_the_field(name, medical):
    """A closed list is the catalogue's."""
    assert SUBJECT_COLUMNS[name].values == medical.fields[name].allowed


def test_consult_formats_are_those_of_the_field(medical):
    """The event view's format is the catalogue's consult format."""
    assert EVENT_COLUMNS["format"].values == medical.fields["consult_format"].allowed


def test_denied_names_are_no_columns():
    """Nothing that no tag may read is a column, and neither text, time nor pseudonym can be named."""
    names = readable(SUBJECT_COLUMNS).keys() | readable(EVENT_COLUMNS).keys()
    assert not names & (DENIED.keys() | {"pseudonym", "complaint", "at", "day"})


def test_level_is_at_least_that_of_the_fields(medical):
    """A column that is one field made coarser is no less sensitive than the catalogue says."""
    fields = {
        "age_band": "birth_date",
        "sex": "sex",
        "province": "district",
        "diagnosis_groups": "diagnosis",
        "medication_groups": "prescription",
        "allergy_classes": "allergy",
        "reproductive_state": "reproductive_state",
        "systolic_bin": "reading",
        "diastolic_bin": "reading",
        "glucose_bin": "reading",
        "bmi_bin": "weight",
        "membership": "membership",
        "last_visit_month": "visit_time",
        "department": "department_chosen",
        "topic": "topic",
        "format": "consult_format",
        "minutes": "consult_length",
        "questions": "question_count",
        "amount": "order_amount",
        "status": "order_status",
    }
    for column, field in fields.items():
        assert (SUBJECT_COLUMNS | EVENT_COLUMNS)[column].level >= medical.fields[field].level, column
