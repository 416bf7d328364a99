"""Texts over HTTP: identifiers taken out, an entry without a word of them, bounds."""

import pytest

from consentry.workflows import deidentify_text

SENT = ["我叫王小明，电话13800138000，头痛三天", "血压120/80", ""]


@pytest.fixture
def analyst(call, captured):
    """A person whose role de-identifies texts."""
    return call(captured.token("analyst"))


def test_identifiers_are_replaced_and_told_in_the_texts_order(analyst):
    """Each with its span in the text that was sent, kind, score and rule."""
    said = analyst.post("/deid/text", {"texts": SENT})
    assert said.status_code == 200
    texts = said.json()["texts"]
    assert [text["text"] for text in texts] == ["我叫〔姓名〕，电话〔手机〕，头痛三天", "血压120/80", ""]
    assert [SENT[0][span["start"] : span["end"]] for span in texts[0]["spans"]] == ["王小明", "13800138000"]
    assert texts[0]["spans"][1] == {"start": 8, "end": 19, "type": "MOBILE", "score": 0.9, "source": "mobile"}
    assert not any(text["withheld"] for text in texts)


def test_entry_has_counts_and_no_word(analyst, call, captured):
    """Who, under which profile, how many; what was found is nowhere in the log."""
    entry_id = analyst.post("/deid/text", {"texts": SENT, "language": "zh"}).json()["entry_id"]
    said = call(captured.token("compliance_officer")).get("/audit/entries", act="text.deidentified")
    (entry,) = said.json()["entries"]
    assert entry["id"] == entry_id
    assert (entry["role"], entry["outcome"], entry["refs"]) == ("analyst", "done", {"profile": "redact"})
    assert entry["counts"] == {"texts": 3, "characters": sum(map(len, SENT)), "found": 2, "withheld": 0}
    assert "13800138000" not in said.text


def test_a_text_that_cannot_be_judged_is_withheld(analyst, monkeypatch):
    """It fails closed, and the answer and the entry say so."""
    monkeypatch.setattr("deid.text.scrubber.MAX_CHARACTERS", 10)
    text = analyst.post("/deid/text", {"texts": [SENT[0]]}).json()["texts"][0]
    assert (text["text"], text["withheld"]) == ("〔全文隐去〕", True)


def test_bounds(analyst, refused, monkeypatch):
    """A hundred texts, so many characters together, a known profile and language."""
    refused(analyst.post("/deid/text", {"texts": []}), 422, "InvalidRequest")
    refused(analyst.post("/deid/text", {"texts": ["x"] * 101}), 422, "InvalidRequest")
    refused(analyst.post("/deid/text", {"texts": ["x"], "language": "fr"}), 422, "InvalidRequest")
    refused(analyst.post("/deid/text", {"texts": ["x"], "profile": "none"}), 404, "NotFound")
    monkeypatch.setattr(deidentify_text, "MAX_CHARACTERS", 5)
    assert "6 characters" in refused(analyst.post("/deid/text", {"texts": ["xxx", "xxx"]}), 422, "BadInput")["detail"]


def test_tokens_are_those_of_the_callers_own_scope(analyst, call, captured, refused):
    """The same in one scope of one caller; nobody else can ask which number has which."""
    sent = {"texts": [SENT[0]], "profile": "pseudonymise"}
    assert "needs a scope" in refused(analyst.post("/deid/text", sent), 422, "BadInput")["detail"]
    officer = call(captured.token("compliance_officer"))
    asked = [(analyst, "a"), (analyst, "a"), (analyst, "b"), (officer, "a")]
    said = [who.post("/deid/text", sent | {"scope": scope}).json()["texts"][0]["text"] for who, scope in asked]
    assert said[0] == said[1]
    assert len(set(said)) == 3
    assert all("〔姓名·" in text and "王小明" not in text for text in said)


def test_calls_have_a_pace_for_staff_too(analyst, platform, refused, monkeypatch):
    """A text costs more than another question."""
    with monkeypatch.context() as patched:
        patched.setattr("consentry.throttle.Pace.take", _too_often)
        refused(analyst.post("/deid/text", {"texts": ["x"]}), 429, "TooManyRequests")
    assert analyst.post("/deid/text", {"texts": ["x"]}).status_code == 200


def _too_often(_pace, _caller):
    from consentry.throttle import TooManyRequests

    raise TooManyRequests(3)


def test_other_roles_are_refused_and_logged(call, captured, refused):
    """The try stays in the log."""
    refused(call(captured.token("clinician")).post("/deid/text", {"texts": SENT}), 403, "Denied")
    said = call(captured.token("compliance_officer")).get("/audit/entries", act="access.denied").json()
    assert [(e["role"], e["refs"]["act"]) for e in said["entries"]] == [("clinician", "text.deidentify")]
