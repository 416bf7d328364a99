"""Holds from the command line, and lists of people who are not there."""

import json

import pytest

from consent.asking import Asking
from consentry.platform import open_platform
from kernel.ids import PrincipalId, RequestId, SubjectId
from tests.consentry.conftest import Captured
from vault.holds import NewHold


@pytest.fixture
def patient(home, run, tmp_path):
    """Somebody registered."""
    act = {
        "act_id": "a1", "act": "contract", "purposes": ["P01", "P02", "P04"], "actor": {"kind": "operator"},
        "evidence": {"mechanism": "signed"}, "at": "2026-11-21T10:00:00+08:00",
        "subject": {"source": "app", "id": "u-1", "birth_date": "1990-05-20", "sex": "female"},
    }  # fmt: skip
    path = tmp_path / "acts.ndjson"
    path.write_text(json.dumps(act) + "\n")
    assert run("ingest", "consents", path, "--home", home, "--quiet").status == 0
    return run("subject", "find", "--source", "app", "--id", "u-1", "--home", home).out.strip()


def test_a_hold_until_a_day_lasts_to_its_end(home, run, patient):
    """The hint of a wrong moment offers a day, and the day is one of the operator's calendar."""
    words = ("hold", "set", patient, "--reference", "case-7", "--reason", "suit", "--json", "--home", home)
    assert run(*words, "--until", "soon").line.endswith("or a day as 2026-01-31.")
    made = json.loads(run(*words, "--until", "2099-01-01").out)
    assert made["ends_at"] == "2099-01-01T15:59:59.999999Z"
    assert made["hold"] in run("hold", "list", "--subject", patient, "--home", home).out


def test_a_list_is_told_to_its_end(deployment, home, run, patient):
    """More than one page of holds is a list of all of them, not the first hundred without a word."""
    asking = Asking(PrincipalId("local:test"), "administrator", RequestId("req_" + "a" * 24), "suit")
    with open_platform(deployment.settings) as platform, platform.data.write() as connection:
        made = [
            platform.holds.set(connection, NewHold(SubjectId(patient), f"case-{number}"), asking=asking)
            for number in range(101)
        ]
    told = [json.loads(line)["hold"] for line in run("hold", "list", "--json", "--home", home).out.splitlines()]
    assert told == sorted(one.hold_id for one in made)


@pytest.mark.parametrize("words", [("attach", "list"), ("hold", "list", "--subject")])
def test_a_list_of_nobody_is_no_empty_list(home, run, words):
    """A mistyped id must not read as "there is nothing"."""
    ended = run(*words, "sub_aaaaaaaaaaaaaaaaaaaaaaaa", "--home", home)
    assert (ended.status, "is not registered" in ended.line) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("attach", "get", "att_x", "--purpose", "P02", "--reason", "visit", "--out"),
        ("erasure", "show", "era_x", "--certificate"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused_before_anything_is_opened(home, run, tmp_path, words):
    """Otherwise the log tells of an opening of which nobody got anything."""
    there = tmp_path / "there"
    there.touch()
    for place, why in ((there, "is there already"), (tmp_path / "nowhere" / "x", "There is no folder")):
        ended = run(*words, place, "--home", home)
        assert (ended.status, why in ended.line) == (2, True)


def test_a_complete_file_passes_the_gate_again_where_that_is_asked_for(home, run, patient, tmp_path, deployment):
    """What was refused before a decision is stored after it; without the option the same file changes nothing."""
    event = {"type": "page_view", "subject": "u-1", "time": "2026-11-20T08:05:00+08:00", "properties": {"page": "home"}}
    path = tmp_path / "events.ndjson"
    path.write_text(json.dumps(event) + "\n")
    words = ("ingest", "events", path, "--home", home, "--quiet", "--json")
    assert json.loads(run(*words).out)["stored_records"] == 0
    with open_platform(deployment.settings) as platform:
        for purpose in ("P07", "P08"):
            Captured(platform, numbers=iter([purpose])).grant("u-1", purpose)
        platform.log.settle()
    assert json.loads(run(*words).out)["stored_records"] == 0
    assert json.loads(run(*words, "--again").out)["stored_records"] == 1
