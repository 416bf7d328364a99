"""Log lines about failures: type and place of an error, the route's template; nothing that a caller sent."""

import logging
import traceback
from collections.abc import MutableMapping
from typing import Any, Final

from kernel.errors import ConsentryError

_LOGGER: Final = logging.getLogger("consentry.api")
_PACKAGES: Final = frozenset({"consentry", "tagging", "vault", "deid", "consent", "audit", "kernel"})
_FRAMES: Final = 4


def log_failure(scope: MutableMapping[str, Any], error: Exception) -> None:
    """Write one line; of an error of ours the message as well, for it holds no values."""
    route = getattr(scope.get("route"), "path", "no route")
    if isinstance(error, ConsentryError):
        _LOGGER.error("%s %s: %s: %s", scope["method"], route, type(error).__name__, error.diagnostics())
    else:
        _LOGGER.critical("%s %s: %s at %s", scope["method"], route, type(error).__name__, _places(error))


def _places(error: Exception) -> str:
    """Return the innermost places in our own modules; an error's message, and what a library says, may hold values."""
    found = [(frame.f_globals.get("__name__", ""), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [f"{name}:{line}" for name, line in found if name.partition(".")[0] in _PACKAGES]
    return " < ".join(reversed(ours[-_FRAMES:]))
