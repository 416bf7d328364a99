"""From settings to custodians: each kind is made, says what is missing, and a deployment lives under it."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from consentry.cli import main
from consentry.custody import create_root_file, open_custodian, root_file_to_make
from consentry.platform import open_platform
from consentry.settings import CUSTODY, Settings, config_text, load_custody, load_settings
from consentry.workflows.initialise import initialise
from kernel.clock import FixedClock, SystemClock
from kernel.errors import ConfigurationError, Unavailable
from tests.vault.custodian_services import TransitEngine, answering, misbehaving
from vault.custodian import CustodianUnavailable, PassphraseWrong, RootKeyMissing, RootKeyWrong
from vault.custodians.transit import TransitCustodian

NAMES = {"admin": "admin", "person": "dr.lin", "person_role": "clinician"}
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def secret(tmp_path):
    """Writes a secret into a file of its owner."""

    def written(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    return written


@pytest.fixture(scope="module")
def engine():
    return TransitEngine()


@pytest.fixture(scope="module")
def transit(engine, tmp_path_factory):
    """Settings of a transit engine on loopback."""
    token = tmp_path_factory.mktemp("transit") / "token"
    token.write_text("s.root")
    token.chmod(0o600)
    with answering(engine.answer) as url:
        yield {
            "custodian": "transit",
            "transit_address": url,
            "transit_key": "consentry",
            "transit_token_file": token,
        }


@pytest.fixture(scope="module")
def remote(transit, tmp_path_factory):
    """A deployment that was made under that engine's key; settings as its own file has them."""
    home = tmp_path_factory.mktemp("remote") / "home"
    initialise(load_settings(home=home, **transit), **NAMES)
    return load_settings(home=home)


@pytest.fixture
def refusing(engine):
    """Lets the engine answer otherwise until the test's end."""
    tokens = engine.tokens

    def otherwise(**attributes):
        for name, value in attributes.items():
            setattr(engine, name, value)

    yield otherwise
    engine.tokens, engine.fault = tokens, lambda _path: None


def opens(settings, **more):
    with open_platform(settings, **more) as platform:
        return platform.keystore.check().epoch_id


def commanded(settings, *words: str) -> None:
    """Run a command of the deployment; it must succeed."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--home", str(settings.home)])
    assert ended.value.code == 0


def written(path, **custody) -> Path:
    """A settings file of a custodian."""
    path.write_text("".join(f'{name} = "{value}"\n' for name, value in custody.items()))
    return path


def test_a_deployment_under_a_transit_key_has_no_root_key_file(remote, transit, engine):
    """Init asks the engine and writes the settings down; a start reads them there, and asks the engine once."""
    assert {name: getattr(remote, name) for name in transit} == transit
    assert not remote.root_key_path.exists()
    engine.asked.clear()
    assert opens(remote)
    assert engine.asked == ["/v1/transit/decrypt/consentry"]


def test_nothing_opens_after_the_hold_when_the_engine_has_withdrawn_its_consent(remote, refusing):
    """A minute by default, by the deployment's clock."""
    clock = FixedClock(SystemClock().now() + timedelta(hours=1))
    with open_platform(remote, clock=clock) as platform:
        refusing(tokens=set())
        clock.advance(timedelta(seconds=59))
        assert platform.keystore.check()
        clock.advance(timedelta(seconds=1))
        with pytest.raises(Unavailable, match="refuses the token"):
            platform.keystore.check()


