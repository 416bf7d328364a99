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
    catalogue = load_configured_pack(settings)
    signer = open_signer(settings)
    sealer = DetailSealer(keystore)
    log = AuditLog(data, Journal(clock, sealer), Sequencer(data), Checkpointer(data, signer))
    pseudonyms = Pseudonyms(keystore)
    layout = Layout.of(settings)
    products = Products(data, pseudonyms, layout, signer, log=log, clock=clock)
    gate = Gate(catalogue, log, clock)
    vault = Vault(data, keystore, catalogue, log=log, clock=clock, deployment=settings.deployment)
    parts = WakeParts(
        settings=settings, clock=clock, catalogue=catalogue, data=data, keystore=keystore, signer=signer,
        sealer=sealer, log=log, gate=gate, vault=vault, products=products,
    )  # fmt: skip
    wake = Wake(handlers_of(parts), log, clock, data, at=at)
    eraser = Eraser(
        data, keystore, log, signer, clock, deployment=settings.deployment, forget=products.forget,
        forget_part=products.forget_derived, wake=wake, keeping=keeping_of(settings),
    )  # fmt: skip
    return Platform(
        settings=settings,
        clock=clock,
        catalogue=catalogue,
        data=data,
        keys=keystore.database,
        keystore=keystore,
        signer=signer,
        sealer=sealer,
        log=log,
        registry=Registry(catalogue, log, sealer, clock, wake=wake),
        gate=gate,
        vault=vault,
        attachments=Attachments(
            data, keystore, catalogue, log, clock, settings.deployment, max_bytes=settings.max_attachment_bytes
        ),
        batches=Batches(data, keystore, log, clock),
        resolver=SubjectResolver(keystore, catalogue.fields),
        pseudonyms=pseudonyms,
        digests=Digests(keystore),
        eraser=eraser,
        corrector=Corrector(
            data, keystore, catalogue, log, clock, Batches(data, keystore, log, clock), deployment=settings.deployment
        ),
        mover=SubjectMover(
            data,
            keystore,
            log,
            clock,
            deployment=settings.deployment,
            fields=catalogue.fields,
            forget=products.forget,
            wake=wake,
        ),
        replayer=Replayer(data, keystore, log, eraser, clock),
        returner=Returner(data, keystore, clock),
        sweeper=Sweeper(
            data, keystore, log, signer, clock, deployment=settings.deployment, keeping=keeping_of(settings)
        ),
        holds=Holds(log, clock),
        layout=layout,
        products=products,
        wake=wake,
        throttle=Throttle(clock),
        tokens=TokenIssuer.load(
            settings.token_key_path,
            deployment=settings.deployment,
            minutes=settings.token_minutes,
            clock=LogClock(data, log),
        ),
    )
