"""Backup files: sealed in chunks to one recipient, signed, whole or not there."""

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.signing import create_signing_key
from kernel.errors import BadInput, ConfigurationError, IntegrityFailed, Unavailable
from vault import backups
from vault.backup_keys import BackupIdentity, BackupRecipient, BackupStore
from vault.backups import (
    MAGIC,
    SIGNATURE_BYTES,
    BackupHeader,
    check_signature,
    read_header,
    reading_backup,
    writing_backup,
)

MADE = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
CHUNK = 64


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    """Chunks of 64 bytes, so that a few hundred bytes have several."""
    monkeypatch.setattr(backups, "CHUNK_BYTES", CHUNK)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return create_signing_key(tmp_path_factory.mktemp("signer") / "signing.key", "audit.example/log")


@pytest.fixture(scope="module")
def identities(tmp_path_factory) -> dict[BackupStore, BackupIdentity]:
    folder = tmp_path_factory.mktemp("identities")
    return {store: BackupIdentity.create(folder / store, store) for store in BackupStore}


def header(store: BackupStore = BackupStore.DATA) -> BackupHeader:
    ends = MADE + timedelta(days=1) if store is BackupStore.KEYS else None
    return BackupHeader(
        "bak_a", store, "dep_test", MADE, "0010", "audit.example/log\n7\nroot\n", "bak_b", ends, "epo_a"
    )


def written(path, identity, signer, content: bytes):
    with writing_backup(path, header(identity.recipient.store), identity.recipient, signer) as writer:
        for start in range(0, len(content), 37):
            writer.write(content[start : start + 37])
    return path


def read(path, identity, size: int) -> bytes:
    with reading_backup(path, identity) as reader:
        found = reader.read(size)
        reader.check_end()
    return found


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 3])
def test_a_backup_comes_back_as_it_was(tmp_path, identities, signer, size):
    """Around every border of a chunk."""
    content = os.urandom(size)
    path = written(tmp_path / "a.backup", identities[BackupStore.DATA], signer, content)
    assert check_signature(path, signer.public_key) == read_header(path) == header()
    assert read(path, identities[BackupStore.DATA], size) == content
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=30)
@given(content=st.binary(max_size=4 * CHUNK), change=st.tuples(st.integers(min_value=0), st.integers(1, 255)))
def test_a_changed_byte_anywhere_is_found(tmp_path_factory, identities, signer, content, change):
    """By the signature, wherever it is; by whoever opens, in all that is sealed."""
    path = written(tmp_path_factory.mktemp("b") / "a.backup", identities[BackupStore.DATA], signer, content)
    changed, (place, flip) = bytearray(path.read_bytes()), change
    changed[place % len(changed)] ^= flip
    path.write_bytes(changed)
    with pytest.raises(IntegrityFailed):
        check_signature(path, signer.public_key)
    if place % len(changed) < len(changed) - SIGNATURE_BYTES:
        with pytest.raises((IntegrityFailed, BadInput)):
            read(path, identities[BackupStore.DATA], len(content))


def pieces(path) -> tuple[bytes, list[bytes], bytes]:
    """What stands before the chunks, the chunks, and the signature."""
    whole = path.read_bytes()
    start = len(MAGIC) + 4 + int.from_bytes(whole[len(MAGIC) : len(MAGIC) + 4])
    sealed = whole[start:-SIGNATURE_BYTES]
    width = CHUNK + 16
    return whole[:start], [sealed[i : i + width] for i in range(0, len(sealed), width)], whole[-SIGNATURE_BYTES:]