def test_an_epochs_key_object_goes_with_it(deployment, tmp_path, monkeypatch, secret):
    """Moved into SoftHSM and rotated there: an older copy of the key store opens no more, beside the same token."""
    pytest.importorskip("pkcs11", reason="pkcs11: python-pkcs11 is not installed")
    found = [*Path("/usr/lib").rglob("libsofthsm2.so")] if Path("/usr/lib").is_dir() else []
    if shutil.which("softhsm2-util") is None or not found:
        pytest.skip("pkcs11: SoftHSM is not installed; tools/softhsm.sh")
    import pkcs11

    (tmp_path / "tokens").mkdir()
    monkeypatch.setenv("SOFTHSM2_CONF", str(secret("softhsm2.conf", f"directories.tokendir = {tmp_path}/tokens\n")))
    command = ["softhsm2-util", "--init-token", "--free", "--label", "clinic", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(command, check=True, capture_output=True)
    token = {
        "custodian": "pkcs11", "pkcs11_module": found[0], "pkcs11_token": "clinic",
        "pkcs11_pin_file": secret("pin", "1234"),
    }  # fmt: skip
    settings, home = deployment.settings, deployment.settings.home
    commanded(settings, "keys", "rewrap-root", "--to", str(written(tmp_path / "token.toml", **token)))
    settings.config_path.write_text(config_text(settings.model_copy(update=token)))
    shutil.copy(home / "keys.db", tmp_path / "older.db")
    commanded(settings, "keys", "rotate")
    assert opens(load_settings(home=home))
    shutil.copy(tmp_path / "older.db", home / "keys.db")
    with pytest.raises(RootKeyMissing, match="no key for this epoch"):
        opens(load_settings(home=home))
    pkcs11.unload(str(found[0].resolve()))


def test_init_that_fails_late_leaves_nothing_at_the_custodian(transit, tmp_path, monkeypatch):
    """What the first epoch's key was wrapped under is destroyed again."""
    destroyed = []
    monkeypatch.setattr(TransitCustodian, "destroy", lambda _self, context, *, keep=None: destroyed.append(keep))
    settings = load_settings(home=tmp_path / "home", **transit, signer_socket=tmp_path / "none")
    with pytest.raises(Unavailable, match="signer does not answer"):
        initialise(settings, **NAMES)
    assert destroyed == [None]
    assert not (tmp_path / "home").exists()


def test_a_kms_key_is_configured_by_its_settings(tmp_path, clock):
    """Nothing is asked before something is to be wrapped."""
    settings = load_settings(home=tmp_path, custodian="aws-kms", aws_kms_key="alias/c", aws_kms_region="cn-north-1")
    assert open_custodian(settings, clock).name == "aws-kms:alias/c"


def test_a_root_key_under_a_passphrase(tmp_path, secret, clock, monkeypatch):
    """The passphrase comes from its file or a systemd credential; without or with another one nothing opens."""
    settings = load_settings(home=tmp_path, root_key_passphrase_file=secret("passphrase", PASSPHRASE + "\n"))
    create_root_file(settings, root_file_to_make(settings))
    assert settings.root_key_path.read_text().startswith("consentry-root-key-2 ")
    name = open_custodian(settings, clock).name
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    by_credential = load_settings(home=tmp_path, root_key_passphrase_credential="passphrase")
    assert open_custodian(by_credential, clock).name == name
    secret("passphrase", "something else entirely")
    with pytest.raises(PassphraseWrong):
        open_custodian(settings, clock)
    (tmp_path / "passphrase").unlink()
    with pytest.raises(RootKeyMissing, match="passphrase is missing"):
        open_custodian(settings, clock)


def test_a_root_key_from_a_systemd_credential(tmp_path, monkeypatch, deployment):
    """The file moves into the unit's credentials, and the data folder has none."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    deployment.settings.root_key_path.rename(credentials / "root.key")
    (credentials / "root.key").chmod(0o440)
    settings = deployment.settings.model_copy(update={"root_key_credential": "root.key"})
    assert root_file_to_make(settings) is None
    with pytest.raises(ConfigurationError, match="given this process none"):
        opens(settings)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert opens(settings)
    (credentials / "root.key").chmod(0o444)
    with pytest.raises(RootKeyWrong):
        opens(settings)


@pytest.mark.parametrize(
    ("custody", "missing"),
    [
        ({"custodian": "aws-kms"}, "aws_kms_key"),
        ({"custodian": "aws-kms", "aws_kms_key": "k"}, "aws_kms_region"),
        ({"custodian": "transit"}, "transit_address"),
        ({"custodian": "transit", "transit_address": "https://v:1", "transit_key": "k"}, "transit_role_id_file"),
        ({"custodian": "pkcs11", "pkcs11_module": "m", "pkcs11_token": "t"}, "pkcs11_pin_file"),
    ],
)
def test_each_custodian_says_what_is_missing(tmp_path, clock, custody, missing):
    """Nothing is asked of a half configured one."""
    with pytest.raises(ConfigurationError, match=missing):
        open_custodian(load_settings(home=tmp_path, **custody), clock)


@pytest.mark.parametrize(
    "address", ["ftp://v", "http://vault.internal:8200", "https://v/path", "https://u:p@v", "vault:8200"]
)
@pytest.mark.parametrize("name", ["transit_address", "aws_kms_endpoint"])
def test_an_address_without_tls_is_the_machine_itself(tmp_path, name, address):
    """Keys do not travel in clear."""
    with pytest.raises(ConfigurationError, match=name):
        load_settings(home=tmp_path, **{name: address})


def test_init_with_a_custodian_that_does_not_answer_makes_nothing(transit, tmp_path):
    """Told in time, and the place is empty as before."""
    with misbehaving("accepts and never answers") as url:
        settings = load_settings(home=tmp_path / "home", **transit | {"transit_address": url}, custodian_timeout_ms=200)
        with pytest.raises(CustodianUnavailable):
            initialise(settings, **NAMES)
    assert not (tmp_path / "home").exists()


def test_the_root_moves_by_command_and_both_are_read_meanwhile(deployment, transit, tmp_path, capsys):
    """From the key file into the engine: with the old settings and the other's file, then with the new ones alone."""
    other = written(tmp_path / "transit.toml", **transit)
    commanded(deployment.settings, "keys", "rewrap-root", "--to", str(other))
    said = capsys.readouterr().out
    assert "1 epoch keys are wrapped by transit:transit/consentry" in said
    assert "Destroying that root is yours to do" in said
    with pytest.raises(RootKeyWrong, match="wrapped by the custodian 'transit'"):
        opens(deployment.settings)
    assert opens(deployment.settings.model_copy(update={"custodian_also_file": other}))
    assert opens(load_settings(**{**deployment.settings.model_dump(), **transit}))


def test_the_root_moves_to_a_key_file_that_is_made(deployment, tmp_path):
    """Run again, with both configured, the file is there and stays."""
    other = written(tmp_path / "other.toml", root_key_file="new.key")
    settings = deployment.settings
    commanded(settings, "keys", "rewrap-root", "--to", str(other))
    made = (tmp_path / "new.key").read_text()
    both = settings.model_copy(update={"custodian_also_file": other})
    settings.config_path.write_text(config_text(both))
    commanded(settings, "keys", "rewrap-root", "--to", str(other))
    assert (tmp_path / "new.key").read_text() == made
    assert opens(load_custody(other, settings))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('data_store = "sqlite:///x"\n', "'data_store', which is none of a custodian"),
        ('custodian = "hsm"\n', "'custodian' is wrong"),
        ("custodian_timeout_ms = 1\n", "'custodian_timeout_ms' is wrong"),
        ("=", "is no TOML"),
    ],
)
def test_a_wrong_settings_file_of_a_custodian_is_told(deployment, tmp_path, content, said):
    """By its setting, before anything is asked."""
    path = tmp_path / "other.toml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        load_custody(path, deployment.settings)
    with pytest.raises(ConfigurationError, match="cannot be read") as told:
        load_custody(tmp_path / "none.toml", deployment.settings)
    assert told.value.hint == "Check the place of the custodian's file."


def test_a_custodians_file_begins_at_the_defaults(deployment, tmp_path):
    """What the deployment has configured for its own custodian does not leak into the other."""
    settings = deployment.settings.model_copy(
        update={"custodian": "transit", "transit_key": "a", "root_key_file": Path("x")}
    )
    other = load_custody(written(tmp_path / "other.toml", custodian="keyfile"), settings)
    assert {name: getattr(other, name) for name in CUSTODY} == {
        name: Settings.model_fields[name].default for name in CUSTODY
    }
    assert other.deployment == settings.deployment
