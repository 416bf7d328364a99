"""Who outside is given data: controllers, joint controllers, processors and authorities, with contract and term.

A version for every change, none of them changed later (R08, R38, R39, R40). What a recipient may get at an instant is
the rule of ``consent.register_facts``; here it is recorded, ended and listed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.register_head import hold_head, move_head
from consent.tables import recipient as recipient_table
from kernel.catalogue import Catalogue, Label, RecipientText, TransferMechanism
from kernel.clock import format_instant
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import EntryId

MAX_CODE_CHARS: Final = 128

_COUNTRY: Final = re.compile("[A-Z]{2}")
"""ISO 3166-1 alpha-2."""


class RecipientKind(StrEnum):
    """What somebody outside is to the controller: PIPL 23, 20, 21 and 41."""

    CONTROLLER = "controller"
    JOINT = "joint"
    PROCESSOR = "processor"
    AUTHORITY = "authority"


class MechanismKind(StrEnum):
    """What a transfer abroad rests on: PIPL 38; an exemption is recorded with its document too."""

    SECURITY_ASSESSMENT = "security_assessment"
    STANDARD_CONTRACT = "standard_contract"
    CERTIFICATION = "certification"
    EXEMPT = "exempt"


class RecipientIncomplete(BadInput):
    """Something that the law asks for is missing from a recipient."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One version as it is stored.

    Attributes:
        text: what was declared.
        is_overseas: its country is not the pack's.
        certificate: that the data were returned or destroyed, for one that is ended.
        hash: SHA-256 of the canonical JSON, in hexadecimal.
    """

    text: RecipientText
    version: int
    is_overseas: bool
    is_ended: bool
    certificate: str | None
    hash: str
    recorded_at: datetime
    entry_id: EntryId

    def __str__(self) -> str:
        return f"{self.code}/{self.version}"

    @property
    def code(self) -> str:
        """Its code."""
        return self.text.code


def record_recipient(
    connection: Connection, text: RecipientText, catalogue: Catalogue, *, asking: Asking, log: EntryLog
) -> Recipient:
    """Record a recipient, as the next version of its code; what stands already changes nothing and leaves no entry.

    One abroad without a mechanism document, a sub-processor or an authority without approval can be recorded; the gate
    gives them nothing.

    Raises:
        RecipientIncomplete: name, contact, method, contract or purposes are missing (PIPL 23), or do not fit.
        BadInput: an unknown purpose, or a sub-processor of nobody that is registered.
        Conflict: the relation was ended, and the contract given here began before that.
    """
    check_recipient(text, catalogue)
    hold_head(connection)
    newest = find_recipient(connection, text.code)
    content = _content(text, catalogue)
    if newest is not None and not newest.is_ended and newest.hash == _hash(content):
        return newest
    if newest is not None and newest.is_ended and catalogue.begin_of(text.term_from) <= newest.recorded_at:
        raise Conflict(
            f"The relation with {text.code} was ended after this contract began",
            hint="Give the term of the new contract.",
        )
    _check_chain(connection, text)
    return _store(connection, content, newest, asking, log)


def end_recipient(connection: Connection, code: str, *, certificate: str, asking: Asking, log: EntryLog) -> Recipient:
    """End the relation: nothing more is given, to its sub-processors neither (PIPL 21, R38).

    Args:
        certificate: the statement that the data were returned or destroyed; kept with the last version.

    Raises:
        RecipientIncomplete: no certificate.
        NotFound: there is no such recipient.
        Conflict: it is ended already.
    """
    if not certificate.strip():
        raise RecipientIncomplete(
            f"Ending the relation with {code} lacks the certificate", hint="Have the data returned or destroyed first."
        )
    hold_head(connection)
    newest = get_recipient(connection, code)
    if newest.is_ended:
        raise Conflict(f"The relation with {code} is ended already", hint="See the register for its certificate.")
    stored = json.loads(_newest_row(connection, code).content)
    return _store(connection, {**stored, "certificate": certificate.strip()}, newest, asking, log)


def check_recipient(text: RecipientText, catalogue: Catalogue) -> None:
    """Raise ``RecipientIncomplete`` naming everything that is missing (R08), ``BadInput`` for an unknown purpose."""
    used = frozenset[str]().union(*(catalogue.fields_by_purpose[catalogue.get_purpose(p).code] for p in text.purposes))
    told = {
        "a name in both languages": text.name.zh.strip() and text.name.en.strip(),
        "contact": text.contact.strip(),
        "method": text.method.strip(),
        "contract": text.contract.strip(),
        "purposes": text.purposes,
        "a country of two capital letters": _COUNTRY.fullmatch(text.country),
        "a code of 1 to 128 characters": text.code == text.code.strip() and 0 < len(text.code) <= MAX_CODE_CHARS,
        "a kind of the four": text.kind in set(RecipientKind),
        "a term that ends after it begins": text.term_until is None or text.term_from < text.term_until,
        "fields that its purposes use": text.fields is None or (text.fields and text.fields <= used),
        "a kind of mechanism of the four": text.mechanism is None or text.mechanism.kind in set(MechanismKind),
        "the mechanism's document": text.mechanism is None or text.mechanism.document.strip(),
        "the kind processor for one that is engaged": text.engaged_by is None or text.kind == RecipientKind.PROCESSOR,
    }
    missing = [name for name, is_there in told.items() if not is_there]
    if missing:
        raise RecipientIncomplete(
            f"Recipient {text.code} lacks {', '.join(missing)}", hint="Complete it and record it again."
        )


def get_recipient(connection: Connection, code: str) -> Recipient:
    """Return the newest version.

    Raises:
        NotFound: there is none.
    """
    found = find_recipient(connection, code)
    if found is None:
        raise NotFound(f"Recipient {code} is not registered", hint="Declare it in the pack's recipients.yaml.")
    return found


def find_recipient(connection: Connection, code: str) -> Recipient | None:
    """Return the newest version, or None."""
    row = _newest_row(connection, code)
    return None if row is None else _recipient(row)


def last_ended_at(connection: Connection, code: str) -> datetime | None:
    """Return when a relation was last ended; None where none ever was."""
    table = recipient_table.c
    statement = select(table.recorded_at).where(table.code == code, table.ended).order_by(table.version.desc()).limit(1)
    return connection.scalar(statement)


def list_recipients(connection: Connection, *, as_of: datetime | None = None) -> list[Recipient]:
    """Return the newest version of every code, as recorded by an instant where one is given; in the codes' order."""
    statement = _SELECT.order_by(recipient_table.c.code, recipient_table.c.version)
    if as_of is not None:
        statement = statement.where(recipient_table.c.recorded_at <= as_of)
    newest = {row.code: row for row in connection.execute(statement).all()}
    return [_recipient(row) for row in newest.values()]


