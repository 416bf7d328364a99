"""Which entries of the log belong to a breach: their places, as evidence."""

import hashlib
from collections.abc import Sequence
from typing import Final

from audit.queries import Sought, find_page
from consentry.actors import resolve_actor
from consentry.breach_acts import AccessFilter
from consentry.platform import Platform
from kernel.errors import BadInput
from kernel.ids import RequestId, SubjectId, is_id

LISTED: Final = 2_000
"""Places that are sealed one by one; the digest covers all."""

_PAGE: Final = 500
_MOST: Final = 100_000


def find_accesses(platform: Platform, wanted: AccessFilter) -> list[int]:
    """Return the places of the entries that fit every condition, in the log's order.

    Raises:
        BadInput: no condition, an actor that neither an account nor an entry has, no request's id, or more entries
            than anybody could look at.
    """
    if not wanted.model_dump(exclude_none=True):
        raise BadInput("Every access would belong to the breach", hint="Give a request, an actor, a subject or a time.")
    if wanted.request_id is not None and not is_id(wanted.request_id, "req"):
        raise BadInput("This is no request's id, which begins with req_", hint="Entries have it as `request_id`.")
    platform.log.settle()
    places: list[int] = []
    after: int | None = None
    with platform.data.read() as connection:
        actor = None if wanted.actor is None else resolve_actor(connection, wanted.actor)
        while True:
            page = find_page(connection, _sought(wanted, actor, after), limit=_PAGE)
            places += [entry.index for entry in page.entries]
            if len(places) > _MOST:
                raise BadInput(f"More than {_MOST} entries fit", hint="Narrow the filter.")
            if page.next_index is None:
                return places
            after = page.next_index


def digest_of(places: Sequence[int]) -> str:
    """Return the SHA-256 over the places in decimal, each followed by a line feed."""
    return hashlib.sha256("".join(f"{place}\n" for place in places).encode()).hexdigest()


def _sought(wanted: AccessFilter, actor: str | None, after: int | None) -> Sought:
    return Sought(
        subject=None if wanted.subject_id is None else SubjectId(wanted.subject_id),
        actor=actor,
        since=wanted.since,
        until=wanted.until,
        request_ids=() if wanted.request_id is None else (RequestId(wanted.request_id),),
        after_index=after,
    )