@pytest.mark.parametrize(
    "moved",
    [
        lambda chunks: chunks[:-1],
        lambda chunks: chunks[1:],
        lambda chunks: [chunks[1], chunks[0], *chunks[2:]],
        lambda chunks: [chunks[0], chunks[0], *chunks[1:]],
        lambda chunks: [],
    ],
    ids=["cut", "headless", "swapped", "repeated", "empty"],
)
def test_chunks_that_were_moved_do_not_open(tmp_path, identities, signer, moved):
    """Also for who could sign the file anew."""
    path = written(tmp_path / "a.backup", identities[BackupStore.DATA], signer, os.urandom(4 * CHUNK))
    before, chunks, signature = pieces(path)
    path.write_bytes(before + b"".join(moved(chunks)) + signature)
    with pytest.raises(IntegrityFailed):
        read(path, identities[BackupStore.DATA], 4 * CHUNK)


def test_a_header_of_another_backup_does_not_fit(tmp_path, identities, signer):
    """A backup whose end was moved into the future does not open."""
    keys = identities[BackupStore.KEYS]
    path = written(tmp_path / "a.backup", keys, signer, b"content")
    path.write_bytes(path.read_bytes().replace(b"2026-11-22T", b"2027-11-22T"))
    assert read_header(path).ends_at > MADE + timedelta(days=300)
    with pytest.raises(IntegrityFailed, match="does not verify"):
        read(path, keys, 7)


def test_the_other_stores_key_opens_nothing(tmp_path, identities, signer):
    """Who holds one key holds nothing of the other store."""
    path = written(tmp_path / "a.backup", identities[BackupStore.KEYS], signer, b"content")
    with pytest.raises(IntegrityFailed, match="another key"):
        read(path, identities[BackupStore.DATA], 7)
    with (
        pytest.raises(BadInput, match="other store"),
        writing_backup(tmp_path / "b.backup", header(BackupStore.DATA), identities[BackupStore.KEYS].recipient, signer),
    ):
        raise AssertionError


def test_another_logs_signature_is_none(tmp_path, identities, signer):
    """A backup that somebody else made of the public half is not taken."""
    other = create_signing_key(tmp_path / "other.key", "audit.example/log")
    path = written(tmp_path / "a.backup", identities[BackupStore.DATA], other, b"content")
    with pytest.raises(IntegrityFailed, match="another log's key"):
        check_signature(path, signer.public_key)


def test_nothing_of_the_content_stands_in_the_file(tmp_path, identities, signer):
    """No planted text."""
    path = written(tmp_path / "a.backup", identities[BackupStore.DATA], signer, b"planted-value" * 40)
    assert b"planted" not in path.read_bytes()


def test_an_interrupted_backup_leaves_no_file(tmp_path, identities, signer):
    """Neither under its name nor beside it."""
    identity = identities[BackupStore.DATA]
    with (
        pytest.raises(KeyboardInterrupt),
        writing_backup(tmp_path / "a.backup", header(), identity.recipient, signer) as writer,
    ):
        writer.write(b"x" * 500)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_no_file(tmp_path, identities, signer):
    """The kernel's answer, which /dev/full gives at the flush, comes as one line."""
    identity = identities[BackupStore.DATA]
    with (
        pytest.raises(Unavailable, match="cannot be written"),
        writing_backup(tmp_path / "a.backup", header(), identity.recipient, signer),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Unavailable, match="No such file"):
        written(tmp_path / "nowhere" / "a.backup", identity, signer, b"")


def test_what_was_read_is_what_was_signed(tmp_path, identities, signer):
    """A file that somebody sealed with the public half under the header of a signed one is found out at its end."""
    identity = identities[BackupStore.DATA]
    signed = written(tmp_path / "a.backup", identity, signer, b"content")
    other = create_signing_key(tmp_path / "other.key", "audit.example/log")
    forged = written(tmp_path / "b.backup", identity, other, b"forgery")
    forged.write_bytes(forged.read_bytes()[:-SIGNATURE_BYTES] + signed.read_bytes()[-SIGNATURE_BYTES:])
    for path, content in ((signed, b"content"), (forged, b"forgery")):
        with reading_backup(path, identity) as reader:
            assert reader.header == read_header(signed)
            assert reader.read(7) == content
            if path is signed:
                reader.check_signed(signer.public_key)
                continue
            with pytest.raises(IntegrityFailed, match="another log's key"):
                reader.check_signed(signer.public_key)


