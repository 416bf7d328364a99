"""What the handlers are made of: the parts of the platform that stand before the outbox does."""

from dataclasses import dataclass

from audit.log import AuditLog
from audit.signer import HeadSigner
from consent.gate import Gate
from consentry.products import Products
from consentry.settings import Settings
from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.ports import Clock
from vault.details import DetailSealer
from vault.keystore import KeyStore
from vault.records import Vault


@dataclass(frozen=True)
class WakeParts:
    """Given to every handler's constructor."""

    settings: Settings
    clock: Clock
    catalogue: Catalogue
    data: Database
    keystore: KeyStore
    signer: HeadSigner
    sealer: DetailSealer
    log: AuditLog
    gate: Gate
    vault: Vault
    products: Products
