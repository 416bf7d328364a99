"""End the key epoch: survivors are wrapped anew, the old key is destroyed, and the stores are scrubbed."""

from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from vault.rotation import Rotation, rotate_epoch


def rotate_keys(platform: Platform, caller: Principal) -> Rotation:
    """End the open epoch and begin the next; what was erased within it is final from then on.

    Raises:
        Denied: the role may not rotate keys.
        Unavailable: a store is in use.
    """
    check_may_act(platform.catalogue, caller, "keys.rotate")
    return rotate_epoch(platform.keystore, platform.data, platform.log, asking=platform.asking(caller))
