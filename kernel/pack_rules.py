"""Checks across a pack's files: what one entry says must fit what the others say."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kernel.catalogue import (
    AssessmentText,
    EventType,
    Field,
    LawfulBasis,
    NoticeText,
    Purpose,
    RecipientText,
    Relation,
    Role,
)
from kernel.located_yaml import Located
from kernel.pack_entries import Declared, Mistakes
from kernel.pack_field_rules import find_contradictions, find_misuses
from kernel.pack_notices import LOCALES, SENSITIVE_SECTIONS
from kernel.pack_register_rules import check_assessments, check_named, check_recipients

_OPENING_ACTS: Final = frozenset({"vault.reveal", "view.build"})
_SEPARATED_ACTS: Final = (
    (frozenset({"consent.capture", "vault.reveal"}), "both records consent and opens under it"),
    (frozenset({"consent.capture", "case.grant"}), "both records consent and gives cases"),
    (frozenset({"case.request", "case.grant"}), "both asks for cases and gives them"),
    (frozenset({"content.submit", "content.review_medical"}), "both submits texts and reviews them"),
    (frozenset({"content.submit", "content.review_compliance"}), "both submits texts and reviews them"),
    (frozenset({"content.review_medical", "content.review_compliance"}), "makes both reviews of a text"),
    (frozenset({"vault.break_glass", "audit.review"}), "both breaks the glass and reviews it"),
)
"""What nobody does together, and what is wrong with it."""

_MASKED_LEVEL: Final = 4
"""Of the most sensitive fields there is no masked sight: a case grant opens them, or nothing does (R49)."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything that a pack's files declare, each with its place.

    Attributes:
        are_notices_whole: whether every file of a notice was read without mistakes.
        is_register_whole: whether every assessment, recipient and purpose was.
        field_codes, purpose_codes: also those of entries that had mistakes, so that one mistake is reported once.
    """

    fields: tuple[Declared[Field], ...]
    purposes: tuple[Declared[Purpose], ...]
    event_types: tuple[Declared[EventType], ...]
    relations: tuple[Declared[Relation], ...]
    roles: tuple[Declared[Role], ...]
    notices: tuple[Declared[NoticeText], ...]
    assessments: tuple[Declared[AssessmentText], ...]
    recipients: tuple[Declared[RecipientText], ...]
    are_notices_whole: bool
    is_register_whole: bool
    field_codes: frozenset[str]
    purpose_codes: frozenset[str]


def check_declarations(pack: Declarations, mistakes: Mistakes) -> None:
    """Note every contradiction between the parts of a pack."""
    purposes = {declared.value.code: declared.value for declared in pack.purposes}
    for purpose in pack.purposes:
        _check_purpose(purpose.value, purpose.at, mistakes)
    for field in pack.fields:
        _check_known({field.value.collect}, pack.purpose_codes, field.at, "collect", mistakes)
        further = field.value.purposes - {field.value.collect}
        _check_known(further, pack.purpose_codes, field.at, "further", mistakes)
        for message, expected in (*find_contradictions(field.value), *find_misuses(field.value, purposes)):
            mistakes.add(field.at, f"{field.value.code}: {message}", expected=expected)
    fields = {declared.value.code: declared.value for declared in pack.fields}
    for event_type in pack.event_types:
        _check_event_type(event_type, pack, fields, mistakes)
    for role in pack.roles:
        _check_role(role, pack, mistakes)
    for notice in pack.notices:
        _check_notice(notice, pack, purposes, mistakes)
    if pack.are_notices_whole:
        _check_editions(pack.notices, mistakes)
        _check_coverage(pack, mistakes)
    if pack.is_register_whole:
        check_assessments(pack.assessments, pack.purposes, mistakes)
        check_recipients(pack.recipients, pack.purposes, pack.field_codes, mistakes)
        check_named(pack.notices, [declared.value for declared in pack.recipients], mistakes)


def _check_known(codes: Iterable[str], known: frozenset[str], at: Located, key: str, mistakes: Mistakes) -> None:
    """Note codes under ``key`` that the pack does not declare."""
    what = "field" if key in {"fields", "masked_fields", "properties"} else "purpose"
    for code in sorted(set(codes) - known):
        mistakes.add(at.get(key) or at, f"unknown {what} {code!r}", expected=f"a {what} that the pack declares")


def _check_purpose(purpose: Purpose, at: Located, mistakes: Mistakes) -> None:
    consented = LawfulBasis.CONSENT in purpose.bases
    rules = (
        (
            purpose.withdrawable is not consented,
            "withdrawable without the basis consent, or the reverse",
            "both or neither",
        ),
        (purpose.separate_consent and not consented, "separate consent without the basis consent", "the basis consent"),
        (
            purpose.sensitive and (purpose.necessity is None or purpose.impact is None),
            "sensitive without necessity or impact",
            "both texts in both languages (PIPL 30)",
        ),
        (
            (purpose.sensitive or purpose.per_recipient) and not purpose.needs_assessment,
            "sensitive or shared without an assessment",
            "needs_assessment: true (PIPL 55)",
        ),
        (
            purpose.assessment is not None and not purpose.needs_assessment,
            "an assessment that is not needed",
            "needs_assessment: true, or no assessment",
        ),
    )
    for broken, message, expected in rules:
        if broken:
            mistakes.add(at, f"{purpose.code}: {message}", expected=expected)


def _check_event_type(
    declared: Declared[EventType], pack: Declarations, fields: Mapping[str, Field], mistakes: Mistakes
) -> None:
    event_type, at = declared.value, declared.at
    _check_known(event_type.purposes, pack.purpose_codes, at, "purposes", mistakes)
    _check_known(event_type.properties, pack.field_codes, at, "properties", mistakes)
    if not event_type.purposes:
        mistakes.add(at, f"{event_type.code} has no purpose", expected="at least one")
    for code in sorted(set(event_type.required) - set(event_type.properties)):
        mistakes.add(at, f"{event_type.code} requires {code!r}", expected="one of its properties")
    for code in event_type.properties:
        if code in fields and not fields[code].purposes & event_type.purposes:
            mistakes.add(
                at, f"{event_type.code} carries {code!r} for no common purpose", expected="a purpose of the field"
            )


def _check_role(declared: Declared[Role], pack: Declarations, mistakes: Mistakes) -> None:
    role, at = declared.value, declared.at
    _check_known(role.purposes, pack.purpose_codes, at, "purposes", mistakes)
    _check_known(role.fields or (), pack.field_codes, at, "fields", mistakes)
    _check_known(role.masked_fields, pack.field_codes, at, "masked_fields", mistakes)
    for acts, message in _SEPARATED_ACTS:
        if role.acts >= acts:
            mistakes.add(at, f"{role.code} {message}", expected="two roles")
    _check_reach(role, pack, at, mistakes)
    can_open = role.purposes and (role.max_level or role.masked_fields)
    if role.acts & _OPENING_ACTS and not can_open:
        mistakes.add(at, f"{role.code} may open nothing", expected="purposes, and max_level of 1 or more")


def _check_reach(role: Role, pack: Declarations, at: Located, mistakes: Mistakes) -> None:
    """Note a sight beyond a role's own levels that nothing bounds."""
    levels = {declared.value.code: declared.value.level for declared in pack.fields}
    for code in sorted(role.masked_fields):
        if levels.get(code, 0) > _MASKED_LEVEL:
            mistakes.add(at, f"{role.code} sees {code!r} masked", expected=f"fields up to level {_MASKED_LEVEL}")
    if role.max_level > _MASKED_LEVEL and "vault.reveal" in role.acts:
        mistakes.add(at, f"{role.code} opens level 5 by itself", expected="max_level 4, and case_level: 5 (R49)")
    if role.case_level is not None and not (role.max_level < role.case_level and "case.request" in role.acts):
        mistakes.add(
            at,
            f"{role.code} has a case_level that is of no use",
            expected="one above max_level, and the act case.request",
        )


