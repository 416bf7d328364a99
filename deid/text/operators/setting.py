"""What an operator is given: what was found, and what it may use to replace it."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from deid.text.folding import fold
from deid.text.kinds import Kind
from deid.text.own import OwnIdentifiers
from deid.text.own.forms import name_value, number_value
from deid.text.spans import OWN
from kernel.errors import BadInput
from kernel.ports import Tokeniser

NAMED: Final = frozenset((Kind.PERSON, Kind.ORGANIZATION, Kind.PLACE))
"""Kinds whose values are words; those of all others are compared without what stands between their characters."""

_MOBILE_DIGITS: Final = 11


@dataclass(frozen=True, slots=True)
class Setting:
    """What belongs to one document.

    Attributes:
        scope: within which the same value gets the same token; a data set or an export.
        tokeniser: makes tokens that nobody can make without its keys.
        shift_days: by which the subject's days are moved; the same for all documents of the subject, never told.
        year: that days without a year are taken to lie in when they are moved.
        own: what is known of the subject.
    """

    scope: str = ""
    tokeniser: Tokeniser | None = field(default=None, repr=False)
    shift_days: int | None = field(default=None, repr=False)
    year: int = 2001
    own: OwnIdentifiers | None = None

    def token(self, what: str, value: str) -> str:
        """Return the keyed token of a value, in small base32 letters.

        Args:
            what: keeps values apart that are written alike but are not the same.
            value: in its normal form.

        Raises:
            BadInput: the setting has no tokeniser or no scope.
        """
        if self.tokeniser is None or not self.scope:
            raise BadInput(
                "Pseudonyms need a tokeniser and a scope", hint="Give both, or choose a profile without them."
            )
        return self.tokeniser.token(f"{what}:{value}", scope=self.scope)


@dataclass(frozen=True, slots=True)
class Found:
    """An identifier in a text.

    Attributes:
        value: as it is written; hidden from repr.
        source: the rule that found it.
    """

    kind: Kind
    value: str = field(repr=False)
    source: str

    @property
    def is_own(self) -> bool:
        """Whether the subject's own record says it."""
        return self.source.startswith(OWN)

    @property
    def folded(self) -> str:
        """The value with one spelling for every digit and letter."""
        return fold(self.value).text

    def identity(self, own: OwnIdentifiers | None) -> str:
        """Return what makes two values the same: the whole value of the record, else the value in its normal form."""
        known = _known(self, own) if self.is_own and own is not None else ()
        value = known[0] if known else self.value
        normal = name_value(value) if self.kind in NAMED else number_value(value)
        return normal[-_MOBILE_DIGITS:] if self.kind is Kind.MOBILE else normal


def _known(found: Found, own: OwnIdentifiers) -> tuple[str, ...]:
    """Return what the record says of this kind, where it is one value."""
    said = {
        f"{OWN}name": own.names[:1],
        f"{OWN}mobile": own.mobiles,
        f"{OWN}id_number": own.id_numbers,
        f"{OWN}email": own.emails,
        f"{OWN}account": own.accounts,
        f"{OWN}address": own.addresses,
        f"{OWN}bank_card": own.bank_cards,
        f"{OWN}record_number": own.record_numbers,
    }.get(found.source, ())
    return said if len(said) == 1 else ()


class Operator(Protocol):
    """Turns what was found into what stands in its place."""

    @property
    def needs(self) -> frozenset[str]:
        """Of ``tokeniser`` and ``shift_days`` what the setting must have."""
        ...

    def replace(self, found: Found, setting: Setting) -> str:
        """Return what stands in the place of what was found; never the value."""
        ...
