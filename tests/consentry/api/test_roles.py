"""What each role may do over HTTP; default deny."""

from dataclasses import replace

import pytest

from consentry.principals import Principal, PrincipalKind
from consentry.workflows.denials import check_allowed
from kernel.errors import Denied
from kernel.ids import PrincipalId

SUBJECT = "sub_" + "a" * 24
DECISION = "dec_" + "a" * 24
QUESTION = {"subject_id": SUBJECT, "purpose": "P02", "fields": ["sex"]}
REVEAL = {"purpose": "P02", "fields": ["sex"], "reason": "consultation"}
ACT = {
    "act_id": "1",
    "act": "withdraw",
    "subject": {"subject_id": SUBJECT},
    "purposes": ["P07"],
    "at": "2026-11-21T02:00:00Z",
}
RECORDS = {
    "source": "app",
    "records": [
        {
            "source_subject": "u",
            "kind": "profile",
            "source_record": "1",
            "observed_at": "2026-11-20",
            "values": {"a": 1},
        }
    ],
}
RENEWAL = {
    "notice": {"code": "profiling", "version": "2026-11", "locale": "zh-CN"},
    "evidence": {"mechanism": "tapped_button"},
}
APPROVAL = {"subject_id": SUBJECT, "purpose": "P02", "role": "clinician", "reason": "consultation"}
CALLS = {
    "capture": ("POST", "/consents", ACT),
    "withdraw": ("POST", f"/consents/{DECISION}/withdraw", {}),
    "renew": ("POST", f"/consents/{DECISION}/renew", RENEWAL),
    "signal": ("POST", f"/subjects/{SUBJECT}/signals/gpc", None),
    "due": ("GET", f"/subjects/{SUBJECT}/due?channel=app", None),
    "standing": ("GET", f"/subjects/{SUBJECT}/consents", None),
    "history": ("GET", f"/subjects/{SUBJECT}/consents/history", None),
    "receipt": ("GET", f"/consents/{DECISION}/receipt", None),
    "approve": ("POST", "/approvals", APPROVAL),
    "ingest": ("POST", "/records", RECORDS),
    "decide": ("POST", "/decisions", QUESTION),
    "texts": ("POST", "/deid/text", {"texts": ["头痛三天"]}),
    "reveal": ("POST", f"/subjects/{SUBJECT}/reveal", REVEAL),
    "tags": ("GET", f"/subjects/{SUBJECT}/tags", None),
    "log": ("GET", "/audit/entries", None),
    "entry": ("GET", "/audit/entries/0", None),
    "wake": ("GET", f"/subjects/{SUBJECT}/wake", None),
    "explain": ("GET", f"/subjects/{SUBJECT}/explain?purpose=P02&fields=sex", None),
    "statistics": ("GET", "/consents/statistics", None),
    "stream": ("GET", "/audit/stream", None),
    "accesses": ("GET", f"/subjects/{SUBJECT}/accesses", None),
    "disclosures": ("GET", f"/subjects/{SUBJECT}/disclosures", None),
    "findings": ("GET", "/audit/findings", None),
    "review": ("POST", f"/audit/findings/{'0' * 32}/review", {"verdict": "justified", "note": "looked into"}),
    "counters": ("GET", "/audit/counters", None),
}
CASE = "brc_" + "a" * 24
CALLS |= {
    "breach": ("POST", "/breaches", {"people": 3}),
    "breaches": ("GET", "/breaches", None),
    "show breach": ("GET", f"/breaches/{CASE}", None),
    "change breach": ("POST", f"/breaches/{CASE}/changes", {"people": 3}),
    "tell of breach": (
        "POST",
        f"/breaches/{CASE}/notifications",
        {"duty": "pipl.authority", "channel": "sms", "text": "x"},
    ),
    "waive": ("POST", f"/breaches/{CASE}/waivers", {"duty": "pipl.authority", "reason": "x"}),
    "close breach": ("POST", f"/breaches/{CASE}/closing", {"reason": "x"}),
}
CORRECTION = {"record": "rec_" + "a" * 24, "values": {"sex": "female"}, "reason": "x"}
CALLS |= {
    "history of fields": ("POST", f"/subjects/{SUBJECT}/history", REVEAL),
    "profile": ("POST", f"/subjects/{SUBJECT}/profile", REVEAL),
    "correct": ("POST", f"/subjects/{SUBJECT}/corrections", CORRECTION),
    "conflicts": ("GET", "/records/conflicts", None),
}
CORRECTS = {"correct", "conflicts"}
REVEALS = {"reveal", "history of fields", "profile"}
GRANT = "cas_" + "a" * 24
EMERGENCY = "emg_" + "a" * 24
CALLS |= {
    "revoke approval": ("POST", f"/approvals/apr_{'a' * 24}/revocation", {"reason": "x"}),
    "ask case": (
        "POST",
        "/cases",
        {"subject_id": SUBJECT, "purpose": "P02", "fields": ["special_disease"], "reason": "x"},
    ),
    "cases": ("GET", "/cases", None),
    "decide case": ("POST", f"/cases/{GRANT}/decision", {"verdict": "granted", "reason": "x"}),
    "revoke case": ("POST", f"/cases/{GRANT}/revocation", {"reason": "x"}),
    "emergency": ("POST", "/emergencies", {"subject_id": SUBJECT, "fields": ["sex"], "reason": "x"}),
    "emergencies": ("GET", "/emergencies", None),
    "review emergency": ("POST", f"/emergencies/{EMERGENCY}/review", {"verdict": "justified", "note": "x"}),
    "release": ("POST", "/emergencies/releases", {"account": "nobody", "reason": "x"}),
}
CALLS |= {
    "erase": ("POST", f"/subjects/{SUBJECT}/erasures", {"reason": "x", "compartment": "behaviour"}),
    "erasures": ("GET", f"/subjects/{SUBJECT}/erasures", None),
    "erasure": ("GET", f"/erasures/era_{'a' * 24}", None),
}
CALLS |= {
    "keys": ("GET", "/keys", None),
    "search": ("POST", "/subjects/search", {"field": "mobile", "value": "1"}),
}
FILE = {
    "Attachment-Source": "app", "Attachment-Field": "images", "Attachment-Subject": "u", "Attachment-Record": "1",
    "Attachment-Observed-At": "2026-11-20T08:00:00Z", "Attachment-Name": "a.png", "Content-Type": "image/png",
}  # fmt: skip
HOLD = "hld_" + "a" * 24
CALLS |= {
    "send file": ("POST", "/attachments", FILE),
    "files": ("GET", f"/subjects/{SUBJECT}/attachments", None),
    "open file": ("POST", f"/attachments/att_{'a' * 24}/open", {"purpose": "P02", "reason": "x"}),
    "hold": ("POST", "/holds", {"subject_id": SUBJECT, "reference": "case-17", "reason": "x"}),
    "holds": ("GET", "/holds", None),
    "release hold": ("POST", f"/holds/{HOLD}/release", {"reason": "x"}),
}
TEXT = {"text": "【广告】体检", "kind": "campaign", "author": "operator"}
CONTENT = f"/content/cnt_{'a' * 24}"
SAID = {"verdict": "approved", "reason": "x"}
CALLS |= {
    "check content": ("POST", "/content/check", TEXT),
    "submit content": ("POST", "/content", TEXT),
    "contents": ("GET", "/content", None),
    "content": ("GET", CONTENT, None),
    "medical review": ("POST", f"{CONTENT}/decision", SAID | {"part": "medical"}),
    "compliance review": ("POST", f"{CONTENT}/decision", SAID | {"part": "compliance"}),
}
SEES = {"check content", "contents", "content"}
HOLDS = {"hold", "holds", "release hold"}
ERASES = {"erase", "erasures", "erasure"}
OFFICERS = {"approve", "revoke approval", "review", "decide case", "review emergency", "release"}
CASES = {"cases", "revoke case"}
BREACHES = {"breach", "breaches", "show breach"}
MANAGES = {"change breach", "tell of breach", "waive", "close breach"}
CAPTURES = {"capture", "withdraw", "renew", "signal", "due"}
READS = {"decide", "standing", "history", "receipt"}
LOOKS = {"wake", "explain"}
ACCOUNTS = {"accesses", "disclosures"}
OVERSEES = {"log", "entry", "stream", "statistics", "findings", "counters", "emergencies"}
ALLOWED = {
    "capture": CAPTURES,
    "ingest": {"ingest", "send file"},
    "administrator": {
        *CAPTURES,
        *READS,
        *LOOKS,
        *ACCOUNTS,
        *OVERSEES,
        *BREACHES,
        *ERASES,
        *HOLDS,
        "ingest",
        "send file",
        "files",
        "keys",
        "search",
        "texts",
        *CORRECTS,
        *SEES,
        "submit content",
    },
    "compliance_officer": {
        *READS,
        *LOOKS,
        *ACCOUNTS,
        *OVERSEES,
        *BREACHES,
        *MANAGES,
        *OFFICERS,
        *CASES,
        *ERASES,
        *HOLDS,
        *CORRECTS,
        *SEES,
        "compliance review",
        "search",
        "texts",
    },
    "clinician": {
        "search",
        *READS,
        *LOOKS,
        *CASES,
        *REVEALS,
        *SEES,
        "open file",
        "files",
        "ask case",
        "emergency",
        "medical review",
    },
    "health_manager": {*READS, *LOOKS, *REVEALS, "open file"},
    "customer_service": {*READS, *LOOKS},
    "operator": {"tags", *SEES, "submit content"},
    "analyst": {"tags", "texts"},
    "content_reviewer": {*REVEALS, *SEES, "open file", "texts", "medical review"},
    "key_custodian": {"keys"},
    "subject": (CAPTURES | READS | ACCOUNTS) - {"decide"},
}


