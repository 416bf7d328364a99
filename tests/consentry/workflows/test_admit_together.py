"""Readings that wait at the same time: looked up together, judged each for itself."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import func, select
from sqlalchemy.event import listen

from audit.events import Act
from audit.log import LogUnavailable
from audit.queries import find_entries
from consent.standing import lock_subjects
from consentry.platform import open_platform
from consentry.stores.tables import reading_count
from consentry.workflows.admit import begin_reading
from consentry.workflows.admit_together import JOINT, Asked
from consentry.workflows.approvals import ApprovalNeeded
from consentry.workflows.break_glass import break_glass
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.limits import LimitReached
from consentry.workflows.reveal import NotPermitted, Opened, reveal
from kernel.catalogue import Compartment
from kernel.errors import ConsentryError
from kernel.oversight import ReadingLimits
from vault.records import Wanted


@pytest.fixture(params=["sqlite", "postgresql"])
def clinic(request, copied_to, tmp_path, clock):
    """A deployment on each engine."""
    with open_platform(copied_to(request.param, tmp_path / "home").settings, clock=clock) as platform:
        yield platform


@pytest.fixture
def ward(clinic, capturing):
    """Four patients whose records are stored, the last one a minor, and three doctors who have read before."""
    captured = capturing(clinic)
    born = ("1990-05-20", "1991-05-20", "1992-05-20", "2012-05-20")
    patients = [captured.person(f"u-{n}", "P02", birth_date=day) for n, day in enumerate(born)]
    captured.store([captured.posted(f"u-{n}", number=f"r-{n}", diagnosis=[f"icd10:I1{n}"]) for n in range(4)])
    doctors = [captured.person_account(f"dr.{n}", "clinician")[0] for n in range(3)]
    for doctor in doctors:
        read(clinic, doctor, patients[0])
    return captured, patients, doctors


def read(platform, doctor, subject, *fields):
    return reveal(platform, doctor, subject=subject, purpose="P02", fields=fields or ("diagnosis",), reason="visit")


def at_once(runs):
    """What each returned or raised, all beginning together."""
    said, together = [None] * len(runs), Barrier(len(runs))

    def one(place):
        together.wait()
        try:
            said[place] = runs[place]()
        except ConsentryError as err:
            said[place] = err

    threads = [Thread(target=one, args=(place,)) for place in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def entries(platform, act):
    platform.log.settle()
    with platform.data.read() as connection:
        return [view.members for view in find_entries(connection, act=act)]


def reads_of(platform, doctor) -> int:
    with platform.data.read() as connection:
        mine = reading_count.c.principal_id == doctor.principal_id
        return connection.scalar(select(func.max(reading_count.c.day_reads)).where(mine))


def drafted(platform, *readings, opens=True):
    """What a round would take over of these readings, in a transaction that is taken back."""
    asked = [
        Asked(
            platform,
            begin_reading(platform, doctor, subject=subject, purpose="P02", fields=["diagnosis"], reason="visit"),
            Act.REVEAL,
            frozenset(),
            opens,
        )
        for doctor, subject in readings
    ]
    with platform.data.write() as connection:
        found = JOINT.draft(connection, asked)
        connection.get_transaction().rollback()
    return [draft is not None for draft in found]


def test_each_gets_the_record_that_it_asked_for(clinic, ward):
    """Thirty readings at once: own records, own entries, own places under one log that verifies."""
    _, patients, doctors = ward
    before = len(entries(clinic, Act.REVEAL))
    asked = [(doctors[n % 3], n % 3) for n in range(30)]
    said = at_once([lambda d=doctor, n=n: read(clinic, d, patients[n]) for doctor, n in asked])
    assert [[record.values for record in one.records] for one in said] == [
        [{"diagnosis": [f"icd10:I1{n}"]}] for _, n in asked
    ]
    assert len({one.entry_id for one in said}) == len({one.log_index for one in said}) == 30
    assert len(entries(clinic, Act.REVEAL)) == before + 30
    assert [reads_of(clinic, doctor) for doctor in doctors] == [11, 11, 11]


def test_a_round_commits_once_and_reads_once(clinic, ward):
    """However many wait: a commit of the data store, and one look-up of rows and of keys."""
    _, patients, doctors = ward
    commits, statements = [], []
    listen(clinic.data.engine, "commit", lambda connection: commits.append(writes(connection)))
    for engine in (clinic.data.engine, clinic.keys.engine):
        listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    at_once([lambda n=n: read(clinic, doctors[n % 3], patients[n % 3]) for n in range(24)])
    rounds = commits.count(True)
    assert rounds < 24
    assert sum("FROM sealed_record" in text for text in statements) <= rounds
    assert sum("FROM data_key" in text for text in statements) <= rounds


def writes(connection) -> bool:
    return bool(connection.get_execution_options().get("consentry_write", True)) and not connection.info.get("reads")


def test_what_one_is_refused_is_nobody_elses(clinic, ward):
    """A minor's record, a field that nobody may use for the purpose and plain readings, all at once."""
    captured, patients, doctors = ward
    captured.person("u-9", "P06", birth_date="1990-01-01")
    unconsented = captured.person("u-8", birth_date="1990-01-01")
    runs = [lambda n=n: read(clinic, doctors[n % 3], patients[n % 3]) for n in range(9)]
    runs.insert(4, lambda: read(clinic, doctors[0], patients[3]))
    runs.insert(7, lambda: read(clinic, doctors[1], unconsented))
    said = at_once(runs)
    assert isinstance(said.pop(7), NotPermitted)
    assert isinstance(said.pop(4), ApprovalNeeded)
    assert [one.records[0].values for one in said] == [{"diagnosis": [f"icd10:I1{n % 3}"]} for n in range(9)]
    assert [e["reason"] for e in entries(clinic, Act.ACCESS_DENIED)] == ["APPROVAL"]


