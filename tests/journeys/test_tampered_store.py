"""An administrator with the database file in hand edits the past: the verifier or the signer finds it."""

import sqlite3
from pathlib import Path

import pytest

from consentry.demo.shell import Shell, verify
from kernel.errors import IntegrityFailed, Unavailable

pytestmark = pytest.mark.xdist_group("promises")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A fresh deployment; the public key that it printed is in log.pub."""
    made = Shell(tmp_path / "home", shown=False)
    (tmp_path / "log.pub").write_text(made.json("init")["verifier_key"])
    return made


def test_edited_entry_is_named_by_the_verifier(shell: Shell, tmp_path: Path) -> None:
    """An entry that was changed behind the triggers is found in the next export, by its place."""
    _tamper(shell, "UPDATE audit_leaf SET body = replace(body, 'pack.loaded', 'puck.loaded') WHERE leaf_index = 2")
    shell.run("audit", "export", str(tmp_path / "log"))
    status, said = verify(tmp_path / "log", str(tmp_path / "log.pub"))
    assert status == 1
    assert "entry 2" in said


def test_shortened_log_is_refused_by_the_signer_and_kept_as_evidence(shell: Shell, tmp_path: Path) -> None:
    """A log that lost its newest entries is not signed again; the command fails and leaves the evidence."""
    _tamper(
        shell,
        "DELETE FROM audit_leaf WHERE leaf_index >= (SELECT size - 2 FROM audit_head)",
        "UPDATE audit_head SET size = size - 2",
    )
    with pytest.raises((IntegrityFailed, Unavailable)):
        shell.run("audit", "export", str(tmp_path / "log"))
    assert verify(tmp_path / "log", str(tmp_path / "log.pub"))[0] == 1


def _tamper(shell: Shell, *statements: str) -> None:
    connection = sqlite3.connect(shell.home / "data.db")
    with connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    connection.close()
