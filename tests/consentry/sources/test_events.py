"""Behaviour events from NDJSON."""

import json
from datetime import UTC, datetime

import pytest

from consentry.sources.events import load_event_map, read_events
from consentry.sources.records import BadRow, RowFault, SourceError

VIEW = {"type": "page_view", "subject": "u1", "time": "2026-01-03T08:05:00+08:00", "properties": {"page": "home"}}


@pytest.fixture
def read(context, write):
    """Reads events in our own form."""

    def read_lines(*events, event_map=None, **more):
        text = "\n".join(event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events)
        return read_events(write("e.ndjson", text), context, event_map, **more)

    return read_lines


@pytest.fixture
def tracker(context, pack):
    """The example map."""
    return load_event_map(pack / "maps" / "tracker.yaml", context)


def test_event_becomes_a_record(read):
    """Type and properties are fields, the subject is the source's."""
    (row,) = read(VIEW | {"id": "e1"}, source="app")
    assert row.values == {"event_type": "page_view", "page": "home"}
    assert (row.kind, row.source, row.source_subject, row.source_record) == ("event", "app", "u1", "e1")
    assert row.observed_at == datetime(2026, 1, 3, 0, 5, tzinfo=UTC)
    assert row.identity is None


def test_empty_properties_say_nothing(read):
    """Null and blank are no values."""
    (row,) = read(VIEW | {"properties": {"page": "home", "topic": [None, " "], "page_stay": None}})
    assert row.values == {"event_type": "page_view", "page": "home"}


def test_event_without_an_id_is_known_by_type_and_time(read):
    """Reading it again gives the same record."""
    (row,) = read(VIEW)
    assert (row.source, row.source_record) == ("events", "page_view@2026-01-03T00:05:00+00:00")


def test_distinct_id_and_milliseconds_are_understood(read):
    """What trackers send."""
    (row,) = read({"type": "login", "distinct_id": 7, "time": 1767398700000})
    assert (row.source_subject, row.observed_at.isoformat()) == ("7", "2026-01-03T00:05:00+00:00")


def test_lists_and_quantities_are_values(read):
    """Topics are many, a score is a quantity."""
    topics, scored = read(
        VIEW | {"properties": {"page": "home", "topic": ["母婴", "失眠"]}},
        {
            "type": "self_test_done",
            "subject": "u1",
            "time": 1767398700,
            "properties": {"questionnaire_score": {"code": "loinc:44261-6", "value": 12}},
        },
    )
    assert topics.values["topic"] == ["母婴", "失眠"]
    assert scored.values["questionnaire_score"] == {"code": "loinc:44261-6", "value": "12", "unit": "{score}"}


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        (VIEW | {"type": "dance"}, RowFault.UNKNOWN_EVENT, "dance"),
        (VIEW | {"type": "张三"}, RowFault.UNKNOWN_EVENT, None),
        (VIEW | {"type": ""}, RowFault.MISSING, "type"),
        (VIEW | {"subject": None}, RowFault.MISSING, "subject"),
        (VIEW | {"subject": "x" * 300}, RowFault.TOO_LONG, "subject"),
        (VIEW | {"subject": ["u1"]}, RowFault.MALFORMED, "subject"),
        (VIEW | {"time": "2027-01-01"}, RowFault.FUTURE_DATE, "time"),
        (VIEW | {"time": "soon"}, RowFault.BAD_DATE, "time"),
        (VIEW | {"time": None}, RowFault.MISSING, "time"),
        (VIEW | {"properties": {}}, RowFault.MISSING, "page"),
        (VIEW | {"properties": []}, RowFault.MALFORMED, "properties"),
        (VIEW | {"properties": {"page": "home", "colour": 1}}, RowFault.UNKNOWN_FIELD, "colour"),
        (VIEW | {"properties": {"page": "home", "order_amount": 1}}, RowFault.UNKNOWN_FIELD, "order_amount"),
        (VIEW | {"properties": {"page": "home", "event_type": "login"}}, RowFault.UNKNOWN_FIELD, "event_type"),
        (VIEW | {"properties": {"page": "home", "phone13800138000": 1}}, RowFault.UNKNOWN_FIELD, None),
        (VIEW | {"properties": {"page": {"a": 1}}}, RowFault.MALFORMED, "page"),
        (VIEW | {"properties": {"page": ["home", "away"]}}, RowFault.CONTRADICTION, "page"),
        (VIEW | {"properties": {"page": "x" * 10_000_000}}, RowFault.TOO_LONG, None),
        (VIEW | {"properties": {"page": "x" * 100_000}}, RowFault.TOO_LONG, "page"),
        (VIEW | {"properties": {"page": "home", "page_stay": -3}}, RowFault.OUT_OF_RANGE, "page_stay"),
        (VIEW | {"colour": 1}, RowFault.UNKNOWN_FIELD, "colour"),
        ('{"type": "login"', RowFault.MALFORMED, None),
        ("[]", RowFault.MALFORMED, None),
        ('{"type": "login", "subject": "u1", "time": NaN}', RowFault.MALFORMED, None),
    ],
)
def test_bad_event_is_refused_by_line_reason_and_name(read, event, reason, field):
    """A name is shown where it is a name and not a number of a person."""
    assert list(read(event)) == [BadRow("e.ndjson:1", reason, field)]


def test_refused_properties_object_names_its_field(read):
    """Only a quantity takes an object, and only its own keys."""
    bad = {"questionnaire_score": {"code": "loinc:44261-6", "value": 12, "who": "me"}}
    event = {"type": "self_test_done", "subject": "u1", "time": 1767398700, "properties": bad}
    assert list(read(event)) == [BadRow("e.ndjson:1", RowFault.MALFORMED, "questionnaire_score")]


def test_tracker_is_read_by_its_map(read, tracker):
    """Names, units and words are translated; what is not wanted is not read."""
    view, consult = read(
        {
            "distinct_id": "u1",
            "event": "ViewPage",
            "time": 1767398700123,
            "properties": {"page_name": "home", "stay_ms": 4200, "$os": "iOS"},
            "lib": {"v": 1},
        },
        {
            "distinct_id": "u1",
            "event": "consult_finished",
            "time": "2026-01-03 08:05:00",
            "_track_id": 99,
            "properties": {"consult_type": "图文", "duration_s": 1080, "questions": 6},
        },
        event_map=tracker,
    )
    assert view.values == {"event_type": "page_view", "page": "home", "page_stay": 4}
    assert consult.values == {
        "event_type": "consult_finished",
        "consult_format": "text",
        "consult_length": 18,
        "question_count": 6,
    }
    assert (consult.source, consult.source_record) == ("app", "99")


def test_ignored_events_are_counted(read, tracker):
    """Skipped by name, not refused."""
    reading = read({"distinct_id": "u1", "event": "AppCrash", "time": 1, "anything": 1}, event_map=tracker)
    assert list(reading) == []
    assert dict(reading.skipped) == {"event AppCrash": 1}


def test_event_sent_twice_is_dropped(read):
    """Trackers deliver at least once."""
    reading = read(VIEW | {"id": "e1"}, VIEW | {"id": "e1"}, VIEW | {"id": "e2"})
    assert len(list(reading)) == 1
    assert dict(reading.duplicates) == {"exact": 1, "near": 1}


def test_empty_file_is_named(read):
    """Nothing to read is an error."""
    with pytest.raises(SourceError, match="is empty"):
        list(read(""))
