"""A value with the file and line where it stands, and typed access to it; made by ``kernel.located_yaml``."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final, TypeVar, overload

from kernel.encoding import JsonValue
from kernel.errors import BadInput

_E = TypeVar("_E", bound=Enum)

_ARTICLES: Final = {"integer": "an integer", "boolean": "true or false"}


@dataclass(frozen=True, slots=True)
class PackMistake:
    """One mistake: the file as it was given, the line counted from 1, what is wrong and what was expected."""

    file: str
    line: int
    message: str
    expected: str

    def __str__(self) -> str:
        """Return ``file:line: what; expected …``."""
        return f"{self.file}:{self.line}: {self.message}" + (f"; expected {self.expected}" if self.expected else "")


class PackError(BadInput):
    """One or more mistakes in a pack's files, all of them in ``mistakes``, one a line in the message."""

    def __init__(self, mistakes: Iterable[PackMistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


@dataclass(frozen=True, slots=True)
class Located:
    """One node of a YAML file: a mapping, a sequence or a scalar, with its place.

    Attributes:
        file, line: where the node begins; for a mapping or sequence under a key, the line of the key.
        kind: mapping, sequence, text, integer, decimal, number (in no form of ours), boolean or nothing.
        raw: a scalar's characters after unquoting; empty for mappings and sequences.
    """

    file: str
    line: int
    kind: str
    raw: str
    _pairs: dict[str, "Located"]
    _items: tuple["Located", ...]

    def fail(self, message: str, *, expected: str = "") -> PackError:
        """Return the error for a mistake at this place; the caller raises it."""
        return PackError([PackMistake(self.file, self.line, message, expected)])

    def mapping(self, *, required: Collection[str] | None = None, optional: Collection[str] | None = None) -> "Located":
        """Check that this is a mapping with these keys, and return it; without any key named, every key is fine.

        Raises:
            PackError: another kind of node, and every missing and every unknown key.
        """
        self._demand("mapping")
        if required is None and optional is None:
            return self
        known = {*(required or ()), *(optional or ())}
        missing = sorted(set(required or ()) - set(self._pairs))
        mistakes = [
            PackMistake(self.file, self.line, f"{key!r} is missing", f"the keys {_listed(known)}") for key in missing
        ]
        mistakes += [
            PackMistake(child.file, child.line, f"unknown key {key!r}", f"one of {_listed(known)}")
            for key, child in self._pairs.items()
            if key not in known
        ]
        if mistakes:
            raise PackError(mistakes)
        return self

    def __getitem__(self, key: str) -> "Located":
        """Return a mapping's value; raises ``PackError`` where the key is missing."""
        self._demand("mapping")
        if key not in self._pairs:
            raise self.fail(f"{key!r} is missing", expected=f"a value under {key!r}")
        return self._pairs[key]

    def __contains__(self, key: str) -> bool:
        """Say whether a mapping has the key."""
        return key in self._pairs

    def get(self, key: str) -> "Located | None":
        """Return a mapping's value, or None where the key is absent."""
        self._demand("mapping")
        return self._pairs.get(key)

    def items(self) -> Iterator[tuple[str, "Located"]]:
        """Return a mapping's pairs in the order of the file."""
        self._demand("mapping")
        return iter(self._pairs.items())

    def sequence(self) -> tuple["Located", ...]:
        """Return a sequence's nodes."""
        self._demand("sequence")
        return self._items

    def text(self) -> str:
        """Return a non-empty text without white space around it."""
        self._demand(
            "text", note=" (put quotes around it)" if self.kind not in {"mapping", "sequence", "nothing"} else ""
        )
        stripped = self.raw.strip()
        if not stripped:
            raise self.fail("the text is empty", expected="some text")
        return stripped

    def integer(self, *, minimum: int | None = None, maximum: int | None = None) -> int:
        """Return a whole decimal number within the inclusive bounds."""
        self._demand("integer")
        value = int(self.raw)
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            raise self.fail(f"{value} is out of range", expected=_range(minimum, maximum))
        return value

    def decimal(self) -> Decimal:
        """Return a decimal number, written with or without a point, exactly as its characters say."""
        if self.kind not in {"integer", "decimal"}:
            raise self.fail(f"this is {self._shown()}", expected="a decimal number such as 5.6")
        return Decimal(self.raw)

    def boolean(self) -> bool:
        """Return true or false; ``yes``, ``on`` and the other spellings of YAML 1.1 are text."""
        self._demand("boolean")
        return self.raw == "true"

    @overload
    def one_of(self, allowed: type[_E]) -> _E: ...
    @overload
    def one_of(self, allowed: Collection[str]) -> str: ...
    def one_of(self, allowed: type[_E] | Collection[str]) -> _E | str:
        """Return the member of an Enum with this value, or this text where it is one of the allowed."""
        text = self.text()
        if isinstance(allowed, type):
            members = {str(member.value): member for member in allowed}
            if text in members:
                return members[text]
            raise self.fail(f"unknown value {text!r}", expected=f"one of {_listed(members)}")
        if text in allowed:
            return text
        raise self.fail(f"unknown value {text!r}", expected=f"one of {_listed(allowed)}")

    def value(self) -> JsonValue:
        """Return the whole subtree as JSON values; a decimal with a point must be quoted."""
        match self.kind:
            case "mapping":
                return {key: child.value() for key, child in self._pairs.items()}
            case "sequence":
                return [child.value() for child in self._items]
            case "integer":
                return self.integer()
            case "boolean":
                return self.boolean()
            case "nothing":
                return None
            case "text":
                return self.raw
        raise self.fail(f"this is {self._shown()}", expected="the number as quoted text")

    def _demand(self, kind: str, *, note: str = "") -> None:
        if self.kind != kind:
            raise self.fail(f"this is {self._shown()}", expected=_ARTICLES.get(kind, f"a {kind}") + note)

    def _shown(self) -> str:
        if self.kind in {"mapping", "sequence"}:
            return f"a {self.kind}"
        return "nothing" if self.kind == "nothing" else f"the {self.kind} {self.raw[:40]!r}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _range(minimum: int | None, maximum: int | None) -> str:
    if minimum is None:
        return f"at most {maximum}"
    return f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