def test_limits_hold_within_a_round(clinic, ward):
    """Of ten readings at once the ninth and tenth of the minute are one too many, whoever comes first."""
    _, patients, doctors = ward
    roles = {
        **clinic.catalogue.roles,
        "clinician": replace(clinic.catalogue.roles["clinician"], limits=ReadingLimits(reads_minute=9)),
    }
    bounded = replace(clinic, catalogue=replace(clinic.catalogue, roles=roles))
    said = at_once([lambda n=n: read(bounded, doctors[0], patients[n % 3]) for n in range(10)])
    assert sum(isinstance(one, LimitReached) for one in said) == 2
    assert reads_of(clinic, doctors[0]) == 9


def test_whatever_is_out_of_the_ordinary_is_left_to_its_own_work(clinic, ward):
    """A minor, somebody who has decided nothing, a reader who never read: the round takes none of them over."""
    captured, patients, doctors = ward
    nobody = captured.person("u-8", birth_date="1990-01-01")
    fresh = captured.person_account("dr.new", "clinician")[0]
    readings = [
        (doctors[0], patients[0]),
        (doctors[0], patients[3]),
        (doctors[1], nobody),
        (fresh, patients[0]),
        (doctors[1], patients[1]),
    ]
    assert drafted(clinic, *readings) == [True, False, False, False, True]


def test_a_frozen_account_is_left_to_its_own_work(clinic, ward, clock):
    """An emergency that nobody has reviewed in time keeps its reader out of every round, and nobody else."""
    _, patients, doctors = ward
    break_glass(clinic, doctors[1], subject=patients[0], fields=["diagnosis"], reason="unconscious")
    assert drafted(clinic, (doctors[0], patients[0]), (doctors[1], patients[0])) == [True, True]
    clock.advance(timedelta(days=1, hours=1))
    assert drafted(clinic, (doctors[0], patients[0]), (doctors[1], patients[0])) == [True, False]


