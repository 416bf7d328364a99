"""Frozen vectors of wrapped keys and of keyed digests, of both suites."""

import json
from base64 import b32encode
from pathlib import Path

import pytest

from kernel.errors import IntegrityFailed
from vault._keys import MacKey, WrappingKey, data_key_context, epoch_context, named_key_context
from vault.envelope import length_prefixed
from vault.pseudonyms import _text
from vault.suites import SUITES

FROZEN = json.loads((Path(__file__).parents[1] / "vectors" / "keys.json").read_text(encoding="utf-8"))


def context_of(vector) -> bytes:
    key_id = bytes.fromhex(vector["key_id"])
    if "data_key" in vector:
        return data_key_context(key_id, **vector["data_key"], suite=vector["suite"])
    return named_key_context(key_id, **vector["named_key"], suite=vector["suite"])


@pytest.mark.parametrize("vector", FROZEN["wraps"], ids=lambda vector: vector["name"])
def test_frozen_wraps_unwrap_as_ever(vector):
    """Keys that an earlier release wrapped stay readable, whichever suite they and their epoch are of."""
    wrapping = WrappingKey("epo_1", bytes.fromhex(vector["epoch_secret"]), SUITES[vector["epoch_suite"]])
    context, wrapped = context_of(vector), bytes.fromhex(vector["wrapped"])
    assert context == bytes.fromhex(vector["context"])
    assert wrapping.unwrap(wrapped, context) == bytes.fromhex(vector["key"])
    assert wrapping.unwrap(wrapping.wrap(bytes.fromhex(vector["key"]), context), context).hex() == vector["key"]


@pytest.mark.parametrize("vector", FROZEN["wraps"], ids=lambda vector: vector["name"])
def test_a_wrap_does_not_open_as_one_of_the_other_suite(vector):
    """The number of the suite stands in what a wrap is bound to."""
    wrapping = WrappingKey("epo_1", bytes.fromhex(vector["epoch_secret"]), SUITES[vector["epoch_suite"]])
    with pytest.raises(IntegrityFailed):
        wrapping.unwrap(bytes.fromhex(vector["wrapped"]), context_of(vector | {"suite": 3 - vector["suite"]}))


@pytest.mark.parametrize("vector", FROZEN["digests"], ids=lambda vector: vector["name"])
def test_frozen_digests_are_computed_as_ever(vector):
    """Indexes, pseudonyms and deduplication recognise what an earlier release stored."""
    key, message = MacKey(bytes.fromhex(vector["key"]), SUITES[vector["suite"]]), length_prefixed(*vector["texts"])
    assert key.digest(message).hex() == vector["digest"]
    assert key.digest_stream([message[:1], message[1:]]).hex() == vector["whole"]
    if vector["name"].startswith("pseudonym"):
        assert _text(key, *vector["texts"]).upper() + "======" == b32encode(bytes.fromhex(vector["digest"])).decode()


def test_an_epoch_is_bound_to_its_id_and_suite():
    """What a custodian is given beside the epoch's secret."""
    assert epoch_context("epo_1", 1) == b"\x00\x15consentry epoch key 1\x00\x05epo_1"
    assert epoch_context("epo_1", 2) == b"\x00\x15consentry epoch key 2\x00\x05epo_1"