def test_every_role_of_the_pack_is_listed_here(medical):
    """A new role has to be given its row."""
    assert ALLOWED.keys() == medical.roles.keys()


def bearer_of(role, captured, login):
    if role == "subject":
        captured.person("u-1")
        return login.token("u-1")
    return captured.machine_key(role) if role in ("capture", "ingest") else captured.token(role)


@pytest.mark.parametrize("role", ALLOWED)
def test_role_reaches_its_routes_and_no_other(call, captured, login, role):
    """Each route answers 403 to every role that does not have its act; the others get past the role."""
    bearer = bearer_of(role, captured, login)
    reached = set()
    for name, (method, path, body) in CALLS.items():
        named = {name.replace("-", "_"): value for name, value in FILE.items()} if body is FILE else {}
        said = call(bearer).post(path, body, **named) if method == "POST" else call(bearer).get(path)
        told = said.json().get("detail", "") if said.status_code == 403 else ""
        refused_by_role = any(words in told for words in (f"Role '{role}' may not do", "cannot do this"))
        assert said.status_code != 401
        if not refused_by_role:
            reached.add(name)
    assert reached == ALLOWED[role]


@pytest.mark.parametrize("role", ["capture", "ingest"])
def test_key_that_tries_to_open_stays_in_the_log(call, captured, role):
    """The refusal has its entry, with the role and what it tried."""
    subject = captured.person()
    assert call(captured.machine_key(role)).post(f"/subjects/{subject}/reveal", REVEAL).status_code == 403
    found = call(captured.token("compliance_officer")).get("/audit/entries", subject_id=subject, act="access.denied")
    entries = found.json()["entries"]
    assert [(e["role"], e["outcome"], e["reason"], e["refs"]["act"]) for e in entries] == [
        (role, "denied", "ROLE", "vault.reveal")
    ]
    assert [(e["purpose"], e["fields"], e["level"]) for e in entries] == [("P02", ["sex"], 3)]


