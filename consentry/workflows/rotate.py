"""Rotations of keys, each online and resumable: the epoch, data keys, the keys of blind indexes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from consent.asking import Asking
from consent.standing import get_standing
from consent.wake import no_point
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from vault.data_rotation import DataKeys, DataRotation, resume_data_keys, rotate_data_keys
from vault.epoch_rotation import EpochRotation, no_progress, resume_epochs, rotate_epoch
from vault.index_rotation import IndexRotation, resume_indexes, rotate_index
from vault.key_report import KeyReport, report_keys

_ACT = "keys.rotate"
"""What a role must be allowed: a key custodian's work."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was gone on with."""

    epochs: list[EpochRotation]
    indexes: list[IndexRotation]
    data_keys: list[DataRotation]


def rotate_keys(platform: Platform, caller: Principal, *, told: Callable[[int], None] = no_progress) -> EpochRotation:
    """End the open epoch and begin the next; what was erased within it is final from then on.

    Args:
        platform: the parts.
        caller: who asks.
        told: hears how many more keys have moved.

    Raises:
        Denied: the role may not rotate keys.
        IntegrityFailed: a wrapped key was changed; all others have moved.
        Unavailable: a store is in use.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    return rotate_epoch(platform.keystore, platform.data, platform.log, asking=platform.asking(caller), told=told)


def rotate_data(
    platform: Platform, caller: Principal, which: DataKeys, *, told: Callable[[int], None] = no_progress
) -> DataRotation:
    """Give data keys successors and destroy them; raises as ``rotate_keys``.

    Raises:
        NotFound: nobody is or was registered under the subject's id.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    if which.subject is not None:
        with platform.data.read() as connection:
            get_standing(connection, which.subject)
    return rotate_data_keys(
        platform.keystore,
        platform.data,
        platform.log,
        which,
        deployment=platform.settings.deployment,
        asking=platform.asking(caller),
        told=told,
    )


def rotate_blind_index(
    platform: Platform,
    caller: Principal,
    index: str,
    *,
    without_unsealed: bool = False,
    told: Callable[[int], None] = no_progress,
) -> IndexRotation:
    """Give an index another key, and digest every identifier anew.

    Raises:
        BadInput: there is no such index.
        Denied, Unavailable: as ``rotate_keys``.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    return rotate_index(
        platform.keystore,
        platform.data,
        platform.log,
        index,
        asking=platform.asking(caller),
        without_unsealed=without_unsealed,
        told=told,
    )


def resume_rotations(platform: Platform, caller: Principal, *, told: Callable[[int], None] = no_progress) -> Resumed:
    """Go on with every rotation that has begun; raises as ``rotate_keys``."""
    check_may_act(platform.catalogue, caller, _ACT)
    return resume_in_steps(platform, platform.asking(caller), told=told)


def resume_in_steps(
    platform: Platform,
    asking: Asking,
    *,
    told: Callable[[int], None] = no_progress,
    at: Callable[[str], None] = no_point,
) -> Resumed:
    """As ``resume_rotations``, for the running server, which may end between two steps by what ``at`` raises."""
    stores = (platform.keystore, platform.data, platform.log)
    return Resumed(
        epochs=resume_epochs(*stores, asking=asking, told=told, at=at),
        indexes=resume_indexes(*stores, told=told, at=at),
        data_keys=resume_data_keys(*stores, deployment=platform.settings.deployment, told=told, at=at),
    )


def end_old_epoch(platform: Platform, asking: Asking, *, at: Callable[[str], None] = no_point) -> EpochRotation | None:
    """End the open epoch if it has lived as long as the settings allow; for the running server."""
    opened_at = platform.keystore.check().opened_at
    if platform.clock.now() < opened_at + timedelta(days=platform.settings.epoch_days):
        return None
    return rotate_epoch(platform.keystore, platform.data, platform.log, asking=asking, at=at)


def key_status(platform: Platform, caller: Principal) -> KeyReport:
    """Return what is still under an old epoch, generation, suite or index version, in counts.

    Raises:
        Denied: the role may not rotate keys.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    return report_keys(platform.keystore)
