"""`consentry audit stream`: to a file that gets its name when it is complete, or to standard output."""

import json
import sqlite3

import pytest


@pytest.fixture
def at(home, run):
    """Runs the command on a fresh deployment."""
    return lambda *words: run("audit", "stream", *words, "--home", home)


def test_file_has_every_entry_and_the_summary_its_checkpoint(at, tmp_path):
    """Only its owner can read it, and no draft stays."""
    out = tmp_path / "log.ndjson"
    ended = at("--format", "ocsf", "--out", out, "--json")
    told = json.loads(ended.out)
    assert (ended.status, told["file"]) == (0, str(out))
    assert len(out.read_text().splitlines()) == told["entries"] == told["checkpoint size"] > 3
    assert out.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("*log*")] == ["log.ndjson"]


def test_summary_in_words_names_the_log(at, tmp_path):
    """For people."""
    ended = at("--out", tmp_path / "log.ndjson", "--to-index", 2)
    assert "entries          2\n" in ended.out
    assert json.loads((tmp_path / "log.ndjson").read_text().splitlines()[0])["resourceType"] == "AuditEvent"


def test_standard_output_has_the_entries_only(at):
    """The summary goes to standard error, so that a pipe gets clean lines."""
    ended = at("--format", "csv", "--header", "none", "--act", "system.init")
    assert ended.out.count("system.init") == 1
    assert ended.out.count("\n") == 1
    assert ended.err.startswith("entries 1, origin ")
    assert json.loads(at("--format", "csv", "--to-index", 1, "--json").err)["entries"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "xml"), "There is no format 'xml'"),
        (("--header", "fr"), "There is no header 'fr'"),
        (("--act", "nothing"), "There is no act 'nothing'"),
        (("--from-index", 5, "--to-index", 3), "The range ends before it begins"),
    ],
)
def test_wrong_option_is_one_line(at, words, said):
    """Exit 2, and what there is instead."""
    ended = at(*words)
    assert ended.status == 2
    assert ended.line.startswith(said)


def test_file_that_is_there_is_not_overwritten(at, tmp_path):
    """Name a new one."""
    out = tmp_path / "kept"
    out.write_text("mine")
    ended = at("--out", out)
    assert (ended.status, out.read_text()) == (2, "mine")


def test_half_written_file_never_has_the_name(at, home, tmp_path):
    """A log that fails its check leaves neither the file nor a draft."""
    with sqlite3.connect(home / "data.db") as store:
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f"DROP TRIGGER {name}")
        store.execute("UPDATE audit_leaf SET body = body || ' ' WHERE leaf_index = 1")
    store.close()
    folder = tmp_path / "exports"
    folder.mkdir()
    ended = at("--out", folder / "log.ndjson")
    assert ended.status == 1
    assert list(folder.iterdir()) == []


def test_folder_that_is_not_there_is_one_line(at, tmp_path):
    """The folder that has to be made is named."""
    assert at("--out", tmp_path / "no" / "log").line.startswith("There is no folder")
