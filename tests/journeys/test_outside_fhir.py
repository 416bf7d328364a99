"""The outside FHIR patients go the whole way, and every one of their resources can be accounted for."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from benchmarks.deployment import new_deployment
from benchmarks.fates import EXPIRED, Fates, find_fates
from benchmarks.outside import FHIR_FOLDER, fhir_resources, patient_acts
from consentry.cli.session import local_operator
from consentry.platform import Platform
from consentry.workflows.build_view import Built, build_view
from consentry.workflows.capture_file import CaptureReport, capture_file
from consentry.workflows.ingest import IngestReport
from consentry.workflows.ingest_files import ingest_fhir
from consentry.workflows.run_tags import TagsRun, run_tags
from kernel.clock import FixedClock

pytestmark = pytest.mark.xdist_group("outside_fhir")

SOURCE = "fhir"
PATIENTS = 12
TAGS = 12
RESOURCES = 931
READ = {
    "Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "AllergyIntolerance", "Procedure",
    "Immunization", "FamilyMemberHistory", "Claim",
}  # fmt: skip
"""The ten types that are read; resources of any other are counted as skipped."""


@dataclass(frozen=True)
class Taken:
    """One deployment after the patients were taken in."""

    platform: Platform
    bundles: Path
    captured: CaptureReport
    report: IngestReport
    fates: Fates


@pytest.fixture(scope="module")
def bundles(outside_data: Path) -> Path:
    """The folder of the outside bundles."""
    return outside_data / FHIR_FOLDER


@pytest.fixture(scope="module")
def taken(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """The patients' acts and bundles; a grown-up patient is the child's guardian."""
    yield from _take(bundles, tmp_path_factory.mktemp("guarded"), with_guardians=True)


@pytest.fixture(scope="module")
def unguarded(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """The same, but the child taps the buttons."""
    yield from _take(bundles, tmp_path_factory.mktemp("unguarded"), with_guardians=False)


@pytest.fixture(scope="module")
def views(taken: Taken) -> dict[str, Built]:
    """Both views, built once."""
    return {name: build_view(taken.platform, local_operator(), name) for name in ("subject_profile", "event_rows")}


@pytest.fixture(scope="module")
def tags(taken: Taken, views: dict[str, Built]) -> TagsRun:
    """One run of the taxonomy over the views."""
    return run_tags(taken.platform, local_operator())


def test_every_act_is_recorded_and_every_patient_registered(taken):
    """Twelve patients have an account each, and none of their acts is refused."""
    assert taken.captured.refused == {}
    assert taken.captured.registered == PATIENTS


def test_every_resource_is_stored_refused_by_name_or_skipped_by_type(taken):
    """What the vault opens, the refusals and the skipped types together make up the bundles, resource by resource."""
    places = dict(fhir_resources(taken.bundles))
    counted = taken.fates.counted
    assert len(places) == RESOURCES
    assert set(taken.fates.by_place) == set(places)
    assert counted["stored"] > RESOURCES * 3 // 4
    assert counted["duplicate"] <= 1


def test_only_resources_of_other_types_are_skipped_and_all_of_them_are(taken):
    """The report's count by type is what counting the files gives."""
    expected = Counter(r["resourceType"] for _, r in fhir_resources(taken.bundles) if r["resourceType"] not in READ)
    assert taken.report.skipped == expected
    assert {fate: n for fate, n in taken.fates.counted.items() if fate.startswith("skipped ")} == {
        f"skipped {name}": number for name, number in expected.items()
    }


def test_the_report_refuses_what_the_vault_does_not_hold(taken):
    """Value by value, what cannot be opened is what the report counts as refused, under the same reasons."""
    reasons: Counter[str] = Counter()
    for (_, why), number in taken.fates.refused.items():
        reasons[why] += number
    assert taken.report.refused_by_reason == reasons


def test_nothing_that_was_granted_is_refused(taken):
    """Each patient granted every purpose and recipient that its notice names: only too old values stay out."""
    assert set(taken.report.refused_by_reason) == {EXPIRED}


