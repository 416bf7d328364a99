"""Servers on the loopback interface that end as soon as they are told to: hundreds of tests wait for it."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from socketserver import BaseServer

import uvicorn

LOOK_SECONDS = 0.01
"""How often a server of the standard library looks whether it is to end; by itself it does so every half second."""


class _Prompt(uvicorn.Server):
    """uvicorn's server, which looks ten times a second whether it is to end, and then waits a tenth of a second more.

    This one is woken, and ends with its last connection.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets=sockets)

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.002)
        await self.lifespan.shutdown()

    def end(self) -> None:
        """Tell it from another thread."""
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._told.set)


@contextmanager
def served(config: uvicorn.Config) -> Iterator[str]:
    """Serve an application in a thread; yields the address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = _Prompt(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.002)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.end()
            thread.join(timeout=30)


def start_serving(server: BaseServer) -> threading.Thread:
    """Run a server of the standard library in a thread until its ``shutdown``."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": LOOK_SECONDS}, daemon=True)
    thread.start()
    return thread
