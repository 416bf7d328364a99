"""Anchoring a deployment's log: what is kept, what is an alarm, and what a quorum is worth."""

import base64
import json
import shutil
import socket
import threading
from dataclasses import replace

import pytest
import structlog
from sqlalchemy import select

from audit.anchors import cosigned_note, newest_anchored
from audit.entries import decode_entry
from audit.events import Act, Event, Outcome
from audit.notes import sign_checkpoint
from audit.rotation import rotate_signing_key
from audit.signing import NoteSigner, load_signing_key
from audit.tables import anchor as anchor_table
from audit.tables import leaf
from audit.timestamps import TimestampRoots, check_timestamp
from audit.verifier import VerificationError, verify_export
from audit.verifier.notes import open_cosignatures
from audit.verifier.policy import Policy
from audit.witness import Witness, encode_submission
from audit.witness_state import open_witness_state
from audit.witnessing import HeadBehindWitness, Reply, Stand
from consent.register_head import read_head, release
from consentry.access import can_act
from consentry.anchoring import Anchorer
from consentry.api.health import health
from consentry.outsiders import Outsiders, post_outside
from consentry.platform import open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.settings import load_settings
from consentry.workflows.anchor import REFUSED, anchor, anchor_head, check_anchored, check_witnessed
from consentry.workflows.keep_log import tell_handovers
from consentry.workflows.list_anchors import UNKNOWN, VERIFIED, list_anchors
from kernel.clock import SystemClock
from kernel.errors import ConfigurationError, Denied, Unavailable
from kernel.ids import PrincipalId, RequestId
from tests.audit.timestamp_authority import Authority
from tests.consentry.conftest import ADMIN
from tests.consentry.outside_parties import answering


def grow(platform, count=1):
    """Add entries about nothing in particular."""
    event = Event(Act.AUDIT_READ, Outcome.DONE, "prn_1", "auditor", RequestId("req_1"))
    with platform.data.write() as connection:
        platform.log.record_many(connection, [event] * count)
    return platform.log.settle()


def anchored_entries(platform):
    platform.log.settle()
    with platform.data.read() as connection:
        query = select(leaf.c.body).where(leaf.c.act == Act.LOG_ANCHORED.value).order_by(leaf.c.leaf_index)
        return [decode_entry(body) for body in connection.scalars(query)]


def test_quorum_of_witnesses_is_kept_and_verifies_offline(quorum, configured):
    """The stored note passes the policy, and one entry tells of it with counts and hashes."""
    for name in ("w1", "w2", "w3"):
        quorum.witness(name)
    platform = configured(witness_policy_file=quorum.ask_for(2))
    done = anchor(platform, ADMIN)
    check_anchored(done)
    assert done.quorum_met
    assert [one.stand for one in done.said] == [Stand.COSIGNED] * 3
    with platform.data.read() as connection:
        note = cosigned_note(connection, done.checkpoint)
    assert set(Policy.parse(quorum.policy.read_bytes()).check(note)) == set(quorum.keys.values())
    (entry,) = anchored_entries(platform)
    assert entry["outcome"] == "done"
    size = done.checkpoint.size
    assert entry["counts"] == {"size": size, "timestamps": 0, "witnesses_asked": 3, "witnesses_cosigned": 3}
    assert entry["refs"]["root"] == done.checkpoint.root.hex()
    assert set(entry["refs"]) == {"root", "policy"}


def test_log_that_grows_is_cosigned_again_and_again(quorum, configured):
    """Each time from where the witness stood."""
    quorum.witness("w1")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    for count in (1, 3, 300, 1):
        grow(platform, count)
        check_anchored(anchor(platform, ADMIN))
    assert len(anchored_entries(platform)) == 4


