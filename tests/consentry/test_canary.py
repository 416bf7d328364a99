"""Planted values on the whole way: in no store, journal, log, echo of SQL, temporary file or derived file."""

import logging
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from consentry.platform import Platform, open_platform
from consentry.workflows.attach import SentFile, open_attachment, store_attachment
from consentry.workflows.build_view import build_view
from consentry.workflows.correct_record import Wrong, correct_record
from consentry.workflows.erase import erase_subject
from consentry.workflows.export import run_export
from consentry.workflows.find_subject import search_subjects
from consentry.workflows.ingest_files import ingest_table
from consentry.workflows.reveal import reveal
from consentry.workflows.rotate import rotate_blind_index, rotate_data, rotate_keys
from consentry.workflows.run_tags import run_tags
from kernel.errors import Denied
from kernel.ids import SubjectId
from vault.data_rotation import DataKeys

NAME = "欧阳静怡"
ID_NUMBER = "110101199003074514"
MOBILE = "13912345678"
CHAT = "最近总是失眠心慌"
AMOUNT = "7342.55"
ORDER = "SO-CANARY-90210"
PLANTED = (NAME, ID_NUMBER, MOBILE, CHAT, AMOUNT, ORDER)

TABLE_MAP = """\
source: app
subject: 会员号
time: 下单时间
time_zone: Asia/Shanghai
records:
  - kind: order
    record: 订单号
    columns: {订单号: order_id, 金额: order_amount}
"""


@pytest.fixture(params=[("aes", "TRUNCATE"), ("sm", "WAL")], ids=["aes with a journal", "sm with a write-ahead log"])
def platform(request, deployment, clock, monkeypatch) -> Iterator[Platform]:
    """A deployment that echoes its SQL with every row, of each suite, in each way that SQLite keeps its journal."""
    suite, journal = request.param
    monkeypatch.setattr("kernel.database.sqlite_journal_mode", lambda _version: journal)
    settings = deployment.settings.model_copy(update={"vault_suite": suite})
    with open_platform(settings, clock=clock) as opened:
        for database in (opened.data, opened.keys):
            database.engine.echo = "debug"
            with database.read() as connection:
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == journal.lower()
        yield opened


@pytest.fixture
def searched(platform, tmp_path, caplog, capfd, monkeypatch):
    """Look for planted values wherever bytes of the deployment may lie; no temporary file may be left anywhere."""
    caplog.set_level(logging.DEBUG)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))

    def search(*said: str) -> None:
        files = [path for path in sorted(platform.settings.home.rglob("*")) if path.is_file()]
        views = platform.settings.views_path
        lain = b"".join(path.read_bytes() for path in files if not path.is_relative_to(views))
        assert not any(temporary.iterdir())
        told = [*said, caplog.text, *capfd.readouterr()]
        for value in PLANTED:
            assert not any(form in lain for form in (value.encode(), value.encode("utf-16-le"))), "on the disk"
            assert not any(value in text for text in told), "in what was said"
        assert b"sealed_record" in lain, "the search must be able to find something"

    return search


def file_of_orders(folder, *rows: str) -> tuple:
    table, mapping = folder / "orders.csv", folder / "map.yaml"
    table.write_text("会员号,下单时间,订单号,金额\n" + "\n".join(rows) + "\n", encoding="utf-8")
    mapping.write_text(TABLE_MAP, encoding="utf-8")
    return table, mapping


@pytest.fixture
def subject(captured) -> SubjectId:
    """A person whose identity and records are planted values."""
    who = {"source": "app", "id": "u-1", "id_number": ID_NUMBER, "mobile": MOBILE, "sex": "female"}
    subject = captured.record(captured.act("contract", who, "P01", "P02", "P04")).subject
    for purpose in ("P02", "P07"):
        captured.grant("u-1", purpose)
    profile = captured.posted("u-1", "profile", "p-1") | {"values": {"name": NAME, "mobile": MOBILE}}
    captured.store([captured.posted("u-1", chief_complaint=CHAT, diagnosis=["icd10:I10"]), profile])
    return subject


