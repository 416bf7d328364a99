"""A build is rewritten whole or not at all: a crash is finished from what lies there, and nothing else is signed."""

import json
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consentry.rewriting import NEXT, Cleared, finish_rewrite, holds, read_rows, rewrite_build, rewriting
from consentry.workflows.build_view import build_view
from deid.files import file_sha256
from deid.manifest import FILE_NAME
from kernel.errors import Unavailable


@pytest.fixture
def build(captured, platform) -> Path:
    """The folder of a build with two people."""
    for n in range(2):
        captured.person(f"u-{n}", "P02", "P07")
    captured.store([captured.posted(f"u-{n}", number=f"r-{n}", diagnosis=["icd10:I10"]) for n in range(2)])
    return build_view(platform, captured.caller, "subject_profile").folder


def rows(folder: Path) -> list[str]:
    return pq.read_table(folder / "part-00000.parquet")["pseudonym"].to_pylist()


def stated(folder: Path) -> str:
    """The hash of the rows' file as the manifest tells it."""
    return json.loads((folder / FILE_NAME).read_bytes())["manifest"]["files"]["part-00000.parquet"]


class Crash(BaseException):
    """Ends the process, as far as the code can tell."""


@pytest.mark.parametrize("step", range(3))
def test_rewrite_is_finished_after_a_crash_at_any_step(build, platform, monkeypatch, step) -> None:
    """Whichever file was put in place last, the next try ends with file, manifest and row in agreement."""
    gone, stays = rows(build)
    original, seen = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        if len(seen) == step:
            raise Crash
        seen.append(self.name)
        return original(self, target)

    registered = []
    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr(Path, "replace", replace)
        rewrite_build(build, [gone], signer=platform.signer, register=lambda *told: registered.append(told))
    rewrite_build(build, [gone], signer=platform.signer, register=lambda *told: registered.append(told))
    assert rows(build) == [stays]
    assert stated(build) == file_sha256(build / "part-00000.parquet")
    assert registered[-1] == ((build / FILE_NAME).read_text(), 1)
    assert sorted(path.name for path in build.iterdir()) == [FILE_NAME, "part-00000.parquet"]


def test_file_that_something_else_changed_is_not_signed(build, platform) -> None:
    """A build without the person is left as it is, so that a changed file keeps failing its manifest."""
    gone, stays = rows(build)
    table = pq.read_table(build / "part-00000.parquet")
    pq.write_table(table.filter(pa.compute.equal(table["pseudonym"], stays)), build / "part-00000.parquet")
    before = (build / FILE_NAME).read_bytes()
    assert rewrite_build(build, [gone], signer=platform.signer, register=lambda *_: None) == Cleared()
    assert (build / FILE_NAME).read_bytes() == before
    assert stated(build) != file_sha256(build / "part-00000.parquet")


def test_draft_that_no_manifest_names_is_thrown_away(build) -> None:
    """What a crash left half written is not put in place."""
    before = rows(build)
    (build / "part-00000.draft").write_bytes(b"half")
    finish_rewrite(build, lambda *_: None)
    assert rows(build) == before
    assert not (build / "part-00000.draft").exists()
    assert not (build / NEXT).exists()


def test_folder_that_is_gone_holds_nobody(tmp_path, platform) -> None:
    """A build whose files were deleted needs no rewriting."""
    assert rewrite_build(tmp_path / "vb", ["p"], signer=platform.signer, register=lambda *_: None) == Cleared()


def test_one_rewriter_at_a_time(tmp_path) -> None:
    """A second one waits its turn, and gives up with a reason when it takes too long."""
    order = []
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with rewriting(tmp_path):
            entered.set()
            leave.wait()
            order.append("first")

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
    with pytest.raises(Unavailable, match="rewritten"), rewriting(tmp_path, patience_seconds=0.05):
        pass
    leave.set()
    with rewriting(tmp_path):
        order.append("second")
    holder.join()
    assert order == ["first", "second"]


def test_holds_tells_whose_rows_a_file_has(tmp_path) -> None:
    """Only a whole pseudonym counts."""
    pq.write_table(pa.table({"pseudonym": ["abc", "def"]}), tmp_path / "f.parquet")
    assert holds(tmp_path / "f.parquet", "abc")
    assert not holds(tmp_path / "f.parquet", "ab")


def test_reader_sees_the_file_before_or_after_a_rewrite(tmp_path) -> None:
    """A file that is replaced again and again while it is read is never half of one and half of the other."""
    file, tables = (
        tmp_path / "data.parquet",
        {1: pa.table({"pseudonym": ["p-1"]}), 400: pa.table({"pseudonym": [f"q-{n}" for n in range(400)]})},
    )
    pq.write_table(tables[1], file)
    over = threading.Event()

    def replace() -> None:
        while not over.is_set():
            for table in tables.values():
                pq.write_table(table, file.with_suffix(".draft"), compression="zstd")
                file.with_suffix(".draft").replace(file)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(1_000):
            seen = read_rows(file)
            assert seen.equals(tables[seen.num_rows])
    finally:
        over.set()
        writer.join()
