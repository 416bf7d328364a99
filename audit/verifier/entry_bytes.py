"""What the bytes of an entry say; read only where something is reported, or where the whole is asked for."""

import json
from typing import Final

PRUNING_MARK: Final = b'"act":"log.pruned"'
"""Stands in every entry that says up to where entries were pruned, because entries are canonical."""


def entry_id(entry: bytes | None) -> str | None:
    """Return the id that an entry's bytes tell, or None."""
    try:
        found = json.loads(entry or b"null")["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def pruned_below(entry: bytes, index: int) -> int:
    """Return below which index an entry at ``index`` says that all are pruned; 0 when it does not say so.

    Only what came before can have been pruned.
    """
    try:
        members = json.loads(entry)
        below = members["counts"]["below"] if members["act"] == "log.pruned" else 0
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return below if type(below) is int and 0 <= below <= index else 0


def is_canonical(entry: bytes) -> bool:
    """Say whether an entry is one RFC 8785 object; entries have no floats, and their keys are ASCII."""
    try:
        members = json.loads(entry, parse_float=_refuse_number, parse_constant=_refuse_number)
        text = json.dumps(members, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return isinstance(members, dict) and text.encode() == entry
    except (ValueError, RecursionError):
        return False


def _refuse_number(number: str) -> None:
    raise ValueError(number)
