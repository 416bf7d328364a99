"""The root key file's other protections: a passphrase, and systemd's credentials."""

import pytest

from kernel.errors import BadInput
from vault.custodian import KeyfileCustodian, PassphraseWrong, RootKeyDamaged, RootKeyMissing, RootKeyWrong
from vault.custodians.sealed_root import SealedRoot
from vault.custodians.secret_files import credential_path, read_secret

KEY = bytes(range(32))
PASSPHRASE = b"correct horse battery staple"


@pytest.fixture(scope="module")
def sealed_text(tmp_path_factory):
    """The text of a root key file under a passphrase, and a blob that its key has wrapped."""
    path = tmp_path_factory.mktemp("sealed") / "root.key"
    custodian = KeyfileCustodian.create(path, passphrase=PASSPHRASE)
    return path.read_text(), custodian.wrap(KEY, b"epoch 1")


@pytest.fixture
def sealed(sealed_text, tmp_path):
    path = tmp_path / "root.key"
    path.write_text(sealed_text[0])
    path.chmod(0o600)
    return path


def test_the_passphrase_opens_the_key_and_the_file_alone_does_not(sealed, sealed_text):
    """Who steals the file has a key under scrypt; its cost stands in the file."""
    custodian = KeyfileCustodian.load(sealed, passphrase=lambda: PASSPHRASE)
    assert custodian.unwrap(sealed_text[1], b"epoch 1") == KEY
    header, root_id, *cost = sealed_text[0].split()[:6]
    assert header == "consentry-root-key-2"
    assert custodian.name == f"keyfile:{root_id}"
    assert cost == ["scrypt", "17", "8", "1"]
    with pytest.raises(RootKeyWrong, match="none is configured"):
        KeyfileCustodian.load(sealed)


def test_another_passphrase_is_told_as_that(sealed):
    """Neither as damage nor as another key, and without repeating it."""
    with pytest.raises(PassphraseWrong, match="does not open") as told:
        KeyfileCustodian.load(sealed, passphrase=lambda: b"another passphrase")
    assert "another" not in told.value.diagnostics()
    assert told.value.__cause__ is None


def test_a_short_passphrase_is_refused_before_a_file_is_made(tmp_path):
    """What can be searched in an afternoon seals nothing."""
    with pytest.raises(BadInput, match="shorter than 12 bytes"):
        KeyfileCustodian.create(tmp_path / "root.key", passphrase=b"hunter2")
    assert not (tmp_path / "root.key").exists()


def test_a_passphrase_over_an_unsealed_file_is_refused_and_not_asked_for(tmp_path):
    """Nobody believes in a passphrase that protects nothing; without one the plain file opens."""
    KeyfileCustodian.create(tmp_path / "root.key")
    with pytest.raises(RootKeyWrong, match="not sealed under one"):
        KeyfileCustodian.load(tmp_path / "root.key", passphrase=lambda: pytest.fail("asked"))
    KeyfileCustodian.load(tmp_path / "root.key")


@pytest.mark.parametrize("word", range(8))
def test_each_damaged_word_is_told_as_damage(sealed, sealed_text, word):
    """A cut or changed file asks for no passphrase."""
    words = sealed_text[0].split()
    words[word] = words[word][:-1] + ("A" if words[word][-1] != "A" else "B")
    sealed.write_text(" ".join(words) + "\n")
    with pytest.raises(RootKeyDamaged):
        KeyfileCustodian.load(sealed, passphrase=lambda: pytest.fail("asked"))


@pytest.mark.parametrize(
    "words",
    [
        "scrypt 16 8 1 {salt} {sealed}",
        "scrypt 21 8 1 {salt} {sealed}",
        "scrypt 17 1 1 {salt} {sealed}",
        "scrypt 17 8 9 {salt} {sealed}",
        "argon2 17 8 1 {salt} {sealed}",
        "scrypt x 8 1 {salt} {sealed}",
        "scrypt 17 8 1 AAAA {sealed}",
        "scrypt 17 8 1 {salt} AAAA",
        "scrypt 17 8 1 {salt} !!!!",
        "scrypt 17 8 1 {salt}",
    ],
)
def test_another_cost_or_shape_is_refused_before_it_is_paid(sealed_text, words):
    """Whoever can write the file can neither weaken the key nor exhaust the machine."""
    *_, salt, sealed, _ = sealed_text[0].split()
    with pytest.raises(ValueError):
        SealedRoot.parse(words.format(salt=salt, sealed=sealed).split())


def test_what_stands_before_it_is_authenticated(sealed_text):
    """The sealed key of one file does not open in another's place."""
    words = sealed_text[0].split()
    sealed = SealedRoot.parse(words[2:-1])
    assert len(sealed.open(PASSPHRASE, before=" ".join(words[:2]))) == 32
    with pytest.raises(PassphraseWrong):
        sealed.open(PASSPHRASE, before="consentry-root-key-2 0000000000000000")


def test_a_secret_is_read_without_its_line_end_and_from_its_owner_only(tmp_path):
    """Editors add one; other accounts are kept out, but for the mask that systemd shows on credentials."""
    path = tmp_path / "secret"
    path.write_bytes(b" pass phrase \r\n")
    path.chmod(0o600)
    assert read_secret(path, "passphrase") == b" pass phrase "
    path.chmod(0o440)
    with pytest.raises(RootKeyWrong, match="passphrase can be read by others"):
        read_secret(path, "passphrase")
    assert read_secret(path, "passphrase", is_credential=True) == b" pass phrase "
    path.chmod(0o444)
    with pytest.raises(RootKeyWrong):
        read_secret(path, "passphrase", is_credential=True)


@pytest.mark.parametrize(("content", "error"), [(b"\n", RootKeyMissing), (b"x" * 9_000, RootKeyWrong)])
def test_a_file_that_holds_no_secret_is_told(tmp_path, content, error):
    """Empty, or something else by mistake."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(error, match="token"):
        read_secret(path, "token")


def test_a_credential_lies_where_systemd_says(monkeypatch, tmp_path):
    """Nowhere without systemd, and never outside of that folder."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(Exception, match="has given this process none"):
        credential_path("root.key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credential_path("root.key") == tmp_path / "root.key"
    for name in ("../root.key", "a/b", "..", ".", ""):
        with pytest.raises(Exception, match="plain file name"):
            credential_path(name)
