"""`consentry init` and `consentry upgrade`: whole or not at all, for the owner only, never over something."""

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, event

from consentry.migrations import Store, downgrade
from consentry.settings import load_settings
from consentry.workflows.initialise import initialise
from kernel.database import open_database
from kernel.errors import BadInput, ConfigurationError, Conflict, Unavailable

NAMES = {"admin": "admin", "person": "dr.lin", "person_role": "clinician"}
FILES = {"consentry.toml", "data.db", "keys.db", "root.key", "signing.key", "signing.state", "token.key"}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings come from the command line alone; the working folder is empty."""
    for name in [name for name in os.environ if name.startswith("CONSENTRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every path below a folder with its mode and content."""
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


@contextmanager
def failing_at(number: int) -> Iterator[list[int]]:
    """Let the n-th commit of any store fail as on a full disk; yields the count of commits."""
    seen = [0]

    def fail(_connection: object) -> None:
        seen[0] += 1
        if seen[0] == number:
            raise OSError(28, "No space left on device")

    event.listen(Engine, "commit", fail)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", fail)


def test_init_makes_a_folder_for_its_owner_only(run, tmp_path):
    """The folder is 0700, every key, store and setting 0600, whatever the umask says."""
    before = os.umask(0)
    try:
        ended = run("init", "--home", "new")
    finally:
        os.umask(before)
    assert ended.status == 0
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    made = tree(tmp_path / "new")
    assert made.keys() >= FILES
    assert {mode for mode, _ in made.values()} == {0o600}


def test_init_shows_the_passwords_once_and_stores_only_their_hash(run, tmp_path):
    """No file of the new deployment holds a password."""
    ended = run("init", "--home", "new", "--json")
    passwords = [account["password"] for account in json.loads(ended.out)["accounts"].values()]
    assert len(set(passwords)) == 2
    stored = b"".join(content for _, content in tree(tmp_path / "new").values())
    assert not any(password.encode() in stored for password in passwords)


def test_account_shows_no_password_by_accident(tmp_path):
    """A log line or a traceback that holds the object tells name and role only."""
    made = initialise(load_settings(home=tmp_path / "new"), **NAMES)
    assert all(account.password not in repr(made) for account in made.accounts)
    assert "dr.lin" in repr(made)


def test_deployment_is_found_from_any_working_folder(run, tmp_path, monkeypatch):
    """--home is enough; the settings file in it is read, and relative paths in it start there."""
    assert run("init", "--home", "deep/er/new").status == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("view", "list", "--home", "../deep/er/new").status == 0
    assert run("view", "list", "--home", tmp_path / "deep" / "er" / "new").status == 0
    monkeypatch.chdir(tmp_path / "deep" / "er" / "new")
    assert run("view", "list").status == 0


def test_moved_folder_still_works(run, tmp_path, monkeypatch):
    """Nothing in a data folder says where it lies."""
    assert run("init", "--home", "first").status == 0
    (tmp_path / "first").rename(tmp_path / "second")
    assert run("view", "list", "--home", "second").status == 0
    monkeypatch.setenv("CONSENTRY_CONFIG", str(tmp_path / "second" / "consentry.toml"))
    assert run("view", "list").status == 0


def test_places_from_the_environment_are_kept(run, tmp_path, monkeypatch):
    """What decided where things lie at the start is written down, and needs no environment later."""
    monkeypatch.setenv("CONSENTRY_ROOT_KEY_FILE", "safe/root.key")
    monkeypatch.setenv("CONSENTRY_KEY_STORE", "sqlite:///safe/keys.db")
    monkeypatch.setenv("CONSENTRY_HOME", "new")
    (tmp_path / "safe").mkdir()
    assert run("init").status == 0
    for name in ("CONSENTRY_ROOT_KEY_FILE", "CONSENTRY_KEY_STORE", "CONSENTRY_HOME"):
        monkeypatch.delenv(name)
    assert {mode for mode, _ in tree(tmp_path / "safe").values()} == {0o600}
    monkeypatch.chdir(tmp_path / "safe")
    assert run("view", "list", "--home", "../new").status == 0


