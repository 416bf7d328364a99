"""A FHIR file is taken over whole or not at all, and a second time changes nothing."""

import copy
import json
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from consent.rules import DecisionAct
from consentry.interchange.choices import Names, Person, choice_of
from consentry.interchange.fhir_consent import ConsentWriter, bundle_of
from consentry.interchange.purpose_codes import load_purpose_codes
from consentry.interchange.releases import Release
from consentry.packs import pack_folder
from consentry.principals import Principal, PrincipalKind
from consentry.sources.records import SourceError
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.import_fhir import import_fhir
from kernel.errors import Denied
from kernel.ids import PrincipalId

NOBODY = Principal(PrincipalId("prn_x"), "x", PrincipalKind.PERSON, "ingest")


@pytest.fixture
def subject(captured):
    """A person of the app without any choice yet."""
    return captured.person("u-1")


@pytest.fixture
def written(platform, captured, subject, tmp_path):
    """Writes a granted P07 as FHIR for a person of the app, by the app's id, with changes; returns the file."""
    donor = captured.person("u-2", "P07")

    def write(*changes, release=Release.R4, name="consents.json", form="bundle"):
        with platform.data.read() as connection:
            made = platform.registry.current(connection, donor)
        granted = choice_of(next(one for one in made if one.purpose == "P07"))
        by_source = Person(source_id="u-1")
        choice = replace(granted, choice_id="c-1", subject=by_source, actor=by_source)
        writer = ConsentWriter(
            Names(platform.settings.deployment, platform.catalogue),
            load_purpose_codes(pack_folder(platform.settings.pack)),
        )
        resources = []
        for number, change in enumerate(changes or ({},)):
            one = writer.write(replace(choice, choice_id=f"c-{number}", **change.get("choice", {})), release)
            resources.append(copy.deepcopy(one) | change.get("resource", {}))
        path = tmp_path / name
        if form == "ndjson":
            path.write_text("\n".join(map(json.dumps, resources)), encoding="utf-8")
        else:
            path.write_text(json.dumps(bundle_of(resources) if form == "bundle" else resources[0]), encoding="utf-8")
        return path

    return write


def standing(platform, subject):
    """The acts that stand on the consent track, by purpose."""
    with platform.data.read() as connection:
        found = platform.registry.current(connection, subject)
    return {one.purpose: one.act for one in found if one.track == "consent"}


def entries(platform):
    """How many entries the log holds."""
    return platform.log.settle().size


@pytest.mark.parametrize("release", list(Release))
@pytest.mark.parametrize("form", ["bundle", "single", "ndjson"])
@pytest.mark.usefixtures("subject")
def test_a_consent_is_recorded_with_the_import_as_its_evidence(platform, captured, written, release, form):
    """R05: the same elements are read back; the evidence names the import and the resource's hash, and no other act."""
    name = "consents.ndjson" if form == "ndjson" else "consents.json"
    report = import_fhir(platform, captured.caller, written(release=release, name=name, form=form), source="app")
    assert (len(report.decisions), report.refused) == (1, ())
    with platform.data.read() as connection:
        made = platform.registry.get(connection, report.decisions[0])
        from consent.tables import decision as table

        sealed = connection.scalar(table.select().with_only_columns(table.c.evidence).where(
            table.c.decision_id == made.decision_id
        ))  # fmt: skip
    evidence = platform.sealer.open_details(sealed, context=made.decision_id)
    assert (evidence["mechanism"], evidence["source"], evidence["release"]) == ("fhir_import", "app", release)
    assert evidence["resource_hash"].startswith("sha256:")
    assert evidence["proof"] == "sourceReference"


def test_a_bare_consent_is_refused_as_a_grant(platform, captured, subject, written):
    """R19: a status that somebody set is no act of the person; the report names both rules, and nothing is open."""
    file = written(form="single")
    bare = json.loads(file.read_text(encoding="utf-8"))
    del bare["sourceReference"]
    bare["policy"][0]["uri"] = bare["policy"][0]["uri"].partition("#")[0]
    file.write_text(json.dumps(bare), encoding="utf-8")
    report = import_fhir(platform, captured.caller, file, source="app")
    assert {one.rule for one in report.refused} == {"notice_hash", "proof"}
    assert standing(platform, subject) == {}


def test_period_uses_fields_and_offset_arrive(platform, captured, subject, written, clock):
    """R05: what the register and FHIR both express stands in the decision as it stood in the file."""
    stated = {
        "fields": frozenset({"diagnosis"}),
        "valid_from": clock.now() + timedelta(days=1),
        "valid_until": clock.now() + timedelta(days=30),
        "max_uses": 3,
        "decided_at": clock.now().astimezone(timezone(timedelta(hours=8))),
    }
    report = import_fhir(platform, captured.caller, written({"choice": stated}, release=Release.R5), source="app")
    with platform.data.read() as connection:
        made = choice_of(platform.registry.get(connection, report.decisions[0]))
    assert made.subject == Person(subject)
    assert {name: getattr(made, name) for name in stated} == stated
    assert made.decided_at.utcoffset() == timedelta(hours=8)


def test_the_same_file_again_changes_nothing(platform, captured, subject, written):
    """The act's id is made from source and content."""
    file = written()
    import_fhir(platform, captured.caller, file, source="app")
    before = entries(platform)
    report = import_fhir(platform, captured.caller, file, source="app")
    assert (report.decisions, report.repeated, report.refused) == ((), 1, ())
    assert entries(platform) == before


