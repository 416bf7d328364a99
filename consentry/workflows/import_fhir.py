"""Takes over consents from a FHIR file: all of it, or nothing of it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection

from consent.decisions import ActorKind
from consent.notices import find_notice
from consentry.access import check_may_act
from consentry.acts import ConsentAct
from consentry.interchange.choices import Choice, Names, Person
from consentry.interchange.fhir_elements import Fault, Refused
from consentry.interchange.fhir_reading import ConsentReader, release_of
from consentry.interchange.purpose_codes import load_purpose_codes
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.sources.files import parse_json, read_json, read_lines
from consentry.sources.records import RowRefused, SourceError
from consentry.workflows.capture import ActAnswer, capture_acts
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import ConsentryError

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_CONSENTS: Final = 5_000
"""All are recorded in one transaction, so that the file counts whole or not at all."""

MECHANISM: Final = "fhir_import"


@dataclass(frozen=True, slots=True)
class RefusedConsent:
    """One reason against one resource: where it stands, by which rule, and at which element."""

    place: str
    rule: str
    element: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file.

    Attributes:
        decisions: ids of what was recorded; empty after a dry run and where anything was refused.
        rehearsed: how many decisions the rehearsal led to and took back.
        repeated: consents that had been taken over before. skipped: resources of other types, by type.
    """

    consents: int
    decisions: tuple[str, ...] = ()
    repeated: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[RefusedConsent, ...] = ()
    is_dry_run: bool = False
    rehearsed: int = 0

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs."""
        return {
            "consents": self.consents,
            "decisions": list(self.decisions),
            "repeated": self.repeated,
            "skipped": dict(self.skipped),
            "refused": [
                {"place": one.place, "rule": one.rule, "element": one.element, "detail": one.detail}
                for one in self.refused
            ],
            "dry_run": self.is_dry_run,
            "rehearsed": self.rehearsed,
        }


def import_fhir(
    platform: Platform, caller: Principal, file: Path, *, source: str, dry_run: bool = False
) -> ImportReport:
    """Take over the consents of a file, or say everything that stands against it.

    The whole file is read, checked and recorded in a rehearsal that is rolled back. Only where nothing was refused it
    is recorded. Each consent's act id is made from the source and the resource's bytes, so that the same file again
    changes nothing, and a resource that has changed is a new act.

    Args:
        platform: every part.
        caller: who imports; the act ids are this caller's.
        file: one Consent, a Bundle, or NDJSON of consents; R4 or R5.
        source: the system that the file comes from; its patients are known by it.
        dry_run: stop after the rehearsal.
    Raises:
        SourceError: the file is missing, empty, too large or no FHIR JSON.
        Denied: the role may not record acts.
    """
    check_may_act(platform.catalogue, caller, "consent.capture")
    found, skipped = _read_file(file)
    acts, refused = _acts(platform, source, found)
    tried: Sequence[ActAnswer | ConsentryError] = ()
    if not refused and acts:
        rehearsal = replace(platform, data=_Rehearsal(platform.data))
        tried = capture_acts(rehearsal, caller, list(acts.values()))
        refused = _refusals(acts, tried)
    report = ImportReport(
        len(found), skipped=skipped, refused=tuple(refused), is_dry_run=dry_run, rehearsed=len(_fresh(tried))
    )
    if refused or dry_run or not acts:
        return report
    said = capture_acts(platform, caller, list(acts.values()))
    made = [one for one in said if isinstance(one, ActAnswer)]
    return replace(
        report,
        decisions=_fresh(made),
        repeated=sum(one.repeated for one in made),
        refused=tuple(_refusals(acts, said)),  # by what others recorded since the rehearsal
    )


class _Rehearsal(Database):
    """A store whose writes are taken back when their transaction ends, after everything in them was checked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine, label=database.label)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is rolled back at its end."""
        with suppress(_TakenBack), super().write() as connection:
            yield connection
            raise _TakenBack


class _TakenBack(Exception):
    """No error: the way out of a rehearsal."""


def _read_file(file: Path) -> tuple[dict[str, Mapping[str, Any]], dict[str, int]]:
    """Return the consents by place, and how many resources of each other type were skipped."""
    found: dict[str, Mapping[str, Any]] = {}
    skipped: dict[str, int] = {}
    for number, resource in enumerate(_resources(file), start=1):
        kind = resource.get("resourceType")
        if kind == "Consent":
            found[f"{file.name}#{number}"] = resource
        else:
            name = kind if isinstance(kind, str) and kind.isalpha() and kind.isascii() else "?"
            skipped[name] = skipped.get(name, 0) + 1
    if not found:
        raise SourceError(f"{file.name} holds no Consent", hint="Give a Consent, a Bundle of them, or NDJSON.")
    if len(found) > MAX_CONSENTS:
        raise SourceError(f"{file.name} holds more than {MAX_CONSENTS} consents", hint="Split it.")
    return found, skipped


def _resources(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix.lower() == ".ndjson":
        for number, line in read_lines(file, "utf-8"):
            try:
                yield _object(f"{file.name}:{number}", parse_json(line or ""))
            except RowRefused:
                raise SourceError(f"{file.name}:{number} is no JSON", hint="Write one resource a line.") from None
        return
    root = _object(file.name, read_json(file, "utf-8", max_bytes=MAX_FILE_BYTES))
    if root.get("resourceType") != "Bundle":
        yield root
        return
    entries = root.get("entry", [])
    if not isinstance(entries, list):
        raise SourceError(f"{file.name}: Bundle.entry is no list", hint="Give the resources in a list of entries.")
    for number, entry in enumerate(entries, start=1):
        yield _object(f"{file.name}#{number}", entry.get("resource") if isinstance(entry, Mapping) else None)


def _object(place: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(value.get("resourceType"), str):
        raise SourceError(f"{place} is no FHIR JSON", hint="Every resource is an object with resourceType.")
    return value


def _acts(
    platform: Platform, source: str, found: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, ConsentAct], list[RefusedConsent]]:
    names = Names(platform.settings.deployment, platform.catalogue)
    reader = ConsentReader(names, load_purpose_codes(pack_folder(platform.settings.pack)))
    acts: dict[str, ConsentAct] = {}
    refused: list[RefusedConsent] = []
    with platform.data.read() as connection:
        for place, resource in found.items():
            read = reader.read(resource)
            if isinstance(read, Choice):
                read = _against_notice(connection, read) or read
            if not isinstance(read, Choice):
                refused += [RefusedConsent(place, one.fault.value, one.element) for one in read]
                continue
            try:
                acts[place] = act_of(read, resource, source)
            except ValidationError as err:
                refused.append(_unfit(place, err))
    return acts, refused


def _against_notice(connection: Connection, choice: Choice) -> tuple[Refused, ...]:
    """Refuse a notice that we never published, or one whose hash is another: other words were shown."""
    if choice.notice is None:
        return ()
    published = find_notice(connection, choice.notice)
    is_ours = published is not None and choice.notice_hash in (None, published.hash)
    return () if is_ours else (Refused(Fault.NOTICE, "Consent.policy"),)


def act_of(choice: Choice, resource: Mapping[str, Any], source: str) -> ConsentAct:
    """Return the act that a choice from a source is recorded as.

    Its evidence is the import itself: the release, the resource's id, the hash of its JSON, and which of its elements
    show the act. No other act of the person is made up.

    Raises:
        ValidationError: the choice does not fit an act, such as an expiry, which nobody acts.
    """
    digest = hashlib.sha256(_bytes(resource)).hexdigest()
    act_id = hashlib.sha256(f"{source}/{digest}".encode()).hexdigest()
    evidence = {
        "mechanism": MECHANISM,
        "source": source,
        "release": release_of(resource).value,
        "resource": choice.choice_id[:_ID_CHARS],
        "resource_hash": f"sha256:{digest}",
        "proof": " ".join(choice.proofs),
    }
    stated = {
        "act_id": f"fhir-{act_id}",
        "act": choice.act.value,
        "subject": _reference(choice.subject, source),
        "purposes": list(choice.purposes),
        "recipient": choice.recipient,
        "notice": _notice(choice),
        "actor": _actor(choice, source),
        "evidence": evidence,
        "at": choice.decided_at,
        "valid_from": choice.valid_from,
        "valid_until": choice.valid_until,
        "max_uses": choice.max_uses,
        "fields": None if choice.fields is None else sorted(choice.fields),
    }
    return ConsentAct.model_validate({name: value for name, value in stated.items() if value is not None})


def _bytes(resource: Mapping[str, Any]) -> bytes:
    """Return a resource's JSON in one form: sorted, without white space, decimals as they were written."""
    return json.dumps(resource, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def _reference(person: Person, source: str) -> dict[str, str]:
    if person.subject_id is not None:
        return {"subject_id": person.subject_id}
    return {"source": source, "id": person.source_id or ""}


def _actor(choice: Choice, source: str) -> dict[str, JsonValue]:
    if choice.actor_kind is ActorKind.SELF or choice.actor is None:
        return {"kind": choice.actor_kind.value}
    return {"kind": choice.actor_kind.value, "subject": _reference(choice.actor, source)}


def _notice(choice: Choice) -> dict[str, str] | None:
    if choice.notice is None:
        return None
    return {"code": choice.notice.code, "version": choice.notice.version, "locale": choice.notice.locale}


def _unfit(place: str, err: ValidationError) -> RefusedConsent:
    first = err.errors(include_input=False, include_url=False, include_context=False)[0]
    names = ".".join(str(part) for part in first["loc"] if part in ConsentAct.model_fields)
    return RefusedConsent(place, Fault.ACT.value, names)


def _fresh(said: Sequence[ActAnswer | ConsentryError]) -> tuple[str, ...]:
    """Return the ids of the decisions that were not there before."""
    new = (one for one in said if isinstance(one, ActAnswer) and not one.repeated)
    return tuple(decision_id for one in new for decision_id, _, _ in one.decisions)


def _refusals(acts: Mapping[str, ConsentAct], said: Sequence[ActAnswer | ConsentryError]) -> list[RefusedConsent]:
    return [
        RefusedConsent(place, type(one).__name__, detail=one.diagnostics())
        for place, one in zip(acts, said, strict=True)
        if isinstance(one, ConsentryError)
    ]


_ID_CHARS: Final = 128
