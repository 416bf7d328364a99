"""The outside FHIR bundles: each resource stored, refused by reason, or skipped by type; nothing lost."""

import tempfile
from pathlib import Path
from typing import Final

from benchmarks.deployment import new_deployment
from benchmarks.fates import find_fates
from benchmarks.figures import Bound, Figure, Target
from benchmarks.outside import FHIR_FOLDER, fhir_resources, outside_folder, patient_acts
from benchmarks.timing import seconds_of

SOURCE: Final = "fhir"


def run() -> list[Figure]:
    """Return the figures; none without outside data."""
    outside = outside_folder()
    if outside is None or not (outside / FHIR_FOLDER).is_dir():
        return []
    with tempfile.TemporaryDirectory() as folder:
        return _measured(outside / FHIR_FOLDER, Path(folder))


def _measured(bundles: Path, folder: Path) -> list[Figure]:
    from consentry.cli.session import local_operator
    from consentry.workflows.capture_file import capture_file
    from consentry.workflows.ingest_files import ingest_fhir

    counted = sum(1 for _ in fhir_resources(bundles))
    with new_deployment(folder / "home") as platform:
        desk = patient_acts(bundles, platform.catalogue, source=SOURCE, now=platform.clock.now())
        capture_file(platform, local_operator(), desk.write(folder / "acts.ndjson"))
        reports = []
        seconds = seconds_of(
            lambda: reports.append(
                ingest_fhir(
                    platform, local_operator(), [bundles], source=SOURCE, quarantine=folder / "quarantine.ndjson"
                )
            )
        )
        fates = find_fates(platform, local_operator(), bundles, source=SOURCE).counted
    bare = seconds_of(lambda: list(fhir_resources(bundles)))
    figures = [
        Figure(
            "demo", "outside FHIR: resources with a fate", fates.total(), "resources", "json alone", counted,
            Target(Bound.EXACTLY, 1, of_ratio=True),
        ),
        Figure(
            "demo", "outside FHIR: ingest", counted / seconds, "resources/s", "json alone", counted / bare
        ),
    ]  # fmt: skip
    figures += [
        Figure("demo", f"outside FHIR: {fate}", number, "resources", "all", counted)
        for fate, number in sorted(fates.items(), key=lambda item: (item[0].split()[0] != "stored", item[0]))
    ]
    unmapped = Figure("demo", "outside FHIR: codes without a mapping", sum(reports[0].unmapped.values()), "codes")
    return [*figures, unmapped]
