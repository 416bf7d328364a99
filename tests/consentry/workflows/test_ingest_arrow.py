"""Prepared batches: the same gate, the same batch rules; columns checked, nothing mended; short transactions."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from audit.events import Act
from audit.queries import find_entries
from consentry.cli import main
from consentry.platform import Platform, open_platform
from consentry.settings import load_settings
from consentry.sources.records import RowFault, SourceError
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.ingest_arrow import ingest_arrow
from consentry.workflows.ingest_report import IngestReport
from consentry.workflows.initialise import initialise
from consentry.workflows.tend import end_basis
from kernel.catalogue import Catalogue
from kernel.errors import BadInput
from kernel.located import PackError
from tests.consentry.conftest import ADMIN, Captured
from vault.batches import BatchState
from vault.tables import batch, blind_index, sealed_record

AT = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)


class Bulk:
    """Writes prepared files and ingests them."""

    def __init__(self, platform: Platform, folder) -> None:
        self.platform = platform
        self.folder = folder

    def write(self, rows: list[dict], *, name: str = "x.parquet", mapping: str = "", **types: pa.DataType):
        """A file of rows, and its map; columns without a type are texts."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {
            name: pa.array([row.get(name) for row in rows], types.get(name, pa.string()))
            if name != "at"
            else pa.array([row.get("at", AT) for row in rows], pa.timestamp("us", "UTC"))
            for name in names
        }
        columns.setdefault("at", pa.array([AT] * len(rows), pa.timestamp("us", "UTC")))
        table, file = pa.table(columns), self.folder / name
        if file.suffix == ".parquet":
            pq.write_table(table, file)
        else:
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        map_file = self.folder / f"{name}.yaml"
        map_file.write_text(mapping)
        return file, map_file

    def ingest(self, rows: list[dict], *, on_rows: Callable[[int], None] | None = None, **more):
        return ingest_arrow(self.platform, ADMIN, *self.write(rows, **more), processes=0, on_rows=on_rows)


def visits(*people: str, each: int = 1, **more: object) -> list[dict]:
    """Rows of some people, as many of each."""
    return [
        {"patient": who, "visit": f"{who}-{number}", "department": f"内科 {number}"} | more
        for who in people
        for number in range(each)
    ]


@pytest.fixture
def bulk(platform, captured, tmp_path) -> Bulk:
    """Prepared files of a deployment with two people under contract."""
    captured.person("u-1")
    captured.person("u-2")
    return Bulk(platform, tmp_path)


TWO = """
source: app
subject: patient
record: visit
time: at
kind: encounter
columns: {department: department_chosen}
"""


def rows_in(platform: Platform) -> int:
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(sealed_record))


def state_of(platform: Platform) -> list[str]:
    with platform.data.read() as connection:
        return list(connection.scalars(select(batch.c.state).where(batch.c.kind == "arrow")))


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_covered_fields_are_stored_once(bulk, name):
    """What is covered is stored, the rest refused by field and reason; the same file again changes nothing."""
    mapping = TWO.replace("}", ", address: street_address}")
    rows = visits("u-1", "u-2", each=2, address="幸福路1号")
    said = bulk.ingest(rows, name=name, mapping=mapping)
    assert (said.stored_records, said.stored_fields, said.subjects, said.bad_by_reason) == (4, 4, 2, {})
    assert dict(said.refused) == {("street_address", "NO_DECISION"): 4}
    assert bulk.ingest(rows, name=name, mapping=mapping).repeated
    again = bulk.ingest(rows, name=f"other-{name}", mapping=mapping)
    assert (again.stored_records, again.duplicates) == (0, 4)
    assert (rows_in(bulk.platform), state_of(bulk.platform)) == (4, ["complete", "complete"])


def test_a_complete_file_passes_the_gate_again_where_that_is_asked_for(bulk):
    """It finds what is there, instead of nothing at all."""
    file, mapping = bulk.write(visits("u-1"), mapping=TWO)
    first, second, third = (
        ingest_arrow(bulk.platform, ADMIN, file, mapping, processes=0, again=again) for again in (False, False, True)
    )
    assert (first.stored_records, second.repeated, third.repeated) == (1, True, False)
    assert (third.stored_records, third.duplicates) == (0, 1)


def test_permits_and_entries_are_of_the_chunk(bulk):
    """One permit for each purpose and chunk, under one request, and the steps of the batch."""
    bulk.ingest(visits("u-1", "u-2", each=3), mapping=TWO)
    with bulk.platform.data.read() as connection:
        permits = find_entries(connection, act=Act.PERMIT)
        steps = find_entries(connection, act=Act.BATCH_CHUNK_STORED)
    assert (len(permits), len(steps)) == (1, 1)


