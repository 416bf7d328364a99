"""The commands on backups and erasures, as people type them."""

import json

import pytest

from audit.verifier import main as consentry_verify
from consentry.platform import open_platform
from tests.consentry.conftest import Captured


@pytest.fixture
def prepared(home, run, tmp_path):
    """A deployment with recipients; the private keys lie in the test's folder."""
    lines = [run("backup", "keygen", store, tmp_path / f"{store}.key").out for store in ("data", "keys")]
    with (home / "consentry.toml").open("a", encoding="utf-8") as settings:
        settings.writelines(lines)
    return home


@pytest.fixture
def in_home(home, monkeypatch) -> None:
    """Works in the data folder."""
    monkeypatch.chdir(home)


def files(home, tmp_path, *stores: str) -> list[object]:
    words: list[object] = []
    for store in stores:
        (found,) = (home / "backups").glob(f"{store}-*.backup")
        words += [f"--{store}", found, f"--{store}-key", tmp_path / f"{store}.key"]
    return words


def test_backups_are_made_listed_verified_restored_and_pruned(prepared, run, tmp_path):
    """From the first backup to the second life of a key store."""
    assert "keys rotate" in run("backup", "create", "--home", prepared).line  # the epoch is over its time
    run("keys", "rotate", "--home", prepared)
    made = [json.loads(line) for line in run("backup", "create", "--home", prepared, "--json").out.splitlines()]
    assert [one["store"] for one in made] == ["data", "keys"]
    assert made[0]["pair"] == made[1]["backup"]
    listed = run("backup", "list", "--home", prepared)
    assert all(one["backup"] in listed.out for one in made)
    done = run("backup", "verify", "--home", prepared, "--json", *files(prepared, tmp_path, "data", "keys"))
    assert json.loads(done.out)["sample"]["without_key"] == 0
    assert "nothing is over" in run("backup", "prune", "--home", prepared).out
    (prepared / "keys.db").unlink()
    assert "keys_rows" in run("restore", "--home", prepared, *files(prepared, tmp_path, "keys")).out
    assert run("keys", "status", "--home", prepared).status == 0


@pytest.mark.usefixtures("in_home")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["backup", "create"], 2, "no recipient"),
        (["backup", "create", "--only", "both"], 2, "two stores"),
        (["backup", "keygen", "all", "x.key"], 2, "two stores"),
        (["backup", "verify", "--data", "x.backup"], 2, "go together"),
        (["backup", "verify"], 2, "No backup"),
        (["restore", "--log-key", "nonsense"], 2, "no public key"),
        (["restore", "--known", "missing.note"], 2, "cannot be read"),
        (["backup", "verify", "--data", "x", "--data-key", "y"], 2, "There is no file"),
    ],
)
def test_wrong_words_are_one_line(home, run, words, status, said):
    """And nothing is made."""
    ended = run(*words, *(() if "keygen" in words else ("--home", home)))
    assert (ended.status, said in ended.err) == (status, True), ended.err
    assert not list(home.rglob("*.backup"))


def test_erasures_are_shown_and_their_certificates_verify_elsewhere(home, run, tmp_path, deployment, clock):
    """A part is erased, listed, shown, and its certificate checked with the public key alone."""
    with open_platform(deployment.settings) as platform:
        captured = Captured(platform)
        key = str(platform.signer.verifier_key)
        subject = captured.person("u-1")
        captured.store([captured.posted("u-1", "profile", mobile="13800138000")])
        platform.log.settle()
    done = json.loads(run("erase", subject, "--fields", "mobile", "--reason", "r", "--home", home, "--json").out)
    assert (done["state"], done["fields"]) == ("erased", ["mobile"])
    assert done["erasure"] in run("erasure", "list", "--subject", subject, "--home", home).out
    file = tmp_path / "certificate.json"
    shown = run("erasure", "show", done["erasure"], "--certificate", file, "--home", home, "--json")
    assert json.loads(shown.out)["final"] is False
    assert consentry_verify(["certificate", str(file), "--key", key]) == 0
    again = run("erasure", "show", done["erasure"], "--certificate", file, "--home", home)
    assert (again.status, again.line) == (2, f"{file} is there already. Name another file.")
    run("keys", "rotate", "--home", home)
    assert json.loads(run("erasure", "show", done["erasure"], "--home", home, "--json").out)["final"] is True
    assert "scrubbed" in run("erasure", "scrub", "--home", home).out
    nothing = run("erase", subject, "--compartment", "wellness", "--reason", "r", "--home", home)
    assert "nothing" in nothing.out
    assert (
        "one of the three"
        in run("erase", subject, "--compartment", "wellness", "--purpose", "P02", "--reason", "r", "--home", home).err
    )
    assert "No field" in run("erase", subject, "--fields", " , ", "--reason", "r", "--home", home).err


def test_a_backup_that_is_not_there_is_bad_input(home, run, tmp_path):
    """Named wrongly, not out of reach."""
    ended = run("restore", "--home", home, "--data", tmp_path / "no.backup", "--data-key", tmp_path / "no.key")
    assert (ended.status, "There is no file" in ended.line) == (2, True)
