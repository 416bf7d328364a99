"""Alarms reach the officers' webhooks, signed, each until it was taken."""

import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import text

from consentry.alarms import OFFICERS, AlarmKind, raise_alarm
from consentry.stores.webhooks import get_target
from consentry.tending import Alarmer
from consentry.wake.posting import Answer, NotAnswered
from consentry.workflows.break_glass import break_glass
from consentry.workflows.tell_alarms import tell_alarms
from consentry.workflows.webhooks import add_webhook, disable_webhook
from tests.consentry.conftest import ADMIN
from tests.loopback import start_serving


class Receiver:
    """Stands for the officers' service: answers what it is told to, in turn, and keeps what it got."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.got = []

    def post(self, url, headers, content):
        self.got.append((url, headers, json.loads(content)))
        status = self.answers.pop(0) if self.answers else 200
        if status is None:
            raise NotAnswered("A webhook was not answered: ConnectError", hint="Try again.")
        return Answer(status, b"")


@pytest.fixture
def target(platform):
    """The officers' webhook."""
    return add_webhook(platform, ADMIN, recipient=OFFICERS, url="https://officers.example/alarms")


@pytest.fixture
def emergency(platform, captured, target):
    """A broken glass."""
    subject = captured.person("u-1", "P02")
    doctor, _ = captured.person_account("dr.wu", "clinician")
    made, _ = break_glass(platform, doctor, subject=subject, fields=["sex"], reason="unconscious")
    return made, subject


def test_officers_are_told_of_an_emergency_once(platform, target, emergency):
    """Who, which emergency and until when; whose record it was stands in no message. The signature is the target's."""
    made, subject = emergency
    receiver = Receiver()
    assert tell_alarms(platform, poster=receiver) == 1
    assert tell_alarms(platform, poster=receiver) == 0
    ((url, headers, body),) = receiver.got
    assert url == "https://officers.example/alarms"
    assert (body["type"], body["data"]["emergency"]) == (AlarmKind.BREAK_GLASS, made.emergency_id)
    assert body["data"]["actor"] == made.principal
    assert subject not in json.dumps(body)
    sent = json.dumps(body, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    signed = target[1].signature(headers["webhook-id"], headers["webhook-timestamp"], sent)
    assert headers["webhook-signature"] == signed


def test_alarm_that_was_not_taken_is_sent_again(platform, emergency, clock):
    """Under the same id, after longer and longer; silence and any answer but a good one count as not taken."""
    receiver = Receiver(None, 500, 404, 429)
    for wait_seconds in (5, 10, 20, 40):
        assert tell_alarms(platform, poster=receiver) == 0
        assert tell_alarms(platform, poster=receiver) == 0, "not before its time"
        clock.advance(timedelta(seconds=wait_seconds))
    assert tell_alarms(platform, poster=receiver) == 1
    assert len(receiver.got) == 5
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


def test_target_that_is_gone_is_disabled(platform, target, emergency):
    """410 ends it, with the reason on the target."""
    tell_alarms(platform, poster=Receiver(410))
    with platform.data.read() as connection:
        assert get_target(connection, target[0].target_id).disabled_why == "gone"
    assert tell_alarms(platform, poster=Receiver()) == 0


def test_disabled_target_is_told_nothing_more(platform, target, emergency):
    """What waited for it waits no longer."""
    disable_webhook(platform, ADMIN, target[0].target_id)
    receiver = Receiver()
    assert tell_alarms(platform, poster=receiver) == 0
    assert receiver.got == []
    with platform.data.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alarm WHERE next_at IS NOT NULL")) == 0


def test_without_officers_nothing_is_kept(platform):
    """Nobody registered an address, and nothing connects anywhere."""
    with platform.data.write() as connection:
        assert raise_alarm(connection, AlarmKind.FROZEN, {}, now=platform.clock.now()) == 0
    assert tell_alarms(platform, poster=Receiver()) == 0


def test_server_sends_alarms_by_itself(platform, captured):
    """Over a real connection, to the one address that was registered; a broken glass asks nobody to send it."""
    got = []

    class Officers(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Officers) as server:
        start_serving(server)
        add_webhook(platform, ADMIN, recipient=OFFICERS, url=f"http://127.0.0.1:{server.server_port}/alarms")
        subject = captured.person("u-1", "P02")
        doctor, _ = captured.person_account("dr.wu", "clinician")
        made, _ = break_glass(platform, doctor, subject=subject, fields=["sex"], reason="unconscious")
        Alarmer(platform).work()
        server.shutdown()
    assert [one["data"]["emergency"] for one in got] == [made.emergency_id]
