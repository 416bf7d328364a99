"""Limits of reading (R48): one count for all processes, refused beyond, told on the way there; masked sight."""

from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest
from structlog.testing import capture_logs

from audit.events import Act
from audit.queries import find_entries
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.break_glass import break_glass
from consentry.workflows.find_subject import search_subjects
from consentry.workflows.initialise import initialise
from consentry.workflows.limits import LimitReached
from consentry.workflows.reveal import NotPermitted, reveal
from kernel.errors import Denied
from kernel.oversight import ReadingLimits


def changed(platform, role, **change):
    """The platform with another role in its pack."""
    roles = {**platform.catalogue.roles, role: replace(platform.catalogue.roles[role], **change)}
    return replace(platform, catalogue=replace(platform.catalogue, roles=roles))


@pytest.fixture
def doctor(captured):
    """A clinician."""
    return captured.person_account("dr.wu", "clinician")[0]


@pytest.fixture
def patient(captured):
    """Somebody with a record."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", "profile", sex="female", birth_date="1990-05-20")])
    return subject


def opened(platform, caller, subject, *fields, **more):
    return reveal(
        platform, caller, subject=subject, fields=fields or ("sex",), **{"purpose": "P02", "reason": "visit", **more}
    )


def entries(platform, act):
    platform.log.settle()
    with platform.data.read() as connection:
        return [view.members for view in find_entries(connection, act=act)]


def test_reads_beyond_the_limit_are_refused_until_the_window_ends(platform, doctor, patient, clock):
    """R48: with the time to wait, an entry under its own rule, and one alarm for a window."""
    bounded = changed(platform, "clinician", limits=ReadingLimits(reads_minute=2))
    for _ in range(2):
        opened(bounded, doctor, patient)
    with capture_logs() as logged:
        for _ in range(2):
            with pytest.raises(LimitReached) as refused:
                opened(bounded, doctor, patient)
    assert refused.value.wait_seconds == 60
    denied = entries(platform, Act.ACCESS_DENIED)
    assert [(e["reason"], e["fields"], e["purpose"]) for e in denied] == [("RATE", ["sex"], "P02")] * 2
    assert [(one["unit"], one["window"]) for one in logged if one["event"] == "limit.reached"] == [("reads", "minute")]
    clock.advance(timedelta(minutes=1))
    assert opened(bounded, doctor, patient).records


def test_fields_and_people_are_limited_too(platform, captured, doctor, patient):
    """Three fields where two are allowed; a second person where one is."""
    with pytest.raises(LimitReached, match="2 fields"):
        opened(
            changed(platform, "clinician", limits=ReadingLimits(fields_hour=2)), doctor, patient, "sex", "city", "name"
        )
    other = captured.person("u-2", "P02")
    bounded = changed(platform, "clinician", limits=ReadingLimits(subjects_day=1))
    opened(bounded, doctor, patient)
    opened(bounded, doctor, patient)
    with pytest.raises(LimitReached, match="1 subjects a day"):
        opened(bounded, doctor, other)


def test_a_first_reading_beyond_a_limit_is_told(platform, doctor, patient):
    """Of an account that has never read anything, too."""
    bounded = changed(platform, "clinician", limits=ReadingLimits(fields_hour=2))
    with capture_logs() as logged:
        for _ in range(2):
            with pytest.raises(LimitReached):
                opened(bounded, doctor, patient, "sex", "city", "name")
    assert [(one["unit"], one["window"]) for one in logged if one["event"] == "limit.reached"] == [("fields", "hour")]


def test_each_window_tells_of_its_own_first_refusal(platform, doctor, patient, clock):
    """A limit of the minute that was told of does not hide that of the hour around it."""

    def refused(limits):
        with capture_logs() as logged, pytest.raises(LimitReached):
            opened(changed(platform, "clinician", limits=limits), doctor, patient)
        return [one["window"] for one in logged if one["event"] == "limit.reached"]

    minute, hour = ReadingLimits(reads_minute=0), ReadingLimits(reads_hour=0)
    assert [refused(minute), refused(minute)] == [["minute"], []]
    assert [refused(hour), refused(hour)] == [["hour"], []]
    clock.advance(timedelta(minutes=1))
    assert [refused(minute), refused(hour)] == [["minute"], []]
    assert refused(ReadingLimits(reads_day=0)) == ["day"]


def test_guesses_at_an_index_are_readings(platform, doctor, patient):
    """Found or not, each counts, so that nobody tries a list of numbers through; the refusal is logged and told."""
    bounded = changed(platform, "clinician", limits=ReadingLimits(reads_minute=3))
    for number in ("13800000001", "13800000002"):
        search_subjects(bounded, doctor, field="mobile", value=number)
    opened(bounded, doctor, patient)
    with capture_logs() as logged, pytest.raises(LimitReached):
        search_subjects(bounded, doctor, field="mobile", value="13800000003")
    assert [e["reason"] for e in entries(platform, Act.ACCESS_DENIED)] == ["RATE"]
    assert len(entries(platform, Act.SUBJECT_LOOKED_UP)) == 2
    assert "limit.reached" in [one["event"] for one in logged]


def test_a_masked_field_is_not_searched_by(platform, doctor):
    """138****5678 leaves ten thousand numbers to try."""
    masking = changed(platform, "clinician", masked_fields=frozenset({"mobile"}))
    with pytest.raises(Denied, match="search by mobile"):
        search_subjects(masking, doctor, field="mobile", value="13800000001")
    assert [e["refs"]["act"] for e in entries(platform, Act.ACCESS_DENIED)] == ["subject.find"]
    assert not entries(platform, Act.SUBJECT_LOOKED_UP)
    assert search_subjects(masking, doctor, field="id_number", value="110101199003077758").subjects == ()


def test_coming_near_a_limit_leaves_an_entry(platform, doctor, patient):
    """Once, in the transaction of the reading that came near."""
    bounded = changed(platform, "clinician", limits=ReadingLimits(reads_day=5))
    for _ in range(5):
        opened(bounded, doctor, patient)
    (told,) = entries(platform, Act.LIMIT_NEARED)
    assert (told["reason"], told["counts"], told["actor"]) == (
        "READS_DAY",
        {"limit": 5, "percent": 80},
        doctor.principal_id,
    )


def test_refused_reading_is_not_counted(platform, doctor, patient):
    """What a rule refuses takes nothing of the limit; what the gate refuses was a try at a record, and does."""
    bounded = changed(platform, "clinician", limits=ReadingLimits(reads_minute=2))
    with pytest.raises(Denied):
        opened(bounded, doctor, patient, purpose="P09")
    with pytest.raises(NotPermitted):
        opened(bounded, doctor, patient, "shoe_size")
    opened(bounded, doctor, patient)
    with pytest.raises(LimitReached):
        opened(bounded, doctor, patient)


def test_limits_of_one_are_not_those_of_another(platform, captured, doctor, patient):
    """Each person of staff has an own count."""
    bounded = changed(platform, "clinician", limits=ReadingLimits(reads_minute=1))
    opened(bounded, doctor, patient)
    assert opened(bounded, captured.person_account("dr.li", "clinician")[0], patient).records


def test_emergency_is_counted_and_does_not_wait(platform, doctor, patient):
    """Beyond the limit the glass still breaks, and then nothing else opens."""
    bounded = changed(platform, "clinician", limits=ReadingLimits(reads_minute=1))
    opened(bounded, doctor, patient)
    assert break_glass(bounded, doctor, subject=patient, fields=["sex"], reason="unconscious")[1].records
    with pytest.raises(LimitReached):
        opened(bounded, doctor, patient)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_all_at_once_stay_within_the_limit(request, tmp_path, clock, capturing, engine):
    """Readers that begin together, over connections of their own, share one count."""
    stores = {}
    if engine == "postgresql":
        make = request.getfixturevalue("pg_database")
        stores = {"data_store": make(), "key_store": make()}
    settings = load_settings(home=tmp_path / "clinic", **stores)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    ready = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    with open_platform(ready, clock=clock) as platform:
        captured = capturing(platform)
        subject = captured.person("u-1", "P02")
        captured.store([captured.posted("u-1", "profile", sex="female")])
        doctor, _ = captured.person_account("dr.wu", "clinician")
        bounded = changed(platform, "clinician", limits=ReadingLimits(reads_minute=3))
        said = []

        def read():
            try:
                said.append(len(opened(bounded, doctor, subject).records))
            except LimitReached:
                said.append("refused")

        readers = [Thread(target=read) for _ in range(6)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert sorted(map(str, said)) == ["1", "1", "1", "refused", "refused", "refused"]


def test_masked_field_comes_masked_and_the_log_says_so(platform, captured, patient):
    """A health manager sees the mobile's beginning and end; the entry counts what was masked."""
    captured.grant("u-1", "P06")
    captured.store([captured.posted("u-1", "profile", "r-2", mobile="13812345678")])
    manager, _ = captured.person_account("manager", "health_manager")
    found = opened(platform, manager, patient, "mobile", purpose="P06")
    assert [record.values for record in found.records] == [{"mobile": "138****5678"}]
    assert found.masked == {"mobile"}
    (told,) = entries(platform, Act.REVEAL)
    assert (told["fields"], told["counts"]) == (["mobile"], {"masked": 1})


def test_support_sees_a_surname_and_the_end_of_a_number(platform, captured, doctor):
    """Another pack's role, in one reading: some fields masked, others as they are."""
    subject = captured.person("u-3", "P02")
    record = captured.posted("u-3", "profile")
    captured.store([record | {"values": {"name": "张三丰", "birth_date": "1990-05-20", "sex": "female"}}])
    support = changed(
        platform, "clinician", max_level=3, case_level=None, masked_fields=frozenset({"name", "birth_date"})
    )
    found = opened(support, doctor, subject, "name", "birth_date", "sex")
    assert [record.values for record in found.records] == [{"name": "张*", "birth_date": "1990", "sex": "female"}]
    with pytest.raises(Denied, match="record_number"):
        opened(support, doctor, subject, "record_number")
