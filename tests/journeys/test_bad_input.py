"""Bad input and bad circumstances: one clear line, an exit status that is not 0, and the stores as they were before."""

import gzip
import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from consentry.cli import main
from consentry.sources.table_files import read_header

FORK = get_context("fork")
NOBODY = 65534
HEADER = "会员号,订单号,下单时间,金额,状态\n"
MAP = """\
source: shop
subject: 会员号
time: 下单时间
time_zone: Asia/Shanghai
records:
  - kind: order
    record: 订单号
    columns:
      订单号: order_id
      金额: order_amount
      状态: {field: order_status, words: {已完成: completed}}
"""
PEOPLE_MAP = """\
source: shop
subject: 会员号
time: 登记
time_zone: Asia/Shanghai
records:
  - kind: profile
    columns:
      证件: id_number
  - kind: observation
    columns:
      身高: {field: height, code: "loinc:8302-2", unit: cm}
"""
PLANTED = ("张三丰", "110101199001011239", "13912345678", "SO-SECRET-1")
"""Values that no line and no list may show."""

TODAY = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


class Desk:
    """One deployment with three customers, a folder for files, and the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._capsys = capsys

    def run(self, *words: object) -> Ended:
        """Run one command on the deployment."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words), "--home", str(self.home)])
        said = self._capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    def refuses(self, status: int, *words: object) -> str:
        """Run a command that must fail; returns its one line."""
        ended = self.run(*words)
        assert (ended.status, ended.out) == (status, ""), ended
        return one_line(ended.err)

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file beside the deployment."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def orders(self, name: str, content: str | bytes) -> list[object]:
        """The command that ingests a table of orders."""
        return ["ingest", "table", self.file(name, content), "--map", self.file("map.yaml", MAP)]

    def quarantined(self, name: str) -> list[str]:
        """The lines of an input's list of bad rows, without the header."""
        listed = (self.folder / f"{name}.quarantine.csv").read_text(encoding="utf-8")
        assert not [value for value in PLANTED if value in listed]
        return listed.splitlines()[1:]


def one_line(err: str) -> str:
    """Check that this is one line for people, without values; returns it."""
    assert err.startswith("consentry: "), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert "A defect" not in err
    assert not [value for value in PLANTED if value in err]
    return err.removeprefix("consentry: ").rstrip()


def order(number: int, *, subject: int = 1, day: datetime = TODAY - timedelta(days=9), amount: str = "19.90") -> str:
    """One row of the shop's orders."""
    return f"m{subject},SO{number:04},{day:%Y-%m-%d %H:%M:%S},{amount},已完成\n"


def act(number: int, **more: object) -> str:
    """One act that registers a customer, as a line."""
    who = {"source": "shop", "id": f"m{number}", "birth_date": "1990-01-01", "sex": "female"}
    made = {
        "act_id": f"act-{number}",
        "act": "contract",
        "subject": who,
        "purposes": ["P01", "P02", "P04"],
        "at": (TODAY - timedelta(days=30)).isoformat(),
        "evidence": {"mechanism": "contract_concluded"},
        "actor": {"kind": "operator"},
    }
    return json.dumps(made | more, ensure_ascii=False) + "\n"


