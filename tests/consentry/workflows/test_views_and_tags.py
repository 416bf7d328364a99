"""Views, tags and exports follow the decisions: at building, at reading, and after an erasure."""

import shutil
from datetime import timedelta
from itertools import count

import pyarrow.parquet as pq
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import text

from consent.assessments import revoke_assessment
from consent.wake import system_asking
from consentry.layout import VIEW_FILE
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.stores.builds import list_releases, list_view_builds
from consentry.stores.tag_values import newest_values
from consentry.workflows.approvals import ApprovalNeeded, approve_read, revoke_approval
from consentry.workflows.build_view import build_view
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.count_cohort import count_cohort
from consentry.workflows.erase import erase_subject, restrict_subject
from consentry.workflows.explain_tag import explain_tag
from consentry.workflows.export import run_export
from consentry.workflows.read_tags import read_tags
from consentry.workflows.read_view import read_view
from consentry.workflows.reveal import NotPermitted, reveal
from consentry.workflows.run_tags import run_tags
from deid.manifest import FILE_NAME, read_manifest
from kernel.clock import FixedClock
from kernel.errors import BadInput, Denied, IntegrityFailed, NotFound
from tests.consentry.conftest import STARTED, Captured, Deployed

PEOPLE = 24


@pytest.fixture
def admin(captured):
    """Whoever runs the command line."""
    return captured.caller


@pytest.fixture(scope="module")
def profiled_deployment(copied, tmp_path_factory) -> tuple[Deployed, list[str]]:
    """Alike people with a diagnosis, in a view and with tags, and their subject ids; tests work on copies."""
    made = copied(tmp_path_factory.mktemp("profiled") / "home")
    with open_platform(made.settings, clock=FixedClock(STARTED)) as platform:
        captured, names = Captured(platform), [f"u-{number}" for number in range(PEOPLE)]
        sharing = {"P12": "research_partner"}
        subjects = captured.people(names, "P02", "P07", birth_date="1980-05-20", sharing=sharing)
        records = [
            captured.posted(f"u-{n}", number=f"r-{n}", diagnosis=["icd10:I10"], birth_date="1980-05-20", sex="female")
            for n in range(PEOPLE)
        ]
        assert captured.store(records)["stored_records"] == PEOPLE
        for view in ("event_rows", "subject_profile"):
            build_view(platform, captured.caller, view)
        run_tags(platform, captured.caller)
    return made, subjects


@pytest.fixture
def deployment(request, copied, tmp_path) -> Deployed:
    """A deployment that nobody has used, or a copy of that with the profiled people where a test names them."""
    if "profiled" not in request.fixturenames:
        return copied(tmp_path / "home")
    made, _ = request.getfixturevalue("profiled_deployment")
    shutil.copytree(made.settings.home, tmp_path / "home")
    settings = load_settings(**{**made.settings.model_dump(), "home": tmp_path / "home"})
    return Deployed(settings, made.accounts)


@pytest.fixture
def profiled(profiled_deployment, captured) -> list[str]:
    """The subject ids of the profiled people; further acts have further numbers."""
    captured.numbers = count(1_000)
    return profiled_deployment[1]


def test_view_holds_permitted_people_only(captured, platform, admin) -> None:
    """Who refused profiling is in no row and counted by reason."""
    captured.person("u-1", "P02", "P07")
    captured.person("u-2", "P02")
    captured.record(captured.act("refuse", captured.known("u-2"), "P07"))
    captured.store([captured.posted(n, number=n, diagnosis=["icd10:I10"]) for n in ("u-1", "u-2")])
    built = build_view(platform, admin, "subject_profile")
    assert (built.people, built.left_out) == (1, {"REFUSED": 1})


def test_a_view_of_many_is_the_same(platform, admin, profiled, configured, monkeypatch) -> None:
    """A process opens the records, the gate is asked one batch ahead, and a batch without anybody is passed."""
    monkeypatch.setattr("consentry.workflows.build_view.BATCH_SUBJECTS", 5)
    for subject in sorted(profiled)[5:10]:
        withdraw_purpose(platform, admin, subject, "P07", recipient=None)
    plain = build_view(platform, admin, "subject_profile")
    monkeypatch.setattr("consentry.sealing.WORTH_PROCESSES", PEOPLE)
    many = build_view(configured(opening_processes=1), admin, "subject_profile")
    rows = [pq.read_table(built.folder / VIEW_FILE).to_pylist() for built in (plain, many)]
    assert (many.people, many.left_out, rows[1]) == (PEOPLE - 5, plain.left_out, rows[0])


