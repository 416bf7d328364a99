"""What became of each resource of an ingested folder: found by opening the vault, not by believing the report."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.opened import people_of
from benchmarks.outside import fhir_resources
from consent.reasons import Reason
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.sources.context import open_context
from consentry.sources.fhir import read_fhir
from consentry.sources.records import BadRow, SourceRecord
from kernel.encoding import JsonValue, canonical_json
from kernel.ids import SubjectId

STORED: Final = "stored"
IN_PART: Final = "stored in part"
EXPIRED: Final = "RETENTION_PASSED"

_Fact: TypeAlias = tuple[SubjectId, str, str, str, bytes]


@dataclass
class Fates:
    """Each resource's fate by its place, and each refused value's reason.

    Attributes:
        by_place: ``stored``, ``stored in part``, ``refused REASON``, ``skipped TYPE`` or ``duplicate``.
        refused: values that were not stored, by field and reason; RETENTION_PASSED where the gate would have let
            them in.
        expired: of these, the records that hold a value whose time of keeping was over, with the field.
    """

    by_place: dict[str, str] = field(default_factory=dict)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    expired: list[tuple[SourceRecord, str]] = field(default_factory=list)

    @property
    def counted(self) -> Counter[str]:
        """Resources by fate."""
        return Counter(self.by_place.values())


def find_fates(platform: Platform, caller: Principal, folder: Path, *, source: str) -> Fates:
    """Read the bundles anew, open everything that the vault holds, and compare value by value.

    Raises:
        LookupError: a resource has no fate: it was neither handed on, nor refused, skipped or a duplicate.
    """
    context = open_context(platform.catalogue, pack=pack_folder(platform.settings.pack), clock=platform.clock)
    reading = read_fhir([folder], context, source=source)
    rows = {row.locator: row for row in reading}
    stored = set(_stored(platform, caller))
    fates = Fates()
    dropped = 0
    for place, resource in fhir_resources(folder):
        row = rows.get(place)
        if isinstance(row, BadRow):
            fates.by_place[place] = f"refused {row.reason}"
        elif isinstance(row, SourceRecord):
            fates.by_place[place] = _fate(platform, caller, row, stored, fates)
        elif reading.skipped.get(resource["resourceType"]):
            fates.by_place[place] = f"skipped {resource['resourceType']}"
        else:
            dropped += 1
            fates.by_place[place] = "duplicate"
    said = reading.duplicates.get("exact", 0) + reading.duplicates.get("near", 0)
    if dropped != said:
        raise LookupError(f"{dropped} resources left no trace, {said} were dropped as duplicates")
    return fates


def _fate(platform: Platform, caller: Principal, record: SourceRecord, stored: set[_Fact], fates: Fates) -> str:
    subject = platform.resolver.find(record.source, record.source_subject)
    if subject is None:
        return "refused unknown_person"
    missing: list[str] = []
    for code, value in record.values.items():
        if _fact(subject, record.kind, record.observed_at.isoformat(), code, value) in stored:
            continue
        why = _reason(platform, caller, subject, code)
        missing.append(why.value if why else EXPIRED)
        fates.refused[code, missing[-1]] += 1
        if why is None:
            fates.expired.append((record, code))
    if not missing:
        return STORED
    return f"refused {min(missing)}" if len(missing) == len(record.values) else IN_PART


def _stored(platform: Platform, caller: Principal) -> Iterator[_Fact]:
    """Open every value under its purpose of collection, as any reader must: permit, receipt, vault."""
    with platform.data.read() as connection:
        subjects = platform.vault.subjects(connection)
    for purpose, fields in _by_purpose(platform).items():
        for recipient in _recipients(platform, purpose):
            asking = platform.asking(caller)
            with platform.data.write() as connection:
                permit = platform.gate.check_many(
                    connection, asking=asking, purpose=purpose, subjects=subjects, fields=fields, recipient=recipient
                ).permit
            if permit is None:
                continue
            receipt = platform.log.receipt(
                permit.entry_id, actor=asking.actor, purpose=purpose, subjects=permit.subjects, fields=permit.fields
            )
            opened = platform.vault.open_cohort(permit, receipt, fields=permit.fields)
            for subject, records in people_of(opened).items():
                for record in records:
                    at = record.observed_at.isoformat()
                    yield from (_fact(subject, record.kind, at, code, v) for code, v in record.values.items())


def _reason(platform: Platform, caller: Principal, subject: SubjectId, code: str) -> Reason | None:
    """Return why the gate keeps a field out, or None where it lets it in for some recipient.

    Of several recipients' answers the one that tells most: that no recipient but another was granted says little.
    """
    purpose = platform.catalogue.get_field(code).collect
    reasons: list[Reason | None] = []
    with platform.data.read() as connection:
        for recipient in _recipients(platform, purpose):
            said = platform.gate.preview_many(
                connection, asking=platform.asking(caller), purpose=purpose, subjects=[subject], fields=[code],
                recipient=recipient,
            )  # fmt: skip
            reasons.append(said[subject][code])
    telling = [why for why in reasons if why not in (Reason.NO_DECISION, Reason.RECIPIENT)]
    return None if None in reasons else (telling or reasons)[0]


def _by_purpose(platform: Platform) -> Mapping[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for code, declared in platform.catalogue.fields.items():
        fields.setdefault(declared.collect, []).append(code)
    return fields


def _recipients(platform: Platform, purpose: str) -> tuple[str | None, ...]:
    declared = platform.catalogue.get_purpose(purpose)
    return declared.recipients if declared.per_recipient and declared.recipients else (None,)


def _fact(subject: SubjectId, kind: str, at: str, code: str, value: JsonValue) -> _Fact:
    return subject, kind, at, code, canonical_json(value)
