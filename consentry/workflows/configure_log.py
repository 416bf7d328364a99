"""What the log was configured with stands in the log: a start that would keep or watch it less is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from audit.retention import RETENTION_COUNT, check_retention, recorded_retention
from audit.scanning import entries_of
from consent.asking import Asking
from consent.wake import system_asking
from consentry.access import check_may_act
from consentry.outsiders import Outsiders
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.errors import BadInput, ConfigurationError, Denied

CONFIGURE_ACT: Final = "log.prune"
"""What the roles of both people must allow: who may let entries go may say how the log is kept."""

_WHAT: Final = "log"
_NO_POLICY: Final = "none"
_PEOPLE: Final = 2


@dataclass(frozen=True, slots=True)
class LogConfiguration:
    """How the log is kept and watched.

    Attributes:
        retention_days: how long entries are kept.
        policy_hash: SHA-256 of the witness policy in hexadecimal, or ``none``.
    """

    retention_days: int
    policy_hash: str

    @classmethod
    def of(cls, platform: Platform) -> "LogConfiguration":
        """Return what the settings say."""
        return cls(platform.settings.audit_retention_days, Outsiders.of(platform.settings).policy_hash or _NO_POLICY)


def check_configured(platform: Platform) -> None:
    """Refuse settings that keep or watch the log less than it says; record a stricter one.

    Raises:
        ConfigurationError: a shorter retention, or another witness policy than two people have put into use.
    """
    wanted = LogConfiguration.of(platform)
    with platform.data.read() as connection:
        check_retention(connection, wanted.retention_days)
        days, policy_hash = recorded_retention(connection), _recorded_policy(connection)
    if policy_hash not in {None, _NO_POLICY, wanted.policy_hash}:
        raise ConfigurationError(
            "The witness policy is another than the one that the log was put under",
            hint="Restore the file, or have two people run `consentry audit configure`.",
        )
    if (days, policy_hash) != (wanted.retention_days, wanted.policy_hash):
        platform.log.write(configured_event(wanted, system_asking()))


def configure_log(platform: Platform, caller: Principal, *, accepted_by: Sequence[Principal]) -> LogConfiguration:
    """Put the settings' retention and witness policy into use; takes two people, since the log may be watched less.

    Raises:
        BadInput: not two different persons.
        Denied: the role of the caller or of one of them may not.
        ConfigurationError: the retention would be shortened, which nobody may.
    """
    check_may_act(platform.catalogue, caller, CONFIGURE_ACT)
    if len(accepted_by) != _PEOPLE or len({one.principal_id for one in accepted_by}) != _PEOPLE:
        raise BadInput("Two different persons must accept this", hint="Give --accept twice, with their tokens.")
    for one in accepted_by:
        try:
            check_may_act(platform.catalogue, one, CONFIGURE_ACT)
        except Denied as err:
            raise Denied(f"{one.principal_id} may not accept this: {err.message}", hint=err.hint) from None
    wanted = LogConfiguration.of(platform)
    with platform.data.read() as connection:
        check_retention(connection, wanted.retention_days)
    refs = {f"accepted_by_{number}": str(one.principal_id) for number, one in enumerate(accepted_by, start=1)}
    platform.log.write(configured_event(wanted, platform.asking(caller), **refs))
    return wanted


def configured_event(wanted: LogConfiguration, asking: Asking, **refs: str) -> Event:
    """Return the event that says how the log is kept and watched from now on."""
    return Event(
        Act.LOG_CONFIGURED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
        counts={RETENTION_COUNT: wanted.retention_days},
        refs={"what": _WHAT, "policy": wanted.policy_hash, **refs},
    )  # fmt: skip


def _recorded_policy(connection: Connection) -> str | None:
    """Return the hash of the policy that the log was put under last; None before the first."""
    said = [one.refs for one in entries_of(connection, [Act.LOG_CONFIGURED.value]) if one.refs.get("what") == _WHAT]
    found = said[-1].get("policy") if said else None
    return found if isinstance(found, str) else None