def test_a_resource_that_changed_is_a_new_act(platform, captured, subject, written, clock):
    """The same consent, ended at its source, withdraws here."""
    import_fhir(platform, captured.caller, written(), source="app")
    clock.advance(timedelta(hours=1))
    ended = written({"choice": {"act": DecisionAct.WITHDRAW, "decided_at": clock.now()}})
    import_fhir(platform, captured.caller, ended, source="app")
    assert standing(platform, subject) == {"P07": DecisionAct.WITHDRAW}


def test_a_dry_run_records_nothing(platform, captured, subject, written):
    """It says what would be recorded, and leaves neither decision nor entry."""
    before = entries(platform)
    report = import_fhir(platform, captured.caller, written(), source="app", dry_run=True)
    assert (report.consents, report.decisions, report.refused, report.is_dry_run) == (1, (), (), True)
    assert standing(platform, subject) == {}
    assert entries(platform) == before


def test_one_refused_consent_keeps_the_whole_file_out(platform, captured, subject, written):
    """R05: nothing is half-imported; every reason is told at once, by place, rule and element."""
    file = written(
        {},
        {"resource": {"status": "draft", "meta": {"security": [{"code": "R"}]}}},
        {"resource": {"policyRule": {"coding": [{"code": "OPTOUT"}]}}},
    )
    before = entries(platform)
    report = import_fhir(platform, captured.caller, file, source="app")
    assert {(one.place.partition("#")[2], one.rule) for one in report.refused} == {
        ("2", "status"),
        ("2", "label"),
        ("3", "base_rule"),
    }
    assert standing(platform, subject) == {}
    assert entries(platform) == before


def test_what_the_register_refuses_is_told_before_anything_is_recorded(platform, captured, subject, written):
    """A rehearsal passes every rule of the register: here a person that nobody knows, beside one who is known."""
    unknown = Person(source_id="u-404")
    report = import_fhir(
        platform, captured.caller, written({}, {"choice": {"subject": unknown, "actor": unknown}}), source="app"
    )
    assert [one.rule for one in report.refused] == ["NotFound"]
    assert standing(platform, subject) == {}


def test_a_notice_that_we_never_published_is_refused(platform, captured, subject, written):
    """R04: a consent must name words of ours; another version or another hash is another text."""
    file = written(
        {"resource": {"policy": [{"uri": "https://elsewhere.example/policy"}]}},
        {"choice": {"notice_hash": "cd" * 32}},
    )
    report = import_fhir(platform, captured.caller, file, source="app")
    assert [(one.rule, one.element) for one in report.refused] == [("notice", "Consent.policy")] * 2


def test_an_expiry_is_nobodys_act_and_not_taken_over(platform, captured, subject, written):
    """Time ends a consent here by its own period; the end of another register is not a decision of the person."""
    report = import_fhir(
        platform, captured.caller, written({"choice": {"act": DecisionAct.EXPIRE, "actor": None}}), source="app"
    )
    assert report.refused
    assert standing(platform, subject) == {}


def test_an_older_grant_does_not_open_what_was_withdrawn_since(platform, captured, subject, written, clock):
    """The import passes the same order of acts as everything else."""
    file = written()
    captured.grant("u-1", "P07")
    clock.advance(timedelta(hours=1))
    withdraw_purpose(platform, captured.caller, subject, "P07", recipient=None)
    report = import_fhir(platform, captured.caller, file, source="app")
    assert [one.rule for one in report.refused] == ["DecidedEarlier"]
    assert standing(platform, subject) == {"P07": DecisionAct.WITHDRAW}


def test_other_resources_are_counted_and_left(platform, captured, subject, written):
    """A bundle may hold patients, too; how many were left is said."""
    file = written()
    bundle = json.loads(file.read_text(encoding="utf-8"))
    bundle["entry"] += [{"resource": {"resourceType": "Patient"}}, {"resource": {"resourceType": "张三"}}]
    file.write_text(json.dumps(bundle), encoding="utf-8")
    report = import_fhir(platform, captured.caller, file, source="app")
    assert report.skipped == {"Patient": 1, "?": 1}
    assert report.as_json()["skipped"] == {"Patient": 1, "?": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", ""),
        ("a.json", "{"),
        ("a.json", "[]"),
        ("a.json", '{"resourceType": "Patient"}'),
        ("a.json", '{"resourceType": "Bundle", "entry": [{}]}'),
        ("a.json", '{"resourceType": "Bundle", "entry": ["x"]}'),
        ("a.json", '{"resourceType": "Bundle", "entry": 5}'),
        ("a.json", '{"resourceType": "Bundle", "entry": {"resource": 1}}'),
        ("a.ndjson", "{"),
    ],
)
def test_a_file_that_holds_no_consent_is_refused(platform, captured, tmp_path, name, content):
    """Missing, truncated, another form: one line, nothing recorded."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError):
        import_fhir(platform, captured.caller, path, source="app")


def test_an_entry_that_is_none_is_named_by_its_place(platform, captured, tmp_path):
    """In a bundle of thousands the number finds it."""
    path = tmp_path / "a.json"
    path.write_text('{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}, 5]}')
    with pytest.raises(SourceError, match=r"a\.json#2 is no FHIR JSON"):
        import_fhir(platform, captured.caller, path, source="app")


def test_too_many_consents_are_refused(platform, captured, written, monkeypatch):
    """All go into one transaction, which must stay short."""
    monkeypatch.setattr("consentry.workflows.import_fhir.MAX_CONSENTS", 1)
    with pytest.raises(SourceError, match="more than 1"):
        import_fhir(platform, captured.caller, written({}, {}), source="app")


def test_a_role_that_may_not_capture_may_not_import(platform, written):
    """R47: default deny."""
    with pytest.raises(Denied):
        import_fhir(platform, NOBODY, written(), source="app")
