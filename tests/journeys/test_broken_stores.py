"""Bad circumstances: locked, lost, damaged or foreign stores and keys, and a full disk; nothing is half done."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

FORK = get_context("fork")
COMMAND = [sys.executable, "-c", "from consentry.cli import main; main()"]


@contextmanager
def locked(store: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    """Hold a store's write lock from another connection."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute(f"BEGIN {how}")
        yield


@pytest.mark.parametrize(("store", "label"), [("data.db", "data store"), ("keys.db", "key store")])
@pytest.mark.parametrize("kind", ["table", "consents"])
def test_locked_store_is_said_and_nothing_changes(desk, monkeypatch, kind, store, label):
    """Another process writes: after the waiting time one line, and every row as before; later the command works."""
    monkeypatch.setenv("CONSENTRY_BUSY_TIMEOUT_MS", "50")
    words = first_visit(desk) if kind == "table" else ["ingest", "consents", customer(desk)]
    before = desk.rows()
    with locked(desk.home / store):
        line = desk.refuses(1, *words)
    assert line.startswith(f"The {label} cannot be used: database is locked. Another process is writing")
    assert desk.rows() == before
    assert desk.run(*words).status == 0
    assert desk.rows() != before


def first_visit(desk) -> list[object]:
    """The command that ingests the first clinical value of a customer, for which a key is made."""
    made = "source: shop\nsubject: id\nas_of: 2024-05-01\nrecords:\n  - kind: encounter\n    columns:\n"
    made += "      dept: department\n"
    return ["ingest", "table", desk.file("v.csv", "id,dept\nm1,内科\n"), "--map", desk.file("v.yaml", made)]


def customer(desk) -> Path:
    """A file that registers one more customer."""
    act = (
        '{"act_id": "new", "act": "contract", "subject": {"source": "shop", "id": "m9", "birth_date": "1990-01-01", '
        '"sex": "male"}, "purposes": ["P01", "P04"], "at": "2024-05-01T00:00:00Z", '
        '"evidence": {"mechanism": "contract_concluded"}, "actor": {"kind": "operator"}}'
    )
    return desk.file("acts.ndjson", act)


def test_store_that_is_locked_whole_cannot_be_read_either(desk, monkeypatch):
    """An exclusive lock stops reading, too."""
    monkeypatch.setenv("CONSENTRY_BUSY_TIMEOUT_MS", "50")
    with locked(desk.home / "data.db", "EXCLUSIVE"):
        assert "database is locked" in desk.refuses(1, "view", "list")


def test_reading_goes_on_while_another_process_writes(desk, monkeypatch):
    """A writer does not stop a list."""
    monkeypatch.setenv("CONSENTRY_BUSY_TIMEOUT_MS", "50")
    with locked(desk.home / "data.db"):
        assert desk.run("view", "list").status == 0


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("root.key", 1, "The root key file is missing or cannot be read. Put its backup back"),
        ("signing.key", 1, "The signing key file cannot be read: No such file or directory. Restore it"),
        ("token.key", 2, "token.key is missing or damaged. Restore it"),
        ("data.db", 1, "The data store does not exist at its configured place. Check the place; `consentry restore`"),
        ("keys.db", 1, "The key store does not exist at its configured place. Check the place; `consentry restore`"),
        ("consentry.toml", 2, "There is no deployment in"),
    ],
)
def test_lost_file_is_named_and_nothing_is_made_in_its_place(desk, name, status, said):
    """A lost key or store is never silently made anew, and nothing else changes."""
    (desk.home / name).unlink()
    before = desk.hashes()
    assert said in desk.refuses(status, *desk.many_orders("o.csv", 2))
    assert desk.hashes() == before


def test_lost_state_of_the_signer_stops_at_the_log(desk):
    """Without its memory the signer signs nothing more, and the lost file is not made anew."""
    (desk.home / "signing.state").unlink()
    line = desk.refuses(1, *desk.many_orders("o.csv", 2))
    assert line.startswith("The signer's state is missing, but the log has signed checkpoints")
    assert not (desk.home / "signing.state").exists()


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("root.key", 2, "The root key file is damaged"),
        ("signing.key", 2, "The signing key file holds no signing key"),
        ("token.key", 2, "token.key is missing or damaged"),
        ("data.db", 1, "The data store is damaged: file is not a database. Restore a backup"),
        ("keys.db", 1, "The key store is damaged: file is not a database. Restore a backup"),
        ("consentry.toml", 2, "consentry.toml is no TOML"),
    ],
)
def test_damaged_file_is_named(desk, name, status, said):
    """Noise in place of a key, a store or the settings."""
    (desk.home / name).write_bytes(bytes(range(1, 256)) * 20)
    before = desk.hashes()
    assert said in desk.refuses(status, *desk.many_orders("o.csv", 2))
    assert desk.hashes() == before