def hashes(home: Path) -> dict[str, str]:
    """The bytes of everything that a deployment keeps."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(home.iterdir()) if p.is_file()}


def rows(home: Path) -> dict[str, list[str]]:
    """Every row of both stores, but for the log and the list of batches, which tell of the attempt."""
    found = {}
    for store in ("data.db", "keys.db"):
        with closing(sqlite3.connect(home / store)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                if not name.startswith(("audit_", "sqlite_")) and name != "batch":
                    found[name] = sorted(map(str, connection.execute(f"SELECT * FROM {name}")))
    return found


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the data folder alone."""
    for name in ("CONSENTRY_HOME", "CONSENTRY_CONFIG", "CONSENTRY_TOKEN", "CONSENTRY_BUSY_TIMEOUT_MS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a deployment with three registered customers and an order of each."""
    folder = tmp_path_factory.mktemp("stocked")
    (folder / "acts.ndjson").write_text("".join(map(act, (1, 2, 3))))
    (folder / "orders.csv").write_text(HEADER + "".join(order(n, subject=n) for n in (1, 2, 3)))
    (folder / "map.yaml").write_text(MAP)
    for words in (
        ["init"],
        ["ingest", "consents", str(folder / "acts.ndjson")],
        ["ingest", "table", str(folder / "orders.csv"), "--map", str(folder / "map.yaml")],
    ):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--home", str(folder / "home")])
        assert ended.value.code == 0
    return folder / "home"


@pytest.fixture
def desk(stocked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A copy of that deployment."""
    shutil.copytree(stocked, tmp_path / "home")
    return Desk(tmp_path, capsys)


# --- files that cannot be read: nothing is written, not even to the log ----------------------------------------------

GOOD = HEADER + order(7)
PATIENT = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Patient"}}]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gbk.csv", GOOD.encode("gb18030"), "gbk.csv line 1 is not utf-8: the file reads as GB18030 (GBK)"),
        ("utf16.csv", GOOD.encode("utf-16"), "utf16.csv is UTF-16, not utf-8"),
        ("empty.csv", "", "empty.csv is empty"),
        ("blank.csv", "\n\n", "blank.csv has no header"),
        ("missing.csv", "会员号,订单号,下单时间,金额\nm1,SO1,2020-01-01,1\n", "missing.csv: columns missing: '状态'"),
        ("more.csv", HEADER[:-1] + ",备注\n" + order(7)[:-1] + ",x\n", "columns that the map does not name: 6 '备注'"),
        ("noheader.csv", order(7), "noheader.csv: the first line names none of the map's columns"),
        ("twice.csv", HEADER[:-1] + ",金额\n", "twice.csv: column 6 has the name of an earlier one"),
        ("archive.csv", gzip.compress(GOOD.encode()), "archive.csv line 1 is not utf-8"),
        ("orders.xlsx", GOOD, "orders.xlsx is no readable Excel workbook"),
        ("orders.parquet", GOOD, "orders.parquet is no readable Parquet file"),
        ("orders.doc", GOOD, "orders.doc is of an unknown format"),
    ],
)
def test_table_that_cannot_be_read_changes_no_byte(desk: Desk, name: str, content: str | bytes, said: str) -> None:
    """The file's fault is named, and both stores, keys and the signer's state keep every byte."""
    before = hashes(desk.home)
    line = desk.refuses(2, *desk.orders(name, content))
    assert said in line
    assert hashes(desk.home) == before


@pytest.mark.parametrize(
    ("kind", "name", "content", "said"),
    [
        ("fhir", "cut.json", json.dumps(PATIENT)[:-15], "the file ends in the middle of its JSON (truncated)"),
        ("fhir", "broken.json", '{"resourceType": "Bundle" "x"}', "line 1 column 27: the file is not valid JSON"),
        ("fhir", "deep.json", "[" * 100_000, "deep.json is not valid JSON"),
        ("fhir", "list.json", "[]", "list.json is no FHIR resource"),
        ("fhir", "gbk.json", json.dumps({"n": "张三丰"}, ensure_ascii=False).encode("gbk"), "reads as GB18030 (GBK)"),
        ("fhir", "empty.ndjson", "", "empty.ndjson is empty"),
        ("fhir", "notes.txt", "{}", "notes.txt is neither .json nor .ndjson"),
        ("events", "empty.ndjson", "", "empty.ndjson is empty"),
        ("events", "gbk.ndjson", '{"type": "搜索"}\n'.encode("gbk"), "gbk.ndjson line 1 is not utf-8"),
        ("consents", "empty.ndjson", "", "empty.ndjson is empty"),
        ("consents", "blank.ndjson", "\n \n", "blank.ndjson is empty"),
        ("consents", "list.ndjson", "[" + act(9) + "]", "list.ndjson is a JSON array"),
        ("consents", "late.ndjson", act(9) * 99 + '{"名": "张三丰"}'.encode("gbk").decode("latin-1"), "is not utf-8"),
    ],
)
def test_json_that_cannot_be_read_changes_no_byte(
    desk: Desk, kind: str, name: str, content: str | bytes, said: str
) -> None:
    """Truncated, broken, empty or in another encoding: nothing is written."""
    before = hashes(desk.home)
    raw = content.encode("latin-1") if name == "late.ndjson" and isinstance(content, str) else content
    line = desk.refuses(2, "ingest", kind, desk.file(name, raw))
    assert said in line
    assert hashes(desk.home) == before


@pytest.mark.parametrize("kind", ["fhir", "table", "events", "consents"])
@pytest.mark.parametrize("place", ["missing", "loop", "folder"])
def test_path_that_is_no_file_is_named(desk: Desk, kind: str, place: str) -> None:
    """A missing file, a link that leads to itself, and a folder where a file is expected."""
    path = desk.folder / f"{place}.ndjson"
    if place == "loop":
        path.symlink_to(path)
    elif place == "folder":
        path.mkdir()
    words = ["--map", desk.file("map.yaml", MAP)] if kind == "table" else []
    before = hashes(desk.home)
    line = desk.refuses(2, "ingest", kind, path, *words)
    said = {"missing": "No such file", "loop": "Too many levels", "folder": "no file"}[place]
    assert said in line
    assert hashes(desk.home) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (MAP.replace("order_amount", "amount_of_order"), "map.yaml:9: unknown field 'amount_of_order'"),
        (MAP.replace("kind: order", "kind: parcel"), "map.yaml:6"),
        (MAP.replace("subject:", "subjects:"), "map.yaml:"),
        ("source: [", "map.yaml:2: not valid YAML"),
        ("", "map.yaml:1"),
        ("来源: 店".encode("gbk"), "map.yaml:1: not UTF-8"),
    ],
)
def test_map_with_a_mistake_names_file_and_line(desk: Desk, content: str | bytes, said: str) -> None:
    """A map is checked before anything is read with it."""
    before = hashes(desk.home)
    words = ["ingest", "table", desk.file("o.csv", GOOD), "--map", desk.file("map.yaml", content)]
    assert said in desk.refuses(2, *words)
    assert hashes(desk.home) == before


def test_file_that_ends_inside_a_quote_takes_its_batch_back(desk: Desk) -> None:
    """A fault behind rows that were stored already: the batch is discarded, and only the log tells of it."""
    before = rows(desk.home)
    good = "".join(order(n, subject=2) for n in range(100, 1300))
    line = desk.refuses(2, *desk.orders("cut.csv", HEADER + good + 'm1,"SO'))
    assert "cut.csv line 1202: a quotation mark is opened and never closed" in line
    assert rows(desk.home) == before
    with closing(sqlite3.connect(desk.home / "data.db")) as connection:
        states = connection.execute("SELECT state, position FROM batch ORDER BY opened_at DESC").fetchall()
    assert states[0] == ("discarded", 1000)
    assert not (desk.folder / "cut.csv.quarantine.csv").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_file_that_may_not_be_read_is_named(desk: Desk) -> None:
    """Somebody else's file: the system's reason, and nothing written."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        secret = Path(place) / "orders.csv"
        secret.write_text(GOOD)
        secret.chmod(0o600)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(Exception, match=r"orders\.csv cannot be read \(Permission denied\)") as refused:
                read_header(secret, "utf-8")
        finally:
            os.seteuid(0)
    assert type(refused.value).__name__ == "SourceError"


# --- rows that cannot be used: listed without values, the rest is stored -----------------------------------------------


@pytest.mark.parametrize(
    ("bad", "listed"),
    [
        (order(8, day=TODAY + timedelta(days=400)), "o.csv:3,future_date,time"),
        (order(8, amount="-5"), "o.csv:3,out_of_range,order_amount"),
        (order(8, amount="十块"), "o.csv:3,bad_number,order_amount"),
        (order(8).replace("m1,", "m1\x00,"), "o.csv:3,bad_text,subject"),
        (order(8).replace("SO0008", "x" * 10_000_000), "o.csv:3,too_long,"),
        (order(8).replace("SO0008", "SO-SECRET-1," * 3), "o.csv:3,ragged,"),
        (order(8).replace("SO0008", '"SO-SECRET-1"x'), "o.csv:3,malformed,"),
        (order(8).replace("m1,", ","), "o.csv:3,missing,subject"),
        (order(8).replace("m1,", "m99,"), "o.csv:3,UNKNOWN_PERSON,"),
    ],
)
def test_bad_row_is_listed_and_the_rest_is_stored(desk: Desk, bad: str, listed: str) -> None:
    """Row number, reason and field go to the list; the file could be read, so that the run ends well."""
    ended = desk.run(*desk.orders("o.csv", HEADER + order(7) + bad + order(9)), "--json")
    assert ended.status == 0
    report = json.loads(ended.out)
    assert (report["stored_records"], sum(report["bad_rows"].values())) == (2, 1)
    assert desk.quarantined("o.csv") == [listed]


@pytest.mark.parametrize(
    ("cells", "listed"),
    [
        ("110101199001011239,170", "p.csv:2,check_digit,id_number"),
        (",-170", "p.csv:2,out_of_range,height"),
        (",1.7e99", "p.csv:2,bad_number,height"),
    ],
)
def test_wrong_check_digit_and_negative_height_are_refused(desk: Desk, cells: str, listed: str) -> None:
    """Cleaning refuses what cannot be, by field and rule."""
    path = desk.file("p.csv", f"会员号,登记,证件,身高\nm1,2024-05-01,{cells}\n")
    ended = desk.run("ingest", "table", path, "--map", desk.file("map.yaml", PEOPLE_MAP))
    assert ended.status == 0
    assert desk.quarantined("p.csv") == [listed]


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        (act(8, purposes=["P99"]), "a.ndjson:1,BadInput,,Purpose 'P99' is not in the catalogue"),
        (act(8, at="2199-01-01T00:00:00Z"), "a.ndjson:1,BadInput,,The decision lies in the future"),
        (act(8, fields=["no_such_field"]), "a.ndjson:1,BadInput,,1 of the named fields are not used for P01"),
        (
            act(8, subject={"source": "shop", "id": "m8", "id_number": "110101199001011239"}),
            'a.ndjson:1,malformed,subject.id_number,"Value error, refused: check_digit"',
        ),
        (act(8)[:-9] + "\n", "a.ndjson:1,malformed,,"),
        (act(8, 张三丰="x"), "a.ndjson:1,malformed,?,Extra inputs are not permitted"),
        (act(8, subject={"source": "张三丰", "id": "m8"}), "a.ndjson:1,malformed,subject.source,"),
        (act(8, evidence={"mechanism": "x" * 10_000_000}), "a.ndjson:1,too_long,,"),
        (act(8, act="withdraw", actor={"kind": "self"}), "a.ndjson:1,NotFound,,The person is not registered"),
        ("[1]\n", "a.ndjson:1,malformed,,"),
        ("null\n", "a.ndjson:1,malformed,,"),
    ],
)
def test_bad_act_is_listed_and_the_others_stand(desk: Desk, line: str, listed: str) -> None:
    """Each act by itself: a refused one says why, without values, and hinders nobody."""
    path = desk.file("a.ndjson", (act(7) if line.startswith("[") else "") + line + act(9))
    ended = desk.run("ingest", "consents", path, "--json")
    assert ended.status == 0
    expected = 2 if line.startswith("[") else 1
    assert json.loads(ended.out)["registered"] == expected
    (told,) = desk.quarantined("a.ndjson")
    assert told.replace("a.ndjson:2", "a.ndjson:1").startswith(listed)


