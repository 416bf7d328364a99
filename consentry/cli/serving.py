"""The processes of one server: the one that was started tends, and answers where it is the only one.

Beside several that answer, the first one answers nobody: it binds the address, tends, and starts anew what dies.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from consentry.platform import Platform

_HOME: Final = "CONSENTRY_HOME"
_WORKER: Final = "consentry.cli.serving:open_worker"


def check_workers(platform: "Platform", workers: int) -> None:
    """Raise ``ConfigurationError`` where several processes would answer over SQLite stores.

    SQLite has one writer at a time, whom nothing but chance picks among processes: a withdrawal might wait until its
    time-out behind readings, which share their commits within one process anyway.
    """
    if workers > 1 and platform.data.is_sqlite:
        raise ConfigurationError(
            "Several processes answer over PostgreSQL only", hint="Leave --workers out, or set data_store."
        )


def serve_with(platform: "Platform", workers: int, *, home: Path | None, host: str | None, port: int | None) -> None:
    """Run the HTTP API until it is told to end.

    Args:
        platform: of the process that was started.
        workers: how many processes answer.
        home: the data folder where it was named; else every process finds it as this one did.
        host: to listen on; None for the setting, and ``port`` likewise.
        port: to listen on.
    """
    import uvicorn

    from consentry.api.app import create_app

    at, on = host or platform.settings.host, port or platform.settings.port
    if workers == 1:
        uvicorn.run(create_app(platform), host=at, port=on, server_header=False, access_log=False)
        return
    if home is not None:
        os.environ[_HOME] = str(home)
    uvicorn.run(_WORKER, factory=True, workers=workers, host=at, port=on, server_header=False, access_log=False)


def open_worker() -> "FastAPI":
    """Return the API around a platform of this process's own, which is closed when the server ends."""
    from consentry.api.app import create_app
    from consentry.cli.session import platform_for
    from kernel.core_dumps import forbid_core_dumps

    forbid_core_dumps()
    opened = ExitStack()
    return create_app(opened.enter_context(platform_for(None)), closing=opened.close)
