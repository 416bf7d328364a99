"""Opening a deployment: every part is checked before the first is used, and a driver that lacks is said."""

import sys

import pytest

from consentry.platform import open_platform, open_stores, parse_store_url
from consentry.settings import load_settings
from kernel.errors import BadInput, ConfigurationError
from vault.custodian import KeyfileCustodian, RootKeyMissing, RootKeyWrong


def opens(settings):
    """Open and close."""
    with open_platform(settings) as platform:
        return platform.settings


def test_open_deployment_has_every_part(deployment):
    """The wiring holds: keys open, the log signs."""
    with open_platform(deployment.settings) as platform:
        assert platform.keystore.check().epoch_id
        assert platform.log.settle().size > 0


def test_deployment_without_a_name_is_none(tmp_path):
    """Where nothing was initialised, the line names the folder and the way out."""
    with pytest.raises(ConfigurationError, match=f"There is no deployment in {tmp_path}"):
        opens(load_settings(home=tmp_path))


def test_root_key_is_checked_before_anything_is_read(deployment):
    """Another root key is noticed at once, and not with the first value."""
    path = deployment.settings.root_key_path
    path.unlink()
    with pytest.raises(RootKeyMissing):
        opens(deployment.settings)
    KeyfileCustodian.create(path)
    with pytest.raises(RootKeyWrong, match="belongs to another key store"):
        opens(deployment.settings)


def test_failed_opening_leaves_no_connection(deployment, monkeypatch):
    """Both stores are closed again, so that a file can be replaced or removed."""
    closed = []
    monkeypatch.setattr("kernel.database.Database.dispose", lambda self: closed.append(self.label))
    deployment.settings.signing_key_path.unlink()
    with pytest.raises(Exception, match="signing key"):
        opens(deployment.settings)
    assert closed == ["data store", "key store"]


def test_missing_driver_is_said(tmp_path, monkeypatch):
    """PostgreSQL without its extra is one line."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    settings = load_settings(home=tmp_path, data_store="postgresql://u:p@127.0.0.1:1/d")
    with pytest.raises(ConfigurationError, match="driver for PostgreSQL is not installed"):
        open_stores(settings, must_exist=False)


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite", "://"])
def test_url_that_is_none_is_refused_without_repeating_it(url):
    """A URL may hold a password."""
    with pytest.raises(ConfigurationError) as refused:
        parse_store_url(url)
    assert refused.value.diagnostics().startswith("The URL of a store cannot be read.")


def test_store_of_another_kind_is_refused(tmp_path):
    """Only SQLite and PostgreSQL hold a store."""
    with pytest.raises(BadInput, match="cannot live in oracle"):
        open_stores(load_settings(home=tmp_path, key_store="oracle://h/d"), must_exist=False)