def test_no_planted_value_is_left_on_the_way(platform, captured, subject, searched, caplog):
    """Capture, ingest with a refused row, reveal, a refused reveal, view, export, rotation and erasure."""
    searched()

    rows = (f"u-1,2026-11-20 10:00,{ORDER},{AMOUNT}", f"u-1,2026-11-20 10:00,{ORDER}-2,{NAME}", f"{MOBILE},x,{ORDER},1")
    outside = platform.settings.home.parent / "outside"
    outside.mkdir()
    list_of_bad_rows = platform.settings.home / "bad-rows.csv"
    report = ingest_table(platform, captured.caller, *file_of_orders(outside, *rows), quarantine=list_of_bad_rows)
    assert report.stored_records == 1
    assert list_of_bad_rows.read_text(encoding="utf-8").count("\n") >= 2
    searched(repr(report), str(report.as_json()))

    doctor, _ = captured.person_account("dr.lin-2", "clinician")
    asked = {"subject": subject, "purpose": "P02", "reason": f"{NAME} rang"}
    opened = reveal(platform, doctor, fields=["chief_complaint", "diagnosis"], **asked)
    assert CHAT in str([dict(record.values) for record in opened.records]), "it was there to be found"
    searched(repr(opened), str(opened.records), f"{opened.records[0]}")
    with pytest.raises(Denied) as denied:
        reveal(platform, doctor, fields=["chief_complaint", "special_disease"], **asked)
    searched(denied.value.diagnostics())

    build_view(platform, captured.caller, "event_rows")
    built = build_view(platform, captured.caller, "subject_profile")
    seen = "".join(str(pq.read_table(path).to_pylist()) for path in built.folder.rglob("*.parquet"))
    assert built.people == 1
    run_tags(platform, captured.caller)
    with pytest.raises(Denied) as denied:
        run_export(platform, captured.caller, "research_partner")
    assert CHAT in seen, "the redacted complaint of the internal view, as docs/explanation/limits.md says"
    searched(seen.replace(CHAT, ""), denied.value.diagnostics())

    rotated = rotate_keys(platform, captured.caller)
    erased = erase_subject(platform, captured.caller, subject=subject, reason=f"{NAME} asked")
    searched(repr(rotated), repr(erased), str(erased.as_json()))
    assert "INSERT INTO sealed_record" in caplog.text, "the echo is on"
    assert "Row (" in caplog.text


def test_no_planted_value_is_left_by_what_is_done_to_it_later(platform, captured, subject, searched):
    """Corrections, files and rotations of data and index keys."""
    doctor, _ = captured.person_account("dr.lin-2", "clinician")
    asked = {"purpose": "P02", "reason": f"{NAME} rang"}
    opened = reveal(platform, doctor, subject=subject, fields=["chief_complaint"], **asked)
    wrong = Wrong(subject, opened.records[0].record_id, {"chief_complaint": f"{CHAT}!"}, f"{NAME} said so")
    corrected = correct_record(platform, captured.caller, wrong)
    searched(repr(wrong), repr(corrected))

    sent = SentFile("app", ORDER, "consult_recording", platform.clock.now(), f"{NAME}.txt", "text/plain", "u-1")
    kept = store_attachment(platform, captured.caller, sent, iter([CHAT.encode(), MOBILE.encode()]))
    file = open_attachment(platform, doctor, kept.attachment_id, **asked).attachment
    searched(repr(sent), repr(kept), repr(file))
    assert b"".join(file.pieces) == (CHAT + MOBILE).encode(), "it was there to be found"

    told = [rotate_data(platform, captured.caller, DataKeys())]
    told += [rotate_blind_index(platform, captured.caller, index) for index in ("id_number", "mobile")]
    searched(*map(repr, told))
    found = search_subjects(platform, captured.caller, field="id_number", value=ID_NUMBER)
    assert subject in found.subjects
    searched(repr(found))
