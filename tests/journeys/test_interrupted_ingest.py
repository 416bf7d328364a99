"""An ingestion that is killed: nothing of it shows, and the same command completes it as if nothing had happened."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from consentry.cli import main
from consentry.workflows import capture_file, ingest

FORK = get_context("fork")
MAP = """\
source: shop
subject: id
time: day
time_zone: Asia/Shanghai
records:
  - kind: profile
    columns:
      number: id_number
  - kind: encounter
    record: visit
    columns:
      dept: department
      visit: visit_number
"""
NUMBERS = {1: "110101199001010015", 2: "110101199001010023", 3: "11010119900101004X"}
"""Identity numbers with their check digits, of three people who were born on one day."""

STORED = (
    "SELECT subject_id, record_key, content_key, part, r.kind, source, compartment, purpose, observed_at, expires_at, "
    "held_until FROM sealed_record r JOIN batch USING (batch_id) WHERE state = 'complete' ORDER BY 1, 2, 3, 4"
)
"""What was stored, without random ids; the content's keyed digest stands for the sealed values."""


def visits() -> str:
    """Visits of three customers; future ones, one of a stranger, and one with a number that is somebody else's."""
    rows = ["id,day,number,dept,visit"]
    for place in range(50):
        who = place % 3 + 1
        number, day = NUMBERS[who], "2024-05-01"
        if place % 17 == 5:
            day = "2199-01-01"
        if place == 25:
            number = NUMBERS[who % 3 + 1]
        rows.append(f"m{who},{day},{number},内科,V{place}" if place != 3 else f"m99,{day},,内科,V{place}")
    return "\n".join(rows) + "\n"


def words_of(desk) -> list[str]:
    """The command that ingests the visits."""
    made = ["ingest", "table", desk.file("v.csv", visits()), "--map", desk.file("v.yaml", MAP), "--json"]
    return [str(word) for word in made]


def keys_of(desk) -> dict[str, list[tuple]]:
    """What the key store holds, without random ids and times."""
    queries = {
        "keys": "SELECT subject_id, compartment, generation FROM data_key ORDER BY 1, 2",
        "links": "SELECT field, version, digest, subject_id FROM blind_index ORDER BY 1, 2, 3, 4",
        "facts": "SELECT subject_id, fact, digest FROM identity_fact ORDER BY 1, 2",
        "doubts": "SELECT source, digest, rule, candidates FROM doubtful_identity ORDER BY 1, 2",
    }
    with closing(sqlite3.connect(desk.home / "keys.db")) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def killed_at(commit: int, words: list[str]) -> None:
    """In a child process: run a command, and kill it where it would commit its n-th write, in either store."""
    seen = 0

    def count(connection: Connection) -> None:
        nonlocal seen
        seen += bool(connection.get_execution_options().get("consentry_write"))
        if seen == commit:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", count)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    main(words)


def kill(commit: int, desk, words: list[str]) -> bool:
    """Run a command in a child that is killed at its n-th commit; says whether it came that far."""
    child = FORK.Process(target=killed_at, args=(commit, [*words, "--home", str(desk.home)]))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def every_kill(desk, words: list[str], check: Callable[[object, int], None]) -> int:
    """Kill the command at its first commit, its second and so on, each on a copy; returns how many there are."""
    commit = 1
    while True:
        copy = desk.beside(desk.folder / f"killed-{commit}")
        shutil.copytree(desk.home, copy.home)
        if not kill(commit, copy, words):
            return commit - 1
        check(copy, commit)
        commit += 1


