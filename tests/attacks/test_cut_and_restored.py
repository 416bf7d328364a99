"""Entries are cut off, or an older copy is put back, with and without the signer's memory."""

import pytest

from consentry.workflows.keep_log import check_log


def test_log_that_lost_its_end_does_not_start(house):
    """The signer knows of three entries more."""
    size = house.size
    house.cut(size - 3)
    assert house.start() == f"The log holds {size - 3} entries, but {size} were signed"


def test_log_that_lost_its_end_is_exported_as_evidence(house):
    """The export stands under the last checkpoint that was signed; the verifier says from where entries are missing."""
    size = house.size
    house.cut(size - 3)
    found = house.verified()
    assert (found["kind"], found["within"]) == ("truncated", [size - 3, size - 1])


def test_older_store_does_not_start(house):
    """Moved from what was signed: an older copy beside today's signer."""
    size = house.size
    house.restore_older("data.db")
    assert house.start().endswith(f"entries, but {size} were signed")


def test_older_store_with_its_signer_looks_whole_from_inside(house):
    """The limit: what nobody outside holds against it starts, verifies and agrees with its register."""
    house.restore_older("data.db", "signing.state")
    assert (house.start(), house.verified(), house.reconciled()) == ("", {}, [])


def test_older_store_with_its_signer_is_found_by_a_held_checkpoint(house):
    """Who kept a checkpoint, of an export or of an answer of the API, sees another entry in the withdrawal's place."""
    house.restore_older("data.db", "signing.state")
    found = house.verified("--checkpoint", house.held)
    assert (found["kind"], found["index"]) == ("changed", house.held_size - 1)


def test_older_store_with_its_signer_that_grew_on_is_found_by_a_held_checkpoint(house):
    """Filled up beyond the held size, so that nothing is missing: it is another log."""
    house.restore_older("data.db", "signing.state")
    house.live_on(30)
    assert house.start() == ""
    assert house.verified("--checkpoint", house.held)["kind"] == "forked"


@pytest.mark.parametrize("beyond", [-2, 2])
def test_cut_with_the_signers_memory_is_found_where_the_held_checkpoint_reaches(house, beyond):
    """Before it the held checkpoint shows the cut. The limit: what nobody outside knows of can be cut unseen."""
    house.cut(house.held_size + beyond)
    house.forget_signer()
    assert house.start() == ""
    found = house.verified("--checkpoint", house.held)
    assert found.get("kind") == ("truncated" if beyond < 0 else None)


def test_lost_memory_of_the_signer_does_not_start(house):
    """Without its state the signer signs nothing, as long as stored checkpoints show that it had one."""
    (house.home / "signing.state").unlink()
    assert house.start() == "The signer's state is missing, but the log has signed checkpoints"


def test_rewritten_log_whose_signer_was_forgotten_is_found_by_a_held_checkpoint(house):
    """Store and signer's memory in one hand: all inside is whole again, and a held checkpoint contradicts it."""
    house.put_bodies(house.bodies()[:200] + house.bodies()[201:])
    house.rebuild()
    house.forget_signer()
    with house.opened() as platform:
        check_log(platform)
        assert platform.log.settle().size > house.held_size
    assert house.verified("--checkpoint", house.held)["kind"] == "forked"
