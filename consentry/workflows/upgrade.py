"""Bring the stores of a deployment to this version's schema."""

from consentry.migrations import Store, check_made, upgrade
from consentry.platform import open_stores
from consentry.receipt_keys import create_receipt_key
from consentry.settings import Settings


def upgrade_stores(settings: Settings) -> None:
    """Upgrade the key store, then the data store; each in one transaction. Makes key files that came later.

    Raises:
        ConfigurationError: a store is empty, or at a revision that this version does not know; nothing was changed.
        Unavailable: a store is missing, locked or damaged.
    """
    data, keys = open_stores(settings, must_exist=True)
    try:
        stores = ((keys, Store.KEYS), (data, Store.DATA))
        for database, store in stores:
            check_made(database, store)
        for database, store in stores:
            upgrade(database, store)
        if not settings.receipt_key_path.exists():
            create_receipt_key(settings.receipt_key_path)
    finally:
        data.dispose()
        keys.dispose()
