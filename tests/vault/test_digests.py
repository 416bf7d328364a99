"""Keyed digests for the parts above."""

from hashlib import sha256

from vault.digests import Digests


def test_digests_are_stable_keyed_and_apart_by_name(any_house):
    """The same content under one name is recognised again; without the key store nobody can compute it."""
    digests, restarted = Digests(any_house.keystore), Digests(any_house.restarted().keystore)
    first, second = digests.digest_many("act", [b"one", b"two"])
    assert restarted.digest_many("act", [b"one"]) == [first]
    assert len({first, second, *digests.digest_many("other", [b"one"])}) == 3
    assert first != sha256(b"one").digest()
    assert len(first) == 32


def test_no_content_needs_no_key(house):
    """An empty list touches no store."""
    assert Digests(house.keystore).digest_many("act", []) == []
