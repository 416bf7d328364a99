"""Fresh places: kept whole, or taken away in reverse order; what others made stays."""

import errno
import stat
from pathlib import Path

import pytest

from consentry.places import FreshPlaces, check_free
from kernel.errors import BadInput, Conflict, Unavailable


def test_what_is_kept_stays(tmp_path):
    """Folder, file and store, for their owner only."""
    with FreshPlaces() as fresh:
        fresh.folder(tmp_path / "a" / "b")
        fresh.file(tmp_path / "a" / "b" / "key", lambda draft: draft.write_text("key"))
        fresh.store(tmp_path / "a" / "b" / "s.db")
        fresh.keep()
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a" / "b").iterdir()}
    assert made.keys() == {"key", "s.db"}
    assert made["s.db"] == 0o600
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_what_is_not_kept_is_gone(tmp_path):
    """Everything that was made, with what others put into the new folder and what a later step was to make."""
    done = []
    with FreshPlaces() as fresh:
        fresh.folder(tmp_path / "a" / "b")
        fresh.reserve(tmp_path / "outside")
        fresh.store(tmp_path / "s.db")
        (tmp_path / "s.db-journal").write_text("later")
        fresh.on_failure(lambda: done.append("undone"))
    assert list(tmp_path.iterdir()) == []
    assert done == ["undone"]


def test_error_takes_away_and_goes_on(tmp_path):
    """The error is not swallowed."""
    with pytest.raises(ZeroDivisionError), FreshPlaces() as fresh:
        fresh.file(tmp_path / "key", lambda _draft: 1 // 0)
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_stays(tmp_path):
    """A file, a folder with its mode, and a folder above that others use by now."""
    (tmp_path / "mine").mkdir(mode=0o750)
    (tmp_path / "mine" / "s.db-wal").write_text("old")
    with FreshPlaces() as fresh:
        fresh.folder(tmp_path / "mine")
        assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o700
        fresh.expect(tmp_path / "mine" / "s.db-wal")
        fresh.folder(tmp_path / "up" / "new")
        (tmp_path / "up" / "theirs").write_text("theirs")
        with pytest.raises(Conflict):
            fresh.reserve(tmp_path / "mine" / "s.db-wal")
    assert (tmp_path / "mine" / "s.db-wal").read_text() == "old"
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o750
    assert [path.name for path in (tmp_path / "up").iterdir()] == ["theirs"]


def test_folder_that_is_closed_already_keeps_its_mode(tmp_path):
    """Nothing to change, nothing to take back."""
    (tmp_path / "mine").mkdir(mode=0o500)
    with FreshPlaces() as fresh:
        fresh.folder(tmp_path / "mine")
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o500


def test_taken_places_are_named(tmp_path):
    """The first of them; a file is no folder."""
    (tmp_path / "b").write_text("")
    with pytest.raises(Conflict, match="b exists already; nothing was changed"):
        check_free(tmp_path / "a", tmp_path / "b")
    with FreshPlaces() as fresh, pytest.raises(BadInput, match="b is no folder"):
        fresh.folder(tmp_path / "b")


def test_what_cannot_be_taken_away_is_told(tmp_path, monkeypatch):
    """A disk that takes no changes any more: the rest is tried, and the error names the place."""

    def refuse(self: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    with pytest.raises(Unavailable, match="Read-only file system") as told, FreshPlaces() as fresh:
        monkeypatch.setattr(Path, "unlink", refuse)
        fresh.reserve(tmp_path / "store")
        raise RuntimeError
    assert "store" in str(told.value)
    assert told.value.hint
