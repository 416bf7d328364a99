"""Take a pack into use: its notices, assessments and recipients go into the register, and its hash into the log."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.assessments import last_revoked_at, record_assessment
from consent.notices import publish
from consent.recipients import last_ended_at, record_recipient
from consent.register_head import read_head
from consentry.access import check_may_act
from consentry.packs import find_loaded_hash
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.catalogue import AssessmentText, Catalogue, RecipientText


@dataclass(frozen=True, slots=True)
class LoadedPack:
    """What became of a pack.

    Attributes:
        notices, assessments, recipients: what was new or changed, by name.
        left_ended: assessments and recipients that the pack still holds and an officer has revoked or ended since.
        is_new: whether the pack differs from the one that was in use.
    """

    pack: str
    version: str
    hash: str
    notices: tuple[str, ...]
    assessments: tuple[str, ...]
    recipients: tuple[str, ...]
    left_ended: tuple[str, ...]
    is_new: bool


def load_changed_pack(platform: Platform, caller: Principal) -> LoadedPack:
    """Take the configured pack into use, whole or not at all; the same pack again changes nothing.

    Args:
        platform: opened without the check that its pack is in use.
        caller: with a role of the new pack.

    Raises:
        Denied: the role may not manage the register.
        NoticeIncomplete, AssessmentIncomplete, RecipientIncomplete: the law asks for more.
        Conflict: a published notice has another text now, or other facts behind it; it needs a new version.
    """
    check_may_act(platform.catalogue, caller, "register.manage")
    with platform.data.write() as connection:
        return take_into_use(platform, connection, platform.asking(caller))


def take_into_use(platform: Platform, connection: Connection, asking: Asking) -> LoadedPack:
    """Record what the pack brings in the caller's transaction; ``PACK_LOADED`` stands before what follows from it."""
    catalogue, log = platform.catalogue, platform.log
    is_new = find_loaded_hash(connection) != catalogue.hash
    if is_new:
        refs = {"pack": catalogue.pack, "version": catalogue.version, "hash": catalogue.hash}
        event = Event(Act.PACK_LOADED, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=refs)
        log.record(connection, event)
    ended = {text.assessment_id for text in catalogue.assessments if _is_revoked(connection, text, catalogue)}
    ended |= {text.code for text in catalogue.recipients if _is_ended(connection, text, catalogue)}
    wanted = [text for text in in_order(catalogue.recipients) if text.code not in ended]
    approved = [text for text in catalogue.assessments if text.assessment_id not in ended]
    by: dict[str, Any] = {"catalogue": catalogue, "asking": asking, "log": log}
    return LoadedPack(
        pack=catalogue.pack,
        version=catalogue.version,
        hash=catalogue.hash,
        assessments=_changed(connection, [partial(record_assessment, connection, text, **by) for text in approved]),
        recipients=_changed(connection, [partial(record_recipient, connection, text, **by) for text in wanted]),
        notices=_changed(connection, [partial(publish, connection, text, **by) for text in catalogue.notices]),
        left_ended=tuple(sorted(ended)),
        is_new=is_new,
    )


def in_order(recipients: Sequence[RecipientText]) -> list[RecipientText]:
    """Return recipients with every processor before those whom it engages."""
    by_code = {text.code: text for text in recipients}

    def depth(text: RecipientText, seen: frozenset[str] = frozenset()) -> int:
        above = by_code.get(text.engaged_by or "")
        return 0 if above is None or above.code in seen else 1 + depth(above, seen | {text.code})

    return sorted(recipients, key=lambda text: (depth(text), text.code))


def _is_revoked(connection: Connection, text: AssessmentText, catalogue: Catalogue) -> bool:
    """Say whether this approval was taken back, also where an officer has approved another text since."""
    revoked_at = last_revoked_at(connection, text.assessment_id)
    return revoked_at is not None and catalogue.begin_of(text.approved_on) <= revoked_at


def _is_ended(connection: Connection, text: RecipientText, catalogue: Catalogue) -> bool:
    """Say whether this contract was ended, also where an officer has recorded another one since."""
    ended_at = last_ended_at(connection, text.code)
    return ended_at is not None and catalogue.begin_of(text.term_from) <= ended_at


def _changed(connection: Connection, steps: Iterable[Callable[[], object]]) -> tuple[str, ...]:
    """Do each step, and return the names of what was new: the head of the register moves with it."""
    names = []
    for step in steps:
        before = read_head(connection)
        made = step()
        if read_head(connection) != before:
            names.append(str(made))
    return tuple(names)
