"""The receipt key lies in a file of its own, for its owner only."""

import json

import pytest

from consentry.receipt_keys import create_receipt_key, load_receipt_key
from consentry.workflows.upgrade import upgrade_stores
from kernel.errors import ConfigurationError, Conflict


def test_a_key_is_written_for_its_owner_only(tmp_path):
    """Mode 0600 from the first byte, and never over another."""
    path = tmp_path / "receipt.key"
    create_receipt_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_receipt_key(path).public_jwk["x"] == json.loads(path.read_text())["x"]
    with pytest.raises(Conflict):
        create_receipt_key(path)


def test_a_missing_key_says_what_to_do(tmp_path):
    """A deployment that is older than receipts has none: `consentry upgrade` makes it."""
    with pytest.raises(ConfigurationError, match="is missing") as refused:
        load_receipt_key(tmp_path / "receipt.key")
    assert "consentry upgrade" in refused.value.hint


def test_a_key_that_others_can_read_is_refused(tmp_path):
    """A key that somebody else may have signs nothing."""
    path = tmp_path / "receipt.key"
    create_receipt_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="by others"):
        load_receipt_key(path)


def test_an_upgrade_makes_the_key_once(deployment):
    """A deployment without the file gets it; one that has it keeps it."""
    path = deployment.settings.receipt_key_path
    made = load_receipt_key(path).key_id
    upgrade_stores(deployment.settings)
    assert load_receipt_key(path).key_id == made
    path.unlink()
    upgrade_stores(deployment.settings)
    assert load_receipt_key(path).key_id != made
