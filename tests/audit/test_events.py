"""The closed list of acts."""

import re

from audit.events import OWNERS, Act, Event, Outcome
from kernel.ids import RequestId


def test_every_act_has_one_owner():
    """An act that nobody writes would be an empty promise."""
    assert set(OWNERS) == set(Act)
    assert set(OWNERS.values()) <= {"audit", "consent", "vault", "consentry"}


def test_act_names_are_dotted_and_distinct():
    """The value is what stands in the log for decades."""
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", act.value) for act in Act)
    assert len({act.value for act in Act}) == len(Act)


def test_details_stay_out_of_the_repr():
    """Details may hold a person's words."""
    event = Event(
        Act.REVEAL, Outcome.DONE, "prn_a", "clinician", RequestId("req_1"), details={"reason": "canary-words"}
    )
    assert "canary-words" not in repr(event)
