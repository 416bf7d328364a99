"""Watches every decryption of a sealed value, and of a file's chunk: through which door of the vault it was asked for.

A door is the outermost function of the package on the stack, where somebody outside called in. Behind an exit there is
a permit on that function's frame, whose receipt must have been redeemed by then.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from audit.receipts import Receipt
from vault._content import ContentKey
from vault.envelope import DataKey

INSIDE = {
    "vault.details.DetailSealer.open_details": "words beside entries and decisions, for the log and the register",
    "vault.envelope.open_many": "the sink itself; the package's own, as the test of imports shows",
    "vault.envelope.open_value": "the sink itself; the package's own, as the test of imports shows",
    "vault.corrections.Corrector.correct": "reads what a correction replaces, and seals its reason",
    "vault.corrections.Corrector.follow_up": "as correct",
    "vault.corrections.Corrector.resume": "as correct",
    "vault.doubts.settle_doubt": "moves index entries to the one of two people",
    "vault.field_erasure.FieldEraser.erase": "seals under a new key what stays",
    "vault.field_erasure.FieldEraser.erase_scope": "seals under a new key what stays",
    "vault.field_erasure.FieldEraser.go_on": "as erase_scope",
    "vault.moving.SubjectMover.finish": "seals under another subject's keys what it gets",
    "vault.moving.SubjectMover.resume": "as finish",
    "vault.records.Vault.find_conflicts": "compares values of several sources, and names fields and sources",
    "vault.retention.Sweeper.steps": "seals under a new key what stays",
    "vault.retention.Sweeper.sweep": "as steps",
    "vault.returning.Returner.come_back": "seals under a fresh subject's keys the identifiers of who comes back",
    "vault.returning.Returner.resume": "as come_back",
    "vault.returning.Returner.take_back": "as come_back, the other way round",
    "vault.sampling.check_sample": "verifies a restored copy, and counts",
}
"""Public ways to a decryption that take no receipt: what each does, and returns no value of a person."""

DRIVEN = {
    "vault.erasure.Eraser.erase": "verifies what it erases",
    "vault.erasure.Eraser.resume": "as erase",
    "vault.data_rotation.rotate_data_keys": "seals under a new key",
    "vault.data_rotation.resume_data_keys": "as rotate_data_keys",
    "vault.index_rotation.rotate_index": "makes index entries under a new key",
    "vault.index_rotation.resume_indexes": "as rotate_index",
}
"""Doors whose way the walk of the code cannot tell from others of the same name; likewise with what each does."""


class Decryptions:
    """What was decrypted.

    Attributes:
        behind_receipt: how often through each door, after the receipt of its permit was redeemed.
        without: how often through each other door.
    """

    def __init__(self) -> None:
        self.behind_receipt: Counter[str] = Counter()
        self.without: Counter[str] = Counter()
        self._redeemed: set[str] = set()

    def redeemed(self, entry_id: str) -> None:
        """Note that a receipt was used up."""
        self._redeemed.add(entry_id)

    def note(self) -> None:
        """Note a decryption under way."""
        door = _door(sys._getframe(2))
        permit = door.f_locals.get("permit")
        is_covered = permit is not None and permit.entry_id in self._redeemed
        name = f"{door.f_globals['__name__']}.{door.f_code.co_qualname}"
        (self.behind_receipt if is_covered else self.without)[name] += 1


@contextmanager
def watched() -> Iterator[Decryptions]:
    """Watch while the block runs."""
    seen = Decryptions()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataKey, "__init__", _watching_key(DataKey.__init__, seen))
        patch.setattr(ContentKey, "_open", _watching_chunk(ContentKey._open, seen))
        patch.setattr(Receipt, "redeem", _watching_receipt(Receipt.redeem, seen))
        yield seen


def _watching_key(make: Callable[..., None], seen: Decryptions) -> Callable[..., None]:
    def init(self: DataKey, *args: Any, **named: Any) -> None:
        make(self, *args, **named)
        decrypt = self.decrypt

        def watched_decrypt(*parts: bytes) -> bytes:
            seen.note()
            return decrypt(*parts)

        object.__setattr__(self, "decrypt", watched_decrypt)

    return init


def _watching_chunk(open_chunk: Callable[..., bytes], seen: Decryptions) -> Callable[..., bytes]:
    def opened(self: ContentKey, *args: Any) -> bytes:
        seen.note()
        return open_chunk(self, *args)

    return opened


def _watching_receipt(redeem: Callable[..., None], seen: Decryptions) -> Callable[..., None]:
    def used(self: Receipt, **named: Any) -> None:
        redeem(self, **named)
        seen.redeemed(self.entry_id)

    return used


def _door(frame: FrameType | None) -> FrameType:
    """Return the outermost frame of the package that is reached through it and the standard library alone."""
    door = None
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("vault."):
            door = frame
        elif name.split(".", maxsplit=1)[0] not in sys.stdlib_module_names:
            break
        frame = frame.f_back
    assert door is not None, "a decryption outside of the vault"
    return door
