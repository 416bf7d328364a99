"""What the handlers are made of: the parts of the platform that stand before the outbox does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from audit.log import AuditLog
from audit.signer import HeadSigner
from consent.gate import Gate
from consentry.packs import pack_folder
from consentry.parsed_packs import read_views
from consentry.products import Products
from consentry.settings import Settings
from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.ports import Clock
from vault.details import DetailSealer
from vault.keystore import KeyStore
from vault.pseudonyms import Pseudonyms
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
    pseudonyms: Pseudonyms
    products: Products

    @cached_property
    def view_fields(self) -> Mapping[str, frozenset[str]]:
        """The codes that each of the pack's views reads."""
        views = read_views(pack_folder(self.settings.pack), self.catalogue)
        return {code: view.fields for code, view in views.items()}
