"""A PKCS#11 token as custodian, with SoftHSM from the system's packages (tools/softhsm.sh)."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kernel.errors import ConfigurationError, IntegrityFailed
from vault.custodian import CustodianRefused, CustodianUnavailable, KeyfileCustodian, RootKeyMissing, RootKeyWrong
from vault.custodians.pkcs11 import Pkcs11Custodian, Pkcs11Token

KEY = bytes(range(32))
CONTEXT = b"epoch 1"
TOKENS = ("clinic", "other")
_PLACES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The library of SoftHSM, with two tokens of this run's own."""
    pytest.importorskip("pkcs11", reason="pkcs11: python-pkcs11 is not installed")
    found = [path for place in _PLACES if Path(place).is_dir() for path in Path(place).rglob("libsofthsm2.so")]
    if shutil.which("softhsm2-util") is None or not found:
        pytest.skip("pkcs11: SoftHSM is not installed; tools/softhsm.sh")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        for label in TOKENS:
            command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "1234", "--so-pin", "5678"]
            subprocess.run(command, check=True, capture_output=True)
        yield found[0]
        import pkcs11

        pkcs11.unload(str(found[0].resolve()))


@pytest.fixture
def pin(tmp_path):
    path = tmp_path / "pin"
    path.write_text("1234\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def reached(request, module, pin):
    """Makes custodians that are closed again."""

    def made(token="clinic", key="consentry", *, library=module, deployment="dep", timeout_ms=5_000):
        place = Pkcs11Token(library, token, key, pin)
        custodian = Pkcs11Custodian(place, deployment=deployment, timeout_ms=timeout_ms)
        request.addfinalizer(custodian.close)
        return custodian

    return made


@pytest.fixture
def custodian(reached):
    return reached()


def test_what_was_wrapped_unwraps_and_is_bound_to_its_context(custodian):
    """The key comes back for its epoch only."""
    blob = custodian.wrap(KEY, CONTEXT)
    assert custodian.unwrap(blob, CONTEXT) == KEY
    assert KEY not in blob
    with pytest.raises(IntegrityFailed, match="changed"):
        custodian.unwrap(blob, b"epoch 2")
    assert custodian.name == "pkcs11:clinic/consentry"


def test_the_key_objects_never_leave_the_token(custodian):
    """They are sensitive and cannot be extracted, nor used to wrap others out."""
    from pkcs11 import Attribute

    custodian.wrap(KEY, b"epoch hidden")
    objects = list(custodian._opened.get_objects({Attribute.LABEL: "consentry"}))
    assert objects
    for found in objects:
        assert found[Attribute.SENSITIVE]
        assert not found[Attribute.EXTRACTABLE]
        assert not found[Attribute.WRAP]


@pytest.mark.parametrize("position", [0, 5, 12, 30, 40, -1])
def test_a_changed_blob_does_not_unwrap(custodian, position):
    """Kind, root id, object id, nonce and ciphertext are all looked at."""
    blob = bytearray(custodian.wrap(KEY, CONTEXT))
    blob[position] ^= 1
    with pytest.raises((IntegrityFailed, RootKeyWrong, RootKeyMissing)):
        custodian.unwrap(bytes(blob), CONTEXT)


@pytest.mark.parametrize("cut", [1, 40])
def test_a_cut_blob_does_not_unwrap(custodian, cut):
    """Lengths are checked before the token is asked."""
    with pytest.raises(IntegrityFailed, match="wrong shape"):
        custodian.unwrap(custodian.wrap(KEY, CONTEXT)[:-cut], CONTEXT)


def test_the_end_of_an_epoch_destroys_its_key_object(custodian):
    """From then on no copy of the blob opens, wherever it was kept; other epochs stay."""
    ended, living = custodian.wrap(KEY, b"epoch 2"), custodian.wrap(KEY, b"epoch 3")
    custodian.destroy(b"epoch 2")
    custodian.destroy(b"epoch 2")
    with pytest.raises(RootKeyMissing, match="no key for this epoch"):
        custodian.unwrap(ended, b"epoch 2")
    assert custodian.unwrap(living, b"epoch 3") == KEY


def test_rewrapping_destroys_all_but_the_newest(custodian, tmp_path):
    """What is kept opens, what it replaces does not; a blob of another custodian keeps nothing."""
    old, new = custodian.wrap(KEY, b"epoch 4"), custodian.wrap(KEY, b"epoch 4")
    custodian.destroy(b"epoch 4", keep=new)
    assert custodian.unwrap(new, b"epoch 4") == KEY
    with pytest.raises(RootKeyMissing):
        custodian.unwrap(old, b"epoch 4")
    custodian.destroy(b"epoch 4", keep=KeyfileCustodian.create(tmp_path / "root.key").wrap(KEY, b"epoch 4"))
    with pytest.raises(RootKeyMissing):
        custodian.unwrap(new, b"epoch 4")


def test_deployments_that_share_a_token_leave_each_other_alone(custodian, reached):
    """An epoch's end destroys this deployment's key object only."""
    other = reached(deployment="dep2")
    blob = other.wrap(KEY, b"epoch 5")
    custodian.destroy(b"epoch 5")
    assert other.unwrap(blob, b"epoch 5") == KEY
    with pytest.raises(RootKeyWrong):
        reached(key="another").unwrap(blob, b"epoch 5")


def test_another_process_finds_the_key_object(custodian, pin):
    """What a command makes, a running server opens, and the reverse."""
    code = (
        "import sys; from pathlib import Path; from vault.custodians.pkcs11 import *;"
        "t = Pkcs11Token(Path(sys.argv[1]), 'clinic', 'consentry', Path(sys.argv[2]));"
        "c = Pkcs11Custodian(t, deployment='dep', timeout_ms=5000);"
        "sys.stdout.write(c.wrap(bytes(range(32)), b'epoch 6').hex())"
    )
    custodian.wrap(KEY, CONTEXT)
    command = [sys.executable, "-c", code, str(custodian._token.module), str(pin)]
    made = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert custodian.unwrap(bytes.fromhex(made.stdout), b"epoch 6") == KEY


def test_threads_share_the_session(custodian):
    """Questions take turns."""
    blob = custodian.wrap(KEY, CONTEXT)
    got = []
    threads = [threading.Thread(target=lambda: got.append(custodian.unwrap(blob, CONTEXT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [KEY] * 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the binding's own search complains
def test_a_session_that_was_lost_is_opened_again(custodian):
    """A token that was unplugged and is back."""
    blob = custodian.wrap(KEY, CONTEXT)
    custodian._opened.close()
    assert custodian.unwrap(blob, CONTEXT) == KEY


def test_a_wrong_pin_is_tried_once(reached, pin):
    """Tokens lock themselves after a few; whoever asks again is refused without one more try."""
    pin.write_text("9999")
    custodian = reached("other")
    with pytest.raises(CustodianRefused, match="refuses the PIN: PinIncorrect"):
        custodian.wrap(KEY, CONTEXT)
    pin.write_text("1234")
    with pytest.raises(CustodianRefused, match="has refused the PIN"):
        custodian.wrap(KEY, CONTEXT)
    assert reached("other").wrap(KEY, CONTEXT)


def test_what_is_missing_is_told(reached, tmp_path, pin):
    """Token, library and PIN each by name."""
    with pytest.raises(RootKeyMissing, match="no such token"):
        reached("nowhere").wrap(KEY, CONTEXT)
    with pytest.raises(ConfigurationError, match="library of the token"):
        reached(library=tmp_path / "none.so").wrap(KEY, CONTEXT)
    pin.chmod(0o644)
    with pytest.raises(RootKeyWrong, match="PIN can be read by others"):
        reached("other").wrap(KEY, CONTEXT)


def test_a_token_that_hangs_is_given_up_in_time(reached):
    """Also when an earlier question still holds the session."""
    custodian = reached(timeout_ms=150)
    begun = time.monotonic()
    with custodian._turn, pytest.raises(CustodianUnavailable, match=r"has not come back|did not answer"):
        custodian.wrap(KEY, CONTEXT)
    assert time.monotonic() - begun < 5


def test_a_token_that_fails_is_no_changed_blob(custodian, monkeypatch):
    """Where the same key does not even encrypt, it is the token that fails."""
    import pkcs11

    def failing(*_given):
        raise pkcs11.DeviceError

    blob = bytearray(custodian.wrap(KEY, CONTEXT))
    blob[-1] ^= 1
    monkeypatch.setattr("vault.custodians.pkcs11._encrypted", failing)
    custodian._patience._timeout_ms = 250
    with pytest.raises(CustodianUnavailable, match="DeviceError"):
        custodian.unwrap(bytes(blob), CONTEXT)


def test_a_token_without_the_mechanism_is_told(custodian, monkeypatch):
    """With what it needs."""
    import pkcs11

    def unknown(*_given):
        raise pkcs11.MechanismInvalid

    monkeypatch.setattr("vault.custodians.pkcs11._encrypted", unknown)
    with pytest.raises(ConfigurationError, match="cannot be used: MechanismInvalid"):
        custodian.wrap(KEY, CONTEXT)
    monkeypatch.setattr("vault.custodians.pkcs11._encrypted", lambda *_given: b"short")
    with pytest.raises(IntegrityFailed, match="another tag"):
        custodian.wrap(KEY, CONTEXT)


def test_the_missing_library_is_said_with_its_extra(monkeypatch, tmp_path):
    """One line, and what to install."""
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    place = Pkcs11Token(tmp_path / "none.so", "clinic", "consentry", tmp_path / "pin")
    with pytest.raises(ConfigurationError, match="needs python-pkcs11") as told:
        Pkcs11Custodian(place, deployment="dep", timeout_ms=500).wrap(KEY, CONTEXT)
    assert "extra `pkcs11`" in told.value.hint
