"""Redaction with the type, and what stays."""

from typing import Final

from deid.text.kinds import MARKS
from deid.text.operators.setting import Found, Setting

_NOTHING: Final[frozenset[str]] = frozenset()


class Redact:
    """Leaves the mark of the kind: ``〔手机〕``."""

    needs = _NOTHING

    def replace(self, found: Found, setting: Setting) -> str:  # noqa: ARG002 - as every operator
        """Return the mark."""
        return MARKS[found.kind]


class Keep:
    """Leaves the value; profiles allow it for what names nobody by itself."""

    needs = _NOTHING

    def replace(self, found: Found, setting: Setting) -> str:  # noqa: ARG002 - as every operator
        """Return the value as it is written."""
        return found.value
