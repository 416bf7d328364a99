"""Open the versions of one subject's fields, or the value of its profile that counts; as ``reveal``, step for step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from consentry.platform import Platform
from consentry.readings import Reading
from consentry.workflows.admit import Admitted, admit
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from vault.records import CurrentValue, FieldVersion


@dataclass(frozen=True, slots=True)
class Where:
    """Where the log says that something was opened.

    Attributes:
        masked: fields of which only what the masks leave was opened.
    """

    entry_id: str
    log_index: int
    tree_size: int
    masked: frozenset[str]


@dataclass(frozen=True, slots=True)
class OpenedVersions:
    """Opened versions."""

    versions: Sequence[FieldVersion] = field(repr=False)
    where: Where


@dataclass(frozen=True, slots=True)
class OpenedProfile:
    """The values of a profile that count, by field."""

    values: Mapping[str, CurrentValue] = field(repr=False)
    where: Where


def open_history(
    platform: Platform, reading: Reading, *, approval: str | None = None, case: str | None = None
) -> OpenedVersions:
    """Open every kept version of some fields: what each source said and when, who brought it, what was corrected.

    The entry says that the history was asked for.

    Raises:
        Denied, Unavailable: see ``consentry.workflows.admit``; nothing was opened.
    """
    admitted = _admitted(platform, reading, "history", approval=approval, case=case)
    permit, receipt = admitted.permit, admitted.receipt
    found = platform.vault.open_history(
        permit, receipt, subject=reading.subject, fields=permit.fields, masked=admitted.masked
    )
    return OpenedVersions(found, _where(admitted))


def open_profile(
    platform: Platform, reading: Reading, *, approval: str | None = None, case: str | None = None
) -> OpenedProfile:
    """Open the one value of each profile field that counts, with its source.

    Raises:
        Denied, Unavailable: see ``consentry.workflows.admit``; nothing was opened.
    """
    admitted = _admitted(platform, reading, "current", approval=approval, case=case)
    permit, receipt = admitted.permit, admitted.receipt
    found = platform.vault.open_current(
        permit, receipt, subject=reading.subject, fields=permit.fields, masked=admitted.masked
    )
    return OpenedProfile(found, _where(admitted))


def version_json(version: FieldVersion) -> dict[str, JsonValue]:
    """Return one version for programs."""
    said: dict[str, JsonValue] = {
        "field": version.field,
        "value": version.value,
        "stands": version.stands,
        "record": version.record_id,
        "source_record": version.record_key,
        "kind": version.kind,
        "source": version.source,
        "observed_at": format_instant(version.observed_at),
        "stored_at": None if version.stored_at is None else format_instant(version.stored_at),
        "stored_by": version.stored_by,
        "batch": version.batch_id,
        "permit": version.permit_id,
        "correction": None,
    }
    if version.corrected_at is not None:
        said["correction"] = {"at": format_instant(version.corrected_at), "reason": version.reason}
    return said


def current_json(value: CurrentValue) -> dict[str, JsonValue]:
    """Return one value that counts for programs."""
    return {
        "field": value.field,
        "value": value.value,
        "record": value.record_id,
        "source": value.source,
        "observed_at": format_instant(value.observed_at),
        "trust_rank": value.rank,
        "corrected": value.is_corrected,
    }


def _admitted(platform: Platform, reading: Reading, what: str, *, approval: str | None, case: str | None) -> Admitted:
    asked = replace(reading, refs={**reading.refs, "what": what})
    return admit(platform, asked, approval=approval, case=case)


def _where(admitted: Admitted) -> Where:
    receipt = admitted.receipt
    return Where(admitted.entry_id, receipt.index, receipt.tree_size, admitted.masked)
