"""Somebody who may change settings, but no code, tries to have no log."""

import pytest

from consentry.settings import load_settings
from kernel.errors import ConfigurationError

SWITCHES = ("audit", "audit_enabled", "log", "sign", "witness")


@pytest.mark.parametrize("switch", SWITCHES)
def test_log_cannot_be_switched_off_in_the_settings_file(house, switch):
    """There is no such setting, and a file that tries one stops the start."""
    with (house.home / "consentry.toml").open("a") as file:
        file.write(f"\n{switch} = false\n")
    with pytest.raises(ConfigurationError, match=switch):
        house.shell.run("audit", "query")


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("spelled", [str.upper, str.title])
def test_log_cannot_be_switched_off_in_the_environment(house, monkeypatch, switch, spelled):
    """Nor by a variable, in whatever letters: settings are read without regard to case."""
    name = spelled(f"consentry_{switch}")
    monkeypatch.setenv(name, "off")
    with pytest.raises(ConfigurationError, match=f"'{name}' names no setting"):
        house.shell.run("audit", "query")


def test_variables_that_are_no_settings_are_left_alone(house, monkeypatch):
    """Those of the command line, of tests and benchmarks, of nobody, and those that are set to nothing."""
    for name in ("CONSENTRY_TOKEN", "CONSENTRY_NIGHTLY", "CONSENTRY_OUTSIDE_DATA", "XCONSENTRY_AUDIT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CONSENTRY_AUDIT", "")
    assert load_settings(home=house.home).home == house.home


def test_name_of_a_variable_is_told_without_its_value(house, monkeypatch):
    """A value may be a secret, and a name may hold anything."""
    monkeypatch.setenv("CONSENTRY_SIGN\x1b[2J", "a-secret")
    with pytest.raises(ConfigurationError) as refused:
        house.shell.run("audit", "query")
    assert refused.value.message == r"Environment variable 'CONSENTRY_SIGN\x1b[2J' names no setting"


def test_audit_without_a_signer_does_not_start(house):
    """Nobody listens on the socket that the settings name, and the key in the folder is not used instead."""
    with (house.home / "consentry.toml").open("a") as file:
        file.write('\nsigner_socket = "nobody"\n')
    assert "does not answer" in house.start()