def test_many_bad_rows_are_all_listed(desk: Desk) -> None:
    """The report counts; the list has them all."""
    bad = "".join(order(n, amount="-1") for n in range(1500))
    ended = desk.run(*desk.orders("o.csv", HEADER + bad), "--json")
    assert json.loads(ended.out)["bad_rows"] == {"out_of_range": 1500}
    listed = desk.quarantined("o.csv")
    assert len(listed) == 1500
    assert listed[-1] == "o.csv:1501,out_of_range,order_amount"


def test_list_of_an_earlier_run_is_renewed_or_kept(desk: Desk) -> None:
    """A corrected file takes the old list away; the same file again leaves the list that belongs to it."""
    words = desk.orders("o.csv", HEADER + order(7, amount="-1"))
    desk.run(*words)
    desk.run(*words)
    assert desk.quarantined("o.csv") == ["o.csv:2,out_of_range,order_amount"]
    desk.run(*desk.orders("o.csv", HEADER + order(7)))
    assert not (desk.folder / "o.csv.quarantine.csv").exists()


def test_list_that_cannot_be_written_stops_the_batch(desk: Desk) -> None:
    """Without the list no batch is complete; with another place the same command goes on."""
    words = desk.orders("o.csv", HEADER + order(7) + order(8, amount="-1"))
    line = desk.refuses(1, *words, "--quarantine", desk.folder / "no" / "list.csv")
    assert "The quarantine file list.csv cannot be written (No such file or directory)" in line
    assert visible(desk.home) == 3
    assert desk.run(*words, "--quarantine", desk.folder / "list.csv").status == 0
    assert visible(desk.home) == 4


