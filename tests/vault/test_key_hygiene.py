"""Keys are in memory for one unit of work: after it none can be found, whatever that unit was."""

import gc
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinMethodType, MethodType, MethodWrapperType
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import update

from consent.asking import Asking
from kernel.errors import IntegrityFailed
from kernel.ids import RequestId, SubjectId
from vault._keys import BlindingKey, MacKey, UnlockedKeys, WrappedKeys, WrappingKey
from vault.data_rotation import DataKeys, rotate_data_keys
from vault.envelope import DataKey
from vault.epoch_rotation import rotate_epoch
from vault.identity import IdentityKeys
from vault.index_rotation import rotate_index
from vault.suites import GcmAead
from vault.tables import sealed_record

ASKING = Asking("prn_test", "ingest", RequestId("req_test"))

KEYS = (DataKey, WrappingKey, MacKey, BlindingKey, GcmAead)
METHODS = (BuiltinMethodType, MethodType, MethodWrapperType)
"""What is bound to an object; of anything else no attribute is asked, for a lazy module would be imported by that."""


def living_keys() -> list[object]:
    """Return every key that the process holds and that is not put aside, by itself or behind its cipher's methods.

    The bare AES object is not known to the garbage collector; what reaches it is.
    """
    gc.collect()
    return [thing for thing in gc.get_objects() if is_key(thing)]


def is_key(thing: object) -> bool:
    if isinstance(thing, UnlockedKeys | WrappedKeys):
        return len(thing) > 0
    if type(thing) in METHODS:
        return isinstance(thing.__self__, AESGCM)
    return isinstance(thing, KEYS)


@pytest.fixture
def quiet() -> Iterator[Callable[[], None]]:
    """Say that no key is left of what was made since the test began; older objects are put aside, for speed."""
    gc.collect()
    gc.freeze()

    def check() -> None:
        assert living_keys() == [], "a key outlived its unit of work"

    yield check
    gc.unfreeze()


def test_a_held_key_would_be_found(suited_house, quiet):
    """The search sees the key of details, which is held for a minute, and through it its cipher."""
    suited_house.sealer.seal_details({}, context="c")
    with pytest.raises(AssertionError, match="outlived"):
        quiet()
    suited_house.sealer.release()
    quiet()


@pytest.fixture
def subject(suited_house) -> SubjectId:
    """A person with records in two compartments, and what finds it."""
    subject = suited_house.subject()
    suited_house.store(
        suited_house.record(subject, diagnosis="icd10:I10", consult_chat="x", name="张三", event_type="a", page="b")
    )
    suited_house.resolver.link([(subject, IdentityKeys("his", "p-1"))], batch=None)
    return subject


UNITS: Mapping[str, Callable[[Any, SubjectId], object]] = {
    "store": lambda house, subject: house.store(house.record(subject, number=2, diagnosis="icd10:I11")),
    "open": lambda house, subject: house.open(subject, "P02", "diagnosis", "name"),
    "resolve": lambda house, _subject: house.resolver.find("his", "p-1"),
    "pseudonyms": lambda house, subject: house.pseudonyms.pseudonyms([subject], scope="view:a"),
    "reseal": lambda house, subject: house.eraser.fields.erase(
        subject, lambda _connection, _stored: ["page"], asking=ASKING, reason="asked"
    ),
    "rotate data keys": lambda house, _subject: rotate_data_keys(
        house.keystore, house.data, house.log, DataKeys(), deployment="dep_test", asking=ASKING
    ),
    "rotate an index": lambda house, _subject: rotate_index(
        house.keystore, house.data, house.log, "source_subject", asking=ASKING
    ),
    "rotate": lambda house, _subject: rotate_epoch(house.keystore, house.data, house.log, asking=ASKING),
    "check": lambda house, _subject: house.keystore.check(),
    "erase": lambda house, subject: house.erase(subject),
}


def test_no_key_outlives_its_unit_of_work(suited_house, subject, quiet, subtests):
    """Neither of the data nor of the digests nor of an epoch, nor the cipher inside; what came of it still lives."""
    results = []
    for name, unit in UNITS.items():
        with subtests.test(name):
            results.append(unit(suited_house, subject))
            suited_house.sealer.release()
            suited_house.pseudonyms.release()
            quiet()


def test_no_key_waits_between_the_subjects_of_a_cohort(suited_house, subject, quiet):
    """While the caller works on one subject, no key is held for the next."""
    permit = suited_house.permit([subject], "P02", "diagnosis")
    opened = suited_house.vault.open_cohort(permit, suited_house.receipt(permit), fields=["diagnosis"])
    assert next(opened)["~subject"].to_pylist() == [subject]
    suited_house.sealer.release()
    quiet()


def test_no_key_outlives_a_failure(suited_house, subject, quiet):
    """Nor does an error that is kept hold one in the locals of its traceback."""
    with suited_house.data.write() as connection:
        connection.execute(update(sealed_record).values(payload=b"\\x01\\x00\\x01"))
    with pytest.raises(IntegrityFailed) as refused:
        suited_house.open(subject, "P02", "diagnosis")
    suited_house.sealer.release()
    assert refused.value.__traceback__ is not None
    left = [type(key).__name__ for key in living_keys()]
    assert "UnlockedKeys" not in left
    del refused
    quiet()
