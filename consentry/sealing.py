"""What a process opens that seals, or opens cohorts, and does nothing else: stores, the custodian, and the pack.

It imports little, for each of these processes imports it anew.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from consentry.custody import open_custodian
from consentry.packs import load_configured_pack
from consentry.settings import Settings
from kernel.catalogue import Catalogue
from kernel.clock import SystemClock
from kernel.database import open_database
from vault.bulk_sealers import SealerSetup, SealingParts
from vault.cohort_openers import CohortOpeners, OpenerSetup, OpeningParts
from vault.keystore import KeyStore
from vault.suites import suite_named

WORTH_PROCESSES: Final = 20_000
"""People of a cohort; fewer are opened while a process starts."""


def sealer_setup(settings: Settings, catalogue: Catalogue, *, packed: bool) -> SealerSetup:
    """Return what the sealing processes of a deployment are told; packed, where its data store is PostgreSQL."""
    return SealerSetup(partial(open_sealing_parts, settings), catalogue.hash, packed)


def open_sealing_parts(settings: Settings) -> SealingParts:
    """Open the key store and read the pack.

    Raises:
        Unavailable: the key store or its custodian cannot be reached.
        ConfigurationError: the custodian's settings are wrong.
    """
    return SealingParts(_keystore(settings), load_configured_pack(settings), settings.deployment)


def opener_setup(settings: Settings, catalogue: Catalogue) -> OpenerSetup:
    """Return what the processes that open cohorts are told."""
    return OpenerSetup(partial(open_opening_parts, settings), catalogue.hash)


def open_opening_parts(settings: Settings) -> OpeningParts:
    """Open both stores and read the pack; raises as ``open_sealing_parts``."""
    data = open_database(settings.data_store_url, label="data store", busy_timeout_ms=settings.busy_timeout_ms)
    return OpeningParts(data, _keystore(settings), load_configured_pack(settings), settings.deployment)


@contextmanager
def opening(settings: Settings, catalogue: Catalogue, people: int) -> Iterator[CohortOpeners | None]:
    """Start processes that open a cohort of so many people, where that is worth it; None where this one opens."""
    count = settings.opening_processes
    if count is None:
        count = len(os.sched_getaffinity(0))
    if people < WORTH_PROCESSES or count == 0:
        yield None
        return
    with CohortOpeners(opener_setup(settings, catalogue), processes=count) as openers:
        yield openers


def _keystore(settings: Settings) -> KeyStore:
    clock = SystemClock()
    keys = open_database(settings.key_store_url, label="key store", busy_timeout_ms=settings.busy_timeout_ms)
    return KeyStore(keys, open_custodian(settings, clock), clock, suite=suite_named(settings.vault_suite))
