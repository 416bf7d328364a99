"""A deployment with one doctor and one patient, a child process that works on it, and what must hold after a crash."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import Connection, Row, func, select

from audit.entries import decode_entry
from audit.signer_client import RemoteSigner
from audit.tables import inbox, leaf
from audit.verifier import CompactRange, leaf_hash
from consentry.platform import Platform, open_platform, open_signer
from consentry.principals import Principal
from consentry.settings import Settings, load_settings
from consentry.workflows.ingest_http import ingest_posted
from consentry.workflows.keep_log import check_log
from consentry.workflows.reconcile import reconcile
from consentry.workflows.reveal import reveal
from kernel.database import open_database
from kernel.ids import SubjectId
from kernel.ports import Clock
from tests.consentry.conftest import ADMIN
from tests.crash.faults import Injector

FORK = get_context("fork")
STARTED = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
PATIENCE_SECONDS = 600
"""A child that goes through every point by itself takes a minute, and more on a busy machine."""

SEALED = "icd10:I10"
"""The value that is opened."""


@dataclass(frozen=True)
class Ward:
    """Where everything lies, and who opens whose record."""

    settings: Settings
    doctor: Principal
    subject: SubjectId
    clock: Clock

    @contextlib.contextmanager
    def opened(self) -> Iterator[Platform]:
        """Start as `consentry serve` does."""
        with open_platform(self.settings, clock=self.clock) as platform:
            check_log(platform)
            yield platform

    def signed(self) -> int:
        """How many entries the signer remembers to have signed for, without anything else being touched."""
        signer = open_signer(self.settings)
        try:
            state = signer.head()
        finally:
            if isinstance(signer, RemoteSigner):
                signer.close()
        return state.checkpoint.size if state else 0


class Notes:
    """What a child has told: one line for each thing that it was given, written after it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(self, *words: object) -> None:
        """Write one line in one call."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())

    def told(self, what: str) -> list[list[str]]:
        """The lines that begin with a word, split."""
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == what]


def access(ward: Ward, platform: Platform, notes: Notes) -> None:
    """Open the patient's diagnosis once, and tell that it was opened, with the entry's id and place."""
    opened = reveal(
        platform, ward.doctor, subject=ward.subject, purpose="P02", fields=["diagnosis"], reason="consultation"
    )
    assert SEALED in str([record.values for record in opened.records])
    notes.tell("opened", opened.entry_id, opened.log_index)


def ingestion(ward: Ward, platform: Platform, notes: Notes) -> None:
    """Store one more record of the patient."""
    number = f"r-{len(notes.told('tried')) + 2}"
    notes.tell("tried", number)
    store(platform, notes, number)


def store(platform: Platform, notes: Notes, number: str) -> None:
    """Store a record, and tell its number and batch; sent again, it is the same batch."""
    posted = {
        "source_subject": "u-1", "kind": "condition", "source_record": number, "observed_at": "2026-11-21T01:00:00Z",
        "values": {"diagnosis": [SEALED]},
    }  # fmt: skip
    answer, _ = ingest_posted(platform, ADMIN, "app", [posted], key=number)
    notes.tell("stored", number, answer["batch_id"])


def send_again(platform: Platform, notes: Notes) -> None:
    """Send what was tried and never acknowledged, as a sender does."""
    for number in {number for (number,) in notes.told("tried")} - {number for number, _ in notes.told("stored")}:
        store(platform, notes, number)


def rest(ward: Ward, platform: Platform, notes: Notes) -> None:
    """Do nothing: the start is what is looked at."""


def points(*, first: int = 1, step: int) -> range:
    """The points to try: every one in `make nightly`."""
    return range(1, 1_000) if os.environ.get("CONSENTRY_NIGHTLY") == "1" else range(first, 1_000, step)


Work = Callable[[Ward, Platform, Notes], None]


def in_child(work: Callable[[], None]) -> int:
    """Run something in a process of its own, forked; returns its exit code, or minus the signal that ended it."""
    child = FORK.Process(target=work)
    child.start()
    child.join(PATIENCE_SECONDS)
    code = child.exitcode
    assert code is not None, "the child hangs"
    return code


def work_with(injector: Injector, ward: Ward, notes: Notes, work: Work, *, at_start: bool = False) -> int:
    """In a child: start, and work with a fault; what the work raises is told, and it ends well."""

    def child() -> None:
        injector.install()
        if at_start:
            injector.arm()
        with ward.opened() as platform:
            platform.log.settle()  # as the server's first round does
            send_again(platform, notes)
            injector.arm()
            work(ward, platform, notes)
            injector.mend()
            notes.tell("points", injector.seen)

    return in_child(child)


def every_kill(make: Callable[[int], Injector], ward: Ward, notes: Notes, work: Work, *, points: range) -> int:
    """Kill at each point in turn, look after each, and return how many points there are."""
    for number in points:
        code = work_with(make(number), ward, notes, work)
        assert code in (0, -signal.SIGKILL), f"point {number}: exit {code}"
        check_after(ward, notes)
        if code == 0:
            check_started(ward, notes)
            return int(notes.told("points")[-1][0])
    raise AssertionError("the work never ends")


def check_after(ward: Ward, notes: Notes) -> None:
    """Look at what a crash left, before anybody starts: what was told stands under what was signed, and stands once."""
    with tempfile.TemporaryDirectory(dir=notes.path.parent) as folder:
        shutil.copytree(ward.settings.home, Path(folder) / "home")
        left = replace(ward, settings=load_settings(**{**ward.settings.model_dump(), "home": Path(folder) / "home"}))
        data = open_database(left.settings.data_store_url, label="data store")
        with data.read() as connection:
            check_told(connection, notes, signed=left.signed())
        data.dispose()


def check_started(ward: Ward, notes: Notes) -> None:
    """Start again, settle, and look at the whole log and at the register."""
    with ward.opened() as platform:
        head = platform.log.settle()
        with platform.data.read() as connection:
            assert connection.scalar(select(func.count()).select_from(inbox)) == 0
            check_tree(check_told(connection, notes, signed=head.size), head.size, head.root)
        assert reconcile(platform, ADMIN).is_clean


def check_told(connection: Connection, notes: Notes, *, signed: int) -> Sequence[Row]:
    """Compare what children told with the log, and return the log's rows."""
    rows = connection.execute(select(leaf.c.leaf_index, leaf.c.entry_id, leaf.c.body).order_by(leaf.c.leaf_index)).all()
    entries = [(row.leaf_index, decode_entry(row.body)) for row in rows]
    opened = notes.told("opened")
    assert all(int(index) < signed for _, index in opened), "opened without a signed checkpoint"
    check_accesses(opened, entries)
    waiting = map(decode_entry, connection.scalars(select(inbox.c.body)))  # a write does not wait for its place
    told = [entry for _, entry in entries] + list(waiting)
    batches = Counter(str(entry["refs"]["batch"]) for entry in told if entry["act"] == "batch.completed")
    assert all(batches[batch] == 1 for _, batch in notes.told("stored")), "stored without its entry"
    return rows


def check_tree(rows: Sequence[Row], size: int, root: bytes) -> None:
    """Hash the stored bytes anew, and compare them with the signed root."""
    tree = CompactRange()
    for row in rows:
        tree.append(leaf_hash(row.body))
    assert [row.leaf_index for row in rows] == list(range(size))
    assert tree.root() == root
    assert len({row.entry_id for row in rows}) == size


def check_accesses(opened: Sequence[Sequence[str]], entries: Sequence[tuple]) -> None:
    """Each opening has a permit of its own in its place, and an entry that tells of the opening."""
    permits = {
        entry["id"]: (index, entry["refs"]["permit"]) for index, entry in entries if entry["act"] == "gate.permit"
    }
    reveals = Counter(entry["refs"]["permit"] for _, entry in entries if entry["act"] == "vault.reveal")
    assert len({entry_id for entry_id, _ in opened}) == len(opened), "one permit opened twice"
    for entry_id, index in opened:
        assert permits[entry_id][0] == int(index)
        assert reveals[permits[entry_id][1]] == 1
    times = [entry["at"] for _, entry in entries]
    assert times == sorted(times), "the log's time ran backwards"
