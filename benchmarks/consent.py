"""The gate on a cohort: check_many and preview_many of 5,000 subjects beside the bare join over their decisions."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from sqlalchemy import text

from benchmarks.acts import LOCALE
from benchmarks.deployment import new_deployment
from benchmarks.figures import Figure
from benchmarks.timing import best_beside, seconds_of
from consent.asking import Asking
from consent.gate import MAX_BATCH_SUBJECTS
from consent.registry import ActorKind, DecisionAct, DecisionRequest, NoticeRef
from consent.standing import register_subjects
from consentry.platform import Platform
from kernel.ids import RequestId, SubjectId, new_id
from vault.setwise import chunks

PURPOSE: Final = "P07"
FIELDS: Final = ("birth_date", "sex", "district", "diagnosis", "prescription", "vitals_lab", "membership")
REFUSES: Final = 5
"""Of so many subjects one refuses."""

_CHUNK: Final = 500
_BIRTH: Final = date(1980, 1, 1)

_JOIN: Final = text("""
    SELECT s.subject_id, s.state, s.age_class, s.age_class_until, c.decision_id, c.recipient, c.track, c.act,
           c.by_guardian, c.decided_at, c.valid_until, c.notice_code, c.notice_edition, c.fields
    FROM subject_standing s LEFT JOIN consent_current c ON c.subject_id = s.subject_id AND c.purpose = :purpose
    WHERE s.subject_id IN (SELECT value FROM json_each(:subjects))
""")


def run(*, subjects: int = MAX_BATCH_SUBJECTS) -> list[Figure]:
    """Return the figures of this group; no targets are set yet."""
    with tempfile.TemporaryDirectory() as folder, new_deployment(Path(folder) / "home") as platform:
        return measured(platform, [SubjectId(new_id("sub")) for _ in range(subjects)])


def measured(platform: Platform, cohort: Sequence[SubjectId]) -> list[Figure]:
    """Register the cohort with its decisions, and return what asking the gate about it takes."""
    asking = Asking("bench", "analyst", RequestId(new_id("req")))
    registering = seconds_of(lambda: register(platform, cohort, asking))

    def check() -> None:
        with platform.data.write() as connection:
            platform.gate.check_many(connection, asking=asking, purpose=PURPOSE, subjects=cohort, fields=FIELDS)

    def preview() -> None:
        with platform.data.read() as connection:
            platform.gate.preview_many(connection, asking=asking, purpose=PURPOSE, subjects=cohort, fields=FIELDS)

    def join() -> None:
        with platform.data.read() as connection:
            connection.execute(_JOIN, {"purpose": PURPOSE, "subjects": json.dumps(cohort)}).all()

    check()  # gives every subject its alias of the year, which happens once
    size, bare = len(cohort), "the join alone, in SQL"
    checked, joined_beside_check = best_beside(check, join)
    previewed, joined_beside_preview = best_beside(preview, join)
    return [
        Figure("consent", f"check_many of {size:,}", size / checked, "subjects/s", bare, size / joined_beside_check),
        Figure("consent", f"preview_many of {size:,}", size / previewed, "subjects/s", bare,
               size / joined_beside_preview),
        Figure("consent", "decisions recorded", size / registering, "decisions/s"),
    ]  # fmt: skip


def register(platform: Platform, cohort: Sequence[SubjectId], asking: Asking) -> None:
    """Register people with a decision each: four in five grant, the others refuse."""
    for some in chunks(cohort, _CHUNK):
        with platform.data.write() as connection:
            register_subjects(connection, dict.fromkeys(some, _BIRTH), clock=platform.clock)
            requests = list(_requests(platform, some))
            said = platform.registry.record_many(connection, requests, asking=asking)
            assert all(isinstance(one, tuple) for one in said)


def _requests(platform: Platform, subjects: Sequence[SubjectId]) -> Iterator[DecisionRequest]:
    shown = next(n for n in platform.catalogue.notices if PURPOSE in n.purposes and n.locale == LOCALE)
    for number, subject in enumerate(subjects):
        yield DecisionRequest(
            subject=subject,
            purposes=(PURPOSE,),
            act=DecisionAct.GRANT if number % REFUSES else DecisionAct.REFUSE,
            recipient=None,
            notice=NoticeRef(shown.code, shown.version, shown.locale),
            actor_kind=ActorKind.SELF,
            actor_subject=None,
            evidence={"mechanism": "tapped_button"},
            decided_at=platform.clock.now(),
        )
