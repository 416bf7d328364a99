"""The one place where the parts are wired together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from audit.checkpoints import Checkpointer
from audit.journal import Journal
from audit.log import AuditLog
from audit.rotation import load_tree_signer
from audit.sequencer import Sequencer
from audit.signer import HeadSigner
from audit.signer_client import RemoteSigner
from consent.asking import Asking
from consent.gate import Gate
from consent.registry import Registry
from consent.wake import Wake, no_point
from consentry.custody import open_custodian
from consentry.layout import Layout
from consentry.log_clock import LogClock
from consentry.migrations import Store, check_current
from consentry.packs import check_pack_loaded, load_configured_pack
from consentry.principals import Principal
from consentry.products import Products
from consentry.settings import Settings
from consentry.starting import finish_interrupted
from consentry.throttle import Throttle
from consentry.tokens import TokenIssuer
from consentry.wake.handlers import handlers_of
from consentry.wake.parts import WakeParts
from kernel.catalogue import Catalogue
from kernel.clock import SystemClock
from kernel.database import Database, open_database
from kernel.errors import ConfigurationError
from kernel.ids import RequestId, new_id
from kernel.ports import Clock
from vault.attachments import Attachments
from vault.batches import Batches
from vault.corrections import Corrector
from vault.details import DetailSealer
from vault.digests import Digests
from vault.erasure import Eraser
from vault.finality import Keeping
from vault.holds import Holds
from vault.keystore import KeyStore
from vault.moving import SubjectMover
from vault.passing_words import PassingWords
from vault.pseudonyms import Pseudonyms
from vault.records import Vault
from vault.replaying import Replayer
from vault.retention import Sweeper
from vault.returning import Returner
from vault.subjects import SubjectResolver
from vault.suites import suite_named


@dataclass(frozen=True)
class Platform:
    """Every part of one deployment, opened and wired."""

    settings: Settings
    clock: Clock
    catalogue: Catalogue
    data: Database
    keys: Database
    keystore: KeyStore
    signer: HeadSigner
    sealer: DetailSealer
    log: AuditLog
    registry: Registry
    gate: Gate
    vault: Vault
    attachments: Attachments
    passing_words: PassingWords
    batches: Batches
    resolver: SubjectResolver
    pseudonyms: Pseudonyms
    digests: Digests
    eraser: Eraser
    corrector: Corrector
    mover: SubjectMover
    replayer: Replayer
    returner: Returner
    sweeper: Sweeper
    holds: Holds
    layout: Layout
    products: Products
    wake: Wake
    tokens: TokenIssuer
    throttle: Throttle

    def asking(self, caller: Principal, *, reason: str | None = None) -> Asking:
        """Start a request of this caller."""
        return Asking(caller.principal_id, caller.role, RequestId(new_id("req")), reason)


@contextmanager
def open_platform(
    settings: Settings,
    *,
    clock: Clock | None = None,
    check_schema: bool = True,
    check_pack: bool = True,
    at: Callable[[str], None] = no_point,
) -> Iterator[Platform]:
    """Open both stores and wire every part; finishes what a crash left, where the log is the one that was signed.

    Args:
        settings: of the deployment.
        clock: the machine's when left out.
        check_schema: refuse stores at another schema.
        check_pack: refuse a pack that is not the one in use; see ``consentry.packs.check_pack_loaded``.
        at: told of each point of the wake; see ``consent.wake.Wake``.
    Raises:
        ConfigurationError: the stores are at another schema, the pack is another than the one in use, or the
            deployment has no name.
        Unavailable: a store, the root key or the signing key is missing, wrong or locked.
    """
    if not settings.deployment:
        raise ConfigurationError(
            f"There is no deployment in {settings.home}", hint="Run `consentry init`, or name its folder with --home."
        )
    clock = clock or SystemClock()
    data, keys = open_stores(settings, must_exist=True)
    with ExitStack() as opened:
        opened.callback(keys.dispose)
        opened.callback(data.dispose)
        if check_schema:
            check_current(data, Store.DATA)
            check_current(keys, Store.KEYS)
        keystore = opened.enter_context(closing(open_keystore(settings, keys, clock)))
        platform = _wire(settings, data, keystore, clock, at)
        if check_pack:
            with data.read() as connection:
                check_pack_loaded(connection, platform.catalogue)
                platform.log.now(connection)  # a clock that is behind the log goes on from there, for all that asks it
        platform.keystore.check()
        finish_interrupted(platform)
        if isinstance(platform.signer, RemoteSigner):
            opened.callback(platform.signer.close)
        yield platform


def open_stores(settings: Settings, *, must_exist: bool) -> tuple[Database, Database]:
    """Open the data store and the key store.

    Raises:
        ConfigurationError: a URL cannot be read, or its driver is not installed.
        Unavailable: a store is not there.
    """
    urls = {"data store": settings.data_store_url, "key store": settings.key_store_url}
    wait = settings.busy_timeout_ms
    try:
        data, keys = (
            open_database(parse_store_url(url), label=label, must_exist=must_exist, busy_timeout_ms=wait)
            for label, url in urls.items()
        )
    except ImportError:
        raise ConfigurationError(
            "The driver for PostgreSQL is not installed", hint="Install consentry with its extra `postgres`."
        ) from None
    return data, keys


def keeping_of(settings: Settings) -> Keeping:
    """Return how long a key epoch and the database's own archives may live."""
    return Keeping(timedelta(days=settings.epoch_days), timedelta(days=settings.archive_days))