def test_what_is_refused_as_too_old_is_older_than_its_time_of_keeping(taken):
    """No value is dropped as expired while the catalogue would keep it."""
    now = taken.platform.clock.now()
    assert taken.fates.expired
    for record, code in taken.fates.expired:
        keep = taken.platform.catalogue.get_field(code).retention.keep
        assert keep is not None
        assert record.observed_at + keep <= now


def test_rows_without_a_field_are_listed_in_the_quarantine_file_without_values(taken):
    """The quarantine file names place, rule and field of exactly the refused resources."""
    listed = taken.report.quarantine.read_text(encoding="utf-8").splitlines()
    refused = [place for place, fate in taken.fates.by_place.items() if fate == "refused no_field"]
    assert taken.report.bad_by_reason == {"no_field": len(refused)}
    assert len(listed) == len(refused) > 0
    assert all(place in line for place, line in zip(sorted(refused), sorted(listed), strict=True))


def test_no_code_of_the_bundles_is_without_a_mapping(taken):
    """The pack's small maps cover every code that is stored."""
    assert taken.report.unmapped == Counter()


def test_profiled_patients_are_in_the_view_and_the_child_is_not(taken, views):
    """The eleven who granted profiling have a row; the child, for whom nobody may grant it, has none."""
    assert views["subject_profile"].people == views["subject_profile"].rows == PATIENTS - 1
    assert views["subject_profile"].left_out == {"NO_DECISION": 1}


def test_the_view_shows_no_identifier_of_a_patient(taken, views):
    """Names, ids, days of birth and streets stand in no cell of either view."""
    import pyarrow.parquet as pq

    cells = {
        str(cell)
        for built in views.values()
        for file in built.folder.glob("*.parquet")
        for row in pq.read_table(file).to_pylist()
        for cell in row.values()
    }
    for identifier in _identifiers(taken.bundles):
        assert not any(identifier in cell for cell in cells)


def test_every_profiled_patient_has_tags(tags):
    """Each of the twelve tags is evaluated for the eleven, and the diagnoses reach them."""
    assert tags.people == PATIENTS - 1
    assert len(tags.distribution) == TAGS
    assert len(tags.distribution["chronic_disease"]) > 1


def test_a_child_without_a_guardian_keeps_everything_to_itself(unguarded):
    """What the child granted by itself was never recorded, so that its data meet no decision, and none is stored."""
    reasons = {why for _, why in unguarded.report.refused}
    child = [place for place, fate in unguarded.fates.by_place.items() if fate == "refused NO_DECISION"]
    assert child
    assert reasons == {"NO_DECISION", EXPIRED}
    assert ("street_address", "NO_DECISION") in unguarded.report.refused


def test_sending_the_bundles_again_stores_nothing(taken):
    """The same input is known by its digest."""
    again = ingest_fhir(taken.platform, local_operator(), [taken.bundles], source=SOURCE)
    assert again.repeated
    assert again.stored_records == 0


def _take(bundles: Path, folder: Path, *, with_guardians: bool) -> Iterator[Taken]:
    clock = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    with new_deployment(folder / "home", clock=clock) as platform:
        desk = patient_acts(bundles, platform.catalogue, source=SOURCE, now=clock.now(), with_guardians=with_guardians)
        captured = capture_file(platform, local_operator(), desk.write(folder / "acts.ndjson"))
        report = ingest_fhir(
            platform, local_operator(), [bundles], source=SOURCE, quarantine=folder / "quarantine.ndjson"
        )
        yield Taken(platform, bundles, captured, report, find_fates(platform, local_operator(), bundles, source=SOURCE))


def _identifiers(bundles: Path) -> Iterator[str]:
    for _, resource in fhir_resources(bundles):
        if resource["resourceType"] != "Patient":
            continue
        yield resource["id"]
        yield from (name["family"] for name in resource["name"])
        yield date.fromisoformat(resource["birthDate"]).isoformat()
        yield from (line for address in resource["address"] for line in address["line"])
        yield from (identifier["value"] for identifier in resource["identifier"])
