"""Accesses are emptied as if their time were over, under an entry that the intruder has had signed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from audit.pruned import KeptDigest, PrunedAge, is_kept
from audit.scanning import _has_its_cohort, scan_entries
from audit.verifier.prunings import entry_time, told_pruning

BELOW = 560
SAID = datetime(2026, 11, 21, tzinfo=UTC)


def empty(house, **members):
    """Let a log say, in every way in which an honest one says it, that its accesses were pruned."""
    bodies, kept = house.bodies(), KeptDigest()
    stays = [index for index, body in enumerate(bodies[:BELOW]) if is_kept(json.loads(body))]
    for index in stays:
        kept.add(index)
    said = {
        "act": "log.pruned", "actor": "system", "at": json.loads(bodies[-1])["at"], "id": "ent_" + "p" * 24,
        "counts": {"below": BELOW, "bound": BELOW, "entries": BELOW - len(stays), "kept": len(stays)},
        "outcome": "done", "refs": {"kept": kept.hexdigest()}, "request_id": "req_1", "role": "administrator", "v": 1,
    }  # fmt: skip
    said |= members
    body = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    blank = "body = x'', act = '', outcome = '', actor = '', role = '', request_id = '', purpose = NULL, alias = NULL"
    with house.unguarded() as connection:
        (at,) = connection.execute("SELECT max(at) FROM audit_leaf").fetchone()
        connection.execute("INSERT INTO audit_inbox (entry_id, at, body) VALUES (?, ?, ?)", (said["id"], at, body))
        connection.execute("INSERT INTO audit_prune (below, entry_id, at) VALUES (?, ?, ?)", (BELOW, said["id"], at))
        gone = [(index,) for index in range(BELOW) if index not in stays]
        connection.executemany(f"UPDATE audit_leaf SET {blank}, level = NULL WHERE leaf_index = ?", gone)
    house.live_on()


def test_forged_pruning_is_named_by_the_verifier(house):
    """Entries below its bound that kept their bytes are younger than the law lets any pruning be."""
    empty(house)
    found = house.verified()
    assert (found["kind"], found["entry_id"]) == ("removed", "ent_" + "p" * 24)


def test_forged_pruning_closes_the_gate_at_the_next_comparison(house):
    """The log had promised six years."""
    empty(house)
    assert house.reconciled() == [f"log: What the log says was pruned below {BELOW} was not old enough to be"]


@pytest.mark.parametrize("at", ["soon", "2040-01-01T00:00:00", 7])
def test_forged_pruning_without_a_time_closes_the_gate_too(house, at):
    """No time, or one without a zone, is no age."""
    empty(house, at=at)
    assert f"log: What the log says was pruned below {BELOW} was not old enough to be" in house.reconciled()


def test_cohort_of_an_entry_that_is_pruned_meanwhile_is_no_difference(house):
    """An honest pruning takes the names with the bytes, perhaps while a comparison runs."""
    with house.opened() as platform:
        signed = platform.log.settle()
        entries = [entry for batch in scan_entries(platform.data, signed) for entry in batch]
        (looked,) = (entry for entry in entries if "cohort" in entry.members)
        house.strike(
            "DELETE FROM audit_cohort_member", f"UPDATE audit_leaf SET body = x'' WHERE leaf_index = {looked.index}"
        )
        assert _has_its_cohort(platform.data, looked)


@pytest.mark.parametrize(
    ("days", "configured", "is_enough"),
    [
        (182, (), False),
        (183, (), True),
        (183, ((400, 900),), False),
        (900, ((400, 900),), True),
        (183, ((0, 900),), True),
    ],
)
def test_pruned_entries_are_as_old_as_the_retention_in_force(days, configured, is_enough):
    """Six months at least; more where the log said so a day before the pruning."""
    age = PrunedAge(SAID)
    for before, retention in configured:
        said = {"act": "log.configured", "counts": {"retention_days": retention}}
        age.hear(SAID - timedelta(days=before), said)
    age.take(SAID - timedelta(days=days + 1))
    age.take(SAID - timedelta(days=days))
    assert age.is_enough is is_enough


def test_pruning_without_a_time_lets_nothing_go():
    """Nor does a retention of absurd length end in an error: it counts as a hundred years."""
    assert PrunedAge(None).is_enough
    age = PrunedAge(None)
    age.take(SAID)
    assert not age.is_enough
    age = PrunedAge(SAID)
    age.hear(datetime(1, 1, 1, tzinfo=UTC), {"act": "log.configured", "counts": {"retention_days": 10**15}})
    age.take(datetime(1, 1, 1, tzinfo=UTC))
    assert age.is_enough
    age.take(datetime(1927, 1, 1, tzinfo=UTC))
    assert not age.is_enough


@pytest.mark.parametrize("at", ['"at":"0001-01-01T00:00:00.000000Z",', '"at":7,', '"at":"soon",', ""])
def test_pruning_of_any_time_is_read(at):
    """The first year, no time, and what is none: an entry below is then too young, whenever it was written."""
    told = told_pruning(f'{{"act":"log.pruned",{at}"counts":{{"below":5}},"id":"ent_x"}}'.encode(), 9)
    then = entry_time(b'{"at":"2000-01-01T00:00:00.000000Z"}')
    assert (told.is_too_early(4, then), told.is_too_early(5, then)) == (True, False)