def test_unreachable_and_lying_witnesses_are_named_and_make_no_quorum(quorum, configured):
    """One honest, one silent, one lying: below the threshold of two, and what the honest one said is kept."""
    quorum.witness("honest")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        quorum.add("silent", f"http://127.0.0.1:{closed.getsockname()[1]}")
    quorum.lying("lying", lambda _body: (200, b"\xe2\x80\x94 lying.example AAAAAAAA\n"))
    platform = configured(witness_policy_file=quorum.ask_for(2))
    done = anchor(platform, ADMIN)
    assert done.quorum_met is False
    with pytest.raises(Unavailable, match="1 of 3 witnesses cosigned, which is no quorum") as caught:
        check_anchored(done)
    assert "'silent' did not answer (ConnectError)" in caught.value.message
    assert "'lying' answered without a valid cosignature" in caught.value.message
    (entry,) = anchored_entries(platform)
    assert (entry["outcome"], entry["reason"], entry["counts"]["witnesses_cosigned"]) == ("failed", "NO_QUORUM", 1)


def test_duplicate_signature_does_not_count_towards_the_quorum(quorum, configured, opened):
    """A witness that answers with its own line five times is one witness."""
    quorum.witness("w1")
    path = quorum.folder / "twice.state"
    state = opened.enter_context(open_witness_state(path, is_new=True))
    twice = Witness(quorum.signer("twice"), [quorum.log], state, SystemClock())
    quorum.lying("twice", lambda body: (200, twice.add_checkpoint(body) * 5))
    quorum.add("absent")
    platform = configured(witness_policy_file=quorum.ask_for(3))
    assert anchor(platform, ADMIN).quorum_met is False


def test_stripped_cosignature_is_missed_by_the_policy(quorum, configured):
    """Without a line the note is no longer what the policy asks for."""
    quorum.witness("w1")
    quorum.witness("w2")
    platform = configured(witness_policy_file=quorum.ask_for(2))
    done = anchor(platform, ADMIN)
    with platform.data.read() as connection:
        note = cosigned_note(connection, done.checkpoint)
    policy = Policy.parse(quorum.policy.read_bytes())
    policy.check(note)
    stripped = b"".join(note.splitlines(keepends=True)[:-1])
    with pytest.raises(VerificationError, match="no quorum"):
        policy.check(stripped)


def test_earlier_cosignatures_of_the_same_head_count(quorum, configured):
    """One witness today, the other one an hour later, of the same head: together they are the quorum."""
    quorum.witness("w1")
    quorum.witness("w2")
    platform = configured(witness_policy_file=quorum.ask_for(2))
    outsiders = Outsiders.of(platform.settings)
    frozen = platform.log.settle()

    class Still:
        """The log's head, as long as nothing is added."""

        def __init__(self, log):
            self._log = log

        def __getattr__(self, name):
            return getattr(self._log, name)

        def settle(self):
            return frozen

    still = replace(platform, log=Still(platform.log))

    def only(name):
        port = next(w.url for w in outsiders.policy.witnesses if w.name == name)

        def post(url, content, kind):
            if url.startswith(port):
                return post_outside(url, content, kind)
            raise Unavailable("did not answer")

        return post

    asking = platform.asking(ADMIN)
    assert anchor_head(still, asking, outsiders, post=only("w1")).quorum_met is False
    assert anchor_head(still, asking, outsiders, post=only("w2")).quorum_met


def test_stolen_log_key_gets_no_quorum(quorum, configured):
    """The thief signs another history with the real key: the honest witnesses refuse it."""
    quorum.witness("w1")
    quorum.witness("w2")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    done = anchor(platform, ADMIN)
    size = done.checkpoint.size
    policy = Policy.parse(quorum.policy.read_bytes())
    stolen = load_signing_key(platform.settings.signing_key_path)
    for forged, proof in (
        (sign_checkpoint(size, b"f" * 32, stolen), []),
        (sign_checkpoint(size + 5, b"f" * 32, stolen), [b"h" * 32] * 5),
    ):
        for witness in policy.witnesses:
            body = encode_submission(size, proof, forged.note)
            assert post_outside(f"{witness.url}/add-checkpoint", body, "text/plain").status in (409, 422)
        with pytest.raises(VerificationError, match="no quorum"):
            policy.check(forged.note)


