"""Whatever is sent, no answer is a 500, and every refusal is a problem document."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consentry.api.consents import EXAMPLES
from consentry.platform import open_platform
from kernel.clock import FixedClock

RENEWAL = {
    "notice": {"code": "profiling", "version": "2026-11", "locale": "zh-CN"},
    "evidence": {"mechanism": "tapped_button", "occasion": "own", "client_time": "2026-11-21T01:00:00Z"},
    "at": "2026-11-21T01:00:00Z",
    "max_uses": 3,
}
APPROVAL = {"purpose": "P02", "role": "clinician", "reason": "consultation", "hours": 4}
QUIET = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "\ud800",
        "P02",
        "sex",
        "app",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01",
        "1e999",
        "sub_" + "a" * 24,
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def breach_bodies(subject):
    """A sound body of every posting route on breach cases; the case itself need not exist."""
    words = dict.fromkeys(("categories", "cause", "harm", "measures", "self_protection", "contact"), "words")
    case = "/breaches/brc_" + "a" * 24
    yield "/breaches", words | {"people": 3, "subjects": [subject], "profiles": ["pipl"], "estimate": True}
    yield f"{case}/changes", {"people": 3, "accesses": {"actor": "prn_a", "since": "2026-11-21T01:00:00Z"}}
    yield f"{case}/notifications", {"duty": "pipl.authority", "channel": "sms", "text": "x", "people": 1}
    yield f"{case}/waivers", {"duty": "pipl.authority", "reason": "x"}
    yield f"{case}/closing", {"reason": "x"}


def reading_bodies(subject):
    """A sound body of every posting route on cases and emergencies; case and emergency themselves need not exist."""
    case, emergency = "/cases/cas_" + "a" * 24, "/emergencies/emg_" + "a" * 24
    asked = {
        "purpose": "P02",
        "fields": ["genetic"],
        "compartment": "special",
        "reason": "x",
        "hours": 2,
        "ticket": "T-1",
    }
    yield "clinician", "/cases", {"subject_id": subject, **asked}
    yield "clinician", "/emergencies", {"subject_id": subject, "fields": ["sex"], "reason": "x", "purpose": "P15"}
    yield "compliance_officer", f"{case}/decision", {"verdict": "granted", "reason": "x"}
    yield "compliance_officer", f"{case}/revocation", {"reason": "x"}
    yield "compliance_officer", f"{emergency}/review", {"verdict": "justified", "note": "x"}
    yield "compliance_officer", "/emergencies/releases", {"account": "dr.lin", "reason": "x"}
    submitted = {"text": "体检", "kind": "post", "author": "member", "subject_id": subject}
    said = {"part": "compliance", "verdict": "rejected", "reason": "x"}
    yield "operator", "/content", submitted
    yield "operator", "/content/check", {"text": "体检", "kind": "campaign", "author": "doctor"}
    yield "compliance_officer", f"/content/cnt_{'a' * 24}/decision", said
    yield "compliance_officer", f"/approvals/apr_{'a' * 24}/revocation", {"reason": "x"}


@pytest.fixture(scope="module")
def world(copied, serve, capturing, tmp_path_factory):
    """A server with one patient: bearers of every kind of caller, and a sound request of every posting route."""
    clock = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    deployed = copied(tmp_path_factory.mktemp("fuzz") / "home")
    with open_platform(deployed.settings, clock=clock) as platform, serve(platform) as address:
        captured = capturing(platform)
        subject, granted = captured.person("u-1", "P02"), captured.grant("u-1", "P07")
        bearers = {role: captured.machine_key(role) for role in ("capture", "ingest")}
        bearers |= {role: captured.token(role) for role in ("clinician", "compliance_officer", "analyst", "operator")}
        record = captured.posted("u-1", "profile", sex="female", reading={"code": "loinc:8480-6", "value": "128"})
        guardian = captured.act("guardian", captured.known("u-1"))
        guardian["actor"] = {"kind": "guardian", "subject": {"source": "app", "id": "u-2", "mobile": "13800138000"}}
        sound = [
            ("capture", "/consents", EXAMPLES["contract"]["value"]),
            ("capture", "/consents", EXAMPLES["grant"]["value"]),
            ("capture", "/consents", guardian),
            ("capture", f"/consents/{granted}/withdraw", {"at": "2026-11-21T01:00:00Z"}),
            ("ingest", "/records", {"source": "app", "records": [record | {"identity": {"sex": "female"}}]}),
            ("clinician", "/decisions", {"subject_id": subject, "purpose": "P02", "fields": ["sex"]}),
            ("analyst", "/deid/text", {"texts": ["头痛三天", "13800138000"], "profile": "redact", "language": "zh"}),
            ("clinician", f"/subjects/{subject}/reveal", {"purpose": "P02", "fields": ["sex"], "reason": "visit"}),
            ("clinician", "/tokens", {"name": "", "password": "x"}),
            ("capture", f"/consents/{granted}/renew", RENEWAL),
            ("compliance_officer", "/approvals", {"subject_id": subject, **APPROVAL}),
            *(("compliance_officer", path, body) for path, body in breach_bodies(subject)),
            *reading_bodies(subject),
        ]
        with httpx.Client(base_url=f"{address}/v1", trust_env=False, timeout=30) as http:
            yield sound, bearers, http


def check(said: httpx.Response) -> None:
    assert said.status_code < 500, said.text
    if said.status_code >= 400:
        assert said.headers["content-type"] == "application/problem+json"
        assert said.json()["status"] == said.status_code


def replaced(body, data):
    """Put drawn JSON in the place of one member, or beside the members, somewhere inside a body."""
    if not isinstance(body, dict | list) or not body or data.draw(st.integers(0, 3)) == 0:
        return data.draw(JSON)
    if isinstance(body, list):
        place = data.draw(st.integers(0, len(body) - 1))
        return [replaced(item, data) if n == place else item for n, item in enumerate(body)]
    name = data.draw(st.sampled_from([*body, None]))
    if name is None:
        return {**body, data.draw(TEXTS): data.draw(JSON)}
    return {**body, name: replaced(body[name], data)}


@QUIET
@given(data=st.data())
def test_sound_bodies_with_one_strange_part_make_no_500(world, data):
    """Every posting route bears every value in every place."""
    sound, bearers, http = world
    caller, path, body = data.draw(st.sampled_from(sound))
    content = json.dumps(replaced(body, data))
    headers = {"Authorization": f"Bearer {bearers[caller]}", "Content-Type": "application/json"}
    check(http.post(path, content=content, headers=headers))


@QUIET
@given(place=st.integers(0, 9), content=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
@example(place=0, content=b"\xff")
@example(place=4, content=b"1e999")
def test_bodies_of_any_bytes_make_no_500(world, place, content):
    """What is no JSON, or JSON of any other shape, is refused."""
    sound, bearers, http = world
    caller, path, _ = sound[place]
    headers = {"Authorization": f"Bearer {bearers[caller]}", "Content-Type": "application/json"}
    said = http.post(path, content=content, headers=headers)
    check(said)
    assert said.status_code in (200, 422)  # a withdrawal needs no body


@QUIET
@given(
    name=st.sampled_from(["subject_id", "actor", "act", "purpose", "outcome", "since", "until", "after", "limit"])
    | st.sampled_from(
        [
            "channel",
            "locale",
            "as_of",
            "from",
            "by",
            "fields",
            "recipient",
            "format",
            "from_index",
            "bom",
            "view",
            "level",
            "only_open",
        ]
    )
    | TEXTS,
    value=TEXTS | st.integers().map(str) | st.datetimes().map(str),
    path=st.sampled_from(
        [
            "/audit/entries",
            "/audit/stream",
            "/audit/findings",
            "/subjects/{}/accesses",
            "/subjects/{}/disclosures",
            "/subjects/{}/tags",
            "/{}",
            "/subjects/{}/due",
            "/subjects/{}/consents",
            "/subjects/{}/consents/history",
            "/consents/{}/receipt",
            "/subjects/{}/wake",
            "/subjects/{}/explain?purpose=P07&fields=sex",
            "/consents/statistics",
            "/notices/{}/current",
            "/notices/{}/2026-11/zh-CN",
        ]
    ),
)
def test_addresses_of_any_text_make_no_500(world, name, value, path):
    """Paths and parameters bear every text that an address can hold."""
    _, bearers, http = world
    role = "analyst" if path.endswith("tags") else "capture" if path.endswith("due") else "compliance_officer"
    quoted = httpx.QueryParams({name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode()})
    segment = str(quoted).partition("=")[2] or "x"
    address, _, fixed = path.partition("?")
    asked = httpx.QueryParams(fixed).merge(quoted)
    check(http.get(address.format(segment), params=asked, headers={"Authorization": f"Bearer {bearers[role]}"}))


@settings(QUIET, max_examples=40)
@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=30))
def test_headers_of_any_text_make_no_500(world, value):
    """Credentials, media types and keys bear every text that a header can hold."""
    sound, bearers, http = world
    caller, path, body = sound[0]
    good = {"Authorization": f"Bearer {bearers[caller]}", "Content-Type": "application/json"}
    for name in ("Authorization", "Content-Type", "Idempotency-Key", "Sec-GPC", "Origin"):
        text = f"Bearer {value}" if name == "Authorization" else value
        headers = {k.encode(): v.encode("latin-1") for k, v in {**good, name: text.strip()}.items()}
        check(http.post(path, content=json.dumps(body), headers=headers))