def parse_store_url(url: str) -> URL:
    """Return a store's URL; raises ``ConfigurationError``, without the text, which may hold a password."""
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "The URL of a store cannot be read", hint="Use sqlite:///file, or postgresql://…."
        ) from None


def open_keystore(settings: Settings, keys: Database, clock: Clock) -> KeyStore:
    """Return the key store behind its custodian; what keys are made in it are of the configured suite.

    Raises:
        ConfigurationError: the suite cannot be had on this machine, or the custodian's settings are wrong.
        Unavailable: the root key, or a secret that leads to it, is missing.
    """
    suite = suite_named(settings.vault_suite)
    return KeyStore(keys, open_custodian(settings, clock), clock, suite=suite)


def open_signer(settings: Settings) -> HeadSigner:
    """Return who signs the log's heads: a process of its own where the settings name its socket, else this one.

    Raises:
        Unavailable: the signer does not answer, or a file cannot be read.
        ConfigurationError: the key file is open to others, or holds no key.
    """
    if settings.signer_socket is not None:
        return RemoteSigner(settings.signer_socket)
    return load_tree_signer(settings.signing_key_path, settings.signer_state_path)


def _wire(settings: Settings, data: Database, keystore: KeyStore, clock: Clock, at: Callable[[str], None]) -> Platform:
    """Put every part together: what all others stand on first, then the outbox, then what plans work for it."""
    parts = _parts(settings, data, keystore, clock)
    log, catalogue, products = parts.log, parts.catalogue, parts.products
    wake = Wake(handlers_of(parts), log, clock, data, at=at)
    batches, eraser = Batches(data, keystore, log, clock), _eraser(parts, wake)
    return Platform(
        settings=settings, clock=clock, catalogue=catalogue, data=data, keys=keystore.database, keystore=keystore,
        signer=parts.signer, sealer=parts.sealer, log=log, gate=parts.gate, vault=parts.vault, products=products,
        registry=Registry(catalogue, log, parts.sealer, clock, wake=wake),
        attachments=_attachments(parts),
        passing_words=PassingWords(data, keystore, catalogue, log, clock, settings.deployment),
        batches=batches,
        resolver=SubjectResolver(keystore, catalogue.fields),
        pseudonyms=parts.pseudonyms,
        digests=Digests(keystore),
        eraser=eraser,
        corrector=Corrector(data, keystore, catalogue, log, clock, batches, deployment=settings.deployment),
        mover=_mover(parts, wake),
        replayer=Replayer(data, keystore, log, eraser, clock),
        returner=Returner(data, keystore, clock),
        sweeper=_sweeper(parts, wake),
        holds=Holds(log, clock),
        layout=Layout.of(settings),
        wake=wake,
        throttle=Throttle(clock),
        tokens=_tokens(parts),
    )  # fmt: skip


def _parts(settings: Settings, data: Database, keystore: KeyStore, clock: Clock) -> WakeParts:
    """Return the log, the gate, the vault, and what is derived of them."""
    catalogue = load_configured_pack(settings)
    signer, sealer = open_signer(settings), DetailSealer(keystore)
    log = AuditLog(data, Journal(clock, sealer), Sequencer(data), Checkpointer(data, signer))
    pseudonyms = Pseudonyms(keystore)
    products = Products(data, pseudonyms, Layout.of(settings), signer, log=log, clock=clock)
    vault = Vault(data, keystore, catalogue, log=log, clock=clock, deployment=settings.deployment)
    return WakeParts(
        settings=settings, clock=clock, catalogue=catalogue, data=data, keystore=keystore, signer=signer,
        sealer=sealer, log=log, gate=Gate(catalogue, log, clock), vault=vault, pseudonyms=pseudonyms, products=products,
    )  # fmt: skip


def _attachments(parts: WakeParts) -> Attachments:
    deployment, most = parts.settings.deployment, parts.settings.max_attachment_bytes
    return Attachments(parts.data, parts.keystore, parts.catalogue, parts.log, parts.clock, deployment, max_bytes=most)


def _eraser(parts: WakeParts, wake: Wake) -> Eraser:
    return Eraser(
        parts.data, parts.keystore, parts.log, parts.signer, parts.clock, deployment=parts.settings.deployment,
        forget=parts.products.forget, forget_part=parts.products.forget_derived, wake=wake,
        keeping=keeping_of(parts.settings),
    )  # fmt: skip


def _mover(parts: WakeParts, wake: Wake) -> SubjectMover:
    return SubjectMover(
        parts.data, parts.keystore, parts.log, parts.clock, deployment=parts.settings.deployment,
        fields=parts.catalogue.fields, forget=parts.products.forget, wake=wake,
    )  # fmt: skip


def _sweeper(parts: WakeParts, wake: Wake) -> Sweeper:
    return Sweeper(
        parts.data, parts.keystore, parts.log, parts.signer, parts.clock, deployment=parts.settings.deployment,
        keeping=keeping_of(parts.settings), wake=wake,
    )  # fmt: skip


def _tokens(parts: WakeParts) -> TokenIssuer:
    settings = parts.settings
    return TokenIssuer.load(
        settings.token_key_path, deployment=settings.deployment, minutes=settings.token_minutes,
        clock=LogClock(parts.data, parts.log),
    )  # fmt: skip
