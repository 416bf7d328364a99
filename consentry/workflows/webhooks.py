"""Register, renew and disable webhook targets; each with its entry in the same transaction."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from audit.events import Act
from consent.entries import event_of
from consent.recipients import find_recipient
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.alarms import OFFICERS
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.webhooks import WebhookTarget, list_targets
from consentry.wake.webhook_messages import scope_of
from consentry.webhooks import JOINT, SigningSecret, Webhooks
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import NotFound
from kernel.ids import SubjectId

_ACT = "principal.manage"


def add_webhook(
    platform: Platform, caller: Principal, *, recipient: str, url: str
) -> tuple[WebhookTarget, SigningSecret]:
    """Register a target of a recipient; returns it with its secret.

    Raises:
        NotFound: neither the pack nor the register knows the recipient.
        BadInput: the URL cannot be a target.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.write() as connection:
        _check_known(platform, connection, recipient)
        return _webhooks(platform).add(connection, recipient=recipient, url=url, asking=platform.asking(caller))


def list_webhooks(platform: Platform, caller: Principal) -> list[Mapping[str, JsonValue]]:
    """Return every target for people and programs, oldest first, without secrets."""
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.read() as connection:
        return [_told(target) for target in list_targets(connection)]


def renew_webhook(platform: Platform, caller: Principal, target_id: str) -> tuple[WebhookTarget, SigningSecret]:
    """Give a target a new secret; raises ``NotFound``, or ``Conflict`` for a disabled one."""
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.write() as connection:
        return _webhooks(platform).renew(connection, target_id, asking=platform.asking(caller))


def disable_webhook(platform: Platform, caller: Principal, target_id: str) -> None:
    """Tell a target nothing more; raises ``NotFound``, or ``Conflict`` for a disabled one."""
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.write() as connection:
        _webhooks(platform).disable(connection, target_id, asking=platform.asking(caller))


def name_for_recipient(platform: Platform, caller: Principal, *, subject: SubjectId, recipient: str) -> str:
    """Return the name under which a recipient is told of a person, for handing it over with the data; logged.

    Raises:
        NotFound: no such subject, or neither the pack nor the register knows the recipient.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    event = replace(event_of(platform.asking(caller), Act.SUBJECT_LOOKED_UP), subject=subject, recipient=recipient)
    with platform.data.write() as connection:
        _check_known(platform, connection, recipient)
        get_standing(connection, subject)
        platform.log.record(connection, event)
    platform.log.settle()
    return platform.pseudonyms.pseudonyms([subject], scope=scope_of(recipient))[subject]


def _check_known(platform: Platform, connection: Connection, recipient: str) -> None:
    declared = {code for purpose in platform.catalogue.purposes.values() for code in purpose.recipients}
    if recipient not in declared | {JOINT, OFFICERS} and find_recipient(connection, recipient) is None:
        raise NotFound(
            f"Recipient {recipient!r} is not registered",
            hint=f"Register it first; {JOINT} stands for joint ones, {OFFICERS} for our own.",
        )


def _webhooks(platform: Platform) -> Webhooks:
    return Webhooks(platform.sealer, platform.log)


def _told(target: WebhookTarget) -> Mapping[str, JsonValue]:
    ended = target.disabled_at
    return {
        "id": target.target_id,
        "recipient": target.recipient,
        "url": target.url,
        "added": format_instant(target.created_at),
        "disabled": None if ended is None else format_instant(ended),
        "why": target.disabled_why,
    }
