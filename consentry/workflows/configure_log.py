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
from consentry.workflows.two_people import check_two_people, named_in
from kernel.errors import ConfigurationError

CONFIGURE_ACT: Final = "log.prune"
"""What the roles of both people must allow: who may let entries go may say how the log is kept."""

_WHAT: Final = "log"
_NO_POLICY: Final = "none"


@dataclass(frozen=True, slots=True)
class LogConfiguration:
    """How the log is kept and watched.

    Attributes:
        retention_days: how long entries are kept.
        policy_hash: SHA-256 over witnesses, groups and quorum of the policy in hexadecimal, or ``none``; the lines of
            the log's own keys do not count, so that a rotation changes nothing.
        file_hash: that of the whole policy file, as it was recorded before; ``none`` without one.
    """

    retention_days: int
    policy_hash: str
    file_hash: str = _NO_POLICY

    @classmethod
    def of(cls, platform: Platform) -> "LogConfiguration":
        """Return what the settings say."""
        outsiders = Outsiders.of(platform.settings)
        watched = _NO_POLICY if outsiders.policy is None else outsiders.policy.watch_digest()
        return cls(platform.settings.audit_retention_days, watched, outsiders.policy_hash or _NO_POLICY)


def check_configured(platform: Platform) -> LogConfiguration:
    """Refuse settings that keep or watch the log less than it says; nothing is recorded.

    Raises:
        ConfigurationError: a shorter retention, or another witness policy than two people have put into use.
    """
    wanted = LogConfiguration.of(platform)
    with platform.data.read() as connection:
        check_retention(connection, wanted.retention_days)
        policy_hash = _recorded_policy(connection)
    if policy_hash not in {None, _NO_POLICY, wanted.policy_hash, wanted.file_hash}:
        raise ConfigurationError(
            "The policy names other witnesses, groups or another quorum than the log was put under",
            hint="Restore the file, or have two people run `consentry audit configure`.",
        )
    return wanted


def record_configured(platform: Platform) -> None:
    """Record settings that keep the log longer, or watch it where nobody did; for the start of what serves.

    No other command does: what a typing error in one variable says would hold for ever.

    Raises:
        ConfigurationError: see ``check_configured``.
    """
    wanted = check_configured(platform)
    with platform.data.read() as connection:
        said = recorded_retention(connection), _recorded_policy(connection)
    if said != (wanted.retention_days, wanted.policy_hash):
        platform.log.write(configured_event(wanted, system_asking()))


def configure_log(platform: Platform, caller: Principal, *, accepted_by: Sequence[Principal]) -> LogConfiguration:
    """Put the settings' retention and witness policy into use; takes two people, since the log may be watched less.

    Raises:
        BadInput: not two different persons.
        Denied: the role of the caller or of one of them may not.
        ConfigurationError: the retention would be shortened, which nobody may.
        IntegrityFailed: the log is not the one that was signed; nothing was written.
    """
    check_may_act(platform.catalogue, caller, CONFIGURE_ACT)
    check_two_people(platform, accepted_by, CONFIGURE_ACT)
    platform.log.checkpointer.check()
    wanted = LogConfiguration.of(platform)
    with platform.data.read() as connection:
        check_retention(connection, wanted.retention_days)
    platform.log.write(configured_event(wanted, platform.asking(caller), **named_in(accepted_by)))
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
