"""Commands that back up both stores, look at backups, and restore them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs, say_table
from kernel.errors import BadInput

if TYPE_CHECKING:
    from audit.verifier import VerifierKey
    from consentry.restoring import Sealed
    from vault.backup_keys import BackupStore

app = typer.Typer(no_args_is_help=True, help="Sealed backups of both stores.")

Folder = Annotated[Path | None, typer.Option("--folder", help="Folder of the backups; default backup_folder.")]
Only = Annotated[str | None, typer.Option("--only", help="data or keys; default both stores.")]
Data = Annotated[Path | None, typer.Option("--data", help="Backup of the data store.")]
DataKey = Annotated[Path | None, typer.Option("--data-key", help="Private key of data store backups.")]
Keys = Annotated[Path | None, typer.Option("--keys", help="Backup of the key store.")]
KeysKey = Annotated[Path | None, typer.Option("--keys-key", help="Private key of key store backups.")]
LogKey = Annotated[str | None, typer.Option("--log-key", help="Public key of the log, where it is not today's.")]
ForRecovery = Annotated[
    bool, typer.Option("--for-recovery", help="Put it in place although signed entries are missing.")
]


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="backup")
    root.command("restore")(restore)


@app.command("keygen")
def keygen(
    store: Annotated[str, typer.Argument(help="data or keys: which store's backups.")],
    file: Annotated[Path, typer.Argument(help="New file for the private key; keep it away from this machine.")],
) -> None:
    """Make a pair of keys for one store's backups; prints the public half for the settings."""
    from vault.backup_keys import BackupIdentity

    made = BackupIdentity.create(file, _store(store))
    say(f'backup_{store}_recipient = "{made.recipient}"')


@app.command("create")
def create(folder: Folder = None, only: Only = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Back up both stores while they are in use, each into a file of its own under a key of its own."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.backup import create_backup
    from vault.backup_keys import BackupStore

    stores = tuple(BackupStore) if only is None else (_store(only),)
    with platform_for(home) as platform:
        made = create_backup(platform, local_operator(), folder=folder, stores=stores)
    for one in made:
        if as_json:
            say_json(one.as_json())
        else:
            say_pairs(one.as_json())


@app.command("list")
def list_(folder: Folder = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """List backups by what they say of themselves, the newest first; `backup verify` looks inside."""
    from consentry.cli.session import platform_for
    from consentry.workflows.backup import list_backups

    with platform_for(home) as platform:
        found = [one.as_json() for one in list_backups(platform, folder=folder)]
    if as_json:
        for one in found:
            say_json(one)
        return
    columns = ("backup", "store", "made_at", "ends_at", "over", "log_size", "file")
    say_table(columns, [[one[name] for name in columns] for one in found])


@app.command("prune")
def prune(folder: Folder = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Delete backups that are over: of the key store with their epoch, of the data store after backup_days."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.backup import prune_backups

    with platform_for(home) as platform:
        pruned = [one.as_json() for one in prune_backups(platform, local_operator(), folder=folder)]
    for one in pruned:
        if as_json:
            say_json(one)
        else:
            say(f"{one['file']} is deleted")
    if not pruned and not as_json:
        say("nothing is over")


@app.command("verify")
def verify(  # noqa: PLR0917 - options of one command
    data: Data = None,
    data_key: DataKey = None,
    keys: Keys = None,
    keys_key: KeysKey = None,
    log_key: LogKey = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Restore backups into a scratch folder and check signature, rows, log and a sample of records; opens no value."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.restore import verify_backup

    files = _files(data, data_key, keys, keys_key)
    with platform_for(home) as platform:
        done = verify_backup(platform, local_operator(), files, log_key=_log_key(log_key)).as_json()
    if as_json:
        say_json(done)
    else:
        say_pairs(done)


def restore(  # noqa: PLR0917 - options of one command
    data: Data = None,
    data_key: DataKey = None,
    keys: Keys = None,
    keys_key: KeysKey = None,
    log_key: LogKey = None,
    known: Annotated[
        list[Path] | None, typer.Option("--known", help="Checkpoint that was kept elsewhere; may be given repeatedly.")
    ] = None,
    log_export: Annotated[
        Path | None, typer.Option("--log-export", help="Export of a newer log: what it says is erased goes again.")
    ] = None,
    for_recovery: ForRecovery = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Restore backups into the empty places of their stores, then replay what was erased since."""
    from consentry.cli.session import local_operator, settings_for
    from consentry.workflows.restore import Terms
    from consentry.workflows.restore import restore as workflow

    files = _files(data, data_key, keys, keys_key)
    notes = tuple(_read(path) for path in known or ())
    terms = Terms(_log_key(log_key), notes, log_export, for_recovery)
    done = workflow(settings_for(home), local_operator(), files, terms=terms)
    if as_json:
        say_json(done.as_json())
        return
    say_pairs(done.as_json())
    if done.missing_entries is not None:
        say("nothing opens until the log is recovered: see `consentry audit recover --help`")


def _store(name: str) -> "BackupStore":
    from vault.backup_keys import BackupStore

    if name not in set(BackupStore):
        raise BadInput("There are two stores", hint="Write data or keys.")
    return BackupStore(name)


def _files(
    data: Path | None, data_key: Path | None, keys: Path | None, keys_key: Path | None
) -> "dict[BackupStore, Sealed]":
    from consentry.restoring import Sealed
    from vault.backup_keys import BackupIdentity, BackupStore

    given = {BackupStore.DATA: (data, data_key), BackupStore.KEYS: (keys, keys_key)}
    files = {}
    for store, (path, key) in given.items():
        if (path is None) is not (key is None):
            raise BadInput(f"A backup and its key go together: --{store} and --{store}-key", hint="Give both.")
        if path is not None and key is not None:
            if missing := [str(one) for one in (path, key) if not one.is_file()]:
                raise BadInput(f"There is no file {missing[0]}", hint="Name a backup and its key where they are.")
            files[store] = Sealed(path, BackupIdentity.load(key))
    return files


def _log_key(text: str | None) -> "VerifierKey | None":
    from audit.verifier import VerifierKey

    if text is None:
        return None
    try:
        return VerifierKey.parse(text)
    except ValueError:
        raise BadInput("--log-key is no public key of a log", hint="Give what `consentry init` printed.") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise BadInput(f"{path} cannot be read: {err.strerror}", hint="Name a file with a checkpoint.") from None
