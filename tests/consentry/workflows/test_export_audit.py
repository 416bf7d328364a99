"""The export carries what those outside the house said of its head, and is written when they say nothing."""

import shutil
import subprocess

import pytest

from audit.signing import NoteSigner
from audit.verifier.command import main as verify
from consentry.workflows.export_audit import export_audit
from kernel.errors import ConfigurationError
from tests.audit.timestamp_authority import Authority
from tests.consentry.conftest import ADMIN
from tests.consentry.outside_parties import answering


def verdict(platform, folder, *words) -> int:
    """The exit status of the offline verifier."""
    return verify(["log", str(folder), "--key", str(platform.log.checkpointer.verifier_key), *map(str, words)])


def test_export_is_cosigned_by_the_quorum(tmp_path, quorum, configured):
    """With the policy alone a regulator sees that the witnesses saw this very head."""
    quorum.witness("w1")
    quorum.witness("w2")
    platform = configured(witness_policy_file=quorum.ask_for(2))
    done = export_audit(platform, ADMIN, tmp_path / "log")
    assert done.anchored.quorum_met
    assert done.summary.checkpoint.size == done.anchored.checkpoint.size
    assert verdict(platform, tmp_path / "log", "--policy", quorum.policy) == 0
    note = tmp_path / "log" / "checkpoint"
    note.write_bytes(b"".join(note.read_bytes().splitlines(keepends=True)[:-1]))
    assert verdict(platform, tmp_path / "log", "--policy", quorum.policy) == 1


def test_export_without_quorum_is_written_and_says_so(tmp_path, quorum, configured):
    """A witness that is silent keeps nobody from the log."""
    quorum.add("silent", "http://127.0.0.1:9")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    done = export_audit(platform, ADMIN, tmp_path / "log")
    assert done.anchored.quorum_met is False
    assert verdict(platform, tmp_path / "log") == 0
    assert verdict(platform, tmp_path / "log", "--policy", quorum.policy) == 1


def test_export_of_a_log_that_a_witness_refuses_is_evidence(tmp_path, quorum, configured):
    """A restored backup: the export is made, and the alarm is what the witness said."""
    quorum.witness("w1")
    running = configured(witness_policy_file=quorum.ask_for(1))
    backup = tmp_path / "backup"
    shutil.copytree(running.settings.home, backup)
    for n in range(3):
        export_audit(running, ADMIN, tmp_path / f"log-{n}")
    done = export_audit(configured(witness_policy_file=quorum.policy, home=backup), ADMIN, tmp_path / "old")
    assert "witness 'w1' cosigned" in done.summary.alarm
    assert done.anchored is None
    assert (tmp_path / "old" / "checkpoint").is_file()


def test_export_whose_key_the_policy_does_not_list_is_whole_and_says_so(tmp_path, quorum, configured):
    """A policy that was forgotten is no tampering: nobody is asked, and the missing line is named."""
    quorum.witness("w1")
    other = NoteSigner("other.example", b"o" * 32)
    policy = quorum.ask_for(1)
    policy.write_text(policy.read_text().replace(str(quorum.log), other.verifier_key))
    platform = configured(witness_policy_file=policy)
    done = export_audit(platform, ADMIN, tmp_path / "log")
    assert (done.summary.alarm, done.anchored) == (None, None)
    assert f"log {quorum.log}" in done.problem
    assert verdict(platform, tmp_path / "log") == 0


def test_wrong_policy_is_told_before_anything_is_recorded(tmp_path, configured):
    """Nothing is written and nothing is logged."""
    (tmp_path / "policy").write_text("nonsense\n")
    platform = configured(witness_policy_file=tmp_path / "policy")
    before = platform.log.settle().size
    with pytest.raises(ConfigurationError):
        export_audit(platform, ADMIN, tmp_path / "log")
    assert platform.log.settle().size == before
    assert not (tmp_path / "log").exists()


def test_exported_timestamp_verifies_with_another_tool(tmp_path, configured, opened):
    """OpenSSL checks the authority's answer over the exported note, without us."""
    authority = Authority.make(tmp_path / "tsa")
    url = opened.enter_context(answering(lambda body: (200, authority.answer(body))))
    platform = configured(timestamp_url=url, timestamp_roots_file=authority.roots)
    done = export_audit(platform, ADMIN, tmp_path / "log")
    stamps = tmp_path / "log" / "timestamps"
    assert (tmp_path / "log" / "checkpoint").read_bytes().startswith((stamps / "note").read_bytes())
    assert done.anchored.timestamp is not None
    words = ["openssl", "ts", "-verify", "-in", stamps / "1.tsr", "-data", stamps / "note", "-CAfile", authority.roots]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