def visible(home: Path) -> int:
    """How many sealed rows belong to a complete batch."""
    query = "SELECT count(*) FROM sealed_record JOIN batch USING (batch_id) WHERE batch.state = 'complete'"
    with closing(sqlite3.connect(home / "data.db")) as connection:
        return int(connection.execute(query).fetchone()[0])


# --- stores and keys ----------------------------------------------------------------------------------------------------


@contextmanager
def locked(store: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    """Hold a store's write lock from another connection."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute(f"BEGIN {how}")
        yield


@pytest.mark.parametrize(("store", "label"), [("data.db", "data store"), ("keys.db", "key store")])
@pytest.mark.parametrize("kind", ["table", "consents"])
def test_locked_store_is_said_and_nothing_changes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: str, store: str, label: str
) -> None:
    """Another process writes: after the waiting time one line, and every byte as before."""
    monkeypatch.setenv("CONSENTRY_BUSY_TIMEOUT_MS", "50")
    words = desk.orders("o.csv", GOOD) if kind == "table" else ["ingest", "consents", desk.file("a.ndjson", act(9))]
    if (kind, store) == ("table", "keys.db"):
        words = ["ingest", "events", desk.file("e.ndjson", event())]  # orders need no new key, an event does
    before = rows(desk.home) | {"files": list(hashes(desk.home))}
    with locked(desk.home / store):
        line = desk.refuses(1, *words)
    assert line.startswith(f"The {label} cannot be used: database is locked. Another process is writing")
    assert rows(desk.home) | {"files": list(hashes(desk.home))} == before
    assert desk.run(*words).status == 0


def event() -> str:
    """One behaviour event of a customer, as a line."""
    return json.dumps({"type": "login", "subject": "m1", "time": TODAY.isoformat(), "properties": {}}) + "\n"


def test_store_that_is_locked_whole_cannot_be_read_either(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exclusive lock stops reading, too."""
    monkeypatch.setenv("CONSENTRY_BUSY_TIMEOUT_MS", "50")
    with locked(desk.home / "data.db", "EXCLUSIVE"):
        assert "database is locked" in desk.refuses(1, "view", "list")


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("root.key", 1, "The root key file is missing or cannot be read. Put its backup back"),
        ("signing.key", 1, "The signing key file cannot be read: No such file or directory. Restore it"),
        ("signing.state", 1, "The signer's state is missing, but the log has signed checkpoints"),
        ("token.key", 2, "token.key is missing or damaged. Restore it"),
        ("data.db", 1, "The data store does not exist at its configured place"),
        ("keys.db", 1, "The key store does not exist at its configured place"),
        ("consentry.toml", 2, "There is no deployment in"),
    ],
)
def test_lost_file_is_named_and_nothing_is_made_in_its_place(desk: Desk, name: str, status: int, said: str) -> None:
    """A lost key or store is never silently made anew."""
    (desk.home / name).unlink()
    before = hashes(desk.home)
    assert said in desk.refuses(status, *desk.orders("o.csv", GOOD))
    if name != "signing.state":
        assert hashes(desk.home) == before
    assert not (desk.home / name).exists()


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
def test_damaged_file_is_named(desk: Desk, name: str, status: int, said: str) -> None:
    """Noise in place of a key, a store or the settings."""
    (desk.home / name).write_bytes(bytes(range(1, 256)) * 20)
    before = hashes(desk.home)
    assert said in desk.refuses(status, *desk.orders("o.csv", GOOD))
    assert hashes(desk.home) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("root.key", "The root key belongs to another key store. Configure the key that was made with it."),
        ("keys.db", "The root key belongs to another key store. Configure the key that was made with it."),
    ],
)
def test_key_of_another_deployment_is_refused(desk: Desk, name: str, said: str) -> None:
    """A wrong root key, or a wrong key store for it, is noticed before anything is read or written."""
    other = Desk(desk.folder / "other", desk._capsys)
    other.run("init")
    shutil.copy(other.home / name, desk.home / name)
    before = hashes(desk.home)
    assert desk.refuses(2, *desk.orders("o.csv", GOOD)) == said
    assert desk.refuses(2, "view", "list") == said
    assert hashes(desk.home) == before


