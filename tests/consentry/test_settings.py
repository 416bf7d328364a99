"""Settings: where they are read, which comes first, and what a mistake says."""

import os
import tomllib
from pathlib import Path

import pytest

from consentry.settings import Settings, config_text, load_settings
from kernel.errors import ConfigurationError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting comes from outside; the working folder is empty."""
    for name in [name for name in os.environ if name.startswith("CONSENTRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(path: Path, text: str) -> Path:
    """Write a settings file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_the_embedded_profile():
    """Without any setting everything lies in one folder."""
    settings = load_settings()
    assert settings.home == Path("consentry-data")
    assert settings.data_store_url == "sqlite:///consentry-data/data.db"
    assert settings.key_store_url == "sqlite:///consentry-data/keys.db"
    assert settings.config_path == Path("consentry-data/consentry.toml")
    assert settings.root_key_path == Path("consentry-data/root.key")
    assert settings.signing_key_path == Path("consentry-data/signing.key")
    assert settings.token_key_path == Path("consentry-data/token.key")
    assert settings.signer_state_path == Path("consentry-data/signing.state")
    assert settings.views_path == Path("consentry-data/views")
    assert settings.exports_path == Path("consentry-data/exports")


def test_argument_goes_before_environment_before_file(tmp_path, monkeypatch):
    """Each source fills what the one before left open."""
    write(tmp_path / "h" / "consentry.toml", 'port = 1001\nhost = "file"\ntoken_minutes = 11\n')
    monkeypatch.setenv("CONSENTRY_PORT", "1002")
    monkeypatch.setenv("CONSENTRY_HOST", "environment")
    settings = load_settings(home="h", port=1003)
    assert (settings.port, settings.host, settings.token_minutes) == (1003, "environment", 11)


def test_empty_environment_variable_is_none(monkeypatch):
    """A variable that is set to nothing says nothing."""
    monkeypatch.setenv("CONSENTRY_HOME", "")
    monkeypatch.setenv("CONSENTRY_CONFIG", "")
    monkeypatch.setenv("CONSENTRY_DATA_STORE", "")
    assert load_settings().home == Path("consentry-data")


def test_file_of_the_home_is_always_read(tmp_path, monkeypatch):
    """Named by argument, by environment, or lying at the default place."""
    for folder in ("a", "b", "consentry-data"):
        write(tmp_path / folder / "consentry.toml", f'deployment = "{folder}"\n')
    assert load_settings(home=Path("a")).deployment == "a"
    assert load_settings().deployment == "consentry-data"
    monkeypatch.setenv("CONSENTRY_HOME", "b")
    assert load_settings().deployment == "b"


def test_file_of_the_working_folder_does_not_reach_into_a_named_home(tmp_path):
    """Standing in one deployment's folder and naming another one mixes nothing."""
    write(tmp_path / "consentry.toml", 'deployment = "here"\nport = 1\nhome = "."\n')
    write(tmp_path / "other" / "consentry.toml", 'deployment = "other"\n')
    assert (load_settings().deployment, load_settings().port) == ("here", 1)
    assert (load_settings(home="other").deployment, load_settings(home="other").port) == ("other", 8080)
    assert load_settings(home="empty").deployment == ""


def test_named_file_goes_before_that_of_the_home(tmp_path, monkeypatch):
    """CONSENTRY_CONFIG may hold what several deployments share, or name the home."""
    write(tmp_path / "etc" / "shared.toml", 'home = "../var/data"\nport = 1001\n')
    write(tmp_path / "var" / "data" / "consentry.toml", 'deployment = "dep"\nport = 1002\nhost = "h"\n')
    monkeypatch.setenv("CONSENTRY_CONFIG", "etc/shared.toml")
    settings = load_settings()
    assert (settings.deployment, settings.port, settings.host) == ("dep", 1001, "h")
    assert settings.home.resolve() == tmp_path / "var" / "data"


