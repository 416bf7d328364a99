"""A subject's decisions that stand, now or as of an instant, for people who answer the subject."""

from datetime import datetime

from consent.sentences import Teller
from consent.standing import get_standing
from consent.words import Language
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.history import decision_row, record_reading
from kernel.encoding import JsonValue
from kernel.ids import SubjectId


def show_consents(
    platform: Platform, caller: Principal, subject: SubjectId, *, as_of: datetime | None = None, locale: str = "zh-CN"
) -> list[dict[str, JsonValue]]:
    """Return one row for each purpose, recipient and track; reading it leaves an entry.

    Args:
        platform: every part.
        caller: who asks.
        subject: whose decisions.
        as_of: what the register knew then; None for now.
        locale: its language is that of the labels.
    Raises:
        NotFound: nobody is registered under this id.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    with platform.data.write() as connection:
        get_standing(connection, subject)
        record_reading(platform, connection, platform.asking(caller), subject, what="decisions", as_of=as_of)
        made = platform.registry.current(connection, subject, as_of=as_of)
    teller = Teller(platform.catalogue, Language.of(locale))
    return [decision_row(one, teller) for one in made]
