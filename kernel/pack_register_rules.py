"""Checks on what a pack gives the register: assessments behind purposes, recipients behind purposes and notices."""

from collections.abc import Mapping, Sequence

from kernel.catalogue import AssessmentText, NoticeText, Purpose, RecipientText
from kernel.located_yaml import Located
from kernel.pack_entries import Declared, Mistakes


def check_assessments(
    declared: Sequence[Declared[AssessmentText]], purposes: Sequence[Declared[Purpose]], mistakes: Mistakes
) -> None:
    """An id stands once, knows its purposes, and covers each purpose that names it (PIPL 55; R35)."""
    known = {purpose.value.code for purpose in purposes}
    by_id: dict[str, Declared[AssessmentText]] = {}
    for one in declared:
        first = by_id.setdefault(one.value.assessment_id, one)
        if first is not one:
            expected = f"one file; the other is {first.at.file}"
            mistakes.add(one.at, f"assessment {one.value.assessment_id} again", expected=expected)
        for code in sorted(set(one.value.purposes) - known):
            mistakes.add(one.at["purposes"], f"unknown purpose {code!r}", expected="a purpose that the pack declares")
    for purpose in purposes:
        named = purpose.value.assessment
        if named is not None and (named not in by_id or purpose.value.code not in by_id[named].value.purposes):
            mistakes.add(
                purpose.at.get("assessment") or purpose.at,
                f"{purpose.value.code} names {named}, which the pack does not hold for it",
                expected="a file under assessments/ with this id and purpose, or no assessment",
            )


def check_recipients(
    declared: Sequence[Declared[RecipientText]],
    purposes: Sequence[Declared[Purpose]],
    field_codes: frozenset[str],
    mistakes: Mistakes,
) -> None:
    """A recipient fits the purposes and fields, a sub-processor its processor; a purpose names declared ones."""
    by_code = {one.value.code: one.value for one in declared}
    known = {purpose.value.code for purpose in purposes}
    for one in declared:
        text, at = one.value, one.at
        for code in sorted(set(text.purposes) - known):
            mistakes.add(at["purposes"], f"unknown purpose {code!r}", expected="a purpose that the pack declares")
        for code in sorted((text.fields or frozenset()) - field_codes):
            mistakes.add(at["fields"], f"unknown field {code!r}", expected="a field that the pack declares")
        if text.engaged_by is not None and not _hangs_on_processors(text, by_code):
            mistakes.add(
                at["engaged_by"], f"{text.code} is engaged by no processor", expected="a processor of this file"
            )
    for purpose in purposes:
        for code in purpose.value.recipients:
            if code not in by_code or purpose.value.code not in by_code[code].purposes:
                mistakes.add(
                    purpose.at["recipients"],
                    f"{code!r} is no recipient for {purpose.value.code}",
                    expected="an entry of recipients.yaml with this purpose",
                )


def check_named(
    notices: Sequence[Declared[NoticeText]], recipients: Sequence[RecipientText], mistakes: Mistakes
) -> None:
    """A notice's table of third parties names whoever decides on the data of its purposes (PIPL 23; R08)."""
    for notice in notices:
        told = {row["recipient"] for row in notice.value.third_parties}
        for text in recipients:
            name = text.name.zh if notice.value.locale.startswith("zh") else text.name.en
            decides = text.kind in {"controller", "joint"} and set(text.purposes) & set(notice.value.purposes)
            if decides and name not in told:
                mistakes.add(
                    _table(notice.at), f"notice {notice.value.code} is silent about {text.code}", expected=f"{name!r}"
                )


def _hangs_on_processors(text: RecipientText, by_code: Mapping[str, RecipientText]) -> bool:
    seen, above = {text.code}, text.engaged_by
    while above is not None:
        found = by_code.get(above)
        if above in seen or found is None or found.kind != "processor":
            return False
        seen.add(above)
        above = found.engaged_by
    return True


def _table(node: Located) -> Located:
    return node.get("third_parties") or node