def test_rows_of_nobody_and_of_no_use_are_put_aside(bulk):
    """By place and reason, without a value; the others are stored."""
    rows = [
        *visits("u-1"),
        *visits("stranger"),
        *visits(""),
        {"patient": "u-1", "visit": "9", "department": None},
        visits("u-1", each=2)[1] | {"at": AT + timedelta(days=1)},
    ]
    said = bulk.ingest(rows, mapping=TWO)
    assert said.stored_records == 1
    assert dict(said.bad_by_reason) == {"unknown_person": 1, "missing": 2, "future_date": 1}
    listed = said.quarantine.read_text()
    assert "x.parquet:3" in listed
    assert "内科" not in listed


IDENTIFYING = TWO.replace("kind: encounter", "kind: profile").replace(
    "{department: department_chosen}", "{id: id_number, born: birth_date, sex: sex, mobile: mobile}"
)


def test_who_states_an_identity_is_found_by_it(bulk, captured):
    """A new person is linked where something of it passes; one who contradicts what is known is doubtful."""
    stated = {"id": "11010519491231002X", "born": "1949-12-31", "sex": "female", "mobile": "13800138000"}
    known = visits("u-1")[0] | {"born": "1990-05-20", "sex": "female", "id": None, "mobile": "13800138001"}
    doubtful = visits("u-2")[0] | {"born": "1980-01-01", "sex": "male", "id": None, "mobile": None}
    said = bulk.ingest(
        [visits("new")[0] | stated, known | {"department": None}, doubtful],
        mapping=IDENTIFYING + "ignore: [department]",
    )
    assert dict(said.bad_by_reason) == {"identity_doubtful": 1}
    assert said.subjects == 1
    with bulk.platform.keys.read() as connection:
        fields = set(connection.scalars(select(blind_index.c.field).where(blind_index.c.field == "mobile")))
    assert fields == {"mobile"}
    assert bulk.platform.resolver.find("app", "new") is None
    assert len(bulk.platform.resolver.doubtful()) == 1


def test_a_refused_identifier_leaves_no_digest(bulk):
    """Birth date and sex pass under care; ID number and mobile, whose ground has ended, find nobody."""
    subject = bulk.platform.resolver.find("app", "u-1")
    end_basis(bulk.platform, ADMIN, subject, "P01")
    row = {"patient": "u-1", "visit": "v-1", "born": "1990-05-20", "sex": "female", "mobile": "13800138001"}
    said = bulk.ingest([row | {"id": "110105199005200022"}], mapping=IDENTIFYING)
    assert (said.stored_records, {code for code, _ in said.refused}) == (1, {"id_number", "mobile"})
    with bulk.platform.keys.read() as connection:
        mine = blind_index.c.subject_id == subject
        assert set(connection.scalars(select(blind_index.c.field).where(mine))) == {"source_subject", "low:sex"}