def _check_notice(
    declared: Declared[NoticeText], pack: Declarations, purposes: Mapping[str, Purpose], mistakes: Mistakes
) -> None:
    notice, at = declared.value, declared.at
    _check_known(notice.purposes, pack.purpose_codes, at, "purposes", mistakes)
    if not notice.purposes:
        mistakes.add(at, f"notice {notice.code} informs about no purpose", expected="at least one")
    if not notice.collected:
        mistakes.add(at, f"notice {notice.code} lists nothing that is collected", expected="rows under collected (R03)")
    missing = [name for name in SENSITIVE_SECTIONS if name not in notice.sections]
    if missing and any(code in purposes and purposes[code].sensitive for code in notice.purposes):
        mistakes.add(
            at, f"notice {notice.code} is for sensitive purposes", expected=f"the sections {', '.join(missing)}"
        )


def _check_editions(notices: Iterable[Declared[NoticeText]], mistakes: Mistakes) -> None:
    """Every edition exists once in each locale, and informs about the same purposes in all of them."""
    editions: dict[tuple[str, str], dict[str, Declared[NoticeText]]] = defaultdict(dict)
    for declared in notices:
        edition = editions[declared.value.code, declared.value.version]
        if declared.value.locale in edition:
            first = edition[declared.value.locale].at.file
            mistakes.add(declared.at, f"notice {declared.value.code} again", expected=f"one file; the other is {first}")
        edition[declared.value.locale] = declared
    for (code, version), edition in editions.items():
        first_at = next(iter(edition.values())).at
        for locale in sorted(LOCALES - edition.keys()):
            mistakes.add(first_at, f"notice {code} {version} is missing in {locale}", expected="every locale")
        if len({frozenset(declared.value.purposes) for declared in edition.values()}) > 1:
            mistakes.add(first_at, f"notice {code} {version} differs in purposes", expected="the same in every locale")


def _check_coverage(pack: Declarations, mistakes: Mistakes) -> None:
    """A purpose that can be granted needs a notice that informs about it."""
    informed = {code for declared in pack.notices for code in declared.value.purposes}
    for declared in pack.purposes:
        purpose = declared.value
        can_be_active = purpose.assessment is not None or not purpose.needs_assessment
        if purpose.withdrawable and can_be_active and purpose.code not in informed:
            mistakes.add(declared.at, f"{purpose.code} has no notice", expected="one under notices/ (PIPL 17)")
