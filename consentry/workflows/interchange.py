"""Consent for others to keep or to read: records and receipts (ISO/IEC TS 27560), FHIR Consent out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.decisions import Decision
from consent.notices import NoticeRef, PublishedNotice, get_notice
from consent.receipts import Logged, receipt_claims
from consent.recipients import list_recipients
from consent.records import Chain, Register, consent_chains, consent_record
from consent.rules import Track
from consent.shapes import RECORD, check_shape
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.interchange.choices import Names, choice_of
from consentry.interchange.fhir_consent import ConsentWriter, bundle_of
from consentry.interchange.purpose_codes import load_purpose_codes
from consentry.interchange.releases import Release
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.receipt_keys import load_receipt_key
from consentry.workflows.history import record_reading
from kernel.encoding import JsonValue, digest
from kernel.errors import BadInput, NotFound
from kernel.ids import DecisionId, SubjectId, new_id


@dataclass(frozen=True, slots=True)
class IssuedReceipt:
    """A receipt as it is handed out; ``token`` is the JWS in compact form."""

    receipt_id: str
    decision_id: DecisionId
    subject: SubjectId
    token: str = field(repr=False)


def read_records(platform: Platform, caller: Principal, subject: SubjectId) -> list[dict[str, JsonValue]]:
    """Return a subject's consent records, oldest first; reading them leaves an entry.

    Raises:
        NotFound: nobody is registered under this id.
        Denied: the role may not read decisions.
        ShapeBroken: what is recorded makes no whole record.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    with platform.data.write() as connection:
        get_standing(connection, subject)
        record_reading(platform, connection, platform.asking(caller), subject, what="records", as_of=None)
        chains = consent_chains(platform.registry.history(connection, subject))
        register = _register(platform, connection, chains)
    records = [consent_record(chain, register) for chain in chains]
    for record in records:
        check_shape(record, RECORD)
    return records


def issue_receipt(
    platform: Platform, caller: Principal, decision_id: DecisionId, *, subject: SubjectId | None = None
) -> IssuedReceipt:
    """Issue a signed receipt for one decision: the record as it then stood, and where the log holds it.

    The log is settled before the receipt is signed, so that the person holds a checkpoint later than the decision.

    Args:
        platform: every part.
        caller: who asks.
        decision_id: a decision of the consent track.
        subject: whose decision it must be, where a person asks for its own; None for anybody's.
    Raises:
        NotFound: there is no such decision of the subject.
        BadInput: it rests on contract or law, or withdraws what was never agreed to; there is nothing to receipt.
        ConfigurationError: there is no receipt key.
        Unavailable: the log cannot be settled; no receipt was handed out.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    key = load_receipt_key(platform.settings.receipt_key_path)
    asking = platform.asking(caller)
    receipt_id = new_id("rcp")
    with platform.data.write() as connection:
        made = platform.registry.get(connection, decision_id)
        if subject not in (None, made.subject):
            raise NotFound(f"Decision {decision_id} does not exist", hint="Check the id.")
        chain = _chain_of(platform, connection, made)
        record = consent_record(chain, _register(platform, connection, [chain]))
        refs = {"receipt": receipt_id, "decision": decision_id, "record_hash": digest(record), "key": key.key_id}
        event = Event(
            Act.RECEIPT_ISSUED, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=made.purpose,
            recipient=made.recipient, subject=made.subject, refs=refs,
        )  # fmt: skip
        issued_entry = platform.log.record(connection, event)
        issued_at = platform.log.now(connection)
    logged = Logged(made.entry_id, issued_entry, platform.log.settle().note.decode())
    claims = receipt_claims(
        record, logged, receipt_id=receipt_id, decision_id=decision_id, issuer=platform.settings.deployment,
        issued_at=issued_at,
    )  # fmt: skip
    return IssuedReceipt(receipt_id, decision_id, made.subject, key.sign(claims))


def export_fhir(platform: Platform, caller: Principal, subject: SubjectId, release: Release) -> dict[str, JsonValue]:
    """Return the choices of a subject that stand now as a FHIR bundle; reading them leaves an entry.

    Contracts and duties are no consents and are left out.

    Raises:
        NotFound: nobody is registered under this id.
        Denied: the role may not read decisions.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    with platform.data.write() as connection:
        get_standing(connection, subject)
        record_reading(platform, connection, platform.asking(caller), subject, what=f"fhir_{release}", as_of=None)
        standing = [made for made in platform.registry.current(connection, subject) if made.track is Track.CONSENT]
        notices = _notices(connection, (made.notice for made in standing))
    codes = load_purpose_codes(pack_folder(platform.settings.pack))
    names = Names(platform.settings.deployment, platform.catalogue)
    resources = []
    for made in standing:
        told = None if made.notice is None else json.loads(notices[made.notice].content)["sections"]["controller"]
        resources.append(ConsentWriter(names, codes, told).write(choice_of(made), release))
    return bundle_of(resources)


def _chain_of(platform: Platform, connection: Connection, made: Decision) -> Chain:
    if made.track is not Track.CONSENT:
        raise BadInput(
            f"Decision {made.decision_id} rests on contract or law", hint="Receipts are issued for consents."
        )
    for chain in consent_chains(platform.registry.history(connection, made.subject)):
        if made.decision_id in {one.decision_id for one in chain.decisions}:
            return chain.until(made.decision_id)
    raise BadInput(
        f"Decision {made.decision_id} ends what was never agreed to under a notice",
        hint="Its entry in the log shows it; there is no record to give a receipt for.",
    )


def _register(platform: Platform, connection: Connection, chains: Iterable[Chain]) -> Register:
    settings, catalogue = platform.settings, platform.catalogue
    parties = {one.text.code: one.text for one in list_recipients(connection)}
    place = settings.storage_location or catalogue.jurisdiction
    return Register(catalogue, _notices(connection, (chain.notice for chain in chains)), (place,), parties)


def _notices(connection: Connection, wanted: Iterable[NoticeRef | None]) -> Mapping[NoticeRef, PublishedNotice]:
    refs = {ref for ref in wanted if ref is not None}
    return {ref: get_notice(connection, ref.code, ref.version, ref.locale) for ref in refs}