def joint_controllers(recipients: Iterable[Recipient], purpose: str) -> list[Recipient]:
    """Return those who decide with us on a purpose: what a person tells one of us, all of us are told (R39).

    One whose relation was ended is among them: it can still hold what it was given.
    """
    return [one for one in recipients if one.text.kind == RecipientKind.JOINT and purpose in one.text.purposes]


def _check_chain(connection: Connection, text: RecipientText) -> None:
    """A sub-processor hangs on registered processors, and never on itself."""
    engaged_by, above = text.engaged_by, {text.code}
    while engaged_by is not None:
        found = find_recipient(connection, engaged_by)
        if engaged_by in above or found is None or found.text.kind != RecipientKind.PROCESSOR:
            raise BadInput(
                f"Recipient {text.code} is engaged by {engaged_by}, which is no processor above it",
                hint="Record the processor that engages it first.",
            )
        above.add(engaged_by)
        engaged_by = found.text.engaged_by


def _store(
    connection: Connection,
    content: Mapping[str, JsonValue],
    newest: Recipient | None,
    asking: Asking,
    log: EntryLog,
) -> Recipient:
    code, version = str(content["code"]), 1 if newest is None else newest.version + 1
    is_ended = content["certificate"] is not None
    moved = move_head(connection)
    now = log.now(connection)  # before the entry's own time: whoever decides by that sees the row
    refs = {"recipient": f"{code}/{version}", "hash": _hash(content), "recorded_at": format_instant(now), **moved}
    event = replace(
        event_of(asking, Act.RECIPIENT_RECORDED), recipient=code, refs=refs, counts={"ended": int(is_ended)}
    )
    row = {
        "code": code,
        "version": version,
        "kind": content["kind"],
        "content": canonical_json(content),
        "hash": refs["hash"],
        "ended": is_ended,
        "recorded_at": now,
        "entry_id": log.record(connection, event),
    }
    connection.execute(insert(recipient_table), row)
    return get_recipient(connection, code)


