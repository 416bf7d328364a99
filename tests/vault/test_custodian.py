"""The root key file and what it wraps."""

import os
import stat

import pytest

from kernel.errors import ConfigurationError, IntegrityFailed, Unavailable
from vault.custodian import KeyfileCustodian, RootKeyDamaged, RootKeyMissing, RootKeyWrong, wrapped_by

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "root.key"


def test_a_created_key_can_be_loaded_and_unwraps_what_it_wrapped(path):
    """The file alone is enough to open what was wrapped before."""
    blob = KeyfileCustodian.create(path).wrap(KEY, b"epoch 1")
    assert KeyfileCustodian.load(path).unwrap(blob, b"epoch 1") == KEY
    assert KEY not in blob


def test_only_the_owner_can_read_the_file(path):
    """Mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        KeyfileCustodian.create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_root_key_is_never_overwritten(path):
    """A second creation is refused and leaves the file as it is."""
    KeyfileCustodian.create(path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="exists"):
        KeyfileCustodian.create(path)
    assert path.read_bytes() == before


def test_a_lost_file_is_missing(path):
    """No file is told apart from a wrong one."""
    with pytest.raises(RootKeyMissing) as lost:
        KeyfileCustodian.load(path)
    assert isinstance(lost.value, Unavailable)
    assert not isinstance(lost.value, RootKeyWrong)


def test_a_file_that_others_can_read_is_refused(path):
    """A root key that is not secret is not used."""
    KeyfileCustodian.create(path)
    path.chmod(0o640)
    with pytest.raises(RootKeyWrong, match="read by others"):
        KeyfileCustodian.load(path)


def test_another_root_key_is_wrong_and_not_damaged(tmp_path):
    """A blob of another key store names the mistake instead of failing to verify."""
    blob = KeyfileCustodian.create(tmp_path / "a").wrap(KEY, b"epoch 1")
    with pytest.raises(RootKeyWrong, match="another key store"):
        KeyfileCustodian.create(tmp_path / "b").unwrap(blob, b"epoch 1")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-10],
        lambda text: text.replace("consentry-root-key-1", "consentry-root-key-9"),
        lambda text: text[:40] + ("A" if text[40] != "A" else "B") + text[41:],
        lambda text: text[:22] + ("0" if text[22] != "0" else "1") + text[23:],
        lambda text: text + "x",
        lambda text: "one two",
        lambda text: "schlüssel",
        lambda text: "a b !!!! c",
    ],
)
def test_each_damage_to_the_file_is_named_as_damage(path, change):
    """A changed, cut or foreign file never yields a key, and the message shows none of it."""
    KeyfileCustodian.create(path)
    text = path.read_text()
    path.write_text(change(text), encoding="utf-8")
    with pytest.raises(RootKeyDamaged, match="damaged") as damaged:
        KeyfileCustodian.load(path)
    assert text.split()[2] not in str(damaged.value)
    assert damaged.value.__cause__ is None


@pytest.mark.parametrize("position", [0, 9, 20, 21, 40, 68])
def test_a_changed_blob_does_not_unwrap(path, position):
    """Every part of a wrapped key is authenticated."""
    custodian = KeyfileCustodian.create(path)
    blob = bytearray(custodian.wrap(KEY, b"epoch 1"))
    blob[position] ^= 1
    with pytest.raises(IntegrityFailed):
        custodian.unwrap(bytes(blob), b"epoch 1")


def test_a_blob_of_another_context_does_not_unwrap(path):
    """An epoch's key cannot stand in for another's."""
    custodian = KeyfileCustodian.create(path)
    with pytest.raises(IntegrityFailed):
        custodian.unwrap(custodian.wrap(KEY, b"epoch 1"), b"epoch 2")


def test_a_wrapped_key_says_which_kind_of_custodian_wrapped_it(path):
    """For reports; only unwrapping verifies it."""
    assert wrapped_by(KeyfileCustodian.create(path).wrap(KEY, b"epoch 1")) == "keyfile"
    assert [wrapped_by(bytes((kind,))) for kind in (2, 3, 4, 5)] == ["aws-kms", "transit", "pkcs11", "unknown"]


@pytest.mark.parametrize("size", [0, 8, 68, 70])
def test_a_blob_of_another_length_does_not_unwrap(path, size):
    """Lengths are checked before anything is parsed."""
    with pytest.raises(IntegrityFailed, match="wrong shape"):
        KeyfileCustodian.create(path).unwrap(b"\x01" * size, b"epoch 1")