def test_relative_paths_in_a_file_start_at_its_folder(tmp_path):
    """A settings file means the same from every working folder."""
    text = (
        'home = "."\nroot_key_file = "../safe/root.key"\nviews_folder = "/abs/views"\n'
        'data_store = "sqlite:///deep/data.db"\nkey_store = "sqlite:////abs/keys.db"\npack = "../packs/own"\n'
    )
    write(tmp_path / "h" / "consentry.toml", text)
    settings = load_settings(home="h")
    assert settings.home == Path("h")
    assert settings.root_key_path.resolve() == tmp_path / "safe" / "root.key"
    assert settings.views_path == Path("/abs/views")
    assert settings.data_store_url == f"sqlite:///{tmp_path}/h/deep/data.db"
    assert settings.key_store_url == "sqlite:////abs/keys.db"
    assert Path(settings.pack).resolve() == tmp_path / "packs" / "own"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 0\n", "Setting 'port' is wrong: Input should be greater than or equal to 1"),
        ('port = "secret-port"\n', "Setting 'port' is wrong: Input should be a valid integer"),
        ("colour = 1\n", "Setting 'colour' is wrong: Extra inputs are not permitted"),
        ('backup_data_recipient = "secret"\n', "Setting 'backup_data_recipient' is wrong: Value error, give what"),
        ("backup_keys_minutes = 5\n", "Setting 'backup_keys_minutes' is wrong: Value error, it needs"),
        ("port = \n", "is no TOML"),
    ],
)
def test_mistake_names_the_setting_and_not_its_value(tmp_path, text, said):
    """A wrong, unknown or unreadable setting is one line; a value could be a password."""
    write(tmp_path / "h" / "consentry.toml", text)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(home="h")
    assert said in refused.value.diagnostics()
    assert "secret" not in refused.value.diagnostics()


def test_settings_file_in_another_encoding_is_named(tmp_path):
    """TOML is UTF-8."""
    (tmp_path / "consentry.toml").write_bytes('deployment = "诊所"'.encode("gbk"))
    with pytest.raises(ConfigurationError, match=r"consentry\.toml is no TOML"):
        load_settings()


@pytest.mark.parametrize("named", ["missing.toml", "."])
def test_named_file_must_be_there(monkeypatch, named):
    """CONSENTRY_CONFIG that names nothing readable is a mistake, not a default."""
    monkeypatch.setenv("CONSENTRY_CONFIG", named)
    with pytest.raises(ConfigurationError, match=f"The settings file {named} cannot be read"):
        load_settings()


def test_written_settings_are_read_back(tmp_path):
    """What `init` writes gives the same places, quotes and backslashes included; the home's own lie relative to it."""
    home = tmp_path / 'a "b" \\c'
    settings = Settings(
        home=home,
        deployment="dep",
        root_key_file=home / "keys" / "root.key",
        views_folder=tmp_path / "views\x7f",
        key_store="sqlite:///keys.db",
        data_store="postgresql://u:p@h/d",
    )
    text = config_text(settings)
    write(home / "consentry.toml", text)
    read = load_settings(home=home)
    assert read.deployment == "dep"
    assert read.root_key_path == home / "keys" / "root.key"
    assert read.views_path == tmp_path / "views\x7f"
    assert read.data_store_url == "postgresql://u:p@h/d"
    assert read.key_store_url == f"sqlite:///{tmp_path}/keys.db"
    assert tomllib.loads(text)["root_key_file"] == "keys/root.key"
    assert str(home) not in text


def test_the_suite_that_the_vault_began_with_stays(tmp_path, monkeypatch):
    """A suite that was named by the environment is written down, so that no later command makes keys of another."""
    monkeypatch.setenv("CONSENTRY_VAULT_SUITE", "sm")
    text = config_text(load_settings(home=tmp_path))
    monkeypatch.delenv("CONSENTRY_VAULT_SUITE")
    write(tmp_path / "consentry.toml", text)
    assert load_settings(home=tmp_path).vault_suite == "sm"
    assert "vault_suite" not in config_text(Settings(home=tmp_path, vault_suite="aes"))


@pytest.mark.parametrize(
    "given", ["https://app.example, http://localhost:3000", ["https://app.example", "http://localhost:3000"]]
)
def test_origins_of_pages_are_exact(tmp_path, monkeypatch, given):
    """A list in a file, a text with commas in the environment."""
    if isinstance(given, str):
        monkeypatch.setenv("CONSENTRY_CORS_ORIGINS", given)
    else:
        write(tmp_path / "consentry.toml", f"cors_origins = {given}")
    assert load_settings().cors_origins == ("https://app.example", "http://localhost:3000")


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "https://app.example/", "http://app.example", "app.example", "null"]
)
def test_origin_that_is_none_is_refused(origin):
    """No wildcard, no path, no page without TLS but on the machine itself."""
    with pytest.raises(ConfigurationError, match="'cors_origins' is wrong"):
        load_settings(cors_origins=origin)


def test_login_keys_lie_beside_the_settings_file(tmp_path, monkeypatch):
    """The file of public keys is found from the folder of the file that names it."""
    write(tmp_path / "consentry.toml", 'subject_token_jwks_file = "login-keys.json"')
    assert load_settings().subject_token_jwks_file == Path("login-keys.json")
    elsewhere = write(tmp_path / "etc" / "consentry.toml", 'subject_token_jwks_file = "login-keys.json"')
    monkeypatch.setenv("CONSENTRY_CONFIG", str(elsewhere))
    assert load_settings().subject_token_jwks_file == elsewhere.parent / "login-keys.json"