def test_restored_store_with_its_signer_is_caught_by_the_witness(quorum, configured, deployment, clock):
    """An older database with the signer's older state: whole for everyone inside, behind for the witness."""
    quorum.witness("w1")
    running = configured(witness_policy_file=quorum.ask_for(1))
    backup = deployment.settings.home.parent / "backup"
    shutil.copytree(deployment.settings.home, backup)
    grow(running, 5)
    anchor(running, ADMIN)
    restored = load_settings(**{**running.settings.model_dump(), "home": backup})
    with open_platform(restored, clock=clock) as behind:
        with pytest.raises(HeadBehindWitness, match="w1"):
            check_witnessed(behind)
        with behind.data.read() as connection:
            suspended = read_head(connection)[1]
        assert suspended == REFUSED
        grow(behind, 50)
        with pytest.raises(HeadBehindWitness, match="not the history"):
            check_witnessed(behind)
        with pytest.raises(HeadBehindWitness):
            anchor(behind, ADMIN)


def test_start_is_not_hindered_by_a_silent_witness(quorum, configured):
    """Who cannot be reached is named, and nobody waits for a quorum before answering."""
    quorum.add("silent", "http://127.0.0.1:9")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    done = check_witnessed(platform)
    assert done.problems == ["witness 'silent' did not answer (ConnectError)"]
    assert check_witnessed(configured()) is None


