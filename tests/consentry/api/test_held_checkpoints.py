"""Callers come to hold checkpoints of the log."""

import base64

from audit.verifier import open_checkpoint


def test_answers_to_known_callers_carry_the_signed_checkpoint(call, platform, captured):
    """The note verifies under the log's key; refusals and strangers get none."""
    key = captured.machine_key("capture")
    platform.log.settle()
    said = call(key).get("/notices/service/current", params={"locale": "zh-CN"})
    assert said.status_code == 200
    note = base64.b64decode(said.headers["audit-checkpoint"], validate=True)
    assert open_checkpoint(note, platform.signer.verifier_key).size == platform.log.newest.size
    assert "audit-checkpoint" not in call().get("/health").headers
    assert "audit-checkpoint" not in call(key).get("/nowhere").headers
