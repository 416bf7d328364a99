"""Entries of the log as other systems' writers get them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from audit.entries import encode_entry
from audit.events import Act, Event, Outcome
from audit.ranges import PlacedEntry
from audit.verifier import leaf_hash
from consentry.interchange.audit_entry import LoggedEntry, read_entry
from kernel.ids import EntryId, RequestId, SubjectId

AT = datetime(2026, 11, 21, 2, 0, 0, 123_456, tzinfo=UTC)
SUBJECT = SubjectId("sub_" + "a" * 24)
ALIAS = "als_" + "c" * 24


@pytest.fixture(scope="session")
def logged() -> Callable[..., LoggedEntry]:
    """Makes the entry of an event: bytes, hash, origin and index are as the log would have them."""

    def make(act: Act, outcome: Outcome = Outcome.DONE, *, cohort: int = 0, **members: object) -> LoggedEntry:
        given = {"actor": "usr_" + "b" * 24, "role": "clinician", "request_id": RequestId("req_1")} | members
        body = encode_entry(
            Event(act, outcome, **given),
            EntryId("ent_" + "e" * 24),
            AT,
            aliases={SUBJECT: ALIAS},
            cohort={"size": cohort, "digest": "ab" * 32} if cohort else None,
        ).body
        return read_entry(PlacedEntry(41, 7, "audit.example/log", body, leaf_hash(body)))

    return make


@pytest.fixture(scope="session")
def full(logged) -> Callable[..., LoggedEntry]:
    """Makes an entry of an act with every member but a cohort."""

    def make(act: Act, outcome: Outcome = Outcome.DONE, **members: object) -> LoggedEntry:
        told = {
            "purpose": "P02",
            "basis": "dec_" + "d" * 24,
            "reason": "WITHDRAWN",
            "recipient": "sunrise-pharmacy",
            "subject": SUBJECT,
            "fields": ("name", "mobile"),
            "level": 4,
            "counts": {"records": 3},
            "refs": {"catalogue": "1f", "view": "subject_profile"},
        }
        return logged(act, outcome, **(told | members))

    return make
