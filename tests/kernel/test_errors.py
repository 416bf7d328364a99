"""Errors that a person may see."""

import pytest

from kernel.errors import (
    BadInput,
    ConfigurationError,
    Conflict,
    ConsentryError,
    Denied,
    IntegrityFailed,
    NotFound,
    Unavailable,
)


def test_diagnostics_are_the_message_and_what_to_do():
    """With a hint it follows as a sentence of its own; without one the message stands alone."""
    assert Denied("No", hint="Ask first.").diagnostics() == "No. Ask first."
    assert Denied("No").diagnostics() == "No"


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (BadInput, 2),
        (NotFound, 2),
        (Conflict, 2),
        (ConfigurationError, 2),
        (Denied, 1),
        (Unavailable, 1),
        (IntegrityFailed, 1),
    ],
)
def test_bad_input_and_failed_checks_exit_differently(kind, exit_code):
    """2 says that the caller has to change something, 1 that a check or a store said no."""
    error = kind("what")
    assert isinstance(error, ConsentryError)
    assert error.exit_code == exit_code
