"""Content over HTTP: checked, submitted, read, decided; whatever is wrong with a request has its answer."""

import pytest

TEXT = {"text": "【广告】秋季体检开始预约，这是最佳体检中心", "kind": "campaign", "author": "operator"}


@pytest.fixture
def operator(call, captured):
    return call(captured.token("operator"))


@pytest.fixture
def physician(call, captured):
    return call(captured.token("clinician"))


@pytest.fixture
def officer(call, captured):
    return call(captured.token("compliance_officer"))


def test_text_goes_from_submission_to_its_outcome(operator, physician, officer, refused):
    """Checked, submitted, listed, read, approved twice, closed."""
    checked = operator.post("/content/check", TEXT)
    assert (checked.status_code, checked.json()["action"]) == (200, "hold")
    (hit,) = checked.json()["hits"]
    assert (hit["rule"], hit["law"], TEXT["text"][hit["start"] : hit["end"]]) == ("superlative", "广告法", "最佳")
    made = operator.post("/content", TEXT)
    assert made.status_code == 201, made.text
    told = made.json()["review"]
    assert (told["state"], told["hits"], told["reviews"]) == ("waiting", {"superlative": 1}, [])
    path = f"/content/{told['review_id']}"
    assert [one["review_id"] for one in physician.get("/content", state="waiting").json()["content"]] == [
        told["review_id"]
    ]
    assert physician.get(path).json()["text"] == TEXT["text"]
    medical = {"part": "medical", "verdict": "approved", "reason": "nothing wrong"}
    assert physician.post(f"{path}/decision", medical).json()["state"] == "waiting"
    refused(physician.post(f"{path}/decision", medical), 403, "OwnContent")
    refused(physician.post(f"{path}/decision", medical | {"part": "compliance"}), 403, "Denied")
    done = officer.post(f"{path}/decision", medical | {"part": "compliance"})
    assert (done.status_code, done.json()["state"], len(done.json()["reviews"])) == (201, "approved", 2)
    refused(officer.post(f"{path}/decision", medical | {"part": "compliance"}), 403, "OwnContent")


def test_blocked_text_stays_blocked(operator, physician, refused):
    """It is answered with why, and nobody can let it pass."""
    made = operator.post("/content", TEXT | {"text": "【广告】二甲双胍限时特价，点击下单"}).json()
    assert (made["review"]["state"], made["checked"]["action"]) == ("blocked", "block")
    path = f"/content/{made['review']['review_id']}"
    refused(
        physician.post(f"{path}/decision", {"part": "medical", "verdict": "approved", "reason": "x"}),
        409,
        "ContentBlocked",
    )
    assert physician.get(path).json()["text"] is None


def test_members_post_is_masked(operator, captured, refused):
    """Under the member's decision; without it nothing is kept."""
    subject, closed = captured.person("u-1", "P10"), captured.person("u-2")
    post = {"text": "我得了痛风，加我微信 wx_abc12345", "kind": "post", "author": "member"}
    made = operator.post("/content", post | {"subject_id": subject}).json()
    assert made["text"] == "我得了痛风，加我微信 〔微信〕"
    refused(operator.post("/content", post | {"subject_id": closed}), 403, "NotPermitted")
    child = captured.person("u-3", birth_date="2013-05-05")
    refused(operator.post("/content", post | {"subject_id": child}), 403, "MinorsPost")


UNSOUND = [
    ({"text": ""}, 422, "InvalidRequest"),
    ({"text": " "}, 422, "BadInput"),
    ({"text": "好" * 12_001}, 422, "InvalidRequest"),
    ({"text": "\x00" * 12_000 + "好"}, 422, "InvalidRequest"),
    ({"text": "\x01" * 11_999 + "好"}, 422, "BadInput"),
    ({"kind": "letter"}, 422, "InvalidRequest"),
    ({"author": "member"}, 422, "BadInput"),
    ({"subject_id": "sub_" + "a" * 24}, 422, "BadInput"),
    ({"author": "member", "subject_id": "sub_" + "a" * 24}, 404, "NotFound"),
    ({"title": "x"}, 422, "InvalidRequest"),
]


def test_unsound_text_is_refused(operator, refused):
    """With a problem document, and nothing kept."""
    for change, status, error in UNSOUND:
        refused(operator.post("/content", TEXT | change), status, error)
    assert operator.get("/content").json() == {"content": []}


def test_unknown_text_is_not_found(officer, refused):
    """An id of the right shape, and one of another."""
    said = {"part": "compliance", "verdict": "rejected", "reason": "x"}
    refused(officer.get(f"/content/cnt_{'a' * 24}"), 404, "NotFound")
    refused(officer.post(f"/content/cnt_{'a' * 24}/decision", said), 404, "NotFound")
    refused(officer.post("/content/4711/decision", said), 422, "InvalidRequest")
