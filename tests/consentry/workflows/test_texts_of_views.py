"""Free text in views and exports: what a person's record says of them is taken out, and what leaves is redacted."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from consentry.own_identifiers import open_own, own_fields, text_fields
from consentry.packs import pack_folder
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.build_view import build_view, get_view
from consentry.workflows.export import run_export
from consentry.workflows.load_pack import load_changed_pack
from consentry.workflows.read_audit import AuditQuery, read_audit
from consentry.workflows.read_view import read_view
from consentry.workflows.run_tags import run_tags
from tests.consentry.conftest import Captured

PEOPLE = 6
NAME, MOBILE = "欧阳禾苗", "13955512345"
WORDS = f"{NAME[2:]}头痛三天，尾号{MOBILE[-4:]}，邻居李建国陪同，咨询血压"
"""A given name that no rule takes for one, a tail of the person's mobile, and somebody else's name."""


@pytest.fixture
def deployment(copied, tmp_path):
    """A deployment whose pack lets redacted complaints out."""
    made = copied(tmp_path / "home")
    pack = tmp_path / "pack"
    shutil.copytree(pack_folder("medical"), pack)
    export = pack / "exports" / "research_partner.yaml"
    said = export.read_text(encoding="utf-8").replace("columns: [", "columns: [complaint, ")
    export.write_text(said.replace("k: 5\n", "texts: {complaint: redact}\nk: 5\n"), encoding="utf-8")
    settings = load_settings(**{**made.settings.model_dump(), "pack": str(pack)})
    with open_platform(settings, check_pack=False) as platform:
        load_changed_pack(platform, Captured(platform).caller)
    return type(made)(settings, made.accounts)


@pytest.fixture
def patients(captured) -> list[str]:
    """People with a name, a mobile and a complaint, all with grants for care, profiling and research."""
    names = [f"u-{number}" for number in range(PEOPLE)]
    shared = {"P12": "research_partner"}
    subjects = captured.people(names, "P02", "P07", birth_date="1980-05-20", sharing=shared)
    told = {"name": NAME, "mobile": MOBILE, "birth_date": "1980-05-20", "sex": "female"}
    records = [captured.posted(name, "profile", f"p-{name}") | {"values": told} for name in names]
    records += [captured.posted(name, "encounter", f"e-{name}", chief_complaint=WORDS) for name in names]
    assert captured.store(records)["stored_records"] == 2 * PEOPLE
    return subjects


def complaints(platform, admin) -> list[str]:
    """What the newest build has in the column of free text."""
    return read_view(platform, admin, "subject_profile")["complaint"].to_pylist()


@pytest.fixture
def admin(captured):
    """Whoever runs the command line."""
    return captured.caller


def test_what_the_record_says_of_a_person_is_taken_out(platform, captured, admin, patients):
    """Under the duty of security; a given name and a tail of a number are found by nothing else."""
    for number in range(PEOPLE):
        captured.record(captured.act("duty", captured.known(f"u-{number}"), "P13"))
    built = build_view(platform, admin, "subject_profile")
    assert built.by_record == PEOPLE
    told = complaints(platform, admin)
    assert len(told) == PEOPLE
    for text in told:
        assert NAME[2:] not in text
        assert MOBILE[-4:] not in text
        assert "李建国" not in text
        assert "头痛三天" in text


def test_without_the_duty_the_rules_alone_read(platform, admin, patients):
    """Nothing is opened for it, and the build goes on."""
    assert build_view(platform, admin, "subject_profile").by_record == 0
    for text in complaints(platform, admin):
        assert NAME[2:] in text, "a rule takes it for a name: choose another for these tests"
        assert MOBILE[-4:] in text
        assert "李建国" not in text


def test_identifiers_are_opened_for_views_with_text_only(platform, captured, admin, patients):
    """The permit names purpose and fields; a view without text asks for none."""
    captured.record(captured.act("duty", captured.known("u-0"), "P13"))
    build_view(platform, admin, "event_rows")
    query = AuditQuery(act="gate.permit", purpose="P13")
    assert not read_audit(platform, admin, query).entries
    build_view(platform, admin, "subject_profile")
    (entry,) = read_audit(platform, admin, query).entries
    assert set(entry["fields"]) <= own_fields(platform.catalogue)
    assert {"name", "mobile", "id_number"} <= own_fields(platform.catalogue)
    assert text_fields(get_view(platform, "subject_profile")) == {"chief_complaint"}


def test_identifiers_are_opened_of_those_only_who_have_a_text(platform, captured, admin):
    """Nobody's name is opened for the texts of others."""
    subjects = captured.people(["u-0", "u-1"], "P02", "P07", birth_date="1980-05-20")
    told = {"name": NAME, "mobile": MOBILE, "sex": "female"}
    records = [captured.posted(name, "profile", f"p-{name}") | {"values": told} for name in ("u-0", "u-1")]
    captured.store([*records, captured.posted("u-1", "encounter", "e-1", chief_complaint=WORDS)])
    for name in ("u-0", "u-1"):
        captured.record(captured.act("duty", captured.known(name), "P13"))
    built = build_view(platform, admin, "subject_profile")
    assert (built.people, built.by_record) == (2, 1)
    query = AuditQuery(act="gate.permit", purpose="P13", subject=subjects[0])
    assert not read_audit(platform, admin, query).entries


def test_identifiers_are_hidden(platform, captured, admin, patients):
    """Neither shown nor handed to another process."""
    captured.record(captured.act("duty", captured.known("u-0"), "P13"))
    own = open_own(platform, platform.asking(admin), patients)
    assert len(own.people) == 1
    assert NAME not in repr(own)
    assert MOBILE not in repr(own)


def test_redacted_complaints_leave_in_an_export_that_names_the_policy(platform, captured, admin, patients):
    """Both files, measured as written; the manifest says how many texts and that nothing was found."""
    for number in range(PEOPLE):
        captured.record(captured.act("duty", captured.known(f"u-{number}"), "P13"))
    for view in ("event_rows", "subject_profile"):
        build_view(platform, admin, view)
    run_tags(platform, admin)
    released = run_export(platform, admin, "research_partner")
    told = pq.read_table(released.folder / "data.parquet")["complaint"].to_pylist()
    assert len(told) == PEOPLE
    for text in told:
        assert "头痛三天" in text
        assert not any(one in text for one in (NAME[2:], MOBILE[-4:], "李建国"))
    manifest = json.loads((released.folder / "manifest.json").read_text(encoding="utf-8"))["manifest"]
    measured = manifest["report"]["measured"]
    assert [one["texts"] for one in measured] == [{"complaint": {"texts": PEOPLE, "identifiers_found": 0}}] * 2
