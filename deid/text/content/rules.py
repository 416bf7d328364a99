"""What content rules say: what must not stand in a post or a campaign, by which law, and what is done about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deid.text.kinds import Kind
from kernel.catalogue import Label


class ContentKind(StrEnum):
    """Where a text is meant to appear."""

    POST = "post"
    CAMPAIGN = "campaign"


class Author(StrEnum):
    """Who speaks in it."""

    MEMBER = "member"
    DOCTOR = "doctor"
    OPERATOR = "operator"


class Severity(StrEnum):
    """Whether people may let a text pass that breaks the rule."""

    HARD = "hard"
    SOFT = "soft"


class Action(StrEnum):
    """What is done with a text, the mildest first."""

    ALLOW = "allow"
    MASK = "mask"
    HOLD = "hold"
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """How severe it is, 0 for nothing."""
        return list(Action).index(self)


class Reach(StrEnum):
    """How far from a hit something still counts."""

    NEAR = "near"
    CLAUSE = "clause"
    SENTENCE = "sentence"
    PAGE = "page"


class Side(StrEnum):
    """On which side of a hit something is looked for; inside, in what was hit itself."""

    BEFORE = "before"
    AFTER = "after"
    BOTH = "both"
    INSIDE = "inside"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must stand near a hit, or must not.

    Attributes:
        patterns: of words; None where it asks for identifiers.
        identifiers: kinds, one of which must stand there.
        reach: bounds of the search. characters: at most so many to a side; the page is searched whole.
    """

    patterns: re.Pattern[str] | None = field(repr=False)
    identifiers: frozenset[Kind]
    reach: Reach
    characters: int
    side: Side


@dataclass(frozen=True, slots=True)
class Context:
    """What a claim is said in that makes it none: denied, reported as false, asked.

    Attributes:
        kinds: of content in which it excuses.
        signs: any of which excuses. unless: what takes it back (没有不能…, 不用手术就能…), by sign.
    """

    name: str
    kinds: frozenset[ContentKind]
    signs: tuple[Condition, ...]
    unless: tuple[re.Pattern[str] | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        code: its name in answers and in the log.
        kinds: of content that it is for. by: authors that it is for.
        law, article: that it follows; more than one are separated by semicolons.
        find: patterns of words that break it; None where identifiers do, or what is lacking.
        identifiers: kinds that break it.
        near: conditions that all must hold of a hit. unless: conditions of which none may.
        lacks: what the page must show; it breaks the rule only without it.
        excused_by: names of contexts.
    """

    code: str
    kinds: frozenset[ContentKind]
    by: frozenset[Author]
    severity: Severity
    action: Action
    law: str
    article: str
    message: Label
    find: re.Pattern[str] | None = field(repr=False)
    identifiers: frozenset[Kind]
    near: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    lacks: re.Pattern[str] | None = field(repr=False)
    excused_by: tuple[Context, ...]


@dataclass(frozen=True, slots=True)
class ContentRules:
    """A pack's content rules.

    Attributes:
        hash: SHA-256 over what the file means.
    """

    version: str
    rules: Mapping[str, Rule]
    hash: str
