"""Reads purposes.yaml and roles.yaml: what data may be used for, and who may do what."""

import re
from typing import Final

from kernel.catalogue import LawfulBasis, Purpose, Role
from kernel.located_yaml import Located
from kernel.pack_entries import Declared, Entry, Mistakes, read_coded, read_label, read_pairs, read_texts
from kernel.pack_oversight import read_limits

PURPOSE_CODE: Final = re.compile(r"P[0-9]{2}")

ACTS: Final = frozenset(
    {
        "access.read",
        "account.release",
        "attachments.list",
        "audit.export",
        "audit.read",
        "audit.review",
        "backup.run",
        "breach.manage",
        "breach.open",
        "case.grant",
        "case.request",
        "consent.capture",
        "consent.read",
        "consent.represent",
        "consent.tend",
        "content.review_compliance",
        "content.review_medical",
        "content.submit",
        "export.run",
        "hold.manage",
        "interchange.export",
        "keys.rotate",
        "log.prune",
        "pack.lint",
        "principal.manage",
        "read.approve",
        "record.correct",
        "records.ingest",
        "records.sweep",
        "register.manage",
        "subject.erase",
        "subject.find",
        "subject.identify",
        "subject.restrict",
        "tags.cohort",
        "tags.explain",
        "tags.read",
        "tags.run",
        "text.deidentify",
        "vault.break_glass",
        "vault.reveal",
        "view.build",
        "view.read",
        "wake.manage",
        "webhook.manage",
    }
)
"""Every act that a role can be given; what is not given is denied."""

_PURPOSE_REQUIRED: Final = {
    "bases",
    "label",
    "needs_assessment",
    "per_recipient",
    "sensitive",
    "separate",
    "withdrawable",
}
_PURPOSE_OPTIONAL: Final = {"assessment", "impact", "necessity", "recipients"}
_ROLE_OPTIONAL: Final = {"case_level", "fields", "limits", "masked_fields"}


def read_purposes(root: Located, mistakes: Mistakes) -> list[Declared[Purpose]]:
    """Return the purposes that were read without mistakes; see ``Purpose`` for what each key means.

    Optional keys: necessity and impact (needed where sensitive), assessment (id of the approved one), recipients.
    """
    declared = []
    for code, node in read_pairs(root, mistakes):
        if PURPOSE_CODE.fullmatch(code) is None:
            mistakes.add(node, f"{code!r} is no purpose code", expected="P and two digits")
        entry = Entry(node, mistakes, required=_PURPOSE_REQUIRED, optional=_PURPOSE_OPTIONAL)
        purpose = _read_purpose(code, entry)
        if entry.is_whole:
            declared.append(Declared(purpose, node))
    return declared


def _read_purpose(code: str, entry: Entry) -> Purpose:
    return Purpose(
        code=code,
        label=entry.label(),
        bases=entry.read("bases", _read_bases, otherwise=()),
        separate_consent=entry.flag("separate"),
        per_recipient=entry.flag("per_recipient"),
        withdrawable=entry.flag("withdrawable"),
        sensitive=entry.flag("sensitive"),
        necessity=entry.read("necessity", read_label, otherwise=None),
        impact=entry.read("impact", read_label, otherwise=None),
        needs_assessment=entry.flag("needs_assessment"),
        assessment=entry.text("assessment") or None,
        recipients=entry.texts("recipients"),
    )


def _read_bases(node: Located) -> tuple[LawfulBasis, ...]:
    bases = tuple(item.one_of(LawfulBasis) for item in node.sequence())
    if not bases:
        raise node.fail("no lawful basis", expected="at least one")
    return bases


def read_roles(root: Located, mistakes: Mistakes) -> list[Declared[Role]]:
    """Return the roles that were read without mistakes; see ``Role`` for what each key means.

    Optional keys: fields (every one), case_level (none above ``max_level``), masked_fields, limits.
    """
    declared = []
    for code, node in read_coded(root, mistakes):
        entry = Entry(node, mistakes, required={"acts", "label", "max_level", "purposes"}, optional=_ROLE_OPTIONAL)
        role = Role(
            code=code,
            label=entry.label(),
            acts=entry.read("acts", _read_acts, otherwise=frozenset()),
            purposes=frozenset(entry.texts("purposes")),
            max_level=entry.read("max_level", _read_level, otherwise=0),
            fields=entry.read("fields", lambda item: frozenset(read_texts(item)), otherwise=None),
            case_level=entry.read("case_level", _read_level, otherwise=None),
            masked_fields=frozenset(entry.texts("masked_fields")),
            limits=entry.read("limits", lambda item: read_limits(item, mistakes), otherwise=None),
        )
        if entry.is_whole:
            declared.append(Declared(role, node))
    return declared


def _read_level(node: Located) -> int:
    return node.integer(minimum=0, maximum=5)


def _read_acts(node: Located) -> frozenset[str]:
    return frozenset(item.one_of(ACTS) for item in node.sequence())
