"""The envelope: frozen vectors, outside vectors, and each corruption by itself."""

import copy
import json
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.encoding import canonical_json
from kernel.errors import BadInput, IntegrityFailed
from vault._whole_rows import seal_whole
from vault.envelope import (
    MAX_PLAINTEXT_BYTES,
    Binding,
    DataKey,
    RowHeader,
    alone,
    associated_data,
    encode_plaintext,
    length_prefixed,
    of_row,
    open_many,
    open_value,
    read_key_id,
    seal_many,
    seal_value,
)
from vault.payload import pack
from vault.suites import AES, SM, SUITES, Suite

ROW = RowHeader("encounter", "his", "clinical", "P02", "sub_1", "rec_1", "key_1", 1_000, 2_000, None)
BINDING = Binding(of_row("dep_1", ROW), "diagnosis", 1)
ALONE = BINDING._replace(holder=alone("dep_1", "sub_1", "rec_1"))
FROZEN = json.loads((Path(__file__).parents[1] / "vectors" / "envelope.json").read_text(encoding="utf-8"))


def new_key(suite: Suite, key_id: bytes = b"\x07" * 8) -> DataKey:
    return DataKey(key_id, b"\x11" * suite.key_bytes, suite)


@pytest.fixture(params=SUITES.values(), ids=lambda suite: suite.name)
def key(request: pytest.FixtureRequest) -> DataKey:
    """A key of each suite."""
    return new_key(request.param)


def frozen_key(vector) -> DataKey:
    return DataKey(bytes.fromhex(vector["key_id"]), bytes.fromhex(vector["key"]), SUITES[vector["suite"]])


def frozen_binding(vector) -> Binding:
    """A vector with a row is a value of version 2, one without stands alone."""
    bound = dict(vector["binding"])
    field, schema_version, deployment = bound.pop("field"), bound.pop("schema_version"), bound.pop("deployment")
    if "row" in vector:
        return Binding(of_row(deployment, RowHeader(**vector["row"])), field, schema_version)
    return Binding(alone(deployment, **bound), field, schema_version)


@pytest.mark.parametrize("vector", FROZEN["vectors"], ids=lambda vector: vector["name"])
def test_frozen_vectors_seal_and_open_as_ever(vector):
    """Bytes that an earlier release wrote stay readable, and the same input still gives the same bytes."""
    binding = frozen_binding(vector)
    plaintext, sealed = bytes.fromhex(vector["plaintext"]), bytes.fromhex(vector["sealed"])
    data_key = frozen_key(vector)
    assert associated_data(data_key, binding) == bytes.fromhex(vector["associated_data"])
    assert (
        seal_value(plaintext, data_key=data_key, binding=binding, random=lambda _size: bytes.fromhex(vector["nonce"]))
        == sealed
    )
    assert open_value(sealed, data_key=data_key, binding=binding) == plaintext


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
@given(
    plaintext=st.binary(max_size=2000),
    subject=st.text(max_size=40),
    field=st.text(max_size=40),
    version=st.integers(0, 2**32 - 1),
)
def test_every_value_opens_under_its_own_binding(suite, plaintext, subject, field, version):
    """Sealing and opening is the identity for any bytes and names."""
    key = new_key(suite)
    binding = Binding(of_row("dep_1", ROW._replace(subject_id=subject)), field, version)
    sealed = seal_value(plaintext, data_key=key, binding=binding)
    assert open_value(sealed, data_key=key, binding=binding) == plaintext
    assert len(sealed) == len(plaintext) + 38
    assert read_key_id(sealed) == key.key_id


@pytest.mark.parametrize("member", ["deployment", "subject", "record"])
def test_a_value_alone_does_not_open_elsewhere(key, member):
    """Deployment, subject and record are authenticated without a row too."""
    sealed = seal_value(b"secret", data_key=key, binding=ALONE)
    names = {"deployment": "dep_1", "subject": "sub_1", "record": "rec_1"}
    with pytest.raises(IntegrityFailed):
        open_value(sealed, data_key=key, binding=ALONE._replace(holder=alone(**(names | {member: "other"}))))


@pytest.mark.parametrize("member", RowHeader._fields)
def test_a_value_does_not_open_under_another_row_header(key, member):
    """Each member of the header is authenticated; the error names record and field."""
    sealed = seal_value(b"secret", data_key=key, binding=BINDING)
    forged = ROW._replace(**{member: 7 if isinstance(getattr(ROW, member), int | None) else "other"})
    with pytest.raises(IntegrityFailed, match=f"field 'diagnosis' of record {forged.record_id} does not verify"):
        open_value(sealed, data_key=key, binding=BINDING._replace(holder=of_row("dep_1", forged)))


