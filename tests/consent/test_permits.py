"""Permits: made by the gate, for a moment, and never wider than what passed."""

import copy
import dataclasses
import pickle
from datetime import timedelta

import pytest

from consent.permits import PERMIT_LIFETIME, Permit, PermitExpired
from kernel.ids import SubjectId, new_id


@pytest.fixture
def permit(office):
    subject = office.subject()
    office.grant(subject, "P07")
    return office.check(subject, "P07", "sex", "diagnosis")


def test_only_the_gate_makes_permits(permit):
    """A permit cannot be built from its parts."""
    parts = {f.name: getattr(permit, f.name) for f in dataclasses.fields(permit) if f.init}
    with pytest.raises(AssertionError, match=r"consent\.gate"):
        Permit(**parts, guard=object())


def test_permit_cannot_be_widened(permit):
    """Replacing a part of a permit is refused, and so is writing into its maps."""
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(permit, fields=frozenset({"name"}))
    with pytest.raises(TypeError):
        permit.narrowed[next(iter(permit.subjects))] = frozenset({"name"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        permit.purpose = "P02"


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_permit_is_never_serialised(permit, leave):
    """A permit stays in its process and its moment."""
    with pytest.raises(TypeError, match="never serialised"):
        leave(permit)


def test_permit_covers_what_passed(permit):
    """Subjects and fields outside are not covered."""
    subject = next(iter(permit.subjects))
    stranger = SubjectId(new_id("sub"))
    assert permit.allows(subject, "sex")
    assert not permit.allows(subject, "name")
    assert not permit.allows(stranger, "sex")
    assert permit.fields_for(subject) == {"sex", "diagnosis"}
    assert permit.fields_for(stranger) == frozenset()


def test_permit_ends_after_a_minute(permit):
    """The lifetime is half open."""
    permit.check_live(permit.issued_at + PERMIT_LIFETIME - timedelta(microseconds=1))
    with pytest.raises(PermitExpired):
        permit.check_live(permit.issued_at + PERMIT_LIFETIME)