def _content(text: RecipientText, catalogue: Catalogue) -> dict[str, JsonValue]:
    return {
        "code": text.code,
        "kind": text.kind,
        "name": {"zh": text.name.zh, "en": text.name.en},
        "contact": text.contact,
        "country": text.country,
        "overseas": text.country != catalogue.jurisdiction,
        "purposes": sorted(text.purposes),
        "fields": None if text.fields is None else sorted(text.fields),
        "method": text.method,
        "contract": text.contract,
        "term_from": text.term_from.isoformat(),
        "term_until": None if text.term_until is None else text.term_until.isoformat(),
        "begins_at": catalogue.begin_of(text.term_from).isoformat(),
        "ends_at": None if text.term_until is None else catalogue.begin_of(text.term_until).isoformat(),
        "mechanism": None if text.mechanism is None else _mechanism(text.mechanism, catalogue),
        "engaged_by": text.engaged_by,
        "approved_by": text.approved_by,
        "needs_approval": text.engaged_by is not None or text.kind == RecipientKind.AUTHORITY,
        "certificate": None,
    }


def _mechanism(mechanism: TransferMechanism, catalogue: Catalogue) -> dict[str, JsonValue]:
    until, ends_at = mechanism.until.isoformat(), catalogue.begin_of(mechanism.until).isoformat()
    return {"kind": mechanism.kind, "document": mechanism.document, "until": until, "ends_at": ends_at}


def _hash(content: Mapping[str, JsonValue]) -> str:
    return sha256(canonical_json(content)).hexdigest()


def _newest_row(connection: Connection, code: str) -> Any:  # noqa: ANN401 - a row, or None
    statement = _SELECT.where(recipient_table.c.code == code).order_by(recipient_table.c.version.desc()).limit(1)
    return connection.execute(statement).one_or_none()


def _recipient(row: Row[*tuple[Any, ...]]) -> Recipient:
    content = json.loads(row.content)
    mechanism = content["mechanism"]
    text = RecipientText(
        code=row.code,
        kind=row.kind,
        name=Label(content["name"]["zh"], content["name"]["en"]),
        contact=content["contact"],
        country=content["country"],
        purposes=tuple(content["purposes"]),
        method=content["method"],
        contract=content["contract"],
        term_from=date.fromisoformat(content["term_from"]),
        term_until=None if content["term_until"] is None else date.fromisoformat(content["term_until"]),
        fields=None if content["fields"] is None else frozenset(content["fields"]),
        mechanism=mechanism
        and TransferMechanism(mechanism["kind"], mechanism["document"], date.fromisoformat(mechanism["until"])),
        engaged_by=content["engaged_by"],
        approved_by=content["approved_by"],
    )
    return Recipient(
        text=text,
        version=row.version,
        is_overseas=content["overseas"],
        is_ended=row.ended,
        certificate=content["certificate"],
        hash=row.hash,
        recorded_at=row.recorded_at,
        entry_id=EntryId(row.entry_id),
    )


_SELECT: Final = select(recipient_table)
