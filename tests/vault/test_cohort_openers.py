"""Processes that open cohorts: the same columns for the same permit and receipt, and nothing beyond."""

import ast
import resource
from datetime import timedelta
from functools import partial
from multiprocessing import parent_process
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import update

import vault
from consent.permits import PermitExpired
from kernel.clock import SystemClock
from kernel.database import open_database
from kernel.errors import ConfigurationError, IntegrityFailed, Unavailable
from tests.vault.conftest import DEPLOYMENT, small_catalogue
from vault import _cohorts
from vault.cohort_openers import CohortOpeners, OpenerSetup, OpeningParts
from vault.custodian import KeyfileCustodian
from vault.keystore import KeyStore
from vault.tables import sealed_record

FIELDS = ("diagnosis", "name")


def open_parts(folder, data_url, keys_url):
    """What a process opens; a function of a module, as such a process needs it."""
    assert parent_process() is not None
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    data, keys = open_database(data_url, label="data store"), open_database(keys_url, label="key store")
    keystore = KeyStore(keys, KeyfileCustodian.load(folder / "root.key"), SystemClock())
    return OpeningParts(data, keystore, small_catalogue(), DEPLOYMENT)


@pytest.fixture(scope="module")
def small_parts():
    """Two people a part, so that a few make several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cohorts, "SUBJECTS_AT_ONCE", 2)
        yield


def setup_of(house, folder, **changes):
    """What the processes are told."""
    urls = [store.engine.url.render_as_string(hide_password=False) for store in (house.data, house.keys)]
    return OpenerSetup(partial(open_parts, folder, *urls), changes.get("catalogue_hash", house.catalogue.hash))


def seven(house):
    """Seven people with a record each."""
    subjects = sorted(house.subject() for _ in range(7))
    house.store(*[house.record(one, diagnosis=f"icd10:I{number}", name="n") for number, one in enumerate(subjects)])
    return subjects


def asked(house, cohort, **options):
    """Ask for the cohort's columns under a permit and receipt of their own."""
    permit = house.permit(cohort, "P02", *FIELDS)
    return house.vault.open_cohort(permit, house.receipt(permit), fields=FIELDS, **options)


@pytest.mark.usefixtures("small_parts")
def test_processes_open_what_this_one_does(any_house, tmp_path):
    """In the same order, again and again; a part of a cohort that nobody took leaves nothing for the next one.

    What goes wrong in a process is told as what it is, and a process that was killed is no silence.
    """
    house, setup = any_house, setup_of(any_house, tmp_path)
    cohort = seven(house)
    plain = pa.Table.from_batches(asked(house, cohort))
    with CohortOpeners(setup, processes=2) as openers:
        assert pa.Table.from_batches(asked(house, cohort, openers=openers)) == plain
        begun = asked(house, cohort, openers=openers)
        assert next(begun)["~subject"].to_pylist() == cohort[:2]
        with pytest.raises(AssertionError, match="one cohort"):
            next(asked(house, cohort, openers=openers))
        begun.close()
        assert pa.Table.from_batches(asked(house, cohort[3:], openers=openers)) == plain.slice(3)
        begun = asked(house, cohort, openers=openers)
        next(begun)
        house.clock.advance(timedelta(minutes=2))
        with pytest.raises(PermitExpired):
            next(begun)
        with house.data.write() as connection:
            changed = update(sealed_record).where(sealed_record.c.subject_id == cohort[-1])
            connection.execute(changed.values(kind="order"))
        begun = asked(house, cohort, openers=openers)
        with pytest.raises(IntegrityFailed, match="does not verify"):
            list(begun)
        told = Path(f"/proc/{openers._processes[0]._process.pid}/cmdline").read_bytes()
        assert b"sub_" not in told
        openers._processes[0].kill()
        with pytest.raises(Unavailable, match="process ended"):
            list(asked(house, cohort, openers=openers))


def test_another_catalogue_opens_nothing(house, tmp_path):
    """A pack that was changed under a running vault, and a key that is not there, are told before the first value."""
    cohort, changed = seven(house), setup_of(house, tmp_path, catalogue_hash="cd" * 32)
    with CohortOpeners(changed, processes=1) as openers, pytest.raises(ConfigurationError, match="pack"):
        list(asked(house, cohort, openers=openers))
    missing = setup_of(house, tmp_path / "nowhere")
    with CohortOpeners(missing, processes=1) as openers, pytest.raises(Unavailable, match="root key"):
        list(asked(house, cohort, openers=openers))


def test_processes_are_asked_by_the_door_alone():
    """What they return is plaintext, and only ``open_cohort`` asks: behind its permit and the redeemed receipt."""
    callers = {
        f"{path.stem}.{function.name}"
        for path in Path(vault.__file__).parent.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if (isinstance(node, ast.Attribute) and node.attr == "_opened" and ast.unparse(node.value) != "self")
        or (isinstance(node, ast.Name) and node.id == "open_part")
    }
    assert callers == {"records._cohort", "cohort_openers.answer"}
