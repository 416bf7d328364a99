"""One key, two logs: each party is shown another one, until two of them compare."""

import pytest

from audit.witnessing import Stand
from tests.attacks.conftest import verdict


@pytest.fixture
def twin(house):
    """A second log under the same key, which says something else from some entry on."""
    other = house.copy("twin")
    other.live_on(4)
    return other


def test_two_witnesses_of_two_logs_of_one_size_prove_the_fork(house, twin, witnesses):
    """Neither could know; the two cosigned notes together are the evidence."""
    house.live_on(2)
    house.live_on(2)
    seen = house.cosigned(witnesses, "w1"), twin.cosigned(witnesses, "w2")
    found = verdict("witnesses", *seen, "--key", house.key, "--policy", witnesses.policy(1))
    assert (found["kind"], list(found["evidence"])) == ("forked", list(map(str, seen)))


def test_two_witnesses_of_two_logs_of_two_sizes_prove_the_fork(house, twin, witnesses):
    """The export of the longer log does not lead from the shorter one's root."""
    house.live_on(1)
    twin.live_on(3)
    seen = house.cosigned(witnesses, "w1"), twin.cosigned(witnesses, "w2")
    export = twin.exported()
    found = verdict("witnesses", *seen, "--key", house.key, "--policy", witnesses.policy(1), "--export", export)
    assert found["kind"] == "forked"


def test_witness_of_one_log_refuses_the_other(house, twin, witnesses):
    """Whoever saw the one is not shown the other: 422, because no proof leads there."""
    house.live_on(1)
    house.cosigned(witnesses, "w1")
    twin.live_on(3)
    (said,) = twin.ask(witnesses, "w1")[1]
    assert said.stand is Stand.CONTRADICTS


def test_export_of_one_log_contradicts_a_checkpoint_of_the_other(house, twin, witnesses):
    """A regulator with the export meets somebody with a checkpoint."""
    house.live_on(1)
    assert twin.verified("--checkpoint", house.cosigned(witnesses, "w1"))["kind"] == "forked"


def test_consistency_of_the_two_heads_cannot_be_shown(house, twin):
    """By a proof from either log."""
    house.live_on(1)
    exports = house.exported(), twin.exported()
    heads = [export / "checkpoint" for export in exports]
    found = verdict("consistency", *heads, "--key", house.key, "--export", exports[1])
    assert found["kind"] == "forked"
