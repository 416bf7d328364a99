"""What every command does first: read the settings, open the platform, know the caller."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernel.errors import BadInput

if TYPE_CHECKING:
    from consentry.platform import Platform
    from consentry.principals import Principal
    from consentry.settings import Settings

LOCAL_ROLE: Final = "administrator"
"""Whoever can read the root key file administers the embedded profile; entries name the system account."""


def settings_for(home: Path | None) -> "Settings":
    """Read the settings, with the data folder of ``--home`` where it is given."""
    from consentry.settings import load_settings

    return load_settings() if home is None else load_settings(home=home)


@contextmanager
def platform_for(home: Path | None, *, check_pack: bool = True, check_log: bool = True) -> "Iterator[Platform]":
    """Open the platform for one command; what it logged is under a signed checkpoint when it ends.

    Args:
        home: the data folder.
        check_pack: refuse a pack that was not taken into use; False for the command that does so.
        check_log: refuse a log that is not the one that was signed; False for commands that show or mend it.
    """
    from consentry.platform import open_platform
    from consentry.workflows.keep_log import check_log as check

    _log_to_stderr()
    with open_platform(settings_for(home), check_pack=check_pack) as platform:
        if check_log:
            check(platform)
        yield platform
        platform.log.settle()


def local_operator() -> "Principal":
    """Return the principal of commands that need no person's token."""
    from consentry.principals import Principal, PrincipalKind
    from kernel.ids import PrincipalId

    name = _login()
    return Principal(PrincipalId(f"local:{name}"), name, PrincipalKind.PERSON, LOCAL_ROLE)


def person_from(platform: "Platform", token: str | None) -> "Principal":
    """Return the person behind a token.

    Raises:
        BadInput: no token was given.
        NotAuthenticated: the token is not a live one of this deployment.
        AccountFrozen: an emergency access of the person's was not reviewed in time.
    """
    from consentry.workflows.freezing import know_person

    if not token:
        raise BadInput(
            "This command needs a person's token", hint="Run `consentry account token NAME`, then give --token."
        )
    return know_person(platform, token)


def _log_to_stderr() -> None:
    """Keep what a command logs out of what it prints, which programs read."""
    import structlog

    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def _login() -> str:
    """Return the name of the operating system's user, its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        import os

        return str(os.getuid())
