"""Reads recipients.yaml: who outside is given data, under which contract, for how long and, abroad, on what ground."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from kernel.catalogue import Label, RecipientText, TransferMechanism
from kernel.located_yaml import Located
from kernel.pack_entries import Declared, Entry, Mistakes, read_date, read_label, read_pairs, read_texts

KINDS: Final = frozenset({"authority", "controller", "joint", "processor"})
"""PIPL 41, 23, 20 and 21."""

MECHANISMS: Final = frozenset({"certification", "exempt", "security_assessment", "standard_contract"})
"""PIPL 38; an exemption needs its document too."""

_CODE: Final = re.compile(r"[a-z][a-z0-9_-]{1,127}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_NO_DATE: Final = date.min
_REQUIRED: Final = {"contact", "contract", "country", "kind", "method", "name", "purposes", "term_from"}
_OPTIONAL: Final = {"approved_by", "engaged_by", "fields", "mechanism", "term_until"}


def read_recipients(root: Located, mistakes: Mistakes) -> list[Declared[RecipientText]]:
    """Return the recipients that were read without mistakes; see ``RecipientText`` for what each key means."""
    declared = []
    for code, node in _read_coded(root, mistakes):
        entry = Entry(node, mistakes, required=_REQUIRED, optional=_OPTIONAL)
        text = _read_recipient(code, entry)
        if entry.is_whole:
            _check(text, node, mistakes)
        if entry.is_whole:
            declared.append(Declared(text, node))
    return declared


def _read_recipient(code: str, entry: Entry) -> RecipientText:
    return RecipientText(
        code=code,
        kind=entry.read("kind", lambda node: node.one_of(KINDS), otherwise=""),
        name=entry.read("name", read_label, otherwise=Label("", "")),
        contact=entry.text("contact"),
        country=entry.read("country", _read_country, otherwise=""),
        purposes=entry.texts("purposes"),
        method=entry.text("method"),
        contract=entry.text("contract"),
        term_from=entry.read("term_from", read_date, otherwise=_NO_DATE),
        term_until=entry.read("term_until", read_date, otherwise=None),
        fields=entry.read("fields", lambda node: frozenset(read_texts(node)), otherwise=None),
        mechanism=entry.read("mechanism", _read_mechanism, otherwise=None),
        engaged_by=entry.text("engaged_by") or None,
        approved_by=entry.text("approved_by") or None,
    )


def _check(text: RecipientText, node: Located, mistakes: Mistakes) -> None:
    if not text.purposes:
        mistakes.add(node["purposes"], f"{text.code} receives for nothing", expected="at least one purpose")
    if text.fields is not None and not text.fields:
        mistakes.add(node["fields"], f"{text.code} receives nothing", expected="fields, or no key for all of them")
    if text.term_until is not None and text.term_until <= text.term_from:
        mistakes.add(node["term_until"], "the contract ends before it begins", expected="a day after term_from")
    if text.engaged_by is not None and text.kind != "processor":
        mistakes.add(node["engaged_by"], f"{text.code} is engaged and no processor", expected="kind: processor")


def _read_coded(root: Located, mistakes: Mistakes) -> Iterator[tuple[str, Located]]:
    for code, node in read_pairs(root, mistakes):
        if _CODE.fullmatch(code) is None:
            mistakes.add(node, f"{code!r} is no code", expected="lower-case letters, digits, hyphens and underscores")
        else:
            yield code, node


def _read_country(node: Located) -> str:
    if _COUNTRY.fullmatch(node.text()) is None:
        raise node.fail(f"{node.raw!r} is no country", expected="two capital letters such as CN (ISO 3166-1)")
    return node.text()


def _read_mechanism(node: Located) -> TransferMechanism:
    node.mapping(required={"kind", "document", "until"})
    return TransferMechanism(node["kind"].one_of(MECHANISMS), node["document"].text(), read_date(node["until"]))
