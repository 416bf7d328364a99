"""Explain one tag of one pseudonym: the value, the rule with its version, and every input that it was made from.

Source: PIPL article 24 paragraph 3 and GDPR article 22 ask for an explanation of an automated decision.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

from kernel.catalogue import Label
from kernel.errors import NotFound
from tagging.evaluate import check_as_of, check_inputs, needed_columns, needed_event_columns
from tagging.reference import Facts, Row, compile_rule
from tagging.schema import PSEUDONYM, SUBJECT_COLUMNS
from tagging.session import Session, locked, source
from tagging.syntax import Expression, measures, own_columns, tag_references
from tagging.taxonomy import Tag, TagType, Taxonomy
from tagging.types import Cell, Value
from tagging.words import Locale, in_words, text_of, value_in_words


class InputKind(StrEnum):
    """Where an input comes from."""

    COLUMN = "column"
    EVENTS = "events"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a rule: a column of the view, a measure over events, or another tag with its own explanation."""

    kind: InputKind
    name: str
    label: Label
    value: Cell | int | date = field(repr=False)
    explanation: "Explanation | None" = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a tag has its value.

    Attributes:
        tag, label: the tag.
        value: None is unknown.
        value_label: the value in words.
        rule: the rule as it is written; ``meaning`` in words.
        version: the rule's version; ``taxonomy`` and ``taxonomy_hash`` say of which taxonomy.
        as_of: the last day that counted.
        inputs: all that the rule looks at, in the order of its text.
    """

    tag: str
    label: Label
    value: Value = field(repr=False)
    value_label: Label = field(repr=False)
    rule: str
    meaning: Label
    version: int
    taxonomy: str
    taxonomy_hash: str
    as_of: date
    inputs: tuple[Input, ...] = field(repr=False)

    def lines(self, locale: Locale, *, indent: int = 0) -> tuple[str, ...]:
        """Return the explanation as lines of text; what another tag is made of stands indented below it."""
        sentence = text_of(_SENTENCE, locale).format(
            label=text_of(self.label, locale),
            value=text_of(self.value_label, locale),
            as_of=self.as_of.isoformat(),
            tag=self.tag,
            version=self.version,
            meaning=text_of(self.meaning, locale),
        )
        pad = "  " * indent
        lines = [pad + line for line in sentence.split("\n")]
        for one in self.inputs:
            if one.explanation is not None:
                lines += one.explanation.lines(locale, indent=indent + 1)
            else:
                said = text_of(one.label, locale), value_in_words(one.value, locale)
                lines.append(f"{pad}  - {text_of(_INPUT, locale).format(*said)}")
        return tuple(lines)


_INPUT: Final = Label("{}：{}", "{}: {}")
_SENTENCE: Final = Label(
    "{label}：{value}（截至 {as_of}，规则 {tag} 第 {version} 版）\n规则：{meaning}",
    "{label}: {value} (as of {as_of}, rule {tag} version {version})\nRule: {meaning}",
)


def explain(taxonomy: Taxonomy, tag: str, *, pseudonym: str, subjects: Path, events: Path, as_of: date) -> Explanation:
    """Explain the value of one tag for one pseudonym, computed anew by the reference evaluator.

    Args:
        taxonomy: the tags.
        tag: the tag's code.
        pseudonym: whose value.
        subjects: Parquet file of the subject view.
        events: Parquet file of the event view.
        as_of: the last natural day that counts.
    Raises:
        NotFound: the tag, or the pseudonym in the view, does not exist.
        InputRefused: a file that is not one of the views.
    """
    check_as_of(as_of)
    wanted = list(taxonomy.with_references(tag))
    with locked(subjects, events) as (session, paths):
        check_inputs(session, wanted, subjects=paths[0], events=paths[1])
        rules = [one.rule for one in wanted]
        subject = _subject_row(session, paths[0], pseudonym, needed_columns(rules))
        happened = _event_rows(session, paths[1], pseudonym, needed_event_columns(rules) - {"at"})
    explained: dict[str, Explanation] = {}
    for one in wanted:
        values = {code: explanation.value for code, explanation in explained.items()}
        explained[one.code] = _explained(taxonomy, one, Facts(subject, happened, as_of, values), explained)
    return explained[tag]


def _explained(taxonomy: Taxonomy, tag: Tag, facts: Facts, known: Mapping[str, Explanation]) -> Explanation:
    tags = {other.code: other for other in taxonomy.tags}
    value = compile_rule(tag.rule)(facts)
    return Explanation(
        tag=tag.code,
        label=tag.label,
        value=value,
        value_label=_value_label(tag, value),
        rule=tag.text,
        meaning=_meaning(tag.rule, tags, tag),
        version=tag.version,
        taxonomy=taxonomy.name,
        taxonomy_hash=taxonomy.hash,
        as_of=facts.as_of,
        inputs=tuple(_inputs(tag.rule, facts, tags, known)),
    )


def _inputs(
    rule: Expression, facts: Facts, tags: Mapping[str, Tag], known: Mapping[str, Explanation]
) -> Iterable[Input]:
    for column in dict.fromkeys(own_columns(rule)):
        label = SUBJECT_COLUMNS[column.name].label
        yield Input(InputKind.COLUMN, column.name, label, facts.subject[column.name])
    for measure in dict.fromkeys(measures(rule)):
        yield Input(InputKind.EVENTS, measure.measure, _meaning(measure, tags), compile_rule(measure)(facts))
    for code in dict.fromkeys(reference.code for reference in tag_references(rule)):
        yield Input(InputKind.TAG, code, tags[code].label, known[code].value, known[code])


def _meaning(node: Expression, tags: Mapping[str, Tag], of: Tag | None = None) -> Label:
    return Label(in_words(node, tags, Locale.ZH, of=of), in_words(node, tags, Locale.EN, of=of))


def _value_label(tag: Tag, value: Value) -> Label:
    if tag.type is TagType.ENUM and isinstance(value, str):
        return tag.label_of(value)
    return Label(value_in_words(value, Locale.ZH), value_in_words(value, Locale.EN))


def _subject_row(session: Session, path: Path, pseudonym: str, columns: frozenset[str]) -> Row:
    names = [PSEUDONYM, *sorted(columns)]
    found = session.rows(f"SELECT {_listed(names)} FROM {source('$1')} WHERE {PSEUDONYM} = $2", [str(path), pseudonym])
    if not found:
        raise NotFound("There is no such pseudonym in the view", hint="It may have been left out when it was built.")
    return dict(zip(names, map(_cell, found[0]), strict=True))


def _event_rows(session: Session, path: Path, pseudonym: str, columns: frozenset[str]) -> list[Row]:
    names = sorted(columns)
    sql = f"SELECT {_listed(names)} FROM {source('$1')} WHERE {PSEUDONYM} = $2"
    found = session.rows(sql, [str(path), pseudonym])
    return [dict(zip(names, map(_cell, row), strict=True)) for row in found]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _cell(raw: object) -> Cell | int | date:
    if isinstance(raw, list):
        return tuple(str(code) for code in raw if code is not None)
    # The columns' types were checked: text, numbers and days are left.
    return cast("Cell | int | date", raw)
