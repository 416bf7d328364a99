"""Receipts: proof, inside one process, that an access was logged durably before anything is opened."""

import os
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NoReturn, final
from weakref import WeakSet

from kernel.errors import Denied
from kernel.ids import EntryId, SubjectId

_MINT: Final = object()
"""Held by ``audit.log`` only. It stops mistakes, not hostile code inside the process."""

_lock: Final = threading.Lock()
_unused: Final["WeakSet[Receipt]"] = WeakSet()
"""Receipts that were minted and not yet used. What is not in here opens nothing, however it came to be."""

os.register_at_fork(after_in_child=_unused.clear)


class ReceiptRefused(Denied):
    """A receipt was used before, or for something else than it was minted for."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a receipt was minted for."""

    actor: str
    purpose: str
    subjects: frozenset[SubjectId] = field(repr=False)
    fields: frozenset[str]


@final
class Receipt:
    """One access, logged under a signed checkpoint; opens once.

    Only ``AuditLog.receipt`` mints it. It lives in this process alone: it cannot be copied, pickled or rebuilt.

    Attributes:
        entry_id: the permit entry in the log.
        index: its place in the log.
        tree_size: size of the signed checkpoint that covers it.
    """

    __slots__ = ("__weakref__", "_binding", "_entry_id", "_index", "_tree_size")

    _binding: Binding
    _entry_id: EntryId
    _index: int
    _tree_size: int

    def __init__(self, mint: object, binding: Binding, *, entry_id: EntryId, index: int, tree_size: int) -> None:
        if mint is not _MINT:
            raise TypeError("Receipts are minted by AuditLog.receipt only")
        for name, value in (("binding", binding), ("entry_id", entry_id), ("index", index), ("tree_size", tree_size)):
            object.__setattr__(self, f"_{name}", value)
        with _lock:
            _unused.add(self)

    @property
    def entry_id(self) -> EntryId:
        """The permit entry that stands behind the access."""
        return self._entry_id

    @property
    def index(self) -> int:
        """The entry's place in the log, counted from 0."""
        return self._index

    @property
    def tree_size(self) -> int:
        """Number of entries under the signed checkpoint that covers the entry."""
        return self._tree_size

    def redeem(self, *, actor: str, purpose: str, subjects: Collection[SubjectId], fields: Collection[str]) -> None:
        """Use the receipt up for one access; a refused attempt does not use it up.

        Args:
            actor: exactly the bound one.
            purpose: exactly the bound one.
            subjects: those that are about to be opened; a part of the bound ones may be asked for, never more.
            fields: likewise.
        Raises:
            ReceiptRefused: used before, another actor or purpose, or subjects or fields beyond the bound ones.
        """
        with _lock:
            if self not in _unused:
                raise ReceiptRefused("The audit receipt was used before", hint="Ask the gate for a new permit.")
            self._check(actor, purpose, subjects, fields)
            _unused.discard(self)

    def _check(self, actor: str, purpose: str, subjects: Collection[SubjectId], fields: Collection[str]) -> None:
        bound = self._binding
        refused = {
            "actor": actor != bound.actor,
            "purpose": purpose != bound.purpose,
            "subjects": not bound.subjects.issuperset(subjects),
            "fields": not bound.fields.issuperset(fields),
        }
        parts = ", ".join(part for part, is_refused in refused.items() if is_refused)
        if parts:
            raise ReceiptRefused(
                f"The audit receipt {self._entry_id} does not cover: {parts}", hint="Ask for a new permit."
            )

    def __repr__(self) -> str:
        return f"<Receipt of entry {self._entry_id}>"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("A receipt does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("A receipt does not change")

    def __copy__(self) -> NoReturn:
        raise TypeError("A receipt is never copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("A receipt is never copied")

    def __reduce__(self) -> NoReturn:
        raise TypeError("A receipt is never serialised")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("A receipt has no variants")