def test_pack_cannot_let_a_key_open_records(platform):
    """Even a pack that lists the act for a key's role changes nothing: opening needs a person."""
    catalogue = platform.catalogue
    capture = replace(catalogue.roles["capture"], acts=frozenset({"vault.reveal"}))
    lenient = replace(platform, catalogue=replace(catalogue, roles={**catalogue.roles, "capture": capture}))
    key = Principal(PrincipalId("key_" + "a" * 24), "app", PrincipalKind.KEY, "capture")
    check_allowed(lenient, key, "vault.reveal")
    with pytest.raises(Denied, match="A key cannot do this"):
        check_allowed(lenient, key, "vault.reveal", persons_only=True)


def test_no_role_records_consent_and_opens_under_it(medical):
    """Whoever can write a grant can never open what it covers."""
    assert not [r.code for r in medical.roles.values() if {"consent.capture", "vault.reveal"} <= r.acts]


def test_role_opens_only_for_its_purposes_and_levels(call, captured, refused):
    """A clinician's purpose is care; what lies above the role's level stays closed though the act is allowed."""
    subject = captured.person("u-1", "P02")
    doctor = call(captured.token("clinician"))
    for body, error, said in (
        ({**REVEAL, "purpose": "P09"}, "Denied", "may not open for purpose P09"),
        ({**REVEAL, "fields": ["special_disease"]}, "CaseNeeded", "special_disease open under a case grant only"),
    ):
        document = refused(doctor.post(f"/subjects/{subject}/reveal", body), 403, error)
        assert said in document["detail"]