def test_own_pack_is_found_again(run, tmp_path, monkeypatch):
    """The folder of an own pack is written down whole; a folder named as a built-in pack does not stand in for it."""
    from kernel.pack import builtin_pack_path

    shutil.copytree(builtin_pack_path("medical"), tmp_path / "clinic")
    (tmp_path / "medical").mkdir()
    monkeypatch.setenv("CONSENTRY_PACK", "clinic")
    assert run("init", "--home", "own").status == 0
    monkeypatch.delenv("CONSENTRY_PACK")
    assert load_settings(home=tmp_path / "own").pack == str(tmp_path / "clinic")
    assert run("init", "--home", "builtin").status == 0


@pytest.mark.parametrize("name", sorted(FILES))
def test_existing_deployment_is_never_touched(run, tmp_path, name):
    """Whatever is there already: the command refuses, and every byte stays."""
    folder = tmp_path / "taken"
    folder.mkdir(mode=0o755)
    (folder / name).write_bytes(b"# something")
    before = tree(tmp_path)
    ended = run("init", "--home", "taken")
    assert ended.status == 2
    assert ended.line == f"taken/{name} exists already; nothing was changed. Choose another home with --home."
    assert tree(tmp_path) == before


def test_second_init_leaves_the_first_as_it_is(run, tmp_path):
    """A deployment is not made twice."""
    run("init", "--home", "new")
    before = tree(tmp_path)
    assert run("init", "--home", "new").status == 2
    assert tree(tmp_path) == before
    assert run("view", "list", "--home", "new").status == 0


def test_every_failing_step_takes_back_all(tmp_path):
    """Wherever a store fails, nothing is left: neither the folder nor the folders above it that were made."""
    with failing_at(0) as commits:
        initialise(load_settings(home=tmp_path / "whole"), **NAMES)
    assert commits[0] > 4
    before = tree(tmp_path)
    for number in range(1, commits[0] + 1):
        with failing_at(number), pytest.raises(Unavailable, match="No space left"):
            initialise(load_settings(home=tmp_path / "deep" / "new"), **NAMES)
        assert tree(tmp_path) == before, number