def test_two_servers_admit_at_once(clinic, ward, clock):
    """Rounds of two processes on the same stores, for the same readers and patients: none waits for ever, all count."""
    _, patients, doctors = ward
    with open_platform(clinic.settings, clock=clock) as other:
        said = at_once([lambda n=n: read((clinic, other)[n % 2], doctors[n % 3], patients[n % 3]) for n in range(24)])
    assert [one.records[0].values for one in said] == [{"diagnosis": [f"icd10:I1{n % 3}"]} for n in range(24)]
    assert len({one.log_index for one in said}) == 24
    assert [reads_of(clinic, doctor) for doctor in doctors] == [9, 9, 9]


def test_no_permit_of_a_round_follows_the_withdrawal(clinic, ward, clock):
    """In the log's order, and on two servers: who reads after it is refused."""
    captured, patients, _ = ward
    captured.grant("u-0", "P06")
    captured.store([captured.posted("u-0", "profile", "r-9", mobile="13812345678")])
    managers = [captured.person_account(f"manager-{n}", "health_manager")[0] for n in range(3)]
    with open_platform(clinic.settings, clock=clock) as other:

        def manage(platform, manager):
            return reveal(platform, manager, subject=patients[0], purpose="P06", fields=["mobile"], reason="call")

        for manager in managers:
            manage(clinic, manager)
        runs = [lambda n=n: manage((clinic, other)[n % 2], managers[n % 3]) for n in range(18)]
        runs.insert(9, lambda: withdraw_purpose(other, captured.caller, patients[0], "P06", recipient=None))
        said = at_once(runs)
    said.pop(9)
    assert {type(one) for one in said} <= {Opened, NotPermitted}
    clinic.log.settle()
    with clinic.data.read() as connection:
        acts = {act: find_entries(connection, act=act) for act in (Act.PERMIT, Act.CONSENT_WITHDRAWN)}
    (withdrawn,) = [view.index for view in acts[Act.CONSENT_WITHDRAWN]]
    permitted = [view.index for view in acts[Act.PERMIT] if view.members.get("purpose") == "P06"]
    assert [index for index in permitted if index > withdrawn] == []
    assert len(permitted) == len(managers) + sum(isinstance(one, Opened) for one in said)


def test_a_subject_that_is_held_for_long_holds_nobody_else_up(clinic, ward):
    """On PostgreSQL only who wants that very record waits for whoever closes something of it."""
    if clinic.data.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    _, patients, doctors = ward
    done, others = Event(), []

    def wait_for_the_first() -> None:
        others.append(read(clinic, doctors[0], patients[0]))
        done.set()

    with clinic.data.write() as connection:
        lock_subjects(connection, [patients[0]], exclusive=True)
        held = Thread(target=wait_for_the_first)
        held.start()
        said = at_once([lambda n=n: read(clinic, doctors[1 + n % 2], patients[1 + n % 2]) for n in range(6)])
        assert {type(one) for one in said} == {Opened}
        assert not done.is_set()
    held.join()
    assert [type(one) for one in others] == [Opened]


def test_nothing_is_opened_where_the_log_cannot_be_signed(clinic, ward):
    """The entries of the round stand and tell of the tries; every reader is told, none gets a value."""
    _, patients, doctors = ward
    clinic.settings.signer_state_path.rename(clinic.settings.home / "aside")
    clinic.settings.signer_state_path.mkdir()
    said = at_once([lambda n=n: read(clinic, doctors[n % 3], patients[n % 3]) for n in range(6)])
    assert {type(one) for one in said} == {LogUnavailable}


def test_what_a_round_has_read_serves_nobody_later(clinic, ward):
    """Rows and keys that were gathered are good for a second, and for permits that were given before."""
    _, patients, _ = ward
    with clinic.data.read() as connection:
        gathered = clinic.vault.gather(connection, [Wanted(patients[0], ["diagnosis"])])
    at, compartments = gathered.at, gathered.compartments
    covers = partial(gathered.covers, patients[0], compartments)
    assert covers(since=at, now=at)
    assert not covers(since=at + timedelta(microseconds=1), now=at)
    assert not covers(since=at, now=at + timedelta(seconds=1.1))
    assert not gathered.covers(patients[1], compartments, since=at, now=at)
    assert not gathered.covers(patients[0], {*compartments, Compartment.IDENTITY}, since=at, now=at)