@pytest.mark.parametrize("name", ["root.key", "keys.db"])
def test_key_of_another_deployment_is_refused(desk, name):
    """A wrong root key, or a key store that it does not open, is noticed before anything is read or written."""
    other = desk.beside(desk.folder / "other")
    assert other.run("init").status == 0
    shutil.copy(other.home / name, desk.home / name)
    before = desk.hashes()
    said = "The root key belongs to another key store. Configure the key that was made with it."
    assert desk.refuses(2, *desk.many_orders("o.csv", 2)) == said
    assert desk.refuses(2, "view", "list") == said
    assert desk.hashes() == before


@pytest.mark.parametrize("name", ["root.key", "signing.key", "token.key"])
def test_key_that_others_can_read_is_refused(desk, name):
    """A key file is for its owner."""
    (desk.home / name).chmod(0o640)
    assert "Run chmod 600 on it" in desk.refuses(2, "view", "list")


def run_limited(limit: int, words: list[str], told: str) -> None:
    """In a child process: no file may grow beyond the limit, as on a full disk; what is said goes to a file."""
    with Path(told).open("w") as heard:
        os.dup2(heard.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        os.execv(COMMAND[0], [*COMMAND, *words])


def test_store_that_cannot_grow_keeps_what_it_had(desk):
    """No room for the batch: one line; what was visible stays, nothing more shows, and with room it goes on."""
    words = [str(word) for word in desk.many_orders("o.csv", 1900)]
    limit, told = (desk.home / "data.db").stat().st_size + 65_536, desk.folder / "told"
    child = FORK.Process(target=run_limited, args=(limit, [*words, "--home", str(desk.home)], str(told)))
    child.start()
    child.join()
    assert child.exitcode == 1
    assert "The data store cannot be used: disk I/O error. Nothing was changed" in desk.line(told.read_text())
    assert desk.visible() == 3
    assert desk.run(*words).status == 0
    assert desk.visible() == 1903


@contextmanager
def tiny_disk(place: Path, size_kib: int) -> Iterator[Path]:
    """Mount a file system in memory with little room, where that is allowed."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here; the limit on file sizes stands in for it")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("size_kib", [8, 60, 200, 400, 560])
def test_init_on_a_full_disk_leaves_nothing(desk, size_kib):
    """However far it came, the folder is gone again."""
    with tiny_disk(desk.folder / "disk", size_kib) as disk:
        line = desk.beside(disk).refuses(1, "init")
        assert "disk is full" in line or "No space left" in line
        assert list(disk.iterdir()) == []


def test_ingest_on_a_full_disk_shows_nothing_and_goes_on_with_room(desk):
    """The disk fills up in the middle of a batch; the same command completes it when there is room again."""
    with tiny_disk(desk.folder / "disk", 2200) as disk:
        shutil.copytree(desk.home, disk / "home")
        full = desk.beside(disk)
        words = [*desk.many_orders("o.csv", 2900), "--quarantine", desk.folder / "list.csv"]
        assert "disk is full" in full.refuses(1, *words)
        assert full.visible() == 3
        subprocess.run(["mount", "-o", "remount,size=32768k", str(disk)], check=True)
        assert full.run(*words).status == 0
        assert full.visible() == 2903


@pytest.mark.parametrize("count", [200, 5000])
def test_list_of_bad_rows_on_a_full_disk_stops_the_batch(desk, count):
    """Found when the list is brought to disk, or on the way: no batch without its list, and no half of a list."""
    bad = "会员号,订单号,下单时间,金额,状态\n" + "m1,SO1,2024-01-01 10:00:00,-1,已完成\n" * count
    words = desk.orders("o.csv", bad)
    with tiny_disk(desk.folder / "disk", 4) as disk:
        line = desk.refuses(1, *words, "--quarantine", disk / "list.csv")
        assert line.startswith("The quarantine file list.csv cannot be written (No space left on device)")
        assert list(disk.iterdir()) == []
    assert desk.select("SELECT state FROM batch ORDER BY opened_at DESC")[0] == ("open",)
    assert desk.run(*words, "--quarantine", desk.folder / "list.csv").status == 0
    assert len((desk.folder / "list.csv").read_text().splitlines()) == count + 1
