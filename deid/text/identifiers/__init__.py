"""The structured identifiers that are found by themselves, each a pattern and a judge.

What a word before it names (a record number, a WeChat id) is in ``deid.text.labelled``, dates and ages in
``deid.text.dates``.
"""

from typing import Final

from deid.text.identifiers.base import Identifier, Verdict
from deid.text.identifiers.broken import broken_in
from deid.text.identifiers.contacts import CONTACTS
from deid.text.identifiers.devices import DEVICES
from deid.text.identifiers.documents import DOCUMENTS
from deid.text.identifiers.english import ENGLISH
from deid.text.identifiers.money import MONEY
from deid.text.identifiers.vehicles import FORCES, VEHICLES

__all__ = ["ACROSS", "IDENTIFIERS", "Identifier", "Verdict", "broken_in"]

IDENTIFIERS: Final = (*DOCUMENTS, *CONTACTS, *MONEY, *DEVICES, *ENGLISH)
"""Those that are written in ``deid.text.scanner.ALPHABET``."""

ACROSS: Final = (*VEHICLES, *FORCES)
"""Those that begin with a Chinese character, and are looked for in the whole text."""