def test_two_servers_of_one_log_do_not_alarm_each_other(quorum, configured):
    """Both anchor at the same moment: a witness that is ahead of one's question is only newer."""
    quorum.witness("w1")
    quorum.witness("w2")
    policy = quorum.ask_for(2)
    servers = [configured(witness_policy_file=policy) for _ in range(2)]
    failed = []

    def race(server):
        try:
            for _ in range(5):
                grow(server)
                anchor(server, ADMIN)
        except Exception as err:  # noqa: BLE001 - shown below
            failed.append(repr(err))

    threads = [threading.Thread(target=race, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    check_anchored(anchor(servers[0], ADMIN))


def test_server_that_is_overtaken_each_time_raises_no_alarm(quorum, configured):
    """A witness at a size that the log has reached meanwhile is newer; beyond the log it is ahead."""
    quorum.add("busy", "http://busy.example")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    outsiders, asking = Outsiders.of(platform.settings), platform.asking(ADMIN)

    def overtaken(_url, _content, _kind):
        return Reply(409, f"{grow(platform).size}\n".encode())

    done = anchor_head(platform, asking, outsiders, post=overtaken)
    assert done.problems == ["witness 'busy' cosigned a newer head of this log meanwhile"]

    def ahead(_url, _content, _kind):
        return Reply(409, f"{grow(platform).size + 9}\n".encode())

    with pytest.raises(HeadBehindWitness):
        anchor_head(platform, asking, outsiders, post=ahead)


def test_policy_that_lists_another_log_is_refused(quorum, configured, tmp_path):
    """A policy of somebody else's log would never be met: nobody is asked, and the missing line is named."""
    quorum.witness("w1")
    policy = quorum.ask_for(1)
    other = NoteSigner("other.example", b"o" * 32)
    policy.write_text(policy.read_text().replace(str(quorum.log), other.verifier_key))
    with pytest.raises(ConfigurationError, match="does not list the log's key") as told:
        anchor(configured(witness_policy_file=policy), ADMIN)
    assert f"log {quorum.log}" in told.value.hint


def test_anchoring_goes_on_after_a_rotation(quorum, configured, tmp_path):
    """The policy lists the old key, which handed over; the witness that was not told is named with its reason."""
    quorum.witness("w1")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    check_anchored(anchor(platform, ADMIN))
    settings = platform.settings
    rotate_signing_key(settings.signing_key_path, settings.signer_state_path)
    with open_platform(settings) as rotated:
        tell_handovers(rotated)
        done = anchor(rotated, ADMIN)
        assert "does not trust the log's key (403)" in done.problems[0]
        quorum.trust(rotated.signer.verifier_key)
        done = anchor(rotated, ADMIN)
        check_anchored(done)
        rotated.log.export(tmp_path / "log", under=done.checkpoint)
        key = rotated.signer.verifier_key
    report = verify_export(tmp_path / "log", key, policy=Policy.parse(quorum.policy.read_bytes()))
    assert report.witnesses == ("w1.example",)
    stranger = NoteSigner(quorum.log.name, b"s" * 32).verifier_key
    quorum.policy.write_text(quorum.policy.read_text().replace(f"log {quorum.log}", f"log {stranger}"))
    with pytest.raises(VerificationError, match="no log of the policy"):
        verify_export(tmp_path / "log", key, policy=Policy.parse(quorum.policy.read_bytes()))


def test_timestamp_is_kept_and_verifies_offline(tmp_path, configured, opened):
    """The token is over the stored note, which may be checked without anybody."""
    authority = Authority.make(tmp_path / "tsa")
    url = opened.enter_context(answering(lambda body: (200, authority.answer(body))))
    platform = configured(timestamp_url=url, timestamp_roots_file=authority.roots)
    done = anchor(platform, ADMIN)
    check_anchored(done)
    with platform.data.read() as connection:
        (one,) = newest_anchored(connection, limit=1)
    assert check_timestamp(one.anchors[0].token, one.note, TimestampRoots.load(authority.roots)) == done.timestamp
    assert one.anchors[0].name == url.removeprefix("http://")
    assert anchored_entries(platform)[0]["counts"]["timestamps"] == 1


def test_timestamp_that_is_not_believed_is_not_kept(tmp_path, configured, opened):
    """Replayed, by a stranger, refused, or no answer at all: nothing is stored, and the reason is told."""
    authority, stranger = Authority.make(tmp_path / "tsa"), Authority.make(tmp_path / "stranger")
    replayed = []

    def replay(body):
        replayed.append(authority.answer(body))
        return 200, replayed[0]

    cases = {
        "Nonce|Mismatch": replay,
        "not believed": lambda body: (200, stranger.answer(body)),
        "answered 500": lambda _body: (500, b""),
        "not believed: The timestamp does not verify": lambda _body: (200, b"hello"),
    }
    for told, answer in cases.items():
        url = opened.enter_context(answering(answer))
        platform = configured(timestamp_url=url, timestamp_roots_file=authority.roots)
        if answer is replay:
            anchor(platform, ADMIN)
            grow(platform)
        done = anchor(platform, ADMIN)
        assert done.timestamp is None
        with pytest.raises(Unavailable, match=told):
            check_anchored(done)
    gone = configured(timestamp_url="http://127.0.0.1:9", timestamp_roots_file=authority.roots)
    assert "ConnectError" in anchor(gone, ADMIN).timestamp_problem
    with platform.data.read() as connection:
        assert len(connection.execute(select(anchor_table)).all()) == 1


def test_listed_anchors_are_verified_again(tmp_path, quorum, configured, opened):
    """Log, witnesses and timestamps, under policy and roots as they are now."""
    quorum.witness("w1")
    authority = Authority.make(tmp_path / "tsa")
    url = opened.enter_context(answering(lambda body: (200, authority.answer(body))))
    outside = {"witness_policy_file": quorum.ask_for(1), "timestamp_url": url}
    platform = configured(**outside, timestamp_roots_file=authority.roots)
    done = anchor(platform, ADMIN)
    listed = list_anchors(platform, ADMIN, limit=5)
    assert {(one.kind, one.verdict) for one in listed} == {
        ("log", VERIFIED), ("witness", VERIFIED), ("timestamp", VERIFIED),
    }  # fmt: skip
    assert {one.root for one in listed} == {done.checkpoint.root.hex()}
    assert all(one.states for one in listed if one.kind != "log")
    told = {one["kind"]: base64.b64decode(one["said"]) for one in json.loads(json.dumps([i.as_json() for i in listed]))}
    assert check_timestamp(told["timestamp"], told["log"], TimestampRoots.load(authority.roots)) == done.timestamp
    assert set(open_cosignatures(told["log"] + told["witness"], [quorum.keys["w1"]])) == {quorum.keys["w1"]}
    unknown = {one.kind: one.verdict for one in list_anchors(configured(), ADMIN, limit=5)}
    assert unknown == {"log": VERIFIED, "witness": UNKNOWN, "timestamp": UNKNOWN}
    other = Authority.make(tmp_path / "other")
    bad = list_anchors(configured(**outside, timestamp_roots_file=other.roots), ADMIN, limit=5)
    assert [one.kind for one in bad if one.is_bad] == ["timestamp"]


def test_anchors_that_were_slipped_in_are_bad(quorum, configured):
    """A row that somebody wrote by hand is told from what the witness said."""
    quorum.witness("w1")
    quorum.add("w2", "http://127.0.0.1:9")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    anchor(platform, ADMIN)
    w2 = quorum.keys["w2"]
    with platform.data.write() as connection:
        (row,) = connection.execute(select(anchor_table)).all()
        forged = dict(row._mapping) | {"name": f"{w2.name}+{w2.key_id.hex()}"}
        connection.execute(anchor_table.insert(), forged)
    verdicts = {one.name: one.is_bad for one in list_anchors(platform, ADMIN, limit=1)}
    assert [name for name, is_bad in verdicts.items() if is_bad] == [forged["name"]]


def test_only_roles_that_may_export_the_log_anchor_it(platform):
    """A clinician may not, and nobody learns of the outside parties."""
    caller = Principal(PrincipalId("prn_x"), "x", PrincipalKind.PERSON, "clinician")
    assert not can_act(platform.catalogue, caller, "audit.export")
    with pytest.raises(Denied):
        anchor(platform, caller)
    with pytest.raises(Denied):
        list_anchors(platform, caller, limit=1)


def test_nobody_configured_is_said(platform):
    """Promise 7: without a setting nobody is asked."""
    with pytest.raises(ConfigurationError, match="Neither witnesses"):
        anchor(platform, ADMIN)
    Anchorer(platform, Outsiders.of(platform.settings), interval_seconds=1).work()
    assert anchored_entries(platform) == []


def test_server_anchors_what_has_grown_and_nothing_else(quorum, configured):
    """Its own entry is no growth; a failure is tried again."""
    quorum.witness("w1")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    anchorer = Anchorer(platform, Outsiders.of(platform.settings), interval_seconds=1)
    for _ in range(3):
        anchorer.work_once()
    assert len(anchored_entries(platform)) == 1
    grow(platform)
    for _ in range(3):
        anchorer.work_once()
    assert anchorer.problem is None
    assert len(anchored_entries(platform)) == 2


def test_server_tells_each_time_that_a_refusal_suspends_the_gate(quorum, configured):
    """Released by people who did not see to the cause: the next round shuts the gate again, and says so again."""

    def ahead(body: bytes) -> tuple[int, bytes]:
        return 409, f"{int(body.split()[1]) + 10_000}\n".encode()

    quorum.lying("w1", ahead)
    platform = configured(witness_policy_file=quorum.ask_for(1))
    anchorer = Anchorer(platform, Outsiders.of(platform.settings))
    said = []
    for _ in range(2):
        with structlog.testing.capture_logs() as lines:
            anchorer.work_once()
            anchorer.work_once()
        said.append([line["event"] for line in lines])
        assert health(platform).gate == "suspended"
        with platform.data.write() as connection:
            release(connection, asking=platform.asking(ADMIN), log=platform.log)
        assert health(platform).gate == "open"
    assert said == [["gate.suspended", "log.not_anchored"], ["gate.suspended"]]


def test_server_tells_that_it_cannot_anchor(quorum, configured):
    """The problem stands until a round succeeds."""
    quorum.add("silent", "http://127.0.0.1:9")
    platform = configured(witness_policy_file=quorum.ask_for(1))
    anchorer = Anchorer(platform, Outsiders.of(platform.settings))
    anchorer.work_once()
    assert "no quorum" in anchorer.problem
    assert anchored_entries(platform) == []
