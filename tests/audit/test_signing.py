"""The signing key's file."""

import os
import pickle
import resource
import stat

import pytest

from audit.signing import create_signing_key, load_signing_key
from audit.verifier import VerifierKey
from kernel.errors import BadInput, ConfigurationError, Conflict, Unavailable

PETERS_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@pytest.fixture
def key_file(tmp_path):
    """Write a key file with the given content and mode."""

    def written(content, mode=0o600):
        path = tmp_path / "key"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return written


def test_created_key_loads_again_and_signs_for_its_public_key(tmp_path):
    """What one process creates another signs with."""
    created = create_signing_key(tmp_path / "key", "audit.example/log")
    loaded = load_signing_key(tmp_path / "key")
    assert loaded.verifier_key == created.verifier_key
    assert VerifierKey.parse(created.verifier_key).is_signed(b"text", loaded.sign(b"text"))
    assert not VerifierKey.parse(created.verifier_key).is_signed(b"tex", loaded.sign(b"text"))


def test_published_secret_key_loads(key_file):
    """The file format is that of golang.org/x/mod/sumdb/note, whose example this is."""
    assert load_signing_key(key_file(PETERS_SECRET.encode())).verifier_key == PETER


def test_key_file_is_private_and_never_overwritten(tmp_path):
    """Mode 0600, and a second creation leaves the first key."""
    path = tmp_path / "key"
    create_signing_key(path, "audit.example/log")
    before = path.read_bytes()
    with pytest.raises(Conflict):
        create_signing_key(path, "audit.example/log")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_name_that_cannot_stand_in_a_note_is_refused(tmp_path, name):
    """The name becomes the log's origin."""
    with pytest.raises(BadInput):
        create_signing_key(tmp_path / "key", name)
    assert not (tmp_path / "key").exists()


def test_key_file_that_others_can_read_is_refused(key_file):
    """A key that leaked once is no key."""
    with pytest.raises(ConfigurationError, match="other users"):
        load_signing_key(key_file(PETERS_SECRET.encode(), 0o640))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"PRIVATE+KEY",
        PETERS_SECRET[:-1].encode(),
        PETERS_SECRET.replace("c74f", "c74e").encode(),
        PETERS_SECRET.replace("PRIVATE", "PUBLIC").encode(),
        PETERS_SECRET.replace("+AYEK", "+AYEL").encode(),
        PETERS_SECRET.replace("+AYEK", "+AoEK").encode(),
        PETER.encode(),
    ],
)
def test_damaged_key_file_is_refused_without_showing_it(key_file, content):
    """The error names the file's role, never its content."""
    with pytest.raises(ConfigurationError) as caught:
        load_signing_key(key_file(content))
    assert "AYEK" not in caught.value.diagnostics()


def test_missing_key_file_is_unavailable(tmp_path):
    """A lost key is told apart from a damaged one."""
    with pytest.raises(Unavailable):
        load_signing_key(tmp_path / "none")
    with pytest.raises(Unavailable):
        create_signing_key(tmp_path / "no-folder" / "key", "audit.example/log")


def test_key_that_cannot_be_written_leaves_nothing(tmp_path):
    """A full disk: said in one line, and the next try is not stopped by an empty file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(Unavailable, match="cannot be written"):
            create_signing_key(tmp_path / "key", "audit.example/log")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    assert create_signing_key(tmp_path / "key", "audit.example/log").name == "audit.example/log"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("failing", [None, "key", "folder"])
def test_key_and_its_name_reach_the_disk_or_nothing_stays(tmp_path, monkeypatch, failing):
    """The file is flushed under another name first, then the folder that holds its name."""
    flushed, fsync = [], os.fsync

    def watched(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        flushed.append(("folder" if is_folder else "key", (tmp_path / "key").exists()))
        if flushed[-1][0] == failing:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    if failing is None:
        create_signing_key(tmp_path / "key", "audit.example/log")
        assert flushed == [("key", False), ("folder", True)]
        return
    with pytest.raises(Unavailable, match="Input/output error"):
        create_signing_key(tmp_path / "key", "audit.example/log")
    assert list(tmp_path.iterdir()) == []


def test_key_never_leaves_the_object(signer):
    """Neither repr nor pickle carry it."""
    assert repr(signer) == "NoteSigner('audit.example/log')"
    with pytest.raises(TypeError):
        pickle.dumps(signer)