def test_an_interrupted_load_goes_on_where_it_stopped(bulk, monkeypatch):
    """Nothing shows before the end; the rows and bad rows of the first run are not told twice, and none is missing."""
    monkeypatch.setattr("consentry.workflows.ingest_arrow.FIRST_ROWS", 2)
    rows = [*visits("u-1", each=3), *visits("stranger"), *visits("u-2", each=4)]

    def stop(moved: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk.ingest(rows, mapping=TWO, on_rows=stop)
    assert (rows_in(bulk.platform), state_of(bulk.platform)) == (2, ["open"])
    with bulk.platform.data.read() as connection:
        assert bulk.platform.vault.subjects(connection) == []
    said = bulk.ingest(rows, mapping=TWO)
    assert (said.stored_records, said.subjects, dict(said.bad_by_reason)) == (7, 2, {"unknown_person": 1})
    assert (rows_in(bulk.platform), state_of(bulk.platform)) == (7, ["complete"])


def test_a_withdrawal_during_a_load_counts_from_its_own_chunk_on(bulk, captured, monkeypatch):
    """What was sealed before it and comes to be stored after it is not stored."""
    monkeypatch.setattr("consentry.workflows.ingest_arrow.FIRST_ROWS", 2)
    monkeypatch.setattr("consentry.workflows.ingest_arrow.FEWEST_ROWS", 2)
    monkeypatch.setattr("consentry.workflows.ingest_arrow.MOST_ROWS", 2)
    captured.person("u-3", "P07")
    subject = bulk.platform.resolver.find("app", "u-3")
    mapping = TWO.replace("department_chosen", "function_used")
    told: list[int] = []

    def withdraw(moved: int) -> None:
        if not told:
            withdraw_purpose(bulk.platform, ADMIN, subject, "P07", recipient=None)
        told.append(moved)

    said = bulk.ingest(visits("u-3", each=6), mapping=mapping, on_rows=withdraw)
    assert (said.stored_records, dict(said.refused)) == (2, {("function_used", "WITHDRAWN"): 4})
    assert told == [2, 2, 2]


def test_fields_of_several_recipients_are_stored_under_their_own_permits(bulk, captured):
    """A chunk that needs several permits of one purpose is stored record by record, as any other input."""
    for recipient in ("sunrise-pharmacy", "sunrise-courier"):
        captured.grant("u-1", "P03", recipient=recipient)
    mapping = TWO.replace("{department: department_chosen}", "{what: prescription, where: street_address}")
    rows = [{"patient": "u-1", "visit": "1", "what": ["atc:C09AA05"], "where": "幸福路1号"}]
    said = bulk.ingest(rows, mapping=mapping, what=pa.list_(pa.string()))
    assert (said.stored_records, said.stored_fields) == (1, 2)


# --- what is checked


def one(name: str, field: str, value: object, kind: pa.DataType | None = None, *, bulk: Bulk):
    mapping = TWO.replace("{department: department_chosen}", f"{{x: {field}}}")
    row = {"patient": "u-1", "visit": "1", "x": value}
    return bulk.ingest([row], mapping=mapping, name=f"{name}.parquet", x=kind or pa.string())


TEXTS = pa.list_(pa.string())

WRONG = (
    ("birth_date", "1990-02-30", None, RowFault.BAD_DATE),
    ("birth_date", "20.5.1990", None, RowFault.BAD_DATE),
    ("id_number", "110105194912310021", None, RowFault.CHECK_DIGIT),
    ("mobile", "12345", None, RowFault.BAD_MOBILE),
    ("sex", "f", None, RowFault.UNKNOWN_CATEGORY),
    ("order_amount", "1e9", None, RowFault.BAD_NUMBER),
    ("diagnosis", ["I10"], TEXTS, RowFault.BAD_CODE),
    ("diagnosis", ["icd10:I10", None], TEXTS, RowFault.MISSING),
    ("diagnosis", ["icd10:I10"] * 1001, TEXTS, RowFault.TOO_MANY),
    ("chief_complaint", "x" * 70_000, None, RowFault.TOO_LONG),
)


def test_a_value_that_is_none_of_its_fields_refuses_its_row(bulk):
    """By the catalogue's type; nothing is mended."""
    for number, (field, value, kind, fault) in enumerate(WRONG):
        assert dict(one(f"{number}", field, value, kind, bulk=bulk).bad_by_reason) == {fault.value: 1}, field


QUANTITY = pa.struct({"code": pa.string(), "value": pa.string(), "unit": pa.string(), "flag": pa.string()})


def test_quantities_are_checked_member_by_member(bulk):
    """A code, a decimal and a unit; a flag may be missing."""
    good = {"code": "loinc:2345-7", "value": "5.6", "unit": "mmol/L"}
    assert one("a", "vitals_lab", [good], pa.list_(QUANTITY), bulk=bulk).bad_by_reason == {}
    said = one("b", "sensitive_lab", [good | {"value": "high"}], pa.list_(QUANTITY), bulk=bulk)
    assert dict(said.bad_by_reason) == {"bad_number": 1}


def test_a_file_that_is_not_the_maps_is_refused_as_a_whole(bulk):
    """Missing and unnamed columns, wrong types, naive times, bytes that are no text; nothing is written."""
    rows = visits("u-1")
    cases = {
        "missing": (rows, TWO.replace("department:", "clinic:"), {}),
        "does not name": ([rows[0] | {"more": "x"}], TWO, {}),
        "is int64": ([rows[0] | {"department": 3}], TWO, {"department": pa.int64()}),
        "holds no text": ([rows[0] | {"patient": 3}], TWO, {"patient": pa.int64()}),
    }
    for told, (given, mapping, types) in cases.items():
        with pytest.raises(SourceError, match=told):
            bulk.ingest(given, mapping=mapping, name=f"{told[:3]}.parquet", **types)
    naive = pa.table({"patient": ["u-1"], "visit": ["1"], "department": ["x"], "at": [AT.replace(tzinfo=None)]})
    pq.write_table(naive, bulk.folder / "naive.parquet")
    (bulk.folder / "m.yaml").write_text(TWO)
    (bulk.folder / "cut.parquet").write_bytes((bulk.folder / "naive.parquet").read_bytes()[:100])
    (bulk.folder / "x.csv").write_text("patient\n")
    wrong = {"naive": "instants", "no": "No such file", "cut": "no readable parquet"}
    for name, told in [(f"{name}.parquet", told) for name, told in wrong.items()] + [("x.csv", "format")]:
        with pytest.raises(BadInput, match=told):
            ingest_arrow(bulk.platform, ADMIN, bulk.folder / name, bulk.folder / "m.yaml", processes=0)
    assert (rows_in(bulk.platform), state_of(bulk.platform)) == (0, [])


WRONG_MAPS = (
    ("kind: encounter", "", "kind"),
    ("kind: encounter", "kind: event", "event"),
    ("department_chosen", "no_field", "unknown field"),
    ("{department: department_chosen}", "{}", "no column"),
    ("{department: department_chosen}", "{a: name, b: name}", "another column"),
    ("{department: department_chosen}", "{at: name}", "named twice"),
)


def test_a_wrong_map_is_told_with_its_line(bulk):
    """Before the file is looked at."""
    for old, new, told in WRONG_MAPS:
        with pytest.raises(PackError, match=told):
            bulk.ingest(visits("u-1"), mapping=TWO.replace(old, new))


def test_the_kind_may_stand_in_a_column(bulk):
    """Row by row; a kind that is none refuses its row."""
    mapping = TWO.replace("kind: encounter", "kind_column: what")
    rows = [visits("u-1")[0] | {"what": "encounter"}, visits("u-2")[0] | {"what": "event"}]
    said = bulk.ingest(rows, mapping=mapping)
    assert (said.stored_records, dict(said.bad_by_reason)) == (1, {"unknown_category": 1})


def test_the_command_loads_with_a_process_of_its_own(bulk, capsys):
    """As an operator would: the command, one process that seals, the report."""
    file, mapping = bulk.write(visits("u-1", "u-2", each=2), mapping=TWO)
    home = str(bulk.platform.settings.home)
    with pytest.raises(SystemExit) as ended:
        main(["ingest", "arrow", str(file), "--map", str(mapping), "--processes", "1", "--home", home, "--quiet"])
    assert ended.value.code == 0
    assert "records stored" in capsys.readouterr().out
    assert state_of(bulk.platform) == [BatchState.COMPLETE]


# --- beside others, on both engines


@pytest.fixture(params=["sqlite", "postgresql"])
def ward(request, tmp_path, copied, clock) -> Iterator[Captured]:
    """A deployment on each engine, with eight people."""
    if request.param == "sqlite":
        settings = copied(tmp_path / "home").settings
    else:
        make = request.getfixturevalue("pg_database")
        given = load_settings(home=tmp_path / "home", data_store=make(), key_store=make())
        made = initialise(given, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
        settings = load_settings(**{**given.model_dump(), "deployment": made.deployment})
    with open_platform(settings, clock=clock) as platform:
        captured = Captured(platform)
        for number in range(8):
            captured.person(f"u-{number}")
        yield captured


def loads(ward: Captured, tmp_path: Path, *groups: Sequence[str]) -> tuple[list[threading.Thread], list[IngestReport]]:
    """Loads of groups of people, each begun in a thread of its own."""
    reports: list[IngestReport] = []

    def load(people: Sequence[str]) -> None:
        folder = tmp_path / people[0]
        folder.mkdir()
        reports.append(Bulk(ward.platform, folder).ingest(visits(*people, each=150), mapping=TWO))

    begun = [threading.Thread(target=load, args=(people,)) for people in groups]
    for thread in begun:
        thread.start()
    return begun, reports


def test_a_withdrawal_during_a_load_takes_less_than_half_a_second(ward, tmp_path):
    """Most of them, that is: a busy machine may hold up one or the other."""
    for number in range(8):
        ward.grant(f"u-{number}", "P07")
    begun, reports = loads(ward, tmp_path, [f"u-{number}" for number in range(8)])
    waits: list[float] = []
    for number in range(8):
        subject = ward.platform.resolver.find("app", f"u-{number}")
        started = time.perf_counter()
        withdraw_purpose(ward.platform, ADMIN, subject, "P07", recipient=None)
        waits.append(time.perf_counter() - started)
    for thread in begun:
        thread.join()
    assert [report.stored_records for report in reports] == [1200]
    assert sorted(waits)[len(waits) // 2] < 0.5


def test_two_loads_at_once_both_end(ward, tmp_path):
    """Each with all of its rows."""
    groups = [[f"u-{number}" for number in range(4)], [f"u-{number}" for number in range(4, 8)]]
    begun, reports = loads(ward, tmp_path, *groups)
    for thread in begun:
        thread.join()
    assert [report.stored_records for report in reports] == [600, 600]


def test_the_catalogue_of_the_maps_is_the_medical_one(medical: Catalogue):
    """Fields that these tests count on."""
    assert {"department_chosen", "visit_number", "function_used"} <= medical.fields.keys()
