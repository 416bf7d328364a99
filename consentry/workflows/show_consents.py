"""A subject's decisions that stand, now or as of an instant, for people who answer the subject."""

from dataclasses import dataclass
from datetime import datetime

from consent.lives import read_hindsight, read_lives
from consent.sentences import Teller
from consent.standing import get_standing
from consent.words import Language
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.history import decision_row, hindsight_notes, recipient_names, record_reading
from kernel.encoding import JsonValue
from kernel.ids import SubjectId


@dataclass(frozen=True, slots=True)
class ShownConsents:
    """What stands: one row for each purpose, recipient and track, and what whoever looks back has to know."""

    rows: list[dict[str, JsonValue]]
    notes: list[str]


def show_consents(
    platform: Platform, caller: Principal, subject: SubjectId, *, as_of: datetime | None = None, locale: str = "zh-CN"
) -> ShownConsents:
    """Return one row for each purpose, recipient and track; reading it leaves an entry.

    Args:
        platform: every part.
        caller: who asks.
        subject: whose decisions.
        as_of: what the register knew then; None for now.
        locale: its language is that of the labels.
    Raises:
        BadInput: ``as_of`` lies in the future.
        NotFound: nobody is registered under this id.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    with platform.data.write() as connection:
        get_standing(connection, subject)
        record_reading(platform, connection, platform.asking(caller), subject, what="decisions", as_of=as_of)
        made = platform.registry.current(connection, subject, as_of=as_of)
        standing = read_lives(connection, made, as_of or platform.log.now(connection))
        hindsight = None if as_of is None else read_hindsight(connection, subject, as_of)
        names = recipient_names(connection)
    teller = Teller(platform.catalogue, Language.of(locale), names)
    return ShownConsents([decision_row(one, teller) for one in standing], hindsight_notes(hindsight, teller))
