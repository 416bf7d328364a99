"""The promises of the README that cross the parts, each as its user would check it."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from consentry.demo.shell import Shell
from kernel.errors import IntegrityFailed

pytestmark = pytest.mark.xdist_group("promises")

CITIZEN = "11010519491231002X"
MAP = """\
source: his
subject: patient
time: seen
records:
  - kind: profile
    columns: {id_card: id_number, name: name, birth: birth_date, gender: sex}
  - kind: condition
    columns:
      icd10: {field: diagnosis, system: icd10}
      complaint: chief_complaint
  - kind: order
    record: order
    columns: {order: order_id, amount: order_amount}
"""
HEADER = "patient,id_card,name,birth,gender,seen,icd10,complaint,order,amount\n"
REVEAL = ("--purpose", "P02", "--fields", "diagnosis", "--reason", "visit")


class Clinic:
    """One deployment with one patient of the hospital `his`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shell = Shell(folder / "home", shown=False)
        self.accounts = self.shell.json("init")["accounts"]
        (folder / "map.yaml").write_text(MAP, encoding="utf-8")

    def consent(self, *grants: str) -> None:
        """Register the patient, and record these grants, each under its notice."""
        lines = [self._act("contract", ["P01", "P02", "P04"], {"id_number": CITIZEN}, actor={"kind": "operator"})]
        codes = {"P02": "service", "P07": "profiling"}
        for purpose in grants:
            notice = {"code": codes[purpose], "version": "2026-11", "locale": "en"}
            lines.append(self._act("grant", [purpose], {}, notice=notice))
        path = self.folder / "acts.ndjson"
        path.write_text("".join(json.dumps({"act_id": f"a{n}", **line}) + "\n" for n, line in enumerate(lines)))
        assert self.shell.json("ingest", "consents", str(path))["refused"] == {}

    def ingest(self, row: str) -> dict[str, object]:
        """Ingest one row of the hospital's table."""
        path = self.folder / "his.csv"
        path.write_text(HEADER + row + "\n", encoding="utf-8")
        taken: dict[str, object] = self.shell.json("ingest", "table", str(path), "--map", str(self.folder / "map.yaml"))
        return taken

    @property
    def subject(self) -> str:
        """The patient's subject id."""
        return self.shell.run("subject", "find", "--source", "his", "--id", "p1").strip()

    @property
    def doctor(self) -> str:
        """A clinician's token."""
        return self.shell.sign_in("dr.lin", self.accounts["dr.lin"]["password"])

    def bytes_on_disk(self) -> bytes:
        """Everything that lies in the data folder."""
        return b"".join(p.read_bytes() for p in sorted((self.folder / "home").rglob("*")) if p.is_file())

    def _act(self, act: str, purposes: list[str], more: dict[str, str], **others: object) -> dict[str, object]:
        subject = {"source": "his", "id": "p1", **more}
        made = {"act": act, "subject": subject, "purposes": purposes, "at": "2026-11-01T09:00:00+08:00"}
        return {**made, "evidence": {"mechanism": "tapped_button"}, **others}


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """A fresh deployment."""
    return Clinic(tmp_path)


ROW = f"p1,{CITIZEN},欧阳测试,1949-12-31,女,2026-11-02 10:00,I10,头晕三天,SO-77001,88.00"
OLD_ORDER = "p1,,,,,2019-11-02 10:00,,,SO-77001,88.00"


def test_no_basis_no_data(clinic: Clinic) -> None:
    """Without any decision nothing of a record is stored, in no form, and no key or index is made."""
    taken = clinic.ingest(ROW)
    assert (taken["stored_records"], taken["stored_fields"]) == (0, 0)
    assert taken["refused"] == {"NO_DECISION": 8}
    for store, table in (("data.db", "sealed_record"), ("keys.db", "data_key"), ("keys.db", "blind_index")):
        assert _count(clinic, store, table) == 0, table
    disk = clinic.bytes_on_disk()
    assert not [word for word in (CITIZEN, "欧阳测试", "头晕三天", "SO-77001") if word.encode() in disk]


def test_no_record_no_key(clinic: Clinic) -> None:
    """When the log cannot be signed nothing opens; when it can again, the same call goes through."""
    clinic.consent("P02")
    clinic.ingest(ROW)
    subject, doctor = clinic.subject, clinic.doctor
    state = clinic.folder / "home" / "signing.state"
    kept = state.read_bytes()
    state.write_bytes(b"damaged")
    with pytest.raises(IntegrityFailed, match="signer's state is damaged"):
        clinic.shell.run("reveal", subject, *REVEAL, token=doctor)
    state.write_bytes(kept)
    assert "icd10:I10" in clinic.shell.run("reveal", subject, *REVEAL, token=doctor)


def test_every_opening_stands_in_the_log_before_it_happens(clinic: Clinic) -> None:
    """The permit of a reveal is an entry under a signed checkpoint, with actor, purpose and fields, without values."""
    clinic.consent("P02")
    clinic.ingest(ROW)
    clinic.shell.run("reveal", clinic.subject, *REVEAL, token=clinic.doctor)
    permits = clinic.shell.json_lines("audit", "query", "--subject", clinic.subject, "--act", "gate.permit")
    last = permits[-1]
    assert (last["purpose"], last["fields"], last["role"]) == ("P02", ["diagnosis"], "clinician")
    assert "I10" not in json.dumps(last)


