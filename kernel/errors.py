"""One base for every error that a person may see; a message never carries a field value."""


class ConsentryError(Exception):
    """An expected failure: what happened in one line, and what to do next.

    Args:
        message: what happened, with ids and rule names only.
        hint: what the reader can do about it; empty when nothing can be done.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def diagnostics(self) -> str:
        """Return the one line that the command line and the API show."""
        return f"{self.message}. {self.hint}".rstrip() if self.hint else self.message


class BadInput(ConsentryError):
    """What the caller gave cannot be used as it is."""

    exit_code = 2


class NotFound(BadInput):
    """The named thing does not exist, or is not visible to the caller."""


class Conflict(BadInput):
    """The request contradicts what is already stored."""


class Denied(ConsentryError):
    """A gate, a role or a rule refuses the act."""


class Unavailable(ConsentryError):
    """A store, key or log cannot be reached now; nothing was opened or half-written."""


class IntegrityFailed(ConsentryError):
    """Stored or presented bytes do not verify."""


class ConfigurationError(ConsentryError):
    """Settings, pack or stores do not fit together."""

    exit_code = 2