@pytest.mark.parametrize("name", ["root.key", "signing.key", "token.key"])
def test_key_that_others_can_read_is_refused(desk: Desk, name: str) -> None:
    """A key file is for its owner."""
    (desk.home / name).chmod(0o640)
    assert "Run chmod 600 on it" in desk.refuses(2, "view", "list")


# --- a full disk ----------------------------------------------------------------------------------------------------------


def limited(limit: int, words: list[str], told: str) -> None:
    """In a child process: no file may grow beyond the limit, as on a full disk; what is said goes to a file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with Path(told).open("w") as heard:
        os.dup2(heard.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(*command(words))


def command(words: list[str]) -> tuple[str, list[str]]:
    """The command line as a program and its arguments."""
    import sys

    return sys.executable, [sys.executable, "-c", "from consentry.cli import main; main()", *words]


def test_store_that_cannot_grow_keeps_what_it_had(desk: Desk) -> None:
    """No room for the batch: one line; what was visible stays, nothing more shows, and with room it goes on."""
    words = [str(word) for word in desk.orders("o.csv", HEADER + "".join(order(n) for n in range(100, 2000)))]
    words += ["--home", str(desk.home)]
    before, verified = visible(desk.home), desk.run("audit", "query", "--json").status
    told = desk.folder / "told"
    child = FORK.Process(target=limited, args=((desk.home / "data.db").stat().st_size + 65536, words, str(told)))
    child.start()
    child.join()
    assert child.exitcode == 1
    assert "The data store cannot be used: disk I/O error. Nothing was changed" in one_line(told.read_text())
    assert (visible(desk.home), verified) == (before, 0)
    assert desk.run("ingest", "table", *words[2:5]).status == 0
    assert visible(desk.home) == before + 1900


@contextmanager
def tiny_disk(place: Path, size_kib: int) -> Iterator[None]:
    """Mount a file system in memory with little room, where that is allowed."""
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(place)]
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", *options], capture_output=True, check=False).returncode
    ):
        pytest.skip("a file system cannot be mounted here; the limit on file sizes stands in for it")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("size_kib", [8, 60, 200, 400, 560])
def test_init_on_a_full_disk_leaves_nothing(desk: Desk, size_kib: int) -> None:
    """However far it came, the folder is gone again."""
    disk = desk.folder / "disk"
    with tiny_disk(disk, size_kib):
        ended = Desk(disk, desk._capsys).run("init")
        assert ended.status == 1
        assert "disk" in one_line(ended.err) or "No space left" in one_line(ended.err)
        assert list(disk.iterdir()) == []


def test_ingest_on_a_full_disk_shows_nothing_and_goes_on_with_room(desk: Desk) -> None:
    """The disk fills up in the middle of a batch."""
    disk = desk.folder / "disk"
    with tiny_disk(disk, 2200):
        shutil.copytree(desk.home, disk / "home")
        full = Desk(disk, desk._capsys)
        words = desk.orders("o.csv", HEADER + "".join(order(n) for n in range(100, 3000)))
        words += ["--quarantine", desk.folder / "list.csv"]
        ended = full.run(*words)
        assert ended.status == 1
        assert "disk is full" in one_line(ended.err)
        assert visible(full.home) == 3
        subprocess.run(["mount", "-o", "remount,size=16384k", str(disk)], check=True)
        assert full.run(*words).status == 0
        assert visible(full.home) == 2903