def test_manifest_is_signed_and_an_edited_file_shows(platform, admin, profiled) -> None:
    """The manifest verifies with the log's key and states the hash of the rows; edited, it does not."""
    build = build_view(platform, admin, "subject_profile")
    path = build.folder / FILE_NAME
    verifies = _verifier(platform.signer.public_key)
    assert read_manifest(path, verifies)["counts"]["rows"] == PEOPLE
    path.write_bytes(path.read_bytes().replace(b'"rows":24', b'"rows":25'))
    with pytest.raises(IntegrityFailed):
        read_manifest(path, verifies)


def _verifier(public_key: bytes):
    """Say whether a signature over a message is that of the log's key."""
    key = Ed25519PublicKey.from_public_bytes(public_key)

    def verifies(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verifies


def test_withdrawn_person_is_filtered_from_what_is_built(platform, admin, profiled) -> None:
    """View, tags, cohort and explanation leave the person out at the very next read."""
    withdraw_purpose(platform, admin, profiled[0], "P07", recipient=None)
    name = platform.pseudonyms.pseudonyms([profiled[0]], scope="profiling")[profiled[0]]
    assert read_view(platform, admin, "subject_profile").num_rows == PEOPLE - 1
    assert name not in read_view(platform, admin, "subject_profile")["pseudonym"].to_pylist()
    with pytest.raises(NotPermitted, match="WITHDRAWN"):
        read_tags(platform, admin, subject=profiled[0])
    with pytest.raises(NotFound):
        explain_tag(platform, admin, "chronic_disease", name)
    assert run_tags(platform, admin).people == PEOPLE - 1
    assert count_cohort(platform, admin, "chronic_disease = 'hypertension'").population == PEOPLE - 1


def test_tags_are_read_and_explained_for_the_permitted(platform, admin, profiled) -> None:
    """A tag has its value, its rule and its inputs."""
    assert read_tags(platform, admin, subject=profiled[0]).values["chronic_disease"] == "hypertension"
    name = platform.pseudonyms.pseudonyms([profiled[0]], scope="profiling")[profiled[0]]
    explained = explain_tag(platform, admin, "chronic_disease", name)
    assert explained.as_json()["value"] == "hypertension"
    assert "I10" in explained.in_words("zh")
    with pytest.raises(BadInput, match="no language"):
        explained.in_words("fr")


def test_minors_tag_is_explained_under_an_approval_only(platform, admin, profiled, captured) -> None:
    """R22: why a minor has a tag is read like its record: refused and logged without an approval that fits."""
    name = platform.pseudonyms.pseudonyms([profiled[1]], scope="profiling")[profiled[1]]
    with platform.data.write() as connection:
        connection.execute(
            text("UPDATE subject_standing SET age_class = 'under_18', age_class_until = NULL WHERE subject_id = :who"),
            {"who": profiled[1]},
        )
    with pytest.raises(ApprovalNeeded):
        explain_tag(platform, admin, "chronic_disease", name)
    officer, _ = captured.person_account("officer", "compliance_officer")
    made = approve_read(platform, officer, subject=profiled[1], purpose="P07", role="administrator", reason="complaint")
    assert explain_tag(platform, admin, "chronic_disease", name, approval=made.approval_id)
    revoke_approval(platform, officer, made.approval_id, reason="answered")
    with pytest.raises(ApprovalNeeded):
        explain_tag(platform, admin, "chronic_disease", name, approval=made.approval_id)


def test_export_leaves_out_who_withdrew_from_research_or_profiling(platform, admin, profiled) -> None:
    """A release asks for its own purpose and recipient, and for profiling, because tags are in it."""
    withdraw_purpose(platform, admin, profiled[0], "P12", recipient=None)
    withdraw_purpose(platform, admin, profiled[1], "P07", recipient=None)
    released = run_export(platform, admin, "research_partner")
    assert (released.people, released.withheld) == (PEOPLE - 2, 2)


def test_two_releases_share_no_pseudonym(platform, admin, profiled) -> None:
    """Neither with each other nor with the view."""
    first, second = (run_export(platform, admin, "research_partner").folder for _ in range(2))
    sets = [set(pq.read_table(f / "data.parquet")["pseudonym"].to_pylist()) for f in (first, second)]
    sets.append(set(read_view(platform, admin, "subject_profile")["pseudonym"].to_pylist()))
    assert all(len(s) == PEOPLE for s in sets)
    assert not sets[0] & sets[1]
    assert not (sets[0] | sets[1]) & sets[2]


def test_release_that_falls_short_leaves_no_file_and_an_entry(captured, platform, admin) -> None:
    """Two different people are no crowd: refused, nothing written, and the refusal is logged."""
    from consentry.workflows.read_audit import AuditQuery, read_audit

    for number, born in enumerate(("1980-05-20", "1950-05-20")):
        captured.person(f"u-{number}", "P02", "P07", birth_date=born)
        captured.grant(f"u-{number}", "P12", recipient="research_partner")
        captured.store([captured.posted(f"u-{number}", number=f"r-{number}", birth_date=born, sex="female")])
    for view in ("event_rows", "subject_profile"):
        build_view(platform, admin, view)
    run_tags(platform, admin)
    with pytest.raises(Denied, match="k=5"):
        run_export(platform, admin, "research_partner")
    assert not list(platform.layout.exports.rglob("*.csv"))
    entries = read_audit(platform, admin, AuditQuery(act="export.refused")).entries
    assert len(entries) == 1


def test_restricted_person_is_in_no_view_and_no_record_opens(captured, platform, admin, profiled) -> None:
    """Restriction leaves storage and security only."""
    restrict_subject(platform, admin, subject=profiled[0], reason="objection 7")
    doctor, _ = captured.person_account("dr.wu", "clinician")
    with pytest.raises(NotPermitted, match="RESTRICTED"):
        reveal(platform, doctor, subject=profiled[0], purpose="P02", fields=["diagnosis"], reason="visit")
    assert build_view(platform, admin, "subject_profile").people == PEOPLE - 1


def test_erasure_reaches_views_tags_and_exports(captured, platform, admin, profiled, clock) -> None:
    """After the legal floor has passed, an erasure rewrites views and tags and recalls releases."""
    released = run_export(platform, admin, "research_partner")
    name = platform.pseudonyms.pseudonyms([profiled[0]], scope="profiling")[profiled[0]]
    clock.advance(timedelta(days=31 * 366))
    done = erase_subject(platform, admin, subject=profiled[0], reason="request 9")
    assert done.as_json()["state"] == "erased"
    with platform.data.read() as connection:
        assert newest_values(connection, scope="profiling", pseudonym=name) == (None, {})
        assert all(r.recalled_at is not None for r in list_releases(connection))
        builds = list_view_builds(connection)
    for build in builds:
        file = platform.layout.view_file(build.view, build.build_id)
        assert name not in pq.read_table(file)["pseudonym"].to_pylist()
    assert not released.folder.exists()


def test_reveal_needs_role_reason_and_permit(captured, platform, profiled) -> None:
    """No reason, another purpose, a field above the role's level: each is refused by itself."""
    doctor, _ = captured.person_account("dr.wu", "clinician")
    ask = {"subject": profiled[0], "purpose": "P02", "fields": ["diagnosis"], "reason": "visit"}
    assert reveal(platform, doctor, **ask).records
    with pytest.raises(BadInput, match="reason"):
        reveal(platform, doctor, **ask | {"reason": " "})
    with pytest.raises(Denied, match="purpose P07"):
        reveal(platform, doctor, **ask | {"purpose": "P07"})
    with pytest.raises(Denied, match="special_disease"):
        reveal(platform, doctor, **ask | {"fields": ["special_disease"]})
    with pytest.raises(NotPermitted, match="UNKNOWN_FIELD"):
        reveal(platform, doctor, **ask | {"fields": ["shoe_size"]})


def test_revoked_assessment_filters_what_is_built_at_every_read(platform, admin, profiled) -> None:
    """R35: views and tags stay on disk, and nobody reads them until an assessment stands again."""
    assert read_view(platform, admin, "subject_profile").num_rows == PEOPLE
    assert read_tags(platform, admin, subject=profiled[0]).values
    with platform.data.write() as connection:
        revoke_assessment(connection, "PIA-2026-07", asking=system_asking(), log=platform.log)
    assert read_view(platform, admin, "subject_profile").num_rows == 0
    with pytest.raises(NotPermitted, match="ASSESSMENT_MISSING"):
        read_tags(platform, admin, subject=profiled[0])
