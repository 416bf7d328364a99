"""One demo run for all journeys that look at it, and a small shop for those where something goes wrong."""

import hashlib
import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consentry.cli import main
from consentry.demo.run import run_demo
from consentry.demo.story import Story


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Story]:
    """The folder and story of a demo with 260 people."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    return folder, run_demo(subjects=260, seed=7, folder=folder, fresh=True)


SHOP_MAP = """\
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
PLANTED = ("张三丰", "110101199001011239", "13912345678", "SO-SECRET-1")
"""Values that no line and no list may show."""


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


class Desk:
    """A shop's deployment with three customers, a folder for files, and the command line."""

    planted = PLANTED

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._capsys = capsys

    def beside(self, folder: Path) -> "Desk":
        """Another deployment's desk."""
        return Desk(folder, self._capsys)

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
        return self.line(ended.err)

    @staticmethod
    def line(err: str) -> str:
        """Check that this is one line for people, without values, below what the service logs; returns it."""
        *logged, said = err.splitlines()
        assert all(re.match(r"\d{4}-\d{2}-\d{2} ", line) for line in logged), err
        assert said.startswith("consentry: "), err
        assert "Traceback" not in err
        assert "A defect" not in err
        assert not [value for value in PLANTED if value in err]
        return said.removeprefix("consentry: ")

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file beside the deployment."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def orders(self, name: str, content: str | bytes) -> list[object]:
        """The command that ingests a table of orders."""
        return ["ingest", "table", self.file(name, content), "--map", self.file("map.yaml", SHOP_MAP)]

    def many_orders(self, name: str, count: int) -> list[object]:
        """The command that ingests as many orders of three customers, nine days old."""
        return self.orders(name, shop_orders(range(1000, 1000 + count)))

    def quarantined(self, name: str) -> list[str]:
        """The lines of an input's list of bad rows, without the header."""
        listed = (self.folder / f"{name}.quarantine.csv").read_text(encoding="utf-8")
        assert not [value for value in PLANTED if value in listed]
        return listed.splitlines()[1:]

    def hashes(self) -> dict[str, str]:
        """The bytes of everything that the deployment keeps."""
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(self.home.iterdir()) if p.is_file()}

    def rows(self) -> dict[str, list[str]]:
        """Every row of both stores, but for the log and the list of batches, which tell of an attempt."""
        found = {}
        for store in ("data.db", "keys.db"):
            with closing(sqlite3.connect(self.home / store)) as connection:
                names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for name in names:
                    if not name.startswith(("audit_", "sqlite_")) and name != "batch":
                        found[name] = sorted(map(str, connection.execute(f"SELECT * FROM {name}")))
        return found

    def select(self, query: str) -> list[tuple]:
        """Rows of the data store."""
        with closing(sqlite3.connect(self.home / "data.db")) as connection:
            return connection.execute(query).fetchall()

    def visible(self) -> int:
        """How many sealed rows belong to a complete batch."""
        joined = "sealed_record JOIN batch USING (batch_id) WHERE batch.state = 'complete'"
        return int(self.select(f"SELECT count(*) FROM {joined}")[0][0])


def shop_orders(numbers: range) -> str:
    """Orders of customers m1, m2 and m3, as the shop's table."""
    day = datetime.now(UTC) - timedelta(days=9)
    rows = [f"m{n % 3 + 1},SO{n:05},{day:%Y-%m-%d} 10:00:00,{n}.90,已完成\n" for n in numbers]
    return "会员号,订单号,下单时间,金额,状态\n" + "".join(rows)


def shop_customer(number: int) -> str:
    """The act that registers a customer, as a line."""
    made = {
        "act_id": f"act-{number}",
        "act": "contract",
        "subject": {"source": "shop", "id": f"m{number}", "birth_date": "1990-01-01", "sex": "female"},
        "purposes": ["P01", "P02", "P04"],
        "at": (datetime.now(UTC) - timedelta(days=30)).isoformat(),
        "evidence": {"mechanism": "contract_concluded"},
        "actor": {"kind": "operator"},
    }
    return json.dumps(made) + "\n"


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a deployment with three registered customers and an order of each."""
    folder = tmp_path_factory.mktemp("stocked")
    (folder / "acts.ndjson").write_text("".join(map(shop_customer, (1, 2, 3))))
    (folder / "orders.csv").write_text(shop_orders(range(3)))
    (folder / "map.yaml").write_text(SHOP_MAP)
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
def desk(stocked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A copy of that deployment; its settings come from its own folder alone."""
    for name in ("CONSENTRY_HOME", "CONSENTRY_CONFIG", "CONSENTRY_TOKEN", "CONSENTRY_BUSY_TIMEOUT_MS"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(stocked, tmp_path / "home")
    return Desk(tmp_path, capsys)
