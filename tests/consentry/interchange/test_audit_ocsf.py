"""Entries as OCSF 1.8.0 events: what the base event and each class demand is there."""

from hashlib import sha256

import pytest

from audit.events import Act, Outcome
from consentry.interchange.audit_ocsf import OcsfWriter
from consentry.interchange.audit_ocsf_classes import ACTIVITIES, EventClass

BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
"""Required of every event: events/base_event.json."""

CLASSES = {
    2004: ({"finding_info"}, (), range(1, 4)),
    2005: ({"finding_info_list", "status_id"}, ({"assignee", "assignee_group"},), range(1, 4)),
    3001: ({"user"}, (), range(1, 12)),
    3002: ({"user"}, ({"service", "dst_endpoint"},), range(1, 6)),
    3003: ({"user"}, ({"privileges", "group"},), range(1, 4)),
    3004: ({"entity"}, (), range(1, 14)),
    6003: ({"actor", "api", "src_endpoint"}, (), (*range(1, 5), 99)),
    6005: ({"actor", "src_endpoint"}, ({"database", "databucket", "table"},), range(1, 11)),
}
"""By class: required attributes, groups of which one is required, and activities (events/*/*.json of 1.8.0)."""

AT_LEAST_ONE = {
    "entity": {"name", "uid"},
    "user": {"account", "name", "uid"},
    "assignee": {"account", "name", "uid"},
    "actor": {"process", "user", "session"},
    "src_endpoint": {"ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid", "interface_name"},
}
"""Constraints of the objects in use (objects/*.json)."""


@pytest.fixture(scope="module")
def writer():
    return OcsfWriter("dep_1")


def test_every_act_has_a_class():
    """A new act needs its class and activity before it can be exported."""
    assert ACTIVITIES.keys() == set(Act)
    assert {activity.event_class for activity in ACTIVITIES.values()} == set(EventClass)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("act", Act)
def test_every_act_has_what_its_class_demands(writer, full, logged, act, outcome):
    """Required attributes, at-least-one constraints, known activities, and a type that follows from them."""
    for entry in (full(act, outcome), logged(act, outcome), logged(act, outcome, cohort=3)):
        event = writer.write(entry)
        required, groups, activities = CLASSES[event["class_uid"]]
        assert BASE | required <= event.keys()
        assert all(group & event.keys() for group in groups)
        assert event["activity_id"] in activities
        assert event["category_uid"] == event["class_uid"] // 1000
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["severity_id"] in range(1, 7)
        for name in AT_LEAST_ONE.keys() & event.keys():
            assert AT_LEAST_ONE[name] & event[name].keys(), name
        assert {"version", "product"} <= event["metadata"].keys()
        assert event["metadata"]["product"]["name"]


@pytest.mark.parametrize(
    ("act", "outcome", "told"),
    [
        (Act.PERMIT, Outcome.ALLOWED, (300301, 1, 1)),
        (Act.REFUSAL, Outcome.DENIED, (300301, 2, 2)),
        (Act.REVEAL, Outcome.ALLOWED, (600510, 1, 1)),
        (Act.REVEAL, Outcome.FAILED, (600510, 2, 3)),
        (Act.CONSENT_WITHDRAWN, Outcome.DONE, (300409, 1, 1)),
        (Act.PRINCIPAL_DISABLED, Outcome.DONE, (300105, 1, 1)),
        (Act.TOKEN_ISSUED, Outcome.DENIED, (300201, 2, 2)),
        (Act.ACCESS_DENIED, Outcome.DENIED, (600399, 2, 2)),
        (Act.ACCESS_FLAGGED, Outcome.DONE, (200401, 1, 3)),
        (Act.BREACH_OPENED, Outcome.DONE, (200501, 1, 4)),
        (Act.BREACH_CLOSED, Outcome.DONE, (200503, 5, 1)),
    ],
)
def test_types_status_and_severity(writer, full, act, outcome, told):
    """What a security centre filters by."""
    event = writer.write(full(act, outcome))
    assert (event["type_uid"], event["status_id"], event["severity_id"]) == told


def test_event_names_moment_request_and_place_in_the_log(writer, full):
    """Milliseconds, the request as correlation, the index as sequence."""
    event = writer.write(full(Act.REVEAL))
    assert event["time"] == 1_795_226_400_123
    metadata = event["metadata"]
    assert (metadata["correlation_uid"], metadata["sequence"], metadata["log_name"]) == (
        "req_1",
        7,
        "audit.example/log",
    )
    assert metadata["original_time"] == "2026-11-21T02:00:00.123456Z"
    assert event["status_detail"] == "WITHDRAWN"


def test_event_is_tied_to_its_proof(writer, full):
    """The raw data hashes to the leaf."""
    event = writer.write(full(Act.REVEAL))
    raw = event["raw_data"].encode()
    assert sha256(b"\x00" + raw).hexdigest() == event["unmapped"]["leaf_hash"]
    assert sha256(raw).hexdigest() == event["raw_data_hash"]["value"]


def test_refused_call_says_what_was_tried(writer, full):
    """The operation is the act that the role does not have."""
    event = writer.write(full(Act.ACCESS_DENIED, Outcome.DENIED, refs={"act": "vault.reveal"}))
    assert event["api"]["operation"] == "vault.reveal"
    assert writer.write(full(Act.AUDIT_READ))["api"]["operation"] == "audit.read"


def test_privileges_are_the_purpose_with_each_field(writer, full, logged):
    """What the gate was asked for."""
    assert writer.write(full(Act.PERMIT))["privileges"] == ["P02:mobile", "P02:name"]
    assert writer.write(logged(Act.PERMIT, purpose="P02"))["privileges"] == ["P02"]
    assert writer.write(logged(Act.PERMIT))["privileges"] == ["none"]


@pytest.mark.parametrize(
    ("actor", "kind"),
    [("usr_" + "b" * 24, 1), ("key_" + "b" * 24, 4), ("local:root", 3), ("als_x", 99), ("unknown", 99)],
)
def test_kind_of_user_follows_from_the_id(writer, logged, actor, kind):
    """Person, service, system, or something else."""
    assert writer.write(logged(Act.AUDIT_READ, actor=actor))["actor"]["user"]["type_id"] == kind


def test_new_account_is_the_target(writer, full):
    """Who was made or disabled, not who did it."""
    event = writer.write(full(Act.PRINCIPAL_CREATED, refs={"principal": "key_1", "role": "ingest", "kind": "key"}))
    assert event["user"] == {"uid": "key_1", "type_id": 4, "groups": [{"name": "ingest"}]}
    assert event["actor"]["user"]["uid"] == "usr_" + "b" * 24
