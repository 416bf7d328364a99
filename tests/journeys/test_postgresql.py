"""The whole way on PostgreSQL: two databases, the same workflows, the same answers as on SQLite."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consentry.platform import Platform, open_platform
from consentry.principals import Principal, PrincipalKind, create_person
from consentry.settings import load_settings
from consentry.workflows.build_view import build_view
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.capture_file import capture_file
from consentry.workflows.erase import erase_subject
from consentry.workflows.export_audit import export_audit
from consentry.workflows.ingest_files import ingest_table
from consentry.workflows.initialise import initialise
from consentry.workflows.read_view import read_view
from consentry.workflows.reveal import NotPermitted, reveal
from consentry.workflows.run_tags import run_tags
from kernel.clock import FixedClock
from kernel.ids import PrincipalId, SubjectId

ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
NOTICES = {"P02": "service", "P07": "profiling"}


@pytest.fixture
def platform(tmp_path: Path, pg_database: Callable[[], str], clock: FixedClock) -> Iterator[Platform]:
    """A deployment whose two stores are two PostgreSQL databases."""
    settings = load_settings(home=tmp_path / "home", data_store=pg_database(), key_store=pg_database())
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    ready = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    with open_platform(ready, clock=clock) as opened:
        yield opened


def test_whole_way_on_postgresql(platform: Platform, tmp_path: Path) -> None:
    """Capture, ingest, reveal, view, tags, withdrawal, erasure and log behave as on the embedded stores."""
    captured = capture_file(platform, ADMIN, _acts(tmp_path))
    assert (captured.registered, captured.quarantine) == (3, None)
    stored = ingest_table(platform, ADMIN, *_table(tmp_path))
    assert stored.stored_records == 6
    subject = platform.resolver.find("his", "p0")
    assert subject is not None
    doctor = _doctor(platform)
    opened = reveal(platform, doctor, subject=subject, purpose="P02", fields=["diagnosis"], reason="visit")
    assert [dict(record.values) for record in opened.records] == [{"diagnosis": ["icd10:I10"]}]
    assert build_view(platform, ADMIN, "subject_profile").people == 3
    assert build_view(platform, ADMIN, "event_rows").people == 0
    assert run_tags(platform, ADMIN).people == 3
    _check_withdrawal(platform, subject, doctor)
    erased = erase_subject(platform, ADMIN, subject=subject, reason="request 1")
    assert erased.as_json()["state"] == "restricted"
    summary = export_audit(platform, ADMIN, tmp_path / "log").summary
    assert summary.checkpoint.size > 20


def _check_withdrawal(platform: Platform, subject: SubjectId, doctor: Principal) -> None:
    for purpose in ("P07", "P02"):
        withdraw_purpose(platform, ADMIN, subject, purpose, recipient=None)
    with pytest.raises(NotPermitted, match="WITHDRAWN"):
        reveal(platform, doctor, subject=subject, purpose="P02", fields=["diagnosis"], reason="visit")
    assert read_view(platform, ADMIN, "subject_profile").num_rows == 2


def _doctor(platform: Platform) -> Principal:
    with platform.data.write() as connection:
        made, _ = create_person(connection, name="dr.wu", role="clinician", clock=platform.clock)
    return made


def _acts(folder: Path) -> Path:
    lines = []
    for number in range(3):
        reference = {"source": "his", "id": f"p{number}"}
        person = {"birth_date": f"19{60 + number}-05-01", "sex": "female"}
        lines.append(_act("contract", reference | person, ["P01", "P02", "P04"], actor={"kind": "operator"}))
        lines += [
            _act("grant", reference, [purpose], notice={"code": code, "version": "2026-11", "locale": "zh-CN"})
            for purpose, code in NOTICES.items()
        ]
    path = folder / "acts.ndjson"
    path.write_text("".join(json.dumps({"act_id": f"a{n}", **line}) + "\n" for n, line in enumerate(lines)))
    return path


def _act(act: str, subject: dict[str, str], purposes: list[str], **more: object) -> dict[str, object]:
    made = {"act": act, "subject": subject, "purposes": purposes, "at": "2026-11-01T09:00:00+08:00"}
    return {**made, "evidence": {"mechanism": "tapped_button"}, **more}


def _table(folder: Path) -> tuple[Path, Path]:
    rows = "".join(f"p{n},19{60 + n}-05-01,女,2026-11-02 10:00,I10\n" for n in range(3))
    table, mapping = folder / "his.csv", folder / "his.yaml"
    table.write_text("patient,birth,gender,seen,icd10\n" + rows, encoding="utf-8")
    mapping.write_text(
        "source: his\nsubject: patient\ntime: seen\nrecords:\n"
        "  - kind: profile\n    columns:\n      birth: birth_date\n      gender: sex\n"
        "  - kind: condition\n    columns:\n      icd10: {field: diagnosis, system: icd10}\n"
    )
    return table, mapping