def test_erased_is_erased(clinic: Clinic) -> None:
    """After an erasure neither ciphertext, wrapped key, index nor pseudonym of the person is left on the disk."""
    clinic.consent("P02", "P07")
    clinic.ingest(OLD_ORDER)
    clinic.shell.run("view", "build")
    clinic.shell.run("tags", "run")
    home = clinic.folder / "home"
    sealed = [row[0] for row in _rows(clinic, "data.db", "SELECT payload FROM sealed_record")]
    keys = [row[0] for row in _rows(clinic, "keys.db", "SELECT wrapped FROM data_key")]
    names = [row[0] for row in _rows(clinic, "keys.db", "SELECT pseudonym FROM pseudonym")]
    digests = [row[0] for row in _rows(clinic, "keys.db", "SELECT digest FROM blind_index")]
    assert sealed
    assert keys
    assert names
    assert digests
    done = clinic.shell.json("erase", clinic.subject, "--reason", "request 1")
    assert done["state"] == "erased"
    disk = clinic.bytes_on_disk()
    assert not [part for part in (*sealed, *keys, *digests) if part in disk]
    assert not [name for name in names if name.encode() in disk]
    for file in home.rglob("*.parquet"):
        assert not set(pq.read_table(file, columns=["pseudonym"])["pseudonym"].to_pylist()) & set(names), file.name


def test_proofs_still_verify_after_an_erasure(clinic: Clinic) -> None:
    """An export of the log from before an erasure and one from after both verify; the later extends the earlier."""
    from consentry.demo.shell import verify

    clinic.consent("P02")
    clinic.ingest(OLD_ORDER)
    before = clinic.shell.json("audit", "export", str(clinic.folder / "before"))
    clinic.shell.json("erase", clinic.subject, "--reason", "request 1")
    clinic.shell.json("audit", "export", str(clinic.folder / "after"))
    assert verify(clinic.folder / "before", before["key"])[0] == 0
    assert verify(clinic.folder / "after", before["key"])[0] == 0


def test_a_data_backup_restored_after_an_erasure_opens_nothing_of_the_erased(clinic: Clinic) -> None:
    """The old data store beside today's key store has rows whose keys are gone."""
    clinic.consent("P02")
    clinic.ingest(OLD_ORDER)
    subject = clinic.subject
    backup = (clinic.folder / "home" / "data.db").read_bytes()
    clinic.shell.json("erase", subject, "--reason", "request 1")
    payloads = sqlite3.connect(":memory:")
    payloads.deserialize(backup)
    key_ids = {row[0] for row in payloads.execute("SELECT key_id FROM sealed_record")}
    left = {row[0] for row in _rows(clinic, "keys.db", "SELECT key_id FROM data_key")}
    assert key_ids
    assert not key_ids & left


def test_tags_load_no_part_that_knows_a_person() -> None:
    """Importing and using the tag engine brings in neither vault, consent, audit nor a database."""
    code = (
        "import sys; import tagging.evaluate, tagging.explain, tagging.cohort, tagging.lint, deid.release, deid.rows;"
        "print([m for m in ('vault','consent','audit','sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_phones_home(clinic: Clinic) -> None:
    """A whole round of commands opens no connection and resolves no name."""
    clinic.consent("P02", "P07")
    (clinic.folder / "his.csv").write_text(HEADER + ROW + "\n", encoding="utf-8")
    home = str(clinic.folder / "home")
    rounds = [
        ["ingest", "table", str(clinic.folder / "his.csv"), "--map", str(clinic.folder / "map.yaml"), "--home", home],
        ["view", "build", "--home", home],
        ["tags", "run", "--home", home],
        ["audit", "export", str(clinic.folder / "log"), "--home", home],
    ]
    code = (
        "import sys, json\n"
        "seen = []\n"
        "sys.addaudithook(lambda e, a: seen.append(e) if e in ('socket.connect', 'socket.getaddrinfo') else None)\n"
        "from consentry.cli.app import app\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    app(words, standalone_mode=False)\n"
        "print('seen', seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(rounds)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.rstrip().endswith("seen []")


def _count(clinic: Clinic, store: str, table: str) -> int:
    return int(_rows(clinic, store, f"SELECT count(*) FROM {table}")[0][0])


def _rows(clinic: Clinic, store: str, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(clinic.folder / "home" / store)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_erasures_are_final_at_the_end_of_the_key_epoch(clinic: Clinic) -> None:
    """After the rotation the epoch key that wrapped the erased person's keys is gone, and what lives still opens."""
    clinic.consent("P02")
    clinic.ingest(ROW)
    wrapped = [row[0] for row in _rows(clinic, "keys.db", "SELECT wrapped FROM epoch")]
    said = clinic.shell.run("keys", "rotate")
    assert "keys were wrapped anew" in said
    disk = clinic.bytes_on_disk()
    assert not [key for key in wrapped if key in disk]
    assert "icd10:I10" in clinic.shell.run("reveal", clinic.subject, *REVEAL, token=clinic.doctor)
