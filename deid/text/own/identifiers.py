"""A subject's own identifiers while one document of theirs is read: in memory, hidden, never stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Never

from deid.text.kinds import Kind
from kernel.errors import ConsentryError

_NOTHING: Mapping[Kind, tuple[str, ...]] = {}


class OwnNotStored(ConsentryError):
    """Own identifiers were about to be pickled or copied out of the process."""


@dataclass(frozen=True, slots=True)
class OwnIdentifiers:
    """What is known of one subject, as it is written in their record; hidden from repr, refused by pickle.

    Attributes:
        names: the subject's full names, the first the one that pseudonyms and surrogates are made of.
        kin: names of relatives and guardians.
        mobiles, landlines, id_numbers, bank_cards, emails: as they are written anywhere.
        addresses: as long as they are known; parts are found by themselves.
        accounts: of WeChat.
        record_numbers: of the patient, of visits, with or without their letters and leading zeros.
        birth_dates: those of ID numbers are known without.
        others: further numbers by kind, such as of an insurance.
    """

    names: tuple[str, ...] = field(default=(), repr=False)
    kin: tuple[str, ...] = field(default=(), repr=False)
    mobiles: tuple[str, ...] = field(default=(), repr=False)
    landlines: tuple[str, ...] = field(default=(), repr=False)
    id_numbers: tuple[str, ...] = field(default=(), repr=False)
    bank_cards: tuple[str, ...] = field(default=(), repr=False)
    addresses: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    accounts: tuple[str, ...] = field(default=(), repr=False)
    record_numbers: tuple[str, ...] = field(default=(), repr=False)
    birth_dates: tuple[date, ...] = field(default=(), repr=False)
    others: Mapping[Kind, tuple[str, ...]] = field(default_factory=lambda: _NOTHING, repr=False)

    def __reduce__(self) -> Never:
        raise OwnNotStored("Own identifiers are not pickled", hint="Read the document in the process that knows them.")

    def __repr__(self) -> str:
        """Return how many values there are, and none of them."""
        count = sum(len(getattr(self, one.name)) for one in fields(self))
        return f"OwnIdentifiers({count} hidden)"
