"""What is being made while somebody withdraws or is erased, and what a crash leaves, ends without that person."""

import fcntl
import os
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from consentry.layout import Layout
from consentry.stores.builds import list_view_builds
from consentry.stores.tables import answered_act
from consentry.workflows.build_view import Built, _Run, build_view, get_view
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.erase import erase_subject
from consentry.workflows.read_view import read_view
from consentry.workflows.run_tags import distribution, run_tags
from consentry.workshop import making
from kernel.errors import IntegrityFailed
from kernel.ids import new_id

_MINUTE = timedelta(minutes=1)


@pytest.fixture
def two(captured) -> list[str]:
    """Two profiled people with a diagnosis."""
    subjects = [captured.person(f"u-{n}", "P02", "P07") for n in range(2)]
    captured.store([captured.posted(f"u-{n}", number=f"r-{n}", diagnosis=["icd10:I10"]) for n in range(2)])
    return subjects


def _begun(platform, caller):
    """A build whose rows are written and that is not registered yet."""
    view = get_view(platform, "subject_profile")
    build_id = new_id("vb")
    folder = platform.layout.view_folder(view.code, build_id)
    day = platform.clock.now().date()
    return _Run(platform, platform.asking(caller), view, day, Built(view.code, build_id, folder))


def _write(run) -> None:
    with run._row_maker() as maker:
        run._write_rows(maker, show_progress=False)


def test_withdrawal_while_a_view_is_written_takes_the_person_out(captured, platform, two) -> None:
    """Rows of somebody whose decision ends before the build is registered are not in it."""
    run = _begun(platform, captured.caller)
    with making(run.built.folder):
        _write(run)
        assert pq.read_metadata(run.built.folder / "part-00000.parquet").num_rows == 2
        withdraw_purpose(platform, captured.caller, two[0], "P07", recipient=None)
        run._finish()
    assert (run.built.people, run.built.rows) == (1, 1)
    assert run.built.left_out["ENDED_MEANWHILE"] == 1
    assert read_view(platform, captured.caller, "subject_profile").num_rows == 1


def test_erasure_while_a_view_is_written_takes_the_person_out(captured, platform, two) -> None:
    """An erasure that finds no registered build is seen by the build that registers after it."""
    run = _begun(platform, captured.caller)
    name = platform.pseudonyms.pseudonyms([two[0]], scope="profiling")[two[0]]
    with making(run.built.folder):
        _write(run)
        erase_subject(platform, captured.caller, subject=two[0], reason="request 1")
        run._finish()
    rows = pq.read_table(run.built.folder / "part-00000.parquet")["pseudonym"].to_pylist()
    assert len(rows) == 1
    assert name not in rows


def test_narrowed_grant_is_filtered_from_what_is_built(captured, platform, two) -> None:
    """A grant for fewer fields withholds the row that was made of more."""
    build_view(platform, captured.caller, "subject_profile")
    build_view(platform, captured.caller, "event_rows")
    captured.record(captured.act("withdraw", captured.known("u-0"), "P07"))
    platform.clock.advance(_MINUTE)
    captured.grant("u-0", "P07", fields=["tags", "sex"])
    assert read_view(platform, captured.caller, "subject_profile").num_rows == 1
    assert run_tags(platform, captured.caller).people == 1


def test_failed_build_leaves_nothing(captured, platform, two) -> None:
    """An error while a folder is made takes the folder and its mark away."""
    folder = platform.layout.view_folder("subject_profile", new_id("vb"))
    with pytest.raises(RuntimeError, match="disk"), making(folder):
        (folder / "part-00000.parquet").write_bytes(b"half")
        raise RuntimeError("disk")
    assert list(folder.parent.iterdir()) == []


def test_folder_of_a_crash_is_swept_and_one_being_made_is_not(captured, platform, two) -> None:
    """An unregistered folder without a held mark goes; a marked one and a registered one stay."""
    build_view(platform, captured.caller, "subject_profile")
    with platform.data.read() as connection:
        kept = list_view_builds(connection)[0].build_id
    crashed = platform.layout.view_folder("subject_profile", new_id("vb"))
    crashed.mkdir()
    (crashed / "part-00000.parquet").write_bytes(b"rows of people")
    busy = platform.layout.view_folder("subject_profile", new_id("vb"))
    busy.mkdir()
    mark = os.open(busy.with_name(f".{busy.name}.making"), os.O_CREAT | os.O_RDWR)
    fcntl.flock(mark, fcntl.LOCK_EX)
    assert platform.products.sweep() == 1
    assert not crashed.exists()
    assert busy.exists()
    assert platform.layout.view_folder("subject_profile", kept).exists()
    os.close(mark)
    assert platform.products.sweep() == 1
    assert not busy.exists()


def test_stored_name_that_leads_elsewhere_is_refused(tmp_path) -> None:
    """An edited row cannot make an erasure delete another folder."""
    layout = Layout(tmp_path / "v", tmp_path / "e", tmp_path / "t")
    for names in (("/etc", "exp_x"), ("..", "x"), ("research", "../../x")):
        with pytest.raises(IntegrityFailed):
            layout.export_folder(*names)


def test_answers_of_an_erased_person_are_deleted(captured, platform, clock) -> None:
    """No keyed digest of the person's acts is left to try mobiles against."""
    subject = captured.person("u-1")
    erase_subject(platform, captured.caller, subject=subject, reason="request 1")
    with platform.data.read() as connection:
        left = connection.scalar(
            select(func.count()).select_from(answered_act).where(answered_act.c.subject_id == subject)
        )
    assert left == 0


def test_small_cells_cannot_be_had_by_subtraction() -> None:
    """With one small cell the next larger one is hidden too, until what is hidden is at least the minimum."""
    column = ["a"] * 40 + ["b"] * 25 + ["c"] * 12 + ["d"] * 3
    table = pa.table({"pseudonym": [str(n) for n in range(80)], "tag": column})
    assert distribution(table)["tag"] == {"a": 40, "b": 25, "c": None, "d": None}
    whole = pa.table({"pseudonym": [str(n) for n in range(77)], "tag": column[:77]})
    assert distribution(whole)["tag"] == {"a": 40, "b": 25, "c": 12}