def test_a_value_does_not_open_in_another_deployment_or_field(key):
    """Deployment and field are authenticated beside the row."""
    sealed = seal_value(b"secret", data_key=key, binding=BINDING)
    for other in (BINDING._replace(holder=of_row("dep_2", ROW)), BINDING._replace(field="name")):
        with pytest.raises(IntegrityFailed):
            open_value(sealed, data_key=key, binding=other)


@pytest.mark.parametrize(("sealed_as", "opened_as"), [(ALONE, BINDING), (BINDING, ALONE)])
def test_a_value_alone_is_none_of_a_row(key, sealed_as, opened_as):
    """The version says which of the two it is, so that neither passes for the other."""
    with pytest.raises(IntegrityFailed, match="another key or for another use"):
        open_value(seal_value(b"secret", data_key=key, binding=sealed_as), data_key=key, binding=opened_as)


@given(st.tuples(*[st.none() | st.integers(-(2**63), 2**63 - 1)] * 2), st.tuples(*[st.none() | st.just(0)] * 2))
def test_two_headers_never_share_their_bytes(ends, others):
    """An end that is absent differs from every end that is there."""
    first, second = (ROW._replace(expires_at=e, held_until=h) for e, h in (ends, others))
    assert (of_row("dep_1", first).prefix == of_row("dep_1", second).prefix) is (ends == others)


@pytest.mark.parametrize("instant", [2**63, -(2**63) - 1, "soon"])
def test_an_impossible_instant_is_no_header(instant):
    """What cannot stand in the column was not written by the vault."""
    with pytest.raises(IntegrityFailed, match="impossible instant"):
        of_row("dep_1", ROW._replace(observed_at=instant))


def test_a_value_does_not_open_under_another_schema_version(key):
    """The schema version is authenticated."""
    sealed = seal_value(b"secret", data_key=key, binding=BINDING)
    with pytest.raises(IntegrityFailed):
        open_value(sealed, data_key=key, binding=BINDING._replace(schema_version=2))


def test_moving_a_letter_between_two_names_changes_the_associated_data(key):
    """Lengths stand before the texts, so that no two bindings share their bytes."""
    for first, second in (
        (of_row("dep_1", ROW._replace(subject_id="sub_1r", record_id="ec_1")), of_row("dep_1", ROW)),
        (of_row("dep_1", ROW._replace(kind="encounterhis", source="")), of_row("dep_1", ROW)),
        (alone("dep_1", "sub_1r", "ec_1"), alone("dep_1", "sub_1", "rec_1")),
    ):
        assert associated_data(key, Binding(first, "f", 1)) != associated_data(key, Binding(second, "f", 1))


@pytest.mark.parametrize("position", range(44))
def test_each_flipped_byte_is_found(key, position):
    """Header, key id, nonce, ciphertext and tag are each protected."""
    sealed = bytearray(seal_value(b"secret", data_key=key, binding=BINDING))
    assert len(sealed) == 44
    sealed[position] ^= 0x80
    with pytest.raises(IntegrityFailed) as failed:
        open_value(bytes(sealed), data_key=key, binding=BINDING)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("size", [0, 1, 37])
def test_a_truncated_value_is_refused_before_parsing(key, size):
    """Nothing shorter than an empty value is looked at."""
    with pytest.raises(IntegrityFailed, match="impossible length"):
        open_value(seal_value(b"", data_key=key, binding=BINDING)[:size], data_key=key, binding=BINDING)


def test_an_oversized_value_is_refused_before_decrypting(key):
    """Nothing longer than the largest value is looked at."""
    with pytest.raises(IntegrityFailed, match="impossible length"):
        open_value(bytes(MAX_PLAINTEXT_BYTES + 39), data_key=key, binding=BINDING)


@pytest.mark.parametrize("head", [b"\x03\x01", b"\x02\x03", b"\x01\x00", b"\x00\x00"])
def test_unknown_versions_and_suites_are_named(key, head):
    """A value of a newer format is not tried."""
    sealed = head + seal_value(b"secret", data_key=key, binding=BINDING)[2:]
    with pytest.raises(IntegrityFailed, match="unknown version or suite"):
        open_value(sealed, data_key=key, binding=BINDING)


def test_a_value_of_another_key_is_named_as_such(key):
    """The key id in the header is compared before decrypting."""
    other = new_key(key.suite, b"\x08" * 8)
    with pytest.raises(IntegrityFailed, match="another key"):
        open_value(seal_value(b"secret", data_key=other, binding=BINDING), data_key=key, binding=BINDING)


