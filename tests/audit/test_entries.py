"""The bytes of an entry."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.entries import ENTRY_MAX_BYTES, cohort_digest, decode_entry, encode_entry, mentioned_subjects
from audit.events import Act, Event, Outcome
from audit.verifier import leaf_hash
from kernel.errors import BadInput
from kernel.ids import EntryId, RequestId, SubjectId

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
ENTRY = EntryId("ent_aaaaaaaaaaaaaaaaaaaaaaaa")
SUBJECT = SubjectId("sub_bbbbbbbbbbbbbbbbbbbbbbbb")
ALIAS = "als_cccccccccccccccccccccccc"


def encode(*, aliases=None, cohort=None, **members):
    given_members = {"actor": "prn_1", "role": "clinician", "request_id": RequestId("req_1"), **members}
    event = Event(Act.PERMIT, Outcome.ALLOWED, **given_members)
    return encode_entry(event, ENTRY, AT, aliases=aliases or {}, cohort=cohort).body


FROZEN = (
    '{"act":"gate.permit","actor":"prn_1","at":"2026-11-21T02:00:00.000000Z","basis":"dec_1","cohort":{"digest":"00",'
    '"size":2},"counts":{"records":3},"fields":["mobile","name"],"id":"ent_aaaaaaaaaaaaaaaaaaaaaaaa","level":4,'
    '"outcome":"allowed","purpose":"P06","reason":"WITHDRAWN","recipient":"检验中心","refs":{"catalogue":"1f"},'
    '"request_id":"req_1","role":"clinician","subject":"als_cccccccccccccccccccccccc","v":1}'
)


def test_entry_bytes_are_frozen():
    """The format of a signed log never changes under its version number."""
    body = encode(
        purpose="P06",
        recipient="检验中心",
        subject=SUBJECT,
        fields=("name", "mobile", "name"),
        level=4,
        basis="dec_1",
        reason="WITHDRAWN",
        counts={"records": 3},
        refs={"catalogue": "1f"},
        aliases={SUBJECT: ALIAS},
        cohort={"size": 2, "digest": "00"},
    )
    assert body.decode() == FROZEN
    assert leaf_hash(body) == hashlib.sha256(b"\x00" + FROZEN.encode()).digest()


def test_absent_members_are_left_out():
    """An absent value has one form only."""
    assert set(decode_entry(encode())) == {"v", "id", "at", "act", "outcome", "actor", "role", "request_id"}


@pytest.mark.parametrize(
    "text", ["a\nb", "a\x00", "\x7f", "a\u2028b", "a\u202eb", "a\u200bb", "\ud800", "", "x" * 257, "\x85", "\ue000"]
)
@pytest.mark.parametrize("member", ["actor", "role", "recipient", "request_id"])
def test_text_that_could_disguise_a_line_is_refused(member, text):
    """Controls, invisible marks, surrogates and overlong text never reach the log."""
    with pytest.raises(BadInput):
        encode(**{member: text})


@pytest.mark.parametrize("member", ["purpose", "basis", "reason"])
def test_a_persons_words_are_refused_as_a_name(member):
    """Free words belong into the sealed details; the error does not repeat them."""
    with pytest.raises(BadInput) as caught:
        encode(**{member: "患者张三来电"})
    assert "details" in caught.value.hint
    assert "张三" not in caught.value.diagnostics()


@pytest.mark.parametrize(
    "members",
    [
        {"fields": ("姓名",)},
        {"counts": {"a b": 1}},
        {"counts": {"a": -1}},
        {"counts": {"a": True}},
        {"refs": {"键": "x"}},
        {"refs": {"a": "x\ny"}},
        {"level": 0},
        {"level": 6},
    ],
)
def test_members_out_of_shape_are_refused(members):
    """Names are codes, counts are counts, levels are 1 to 5."""
    with pytest.raises(BadInput):
        encode(**members)


def test_oversized_entry_is_refused():
    """An entry ends at 16 KiB, so that a page of the log has a bound."""
    refs = {f"ref{number}": "x" * 250 for number in range(70)}
    with pytest.raises(BadInput, match="16 KiB"):
        encode(refs=refs)
    assert len(encode(refs=dict(list(refs.items())[:50]))) <= ENTRY_MAX_BYTES


@pytest.mark.parametrize("member", ["actor", "recipient"])
def test_subject_who_acts_stands_under_the_alias(member):
    """A person who acts for themselves is not named either."""
    body = encode(**{member: SUBJECT}, aliases={SUBJECT: ALIAS})
    assert decode_entry(body)[member] == ALIAS


def test_subject_in_a_reference_stands_under_the_alias():
    """References may point at people."""
    event = Event(Act.PERMIT, Outcome.DONE, "prn_1", "r", RequestId("q"), refs={"guardian": SUBJECT, "batch": "bat_1"})
    assert mentioned_subjects(event) == (SUBJECT,)
    body = encode_entry(event, ENTRY, AT, aliases={SUBJECT: ALIAS}, cohort=None).body
    assert decode_entry(body)["refs"] == {"guardian": ALIAS, "batch": "bat_1"}


@pytest.mark.parametrize(
    "members", [{"role": f"x {SUBJECT}"}, {"refs": {"a": f"{SUBJECT}/1"}}, {"basis": f"{SUBJECT}:1"}]
)
def test_subject_id_inside_a_text_is_refused(members):
    """No way leads a subject id into the log."""
    with pytest.raises(BadInput, match="subject id"):
        encode(**members)


@given(st.text(max_size=40))
def test_any_text_is_refused_or_survives_on_one_line(text):
    """An entry is always one line of valid UTF-8 that reads back the same."""
    try:
        body = encode(role=text)
    except BadInput:
        return
    assert b"\n" not in body
    assert json.loads(body)["role"] == text


def test_cohort_digest_is_frozen_and_independent_of_order():
    """The digest is over the sorted aliases and a salt."""
    expected = hashlib.sha256(b"consentry cohort v1\n" + b"s" * 32 + b"als_a\nals_b\n").hexdigest()
    assert cohort_digest(b"s" * 32, ["als_b", "als_a"]) == expected
    assert cohort_digest(b"t" * 32, ["als_b", "als_a"]) != expected


def test_bytes_that_are_no_object_are_no_entry():
    """A list is no entry."""
    with pytest.raises(BadInput):
        decode_entry(b"[]")