@pytest.mark.parametrize("said", ["[" * 60_000, "7", '{"v": 1, "checkpoint": 5}', '{"v": 1, "checkpoint": "no size"}'])
def test_a_header_that_makes_no_sense_is_no_backup(tmp_path, said):
    """However it is broken: whoever can put a file into the folder stops no list and no pruning."""
    path = tmp_path / "a.backup"
    path.write_bytes(MAGIC + len(said).to_bytes(4) + said.encode())
    with pytest.raises(IntegrityFailed, match="no backup"):
        read_header(path)


@pytest.mark.parametrize("checkpoint", ["audit.example/log", "audit.example/log\nmany\nroot\n"])
def test_a_header_without_the_logs_size_is_no_backup(tmp_path, identities, signer, checkpoint):
    """Its size is told in every list."""
    identity = identities[BackupStore.DATA]
    with writing_backup(tmp_path / "a.backup", replace(header(), checkpoint=checkpoint), identity.recipient, signer):
        pass
    with pytest.raises(IntegrityFailed, match="no backup"):
        read_header(tmp_path / "a.backup")


@pytest.mark.parametrize(
    "content", [b"", b"nothing of ours", MAGIC, MAGIC + b"\xff\xff\xff\xff", MAGIC + b"\0\0\0\2{}"]
)
def test_what_is_no_backup_is_refused(tmp_path, content, signer):
    """Whatever its length."""
    path = tmp_path / "a.backup"
    path.write_bytes(content)
    with pytest.raises(IntegrityFailed, match="no backup"):
        read_header(path)
    with pytest.raises(IntegrityFailed):
        check_signature(path, signer.public_key)
    with pytest.raises(Unavailable):
        read_header(tmp_path / "missing")


def test_more_than_was_read_is_found(tmp_path, identities, signer):
    """A stream that ends before its file does is none."""
    path = written(tmp_path / "a.backup", identities[BackupStore.DATA], signer, b"content")
    with reading_backup(path, identities[BackupStore.DATA]) as reader:
        reader.read(3)
        with pytest.raises(IntegrityFailed, match="goes on"):
            reader.check_end()
        with pytest.raises(IntegrityFailed, match="too early"):
            reader.read(5)


def test_a_private_key_is_its_owners_alone(tmp_path):
    """Written once, read back, and refused when it is open, damaged, missing or something else."""
    path = tmp_path / "key"
    made = BackupIdentity.create(path, BackupStore.KEYS)
    assert BackupIdentity.load(path).recipient == made.recipient == BackupRecipient.parse(str(made.recipient))
    assert str(path.read_bytes()) not in repr(made)
    with pytest.raises(ConfigurationError, match="at this place"):
        BackupIdentity.create(path, BackupStore.KEYS)
    with pytest.raises(TypeError):
        made.__reduce__()
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="by others"):
        BackupIdentity.load(path)
    path.chmod(0o600)
    for spoiled in (path.read_bytes().replace(b" keys ", b" data "), b"", b"\xff", b"a b c d"):
        path.write_bytes(spoiled)
        with pytest.raises(ConfigurationError, match="damaged"):
            BackupIdentity.load(path)
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(Unavailable):
            BackupIdentity.load(missing)
    with pytest.raises(Unavailable):
        BackupIdentity.create(tmp_path / "no" / "key", BackupStore.DATA)


@pytest.mark.parametrize("text", ["", "consentry-backup-1:data", "consentry-backup-1:other:AAAA", "x:data:AAAA"])
def test_a_text_that_is_no_recipient_is_refused(text):
    """Before anything is sealed to it."""
    with pytest.raises(BadInput, match="no recipient"):
        BackupRecipient.parse(text)
    with pytest.raises(BadInput, match="no key"):
        BackupIdentity(BackupStore.DATA, bytes(32)).agree(b"short")
