"""What a process opens that seals and does nothing else: the key store behind its custodian, and the pack.

It imports little, for each of these processes imports it anew.
"""

from functools import partial

from consentry.custody import open_custodian
from consentry.packs import load_configured_pack
from consentry.settings import Settings
from kernel.catalogue import Catalogue
from kernel.clock import SystemClock
from kernel.database import open_database
from vault.bulk_sealers import SealerSetup, SealingParts
from vault.keystore import KeyStore
from vault.suites import suite_named


def sealer_setup(settings: Settings, catalogue: Catalogue, *, packed: bool) -> SealerSetup:
    """Return what the sealing processes of a deployment are told; packed, where its data store is PostgreSQL."""
    return SealerSetup(partial(open_sealing_parts, settings), catalogue.hash, packed)


def open_sealing_parts(settings: Settings) -> SealingParts:
    """Open the key store and read the pack.

    Raises:
        Unavailable: the key store or its custodian cannot be reached.
        ConfigurationError: the custodian's settings are wrong.
    """
    clock = SystemClock()
    keys = open_database(settings.key_store_url, label="key store", busy_timeout_ms=settings.busy_timeout_ms)
    keystore = KeyStore(keys, open_custodian(settings, clock), clock, suite=suite_named(settings.vault_suite))
    return SealingParts(keystore, load_configured_pack(settings), settings.deployment)
