"""Record-linked redaction: what is known of the subject of a text is found in it, however it is written."""

from deid.text.own.finder import OwnFinder
from deid.text.own.identifiers import OwnIdentifiers, OwnNotStored

__all__ = ["OwnFinder", "OwnIdentifiers", "OwnNotStored"]