def told(out: str) -> dict[str, object]:
    """A report without what differs from run to run."""
    return {name: value for name, value in json.loads(out).items() if name not in ("batch_id", "repeated")}


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks are enough to be killed in, before and between."""
    monkeypatch.setattr(ingest, "CHUNK_RECORDS", 40)
    monkeypatch.setattr(capture_file, "CHUNK_ACTS", 4)


def test_killed_ingestion_shows_nothing_and_is_completed(desk, small_chunks):
    """At every commit of either store: nothing shows before the last, and the second run ends as an unbroken one."""
    words = words_of(desk)
    whole = desk.beside(desk.folder / "whole")
    shutil.copytree(desk.home, whole.home)
    report = told(whole.run(*words).out)
    listed = desk.quarantined("v.csv")
    assert report["bad_rows"] == {"future_date": 3, "unknown_person": 1, "identity_doubtful": 2}
    before, stored, keys = desk.visible(), whole.select(STORED), keys_of(whole)
    seen: set[bool] = set()

    def check(copy, commit: int) -> None:
        (desk.folder / "v.csv.quarantine.csv").unlink(missing_ok=True)
        is_complete = copy.visible() == len(stored)
        assert is_complete or copy.visible() == before, commit
        seen.add(is_complete)
        ended = copy.run(*words)
        assert ended.status == 0, (commit, ended.err)
        assert copy.select(STORED) == stored, commit
        assert keys_of(copy) == keys, commit
        if not json.loads(ended.out)["repeated"]:
            assert told(ended.out) == report, commit
            assert desk.quarantined("v.csv") == listed, commit
        assert copy.run("audit", "query", "--limit", "1").status == 0

    assert every_kill(desk, words, check) >= 8
    assert seen == {False, True}


def test_ingestion_killed_from_outside_goes_on(desk):
    """Kill -9 while the rows go in, as an operator would see it."""
    words = [str(word) for word in desk.many_orders("o.csv", 6000)]
    program = [sys.executable, "-c", "from consentry.cli import main; main()", *words, "--home", str(desk.home)]
    child = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    position = 0
    while position == 0 and child.poll() is None:
        time.sleep(0.005)
        position = open_position(desk.home)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert 0 < open_position(desk.home) < 6000
    assert desk.visible() == 3
    assert desk.run(*words).status == 0
    assert desk.visible() == 6003


def open_position(home: Path) -> int:
    """How far the open batch is; 0 where there is none, or the store is being written at this moment."""
    try:
        with closing(sqlite3.connect(f"file:{home / 'data.db'}?mode=ro", uri=True, timeout=0)) as connection:
            found = connection.execute("SELECT position FROM batch WHERE state = 'open'").fetchone()
    except sqlite3.OperationalError:
        return 0
    return int(found[0]) if found else 0


def test_interrupted_batch_can_be_taken_back(desk, small_chunks):
    """Where the file is corrected instead of repeated: the open batch is named, discarded, and leaves nothing."""
    words = words_of(desk)
    assert kill(7, desk, words)
    ((batch,),) = desk.select("SELECT batch_id FROM batch WHERE state = 'open' AND position > 0")
    corrected = ["ingest", "table", desk.file("v2.csv", visits().replace("2199", "2024")), *words[3:]]
    line = desk.refuses(2, *corrected)
    assert line.startswith(f"Batch {batch} holds the same record and is not complete")
    assert batch in desk.refuses(2, "ingest", "discard", "bat_none").partition("Open are ")[2]
    assert desk.run("ingest", "discard", batch).out == f"{batch} is discarded: nothing of it is left\n"
    assert desk.run(*corrected).status == 0
    ((other,),) = desk.select("SELECT batch_id FROM batch WHERE state = 'complete' ORDER BY opened_at DESC LIMIT 1")
    assert f"Batch {other} is complete and cannot be discarded" in desk.refuses(2, "ingest", "discard", other)
    assert "There is no batch bat_none. No batch is open" in desk.refuses(2, "ingest", "discard", "bat_none")
    assert desk.select("SELECT DISTINCT state FROM sealed_record JOIN batch USING (batch_id)") == [("complete",)]


def test_discard_that_was_killed_is_finished_by_the_next_command(desk, small_chunks):
    """A crash while a batch is taken back leaves no half of it: the next start finishes."""
    words = words_of(desk)
    before, keys = desk.rows()["sealed_record"], keys_of(desk)
    assert kill(7, desk, words)
    ((batch,),) = desk.select("SELECT batch_id FROM batch WHERE state = 'open' AND position > 0")
    assert kill(2, desk, ["ingest", "discard", batch])
    assert desk.select(f"SELECT state FROM batch WHERE batch_id = '{batch}'") == [("discarding",)]
    assert desk.run("view", "list").status == 0
    assert desk.select(f"SELECT state FROM batch WHERE batch_id = '{batch}'") == [("discarded",)]
    assert (desk.rows()["sealed_record"], keys_of(desk)) == (before, keys)


def acts() -> str:
    """Ten people register; the eighth act lies in the future, which only the registry sees."""
    made = []
    for number in range(10, 20):
        at = "2199-01-01T00:00:00Z" if number == 17 else "2024-05-01T00:00:00Z"
        act = {
            "act_id": f"act-{number}",
            "act": "contract",
            "subject": {"source": "shop", "id": f"m{number}", "birth_date": "1990-01-01", "sex": "male"},
            "purposes": ["P01", "P04"],
            "at": at,
            "evidence": {"mechanism": "contract_concluded"},
            "actor": {"kind": "operator"},
        }
        made.append(json.dumps(act))
    return "\n".join(made) + "\n"


def test_killed_capture_is_completed_by_the_same_command(desk, small_chunks):
    """Acts stand one by one: what was recorded stays, the rest follows, and nobody is registered twice."""
    words = ["ingest", "consents", str(desk.file("a.ndjson", acts())), "--json"]
    count = "SELECT count(*), count(DISTINCT subject_id) FROM decision"
    ((decisions, people),) = desk.select(count)

    def check(copy, commit: int) -> None:
        ended = copy.run(*words)
        assert ended.status == 0, (commit, ended.err)
        report = json.loads(ended.out)
        assert report["recorded"].get("contract", 0) + report["repeated"] == 9, commit
        assert report["refused"] == {"bad_input": 1}, commit
        assert copy.select(count) == [(decisions + 18, people + 9)], commit
        owners = [subject for *_, subject in keys_of(copy)["links"]]
        registered = {subject for (subject,) in copy.select("SELECT subject_id FROM subject_standing")}
        assert all(owners.count(subject) == 1 for subject in registered), commit

    assert every_kill(desk, words, check) >= 4
