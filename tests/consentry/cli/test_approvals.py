"""A minor's record on the command line: one person approves, another reads."""

import json

from sqlalchemy import select

from consent.ages import AgeClass
from consent.tables import subject_standing
from kernel.database import open_database


def a_minor(home) -> str:
    """The id of somebody registered under 18."""
    store = open_database(f"sqlite:///{home / 'data.db'}", label="data store")
    try:
        with store.read() as connection:
            minors = subject_standing.c.age_class.in_([AgeClass.UNDER_14, AgeClass.UNDER_18])
            return connection.scalars(select(subject_standing.c.subject_id).where(minors)).first()
    finally:
        store.dispose()


def test_minors_record_opens_under_somebody_elses_approval(clinic, run, monkeypatch):
    """R22: without the approval nothing opens; the reader cannot give it; the officer's names what it is for."""

    def at(*words):
        return run(*words, "--home", clinic.home)

    subject, doctor = a_minor(clinic.home), clinic.token(run, monkeypatch)
    reveal = ["reveal", subject, "--purpose", "P02", "--fields", "sex", "--reason", "visit", "--token", doctor]
    assert at(*reveal).line.startswith("The record of a minor opens only under an approval by somebody else")
    ask = ["approve-read", subject, "--purpose", "P02", "--role", "clinician", "--reason", "visit", "--hours", 2]
    assert at(*ask, "--token", doctor).line.startswith("Role 'clinician' may not do 'read.approve'")
    made = json.loads(at("account", "person", "officer.zhou", "--role", "compliance_officer", "--json").out)
    clinic.passwords["officer.zhou"] = made["password"]
    officer = clinic.token(run, monkeypatch, "officer.zhou")
    assert "expires_at" in at(*ask, "--token", officer).out
    given = json.loads(at(*ask, "--token", officer, "--json").out)
    ended = at(*reveal, "--approval", given["approval"])
    assert (ended.status, ended.err) == (0, "")


def test_minors_tags_are_shown_under_an_approval(clinic, run, monkeypatch):
    """R22: the gate is asked only once the approval fits."""

    def at(*words):
        return run(*words, "--home", clinic.home)

    def signed_in(name, role):
        made = json.loads(at("account", "person", name, "--role", role, "--json").out)
        clinic.passwords[name] = made["password"]
        return clinic.token(run, monkeypatch, name)

    subject = a_minor(clinic.home)
    show = ["tags", "show", subject, "--token", signed_in("ana.wu", "analyst")]
    assert at(*show).line.startswith("The record of a minor opens only under an approval by somebody else")
    ask = ["approve-read", subject, "--purpose", "P07", "--role", "analyst", "--reason", "complaint", "--json"]
    given = json.loads(at(*ask, "--token", signed_in("officer.zhou", "compliance_officer")).out)
    ended = at(*show, "--approval", given["approval"])
    assert "under an approval" not in ended.err
