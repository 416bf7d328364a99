"""Where a decision is in its life: begun, in force, spent or over, as of any instant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consent.history import idle_withdrawals, read_happenings
from consent.lives import Life, life_of, read_hindsight, read_lives
from consent.rules import DecisionAct
from consent.sentences import Teller
from consent.words import Language
from kernel.catalogue import Label
from tests.consent.test_sentences import MADE

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BOUND = replace(MADE, valid_from=NOW, valid_until=NOW + HOUR, max_uses=2)


@pytest.mark.parametrize(
    ("at", "uses", "life"),
    [
        (NOW - timedelta(microseconds=1), 0, Life.NOT_BEGUN),
        (NOW, 1, Life.IN_FORCE),
        (NOW, 2, Life.SPENT),
        (NOW + HOUR, 0, Life.OVER),
    ],
)
def test_validity_is_half_open_and_uses_end_it(at, uses, life):
    """The first instant counts, the last does not, and neither does a grant whose uses are taken."""
    assert life_of(BOUND, uses, at) is life
    assert life_of(replace(BOUND, act=DecisionAct.WITHDRAW), uses, at) is Life.CLOSED


def test_uses_are_counted_up_to_the_instant(office):
    """A permit takes a use; a look back from before it shows none taken."""
    subject = office.subject()
    granted = office.grant(subject, "P06", max_uses=2)
    before = office.clock.now()
    office.clock.advance(HOUR)
    office.check(subject, "P06", "reading")
    with office.database.read() as connection:
        then, now = (read_lives(connection, [granted], at)[0] for at in (before, office.clock.now()))
    assert (then.uses, then.life, now.uses, now.life) == (0, Life.IN_FORCE, 1, Life.IN_FORCE)


def test_hindsight_names_what_was_recorded_later(office):
    """An act of yesterday that came today was not known in between; nor was who was registered since."""
    before = office.clock.now()
    office.clock.advance(HOUR)
    subject = office.subject()
    registered = office.clock.now()
    made = office.record(subject, DecisionAct.REFUSE, "P06", decided_at=before)[0]
    with office.database.read() as connection:
        found = read_hindsight(connection, subject, before)
        known = read_hindsight(connection, subject, office.clock.now())
    assert (found.registered_at, found.recorded_later) == (registered, (made.decision_id,))
    assert (known.registered_at, known.recorded_later) == (None, ())


def test_withdrawing_what_was_never_granted_is_told_as_such(office):
    """The first withdrawal ends nothing; the one after a grant does, and the one after that ends nothing again."""
    subject = office.subject()
    idle = office.withdraw(subject, "P06")[0].decision_id
    office.grant(subject, "P06")
    real = office.withdraw(subject, "P06")[0].decision_id
    again = office.withdraw(subject, "P06")[0].decision_id
    with office.database.read() as connection:
        happenings = read_happenings(connection, subject)
    assert idle_withdrawals(happenings) == {idle, again}
    teller = Teller(office.catalogue, Language.EN, idle=frozenset({idle, again}))
    said = {one.decision_id: teller.sentence(one) for one in happenings if hasattr(one, "decision_id")}
    assert said[idle].endswith("; no consent stood.")
    assert "withdrew the consent to" in said[real]


def test_recipients_are_told_by_name_and_code(medical):
    """Who is registered is named in the language; who is not, by the code alone."""
    teller = Teller(medical, Language.ZH, {"insurer": Label("示例保险", "Example Insurance")})
    assert teller.recipient("insurer") == "示例保险 (insurer)"
    assert teller.recipient("stranger") == "stranger"
    assert "示例保险 (insurer)" in teller.sentence(MADE)
