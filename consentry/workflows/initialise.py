"""Make a new deployment: folder, keys, both stores, notices, first administrator and a first person."""

from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Inspector, inspect

from audit.events import Act, Event, Outcome
from audit.signing import create_signing_key
from consent.asking import Asking
from consentry.custody import create_root_file, root_file_to_make
from consentry.migrations import Store, downgrade, upgrade
from consentry.packs import load_configured_pack, pack_folder
from consentry.places import OWNER_FILE, FreshPlaces, check_free
from consentry.platform import Platform, open_keystore, open_platform, open_stores, parse_store_url
from consentry.principals import create_person
from consentry.receipt_keys import create_receipt_key
from consentry.settings import Settings, config_text
from consentry.tokens import create_token_key
from consentry.workflows.accounts import record_principal
from consentry.workflows.configure_log import LogConfiguration, configured_event
from consentry.workflows.load_pack import take_into_use
from kernel.catalogue import Catalogue
from kernel.clock import SystemClock
from kernel.database import Database
from kernel.errors import BadInput, Conflict, Unavailable
from kernel.files import sync_folder
from kernel.ids import PrincipalId, RequestId, new_id
from kernel.ports import Clock

SYSTEM = PrincipalId("system")


@dataclass(frozen=True, slots=True)
class Account:
    """A new account with its password, which is shown once."""

    name: str
    role: str
    password: str

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.role!r}, redacted)"


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was made."""

    home: Path
    deployment: str
    config: Path
    accounts: tuple[Account, ...]
    verifier_key: str


def initialise(
    settings: Settings, *, admin: str, person: str, person_role: str, clock: Clock | None = None
) -> Initialised:
    """Make a deployment in an empty place, whole or not at all.

    Raises:
        Conflict: something of a deployment is there already; nothing was changed.
        BadInput: the two accounts share a name, the role is none of the pack's, or the stores cannot be used.
        Unavailable: a file or store cannot be written; what was made until then is removed again.
    """
    catalogue = load_configured_pack(settings)
    named = _named(settings)
    _check_accounts(catalogue, admin, person, person_role)
    try:
        with FreshPlaces() as fresh:
            accounts = [(admin, "administrator"), (person, person_role)]
            made = _make(named, accounts, fresh, clock or SystemClock())
            fresh.keep()
    except OSError as err:
        place = f": {err.filename}" if err.filename else ""
        raise Unavailable(
            f"The deployment cannot be made: {err.strerror}{place}", hint="What was made until then is removed again."
        ) from None
    return made


def _make(settings: Settings, wanted: list[tuple[str, str]], fresh: FreshPlaces, clock: Clock) -> Initialised:
    stores = _store_files(settings)
    keys = _key_files(settings)
    state = settings.signer_state_path
    check_free(settings.config_path, *stores, *keys, state)
    fresh.folder(settings.home)
    fresh.reserve(settings.config_path)
    fresh.expect(state, state.with_name(f"{state.name}.lock"))
    _make_keys(settings, fresh)
    for path in stores:
        fresh.store(path)
    _make_stores(settings, fresh, clock)
    with open_platform(settings, clock=clock, check_pack=False) as platform:
        accounts = _first_entries(platform, wanted)
        platform.log.settle()
        verifier_key = str(platform.signer.verifier_key)
    _write_config(settings)
    return Initialised(settings.home, settings.deployment, settings.config_path, accounts, verifier_key)


def _named(settings: Settings) -> Settings:
    """Return the settings with a name for the deployment; the folder of an own pack is written out whole."""
    folder = pack_folder(settings.pack)
    pack = str(folder.resolve()) if folder == Path(settings.pack) else settings.pack
    return settings.model_copy(update={"deployment": settings.deployment or new_id("dep"), "pack": pack})


def _check_accounts(catalogue: Catalogue, admin: str, person: str, person_role: str) -> None:
    if admin == person:
        raise BadInput("The administrator and the person need two names", hint="Give --admin and --person.")
    catalogue.get_role(person_role)


def _store_files(settings: Settings) -> list[Path]:
    """Return the files of SQLite stores.

    Raises:
        BadInput: a URL cannot be used, or both stores have the same.
    """
    urls = [parse_store_url(url) for url in (settings.key_store_url, settings.data_store_url)]
    if urls[0] == urls[1]:
        raise BadInput("The data store and the key store need two databases", hint="Set data_store and key_store.")
    files = [url.database or "" for url in urls if url.get_backend_name() == "sqlite"]
    if not all(files) or ":memory:" in files:
        raise BadInput("A SQLite store needs a file", hint="Use sqlite:///file, or postgresql://….")
    return [Path(file) for file in files]


def _make_keys(settings: Settings, fresh: FreshPlaces) -> None:
    log_name = f"consentry.local/{settings.deployment}"
    if (root := root_file_to_make(settings)) is not None:
        fresh.file(root, partial(create_root_file, settings))
    if settings.signer_socket is None:
        fresh.file(settings.signing_key_path, lambda draft: create_signing_key(draft, log_name))
    fresh.file(settings.token_key_path, create_token_key)
    fresh.file(settings.receipt_key_path, create_receipt_key)
    for path in _key_files(settings):
        sync_folder(path.parent)


def _key_files(settings: Settings) -> tuple[Path, ...]:
    signing = () if settings.signer_socket is not None else (settings.signing_key_path,)
    root = root_file_to_make(settings)
    return *(() if root is None else (root,)), *signing, settings.token_key_path, settings.receipt_key_path


def _make_stores(settings: Settings, fresh: FreshPlaces, clock: Clock) -> None:
    data, keys = open_stores(settings, must_exist=False)
    try:
        for database, store in ((keys, Store.KEYS), (data, Store.DATA)):
            _check_empty(database)
            upgrade(database, store)
            fresh.on_failure(partial(_empty, database, store))
        with closing(open_keystore(settings, keys, clock)) as keystore:
            keystore.initialise()
            fresh.on_failure(partial(_abandon, settings, clock))
    finally:
        data.dispose()
        keys.dispose()


def _abandon(settings: Settings, clock: Clock) -> None:
    """Leave nothing behind at the custodian; one that does not answer keeps an unused key object."""
    data, keys = open_stores(settings, must_exist=True)
    try:
        with suppress(Unavailable), closing(open_keystore(settings, keys, clock)) as keystore:
            keystore.abandon()
    finally:
        data.dispose()
        keys.dispose()


def _check_empty(database: Database) -> None:
    with database.read() as connection:
        found: Inspector = inspect(connection)
        if found.get_table_names():
            raise Conflict(
                f"The {database.label} has tables already; nothing was changed", hint="Name an empty database."
            )


def _empty(database: Database, store: Store) -> None:
    """Take back what was made in a database of a server; a SQLite file is removed as a file."""
    if not database.is_sqlite:
        downgrade(database, store, revision="base")
        database.dispose()


def _first_entries(platform: Platform, wanted: list[tuple[str, str]]) -> tuple[Account, ...]:
    asking = Asking(SYSTEM, "administrator", RequestId(new_id("req")))
    with platform.data.write() as connection:
        platform.log.record(connection, _event(asking, Act.SYSTEM_INIT, {"deployment": platform.settings.deployment}))
        platform.log.record(connection, configured_event(LogConfiguration.of(platform), asking))
        take_into_use(platform, connection, asking)
        accounts = []
        for name, role in wanted:
            made, password = create_person(connection, name=name, role=role, clock=platform.clock)
            record_principal(platform, connection, made, asking)
            accounts.append(Account(name, role, password))
    return tuple(accounts)


def _event(asking: Asking, act: Act, refs: dict[str, str]) -> Event:
    return Event(act, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=refs)


def _write_config(settings: Settings) -> None:
    """Fill the settings file that was reserved, last of all: a deployment without its name is none."""
    draft = settings.home / ".consentry.toml.draft"
    draft.touch(mode=OWNER_FILE)
    draft.write_text(config_text(settings), encoding="utf-8")
    draft.replace(settings.config_path)
    sync_folder(settings.home)
