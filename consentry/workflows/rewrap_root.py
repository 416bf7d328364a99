"""Change the root key: epoch keys go under its newest version, or under another custodian's."""

from contextlib import closing
from pathlib import Path

from consentry.access import check_may_act
from consentry.custody import create_root_file, open_custodian, root_file_to_make
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.settings import Settings, load_custody
from vault.root import RootChange, rewrap_root


def rewrap_root_key(platform: Platform, caller: Principal, *, to: Path | None) -> RootChange:
    """Wrap every living epoch key anew.

    Args:
        platform: of the deployment; its settings name the custodian that wraps them now.
        caller: who asks.
        to: settings file of another custodian; a key file that it names is made where it is missing. None for the
            newest version of the same custodian's key.

    Raises:
        Denied: the role may not rotate keys.
        BadInput: the file names the same root key, or there is none and a key file has no newer version.
        ConfigurationError: the file cannot be used.
        IntegrityFailed: a wrapped key was changed, or the new custodian does not give a key back.
        Unavailable: a custodian does not answer in time, fails or refuses.
    """
    check_may_act(platform.catalogue, caller, "keys.rotate")
    asking = platform.asking(caller)
    if to is None:
        return rewrap_root(platform.keystore, platform.data, platform.log, to=None, asking=asking)
    settings = load_custody(to, platform.settings)
    _make_root_file(settings)
    with closing(open_custodian(settings, platform.clock)) as custodian:
        return rewrap_root(platform.keystore, platform.data, platform.log, to=custodian, asking=asking)


def _make_root_file(settings: Settings) -> None:
    path = root_file_to_make(settings)
    if path is not None and not path.exists():
        create_root_file(settings, path)