def test_failure_leaves_an_empty_folder_as_it_was(tmp_path):
    """A folder that was there keeps its mode and loses only what was put into it."""
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o755)
    (folder / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with failing_at(3), pytest.raises(Unavailable):
        initialise(load_settings(home=folder), **NAMES)
    assert tree(tmp_path) == before


def test_failure_takes_back_what_lies_outside_the_home(tmp_path):
    """Keys and stores elsewhere are removed as well; what others put there stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "other.key").write_text("other")
    settings = load_settings(
        home=tmp_path / "new",
        root_key_file=outside / "root.key",
        signing_key_file=outside / "signing.key",
        data_store=f"sqlite:///{outside / 'data.db'}",
    )
    before = tree(tmp_path)
    with failing_at(4), pytest.raises(Unavailable):
        initialise(settings, **NAMES)
    assert tree(tmp_path) == before


def test_key_that_is_there_elsewhere_is_kept(tmp_path):
    """A key file of another deployment is neither overwritten nor removed."""
    (tmp_path / "root.key").write_text("precious")
    before = tree(tmp_path)
    with pytest.raises(Conflict, match=r"root\.key exists already"):
        initialise(load_settings(home=tmp_path / "new", root_key_file=tmp_path / "root.key"), **NAMES)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["--home", "file"], 2, "file is no folder"),
        (["--home", "file/below"], 1, "The deployment cannot be made: Not a directory"),
        (["--home", "new", "--admin", "x", "--person", "x"], 2, "need two names"),
        (["--home", "new", "--role", "wizard"], 2, "Role 'wizard' is not in the pack"),
        (["--home", "new", "--role", "ingest"], 2, "cannot belong to a person"),
        (["--home", "new", "--admin", ""], 2, "A name has 1 to 80 printable characters"),
        (["--home", "new", "--person", "a\x00b"], 2, "A name has 1 to 80 printable characters"),
        (["--home", "new", "--person", "x" * 81], 2, "A name has 1 to 80 printable characters"),
    ],
)
def test_refused_request_makes_nothing(run, tmp_path, words, status, part):
    """One clear line, and the working folder is as it was."""
    (tmp_path / "file").write_text("")
    before = tree(tmp_path)
    ended = run("init", *words)
    assert ended.status == status
    assert part in ended.line
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("stores", "error", "part"),
    [
        ({"data_store": "sqlite:///s.db", "key_store": "sqlite:///s.db"}, BadInput, "two databases"),
        ({"data_store": "sqlite://"}, BadInput, "needs a file"),
        ({"data_store": "sqlite:///:memory:"}, BadInput, "needs a file"),
        ({"data_store": "nonsense"}, ConfigurationError, "URL of a store cannot be read"),
        ({"data_store": "mysql://u:secret@h/d"}, BadInput, "cannot live in mysql"),
        ({"data_store": "postgresql://u:secret@127.0.0.1:1/d"}, Unavailable, "data store cannot be used"),
        ({"root_key_file": "no/folder/root.key"}, Unavailable, "No such file or directory"),
        ({"deployment": "two words"}, BadInput, "no white space"),
    ],
)
def test_unusable_place_makes_nothing(tmp_path, stores, error, part):
    """A store or key that cannot be: no password in the message, and nothing stays."""
    with pytest.raises(error, match=part) as refused:
        initialise(load_settings(home=tmp_path / "new", **stores), **NAMES)
    assert "secret" not in refused.value.diagnostics()
    assert tree(tmp_path) == {}


def tables(url: str) -> set[str]:
    """The tables of a PostgreSQL database."""
    engine = sa.create_engine(url)
    try:
        return set(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_failure_empties_the_servers_databases_again(tmp_path, pg_database: Callable[[], str]):
    """On PostgreSQL, too, a failing step leaves nothing."""
    urls = {"data_store": pg_database(), "key_store": pg_database()}
    settings = load_settings(home=tmp_path / "new", **urls)
    with failing_at(4), pytest.raises(Unavailable):
        initialise(settings, **NAMES)
    assert tree(tmp_path) == {}
    assert {name: tables(url) for name, url in urls.items()} == {"data_store": set(), "key_store": set()}


def test_database_with_tables_is_refused(tmp_path, pg_database: Callable[[], str]):
    """A deployment on the server, or anybody's tables, are left alone."""
    url = pg_database()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE theirs (n int)"))
    engine.dispose()
    with pytest.raises(Conflict, match="data store has tables already"):
        initialise(load_settings(home=tmp_path / "new", data_store=url, key_store=pg_database()), **NAMES)
    assert tables(url) == {"theirs"}
    assert tree(tmp_path) == {}


def test_upgrade_of_a_current_deployment_changes_nothing(run, home):
    """The command can be repeated."""
    before = tree(home)
    ended = run("upgrade", "--home", home)
    assert (ended.status, ended.out) == (0, "Both stores are at this version's schema.\n")
    assert tree(home) == before


@pytest.mark.parametrize("command", [["upgrade"], ["view", "list"]])
@pytest.mark.parametrize(("name", "label"), [("data.db", "data store"), ("keys.db", "key store")])
def test_unknown_revision_is_refused(run, home, command, name, label):
    """A store that another version wrote is not touched, and the line says what to do."""
    engine = sa.create_engine(f"sqlite:///{home / name}")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    before = tree(home)
    ended = run(*command, "--home", home)
    assert ended.status == 2
    assert ended.line.startswith(
        f"The {label} is at schema 9999, which this version does not know; nothing was changed"
    )
    assert tree(home) == before


@pytest.mark.parametrize("command", [["upgrade"], ["view", "list"]])
def test_emptied_store_is_refused(run, home, command):
    """A file that was cut to nothing is a loss to be restored, not a store to be made anew."""
    (home / "data.db").write_bytes(b"")
    ended = run(*command, "--home", home)
    assert ended.status == 2
    assert ended.line == "The data store is empty. Restore a backup, or make a new deployment elsewhere."


def test_older_revision_is_refused_until_it_is_upgraded(run, home):
    """A store behind this version says what to do; the upgrade does it."""
    database = open_database(f"sqlite:///{home / 'data.db'}", label="data store")
    downgrade(database, Store.DATA, revision="0001")
    database.dispose()
    ended = run("view", "list", "--home", home)
    assert ended.status == 2
    assert ended.line.startswith("The data store is at schema 0001, this version needs ")
    assert ended.line.endswith(" Make a backup, then run `consentry upgrade`.")
    assert run("upgrade", "--home", home).status == 0
    assert run("view", "list", "--home", home).status == 0


def test_downgrade_to_base_makes_the_store_empty(home):
    """What a failed start takes back on a server is everything."""
    database = open_database(f"sqlite:///{home / 'keys.db'}", label="key store")
    downgrade(database, Store.KEYS, revision="base")
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == []
    database.dispose()
