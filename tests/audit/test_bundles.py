"""A person's entries for somebody outside, on each engine."""

import json

import pytest

from audit.bundles import Shown, entries_about, write_bundle
from audit.checkpoints import Checkpointer
from audit.queries import Sought, find_entry, get_entries, has_actor, read_pruned
from audit.recovery import Recovery, open_origin
from audit.signer import TreeSigner
from audit.signing import create_signing_key
from audit.verifier.proofs import verify_proof
from kernel.errors import BadInput
from kernel.ids import RequestId, SubjectId, new_id


@pytest.fixture
def written(any_desk, subject, tmp_path):
    """One entry by name, one as a member of a batch, one by the register alone, and one about nobody."""
    other = SubjectId(new_id("sub"))
    ids = any_desk.record(
        any_desk.permit(subject),
        any_desk.permit(cohort=(subject, other)),
        any_desk.permit(counts={"people": 5}),
        any_desk.permit(other),
    )
    signed = any_desk.log.settle()
    with any_desk.database.read() as connection:
        own = any_desk.log.aliases_of(connection, subject)
    found = entries_about(any_desk.database, Sought(subject), signed, own=own, also=ids[2:3])
    counted = write_bundle(tmp_path / "bundle", found, {"subject": subject})
    return ids, counted, json.loads((tmp_path / "bundle" / "list.json").read_text())["entries"]


def test_every_entry_says_what_shows_whom_it_is_about(written):
    """By the alias in it, by the digest of its batch, or by the register; what is about others is not there."""
    ids, counted, listed = written
    assert counted == {Shown.ALIAS: 1, Shown.COHORT: 1, Shown.REGISTER: 1}
    assert [one["id"] for one in listed] == ids[:3]
    assert [one["shown_by"] for one in listed] == ["alias", "cohort", "register"]
    assert [one["cohort"] is not None for one in listed] == [False, True, False]


def test_every_proof_verifies_offline(written, any_desk, tmp_path):
    """With the public key and nothing of ours."""
    key = any_desk.checkpointer.verifier_key
    for one in written[2]:
        entry, proof = ((tmp_path / "bundle" / one[name]).read_bytes() for name in ("entry", "proof"))
        assert verify_proof(proof, entry, [key]).index == one["index"]


def test_folder_that_holds_something_is_left_alone(written, tmp_path):
    """Nothing of another export is mixed in."""
    assert written
    with pytest.raises(BadInput, match="not empty"):
        write_bundle(tmp_path / "bundle", iter(()), {})


def test_entry_of_an_earlier_origin_is_listed_without_a_proof(any_desk, subject, tmp_path):
    """Its own export proves it; what was logged since has its proof under the new name."""
    any_desk.record(any_desk.permit(subject))
    lost = Recovery(
        actor="prn_1", role="administrator", request_id=RequestId("req_1"), reason="disk lost",
        accepted_by=("prn_1", "prn_2"), origin_name="audit.example/log#2", last_known=any_desk.log.settle(),
    )  # fmt: skip
    with any_desk.database.write() as connection:
        open_origin(connection, any_desk.journal, lost)
    any_desk.record(any_desk.permit(subject))
    any_desk.sequencer.advance()
    signer = TreeSigner(create_signing_key(tmp_path / "new.key", "audit.example/log#2"), tmp_path / "new.state")
    signed = Checkpointer(any_desk.database, signer).sign_head()
    earlier, later = entries_about(any_desk.database, Sought(subject), signed, own=())
    assert (earlier.proof, earlier.view.index) == (None, 0)
    assert later.proof.index == 1


def test_entries_are_looked_up_by_id_index_and_actor(any_desk):
    """In digits it is an index, beyond every store's numbers it is none."""
    ids = any_desk.fill(3)
    any_desk.log.settle()
    with any_desk.database.read() as connection:
        assert find_entry(connection, "1").entry_id == find_entry(connection, ids[1]).entry_id == ids[1]
        assert find_entry(connection, "9" * 30) is find_entry(connection, "ent_") is None
        assert [one.index for one in get_entries(connection, [2, 0, 2, 9])] == [0, 2]
        assert get_entries(connection, []) == []
        assert (has_actor(connection, "prn_clinician"), has_actor(connection, "dr.lin")) == (True, False)
        assert read_pruned(connection) is None
