"""A cohort by column: the same values as record by record, under the same permit and receipt."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import event, select, update

from kernel.catalogue import FieldType
from kernel.errors import Denied, IntegrityFailed
from vault._opened_columns import OpenedColumns
from vault._opening import visible_rows
from vault.tables import sealed_record


def opened(house, subjects, *fields):
    """What the columns say, in rows: subject, kind and the values that are there."""
    permit = house.permit(subjects, "P05", *fields)
    batches = list(house.vault.open_cohort(permit, house.receipt(permit), fields=fields))
    rows = pa.Table.from_batches(batches).to_pylist()
    return [
        (row["~subject"], row["~kind"], row["~observed_at"], {f: row[f] for f in fields if row[f] is not None})
        for row in rows
    ]


def test_columns_hold_what_records_hold(any_house):
    """Of several subjects, versions and compartments; a text with escapes is a text like others."""
    house, fields = any_house, ("name", "diagnosis", "consult_chat")
    subjects = [house.subject() for _ in range(3)]
    house.store(
        house.record(subjects[0], number=1, name="a", diagnosis='say "b"'),
        house.record(subjects[1], number=1, diagnosis="汉字"),
        house.record(subjects[1], number=2, consult_chat="x"),
    )
    house.clock.advance(timedelta(seconds=1))
    house.store(house.record(subjects[0], number=1, name="newer"))
    plain = [
        (subject, record.kind, record.observed_at, dict(record.values))
        for subject in subjects
        for record in house.open(subject, "P05", *fields)
    ]
    assert sorted(opened(house, subjects, *fields), key=str) == sorted(plain, key=str)


def test_a_receipt_opens_columns_once_and_for_its_fields(house):
    """As it does records."""
    subject = house.subject()
    house.store(house.record(subject, name="a"))
    permit = house.permit([subject], "P05", "name")
    receipt = house.receipt(permit)
    with pytest.raises(Denied):
        house.vault.open_cohort(permit, receipt, fields=["name", "diagnosis"])
    assert next(house.vault.open_cohort(permit, receipt, fields=["name"])).num_rows == 1
    with pytest.raises(Denied, match="used before"):
        house.vault.open_cohort(permit, receipt, fields=["name"])


def test_a_changed_value_opens_no_column(house):
    """Nothing of the batch comes back."""
    subject = house.subject()
    house.store(house.record(subject, name="a"))
    with house.data.write() as connection:
        connection.execute(update(sealed_record).values(kind="order"))
    permit = house.permit([subject], "P05", "name")
    with pytest.raises(IntegrityFailed):
        list(house.vault.open_cohort(permit, house.receipt(permit), fields=["name"]))


@pytest.mark.parametrize("place", [0, 1])
def test_a_row_under_the_key_of_another_of_the_cohort_opens_nothing(house, place):
    """Whichever of the two comes first: it is told as what it is, and not as a key that is missing."""
    subjects = sorted(house.subject() for _ in range(2))
    house.store(*[house.record(subject, name="a") for subject in subjects])
    table = sealed_record.c
    with house.data.write() as connection:
        keys = {row.subject_id: row.key_id for row in connection.execute(select(table.subject_id, table.key_id))}
        forged = update(sealed_record).where(table.subject_id == subjects[place])
        connection.execute(forged.values(key_id=keys[subjects[1 - place]]))
    permit = house.permit(subjects, "P05", "name")
    with pytest.raises(IntegrityFailed, match="belongs to another subject"):
        list(house.vault.open_cohort(permit, house.receipt(permit), fields=["name"]))


@pytest.mark.parametrize("with_batch", [False, True])
def test_rows_are_found_by_their_subjects(house, with_batch):
    """Not by the batches that are complete, which hold everybody's: one person costs the same in any store."""
    subject = house.subject()
    house.store(house.record(subject, name="a"))
    asked = []
    with house.data.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
        found = visible_rows(
            connection, [subject], compartments={"identity"}, kinds=None, now=house.clock.now(), with_batch=with_batch
        )
    with house.data.read() as connection:
        plan = [row.detail for statement, values in asked
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]  # fmt: skip
    assert len(found[subject]) == 1
    assert [step for step in plan if "sealed_record" in step] == [
        "SEARCH sealed_record USING INDEX uq_sealed_record_content (subject_id=?)"
    ]


@pytest.mark.parametrize(
    ("kind", "repeated", "plaintext", "value"),
    [
        (FieldType.INTEGER, False, b"3", 3),
        (FieldType.BOOLEAN, False, b"true", True),
        (FieldType.CODE, True, b'["icd10:I10"]', ["icd10:I10"]),
        (
            FieldType.QUANTITY,
            False,
            b'{"code":"loinc:1","unit":"mmol/L","value":"5.6"}',
            {"code": "loinc:1", "value": "5.6", "unit": "mmol/L", "flag": None},
        ),
    ],
)
def test_a_column_is_of_its_fields_type(house, kind, repeated, plaintext, value):
    """Numbers, truth, lists and quantities as Arrow knows them."""
    subject = house.subject()
    house.store(house.record(subject, name="a"))
    permit = house.permit([subject], "P05", "name")
    (row,) = next(house.vault.open_cohort(permit, house.receipt(permit), fields=["name"])).to_pylist()
    assert row["name"] == "a"
    field = replace(house.catalogue.get_field("name"), code="x", type=kind, repeated=repeated)
    with house.data.read() as connection:
        stored = connection.execute(sealed_record.select()).one()
    batch = OpenedColumns([field]).batch([[(_Row(stored), {"x": plaintext})]])
    assert batch["x"].to_pylist() == [value]


class _Row:
    """A stored row whose instant is the number that is stored."""

    def __init__(self, stored) -> None:
        self.subject_id, self.record_id = stored.subject_id, stored.record_id
        self.kind, self.source, self.observed_at = stored.kind, stored.source, 0