def test_a_value_does_not_open_under_the_other_suite(key):
    """Neither where its byte says the truth nor where it was changed."""
    other = new_key(AES if key.suite is SM else SM)
    sealed = seal_value(b"secret", data_key=key, binding=BINDING)
    forged = sealed[:1] + bytes((other.suite.code,)) + sealed[2:]
    for value, data_key in ((sealed, other), (forged, other), (forged, key)):
        with pytest.raises(IntegrityFailed):
            open_value(value, data_key=data_key, binding=BINDING)


@given(noise=st.binary(max_size=200), start=st.sampled_from([b"", b"\x01", b"\x02\x01", b"\x02\x02" + b"\x07" * 8]))
def test_any_bytes_open_to_nothing_but_the_one_error(noise, start):
    """Bytes that nobody sealed are told by IntegrityFailed alone, however well they begin."""
    for suite in SUITES.values():
        with pytest.raises(IntegrityFailed):
            open_value(start + noise, data_key=new_key(suite), binding=BINDING)


@given(st.integers(0, 43))
def test_every_cut_value_is_refused(size):
    """No beginning of a sealed value is one."""
    for suite in SUITES.values():
        key = new_key(suite)
        with pytest.raises(IntegrityFailed):
            open_value(seal_value(b"secret", data_key=key, binding=BINDING)[:size], data_key=key, binding=BINDING)


def test_the_longest_plaintext_fits_and_one_byte_more_does_not(key):
    """64 KiB is the bound, and the message names the field."""
    longest = b"x" * MAX_PLAINTEXT_BYTES
    assert open_value(seal_value(longest, data_key=key, binding=BINDING), data_key=key, binding=BINDING) == longest
    with pytest.raises(BadInput, match="'diagnosis'"):
        seal_value(longest + b"x", data_key=key, binding=BINDING)


def test_nonces_never_repeat(key):
    """The same value sealed many times never gives the same bytes or nonce."""
    sealed = seal_many([(key, BINDING, b"same")] * 5_000)
    assert len(set(sealed)) == len({value[10:22] for value in sealed}) == 5_000


def test_many_values_are_sealed_as_each_alone(key):
    """The bulk form draws many nonces at once and changes nothing else, also where keys of both suites meet."""
    other = new_key(AES if key.suite is SM else SM, b"\x09" * 8)
    items = [
        (key, BINDING, b"one"),
        (other, BINDING._replace(field="name"), b"two"),
        (key, ALONE, b""),
    ]
    nonces = os.urandom(36)
    sealed = seal_many(items, random=lambda size: nonces[:size])
    for number, (data_key, binding, plaintext) in enumerate(items):
        alone = seal_value(
            plaintext, data_key=data_key, binding=binding, random=lambda _size, n=number: nonces[n * 12 : n * 12 + 12]
        )
        assert sealed[number] == alone
    again = [(data_key, binding, value) for (data_key, binding, _), value in zip(items, sealed, strict=True)]
    assert open_many(again) == [b"one", b"two", b""]


def test_the_values_of_a_row_are_sealed_as_each_alone(key):
    """The form for whole rows shares what its values have in common and changes nothing else."""
    values, nonces = {"diagnosis": b"one", "name": b"", "page": b"x" * 300}, os.urandom(36)
    prefix = BINDING.holder.prefix
    payload = seal_whole(values, data_key=key, prefix=prefix, schema_version=1, random=lambda size: nonces[:size])
    items = [(key, BINDING._replace(field=code), plaintext) for code, plaintext in values.items()]
    sealed = seal_many(items, random=lambda size: nonces[:size])
    assert payload == pack(dict(zip(values, sealed, strict=True)))
    with pytest.raises(BadInput, match="'name'"):
        seal_whole({"name": bytes(65_537)}, data_key=key, prefix=prefix, schema_version=1)


def test_names_have_a_bound(key):
    """A name that two bytes cannot count is refused."""
    with pytest.raises(BadInput, match="65,535"):
        seal_value(b"", data_key=key, binding=BINDING._replace(field="x" * 65_536))
    with pytest.raises(BadInput, match="surrogate"):
        length_prefixed("\ud800")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_plaintexts_are_canonical_json(value):
    """The short way for texts gives the bytes of the canonical encoding."""
    assert encode_plaintext(value) == canonical_json(value)


def test_an_unpaired_surrogate_has_no_plaintext():
    """Text that is no Unicode is refused without showing it."""
    with pytest.raises(BadInput, match="surrogate") as refused:
        encode_plaintext("秘密\ud800")
    assert "秘密" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_data_key_shows_and_gives_away_nothing(key):
    """Neither repr, pickle nor copy reach the key."""
    assert repr(key) == "DataKey(key_id=0707070707070707)"
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never serialised"):
            way(key)


def test_a_key_id_has_eight_bytes():
    """Another length would shift the header."""
    with pytest.raises(IntegrityFailed):
        DataKey(b"short", bytes(32), AES)
