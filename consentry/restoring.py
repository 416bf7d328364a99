"""Takes backup files into empty stores: each in one transaction, all of them or none."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from audit.verifier import VerifierKey
from consentry.backup_rows import Copied, receive_rows
from consentry.migrations import Store, downgrade, upgrade
from consentry.places import OWNER_FILE, FreshPlaces
from consentry.platform import open_stores, parse_store_url
from consentry.principals import Principal
from consentry.restore_marker import find_owed, keep_owed, nothing_owed
from consentry.settings import Settings
from consentry.workflows.backup import STORE_NAMES, STORES, is_over
from consentry.workflows.upgrade import upgrade_stores
from kernel.clock import format_instant
from kernel.database import Database, open_database
from kernel.errors import BadInput, ConfigurationError, Conflict, IntegrityFailed
from kernel.ports import Clock
from vault.backup_keys import BackupIdentity, BackupStore
from vault.backups import BackupHeader, check_signature, reading_backup


@dataclass(frozen=True, slots=True)
class Sealed:
    """A backup file and the key that opens it."""

    path: Path
    identity: BackupIdentity


def check_files(
    settings: Settings, files: Mapping[BackupStore, Sealed], key: VerifierKey, clock: Clock
) -> dict[BackupStore, BackupHeader]:
    """Return the headers of files that are signed, of this deployment, each of its store, and not over."""
    if not files:
        raise BadInput("No backup is named", hint="Give --data, --keys or both.")
    headers = {store: check_signature(sealed.path, key.public_key) for store, sealed in files.items()}
    for store, header in headers.items():
        if header.store is not store or files[store].identity.recipient.store is not store:
            raise BadInput(
                f"{files[store].path} and its key are not both of the {STORE_NAMES[store]}", hint="Exchange them."
            )
        if header.deployment != settings.deployment:
            raise BadInput(f"{files[store].path} is of another deployment", hint="Name its own folder with --home.")
        if header.ends_at is not None and is_over(header, clock.now(), keep=header.ends_at - header.made_at):
            raise Conflict(
                f"The backup of the key store ended with its epoch, {format_instant(header.ends_at)}",
                hint="It could bring erased keys back. Take a newer one.",
            )
    return headers


@contextmanager
def scratch_stores(scratch: Path, files: Mapping[BackupStore, Sealed]) -> Iterator[dict[BackupStore, Database]]:
    """Open an empty SQLite store for each file."""
    stores: dict[BackupStore, Database] = {}
    try:
        for store in files:
            place = scratch / f"{store}.db"
            place.touch(mode=OWNER_FILE)
            stores[store] = open_database(f"sqlite:///{place}", label=f"copy of the {STORE_NAMES[store]}")
        yield stores
    finally:
        for database in stores.values():
            database.dispose()


def receive(
    sealed: Sealed,
    database: Database,
    header: BackupHeader,
    key: VerifierKey,
    look: Callable[[Connection], None] = lambda _: None,
) -> int:
    """Make the tables as they were and insert every row, in one transaction; return how many there are.

    Args:
        sealed: the file.
        database: an empty one.
        header: as it was signed.
        key: that signed it; the bytes that were opened are held against its signature before anything is kept.
        look: called at the end of the transaction; what it raises takes everything back.
    """
    copied = Copied()

    def fill(connection: Connection) -> None:
        copied.rows |= receive_rows(connection, reader).rows
        reader.check_signed(key.public_key)
        look(connection)

    with reading_backup(sealed.path, sealed.identity) as reader:
        if reader.header != header:
            raise IntegrityFailed("The backup was exchanged while it was read", hint="Try again.")
        try:
            upgrade(database, STORES[header.store], revision=header.revision, finish=fill)
        except CommandError:
            raise ConfigurationError(
                f"The backup is of schema {header.revision}, which this version does not know",
                hint="Restore it with the version that wrote it.",
            ) from None
    return copied.total


def put_in_place(
    settings: Settings,
    files: Mapping[BackupStore, Sealed],
    headers: Mapping[BackupStore, BackupHeader],
    key: VerifierKey,
    compare: Callable[[Connection, BackupHeader], int | None],
    *,
    caller: Principal,
) -> tuple[dict[str, int], int | None]:
    """Fill the named stores, each in one transaction; where one fails none is left.

    Of what is in place the marker says that its entry is owed. A store that a restore of the same backup has filled
    before it was interrupted stays as it is.
    """
    before = find_owed(settings)
    owed = before or nothing_owed(caller)

    def look(connection: Connection) -> None:
        nonlocal owed
        owed = replace(owed, missing_entries=compare(connection, headers[BackupStore.DATA]))
        keep_owed(settings, owed)

    with FreshPlaces() as fresh:
        fresh.on_failure(partial(keep_owed, settings, before))
        _check_places(settings, files, fresh)
        data, keys = open_stores(settings, must_exist=False)
        databases = {BackupStore.DATA: data, BackupStore.KEYS: keys}
        try:
            rows = {}
            for store in files:
                if owed.names(store, headers[store].backup_id) and _is_filled(databases[store]):
                    owed = owed.is_placed(store) if store in owed.going else owed
                    keep_owed(settings, owed)
                    continue
                _check_empty(databases[store])
                owed = owed.goes(store, headers[store].backup_id)
                keep_owed(settings, owed)
                fresh.on_failure(partial(_empty, databases[store], STORES[store]))
                looks = (look,) if store is BackupStore.DATA else ()
                rows[store.value] = receive(files[store], databases[store], headers[store], key, *looks)
                owed = owed.is_placed(store)
                keep_owed(settings, owed)
        finally:
            data.dispose()
            keys.dispose()
        upgrade_stores(settings)
        fresh.keep()
    return rows, owed.missing_entries


def _check_places(settings: Settings, files: Mapping[BackupStore, Sealed], fresh: FreshPlaces) -> None:
    """Take the places of SQLite stores that are restored; the others must be there."""
    urls = {BackupStore.DATA: settings.data_store_url, BackupStore.KEYS: settings.key_store_url}
    for store, url in urls.items():
        parsed = parse_store_url(url)
        place = Path(parsed.database or "")
        if parsed.get_backend_name() != "sqlite":
            continue
        if store not in files:
            if not place.is_file():
                raise Conflict(
                    f"There is no {STORE_NAMES[store]}, and it is not restored", hint="Give its backup as well."
                )
        elif not place.exists():
            fresh.store(place)


def _check_empty(database: Database) -> None:
    if _is_filled(database):
        raise Conflict(
            f"The {database.label} is there already; nothing was changed",
            hint="Move it aside first, and keep it: it may be needed as evidence.",
        )


def _is_filled(database: Database) -> bool:
    with database.read() as connection:
        return bool(inspect(connection).get_table_names())


def _empty(database: Database, store: Store) -> None:
    """Take back what was filled in a database of a server; the file of a SQLite store is removed as a file."""
    if not database.is_sqlite:
        if _is_filled(database):
            downgrade(database, store, revision="base")
        database.dispose()
