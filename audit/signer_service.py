"""The signer as a process of its own: a Unix socket that takes leaf hashes and gives signatures.

Run it under an account that the platform's cannot read from, on the same machine. Whoever may connect to the socket
can have leaves appended and documents signed, and nothing else: no key leaves, and no other past is ever signed.
"""

import grp
import os
import socketserver
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from audit.signer import HASHES_MAX, NotAtHead, TreeSigner
from audit.signer_protocol import (
    MESSAGE_MAX_BYTES,
    decoded,
    encoded,
    number,
    read_line,
    split_hashes,
    write_line,
)
from audit.verifier import HASH_BYTES
from kernel.encoding import JsonValue
from kernel.errors import BadInput, ConfigurationError, Conflict, ConsentryError

_IDLE_SECONDS: Final = 300.0
"""A connection that says nothing for so long is closed."""

_Answer = Mapping[str, JsonValue]


def answer(signer: TreeSigner, asked: Mapping[str, JsonValue]) -> _Answer:
    """Return the answer to one request; refusals are answers too."""
    work = _DO.get(str(asked.get("do")))
    try:
        if work is None:
            raise BadInput("The signer does not know this request", hint="See audit.signer_protocol.")
        return work(signer, asked)
    except NotAtHead as err:
        return {"error": "not_at_head", "message": err.message, "size": err.size}
    except ConsentryError as err:
        return {"error": type(err).__name__, "message": err.message}


@contextmanager
def serve_signer(
    signer: TreeSigner, socket_path: Path, *, group: str | None = None
) -> Iterator[socketserver.BaseServer]:
    """Listen on a socket that only its owner, and a group where one is named, may use.

    Args:
        signer: what answers; the caller runs ``serve_forever``.
        socket_path: of the socket; whoever connects must be able to pass its folder.
        group: of the accounts that may connect beside the signer's own: the platform's.
    Raises:
        Conflict: another signer listens there.
        ConfigurationError: something that is no socket lies there, the path cannot be used, or the group is unknown
            or not one that this account may give the socket to.
    """
    group_id = None if group is None else _group_id(group)
    _clear(socket_path)
    mask = os.umask(0o177)
    try:
        server = _Server(str(socket_path), _Handler)
    except OSError as err:
        raise ConfigurationError(f"The signer cannot listen there: {err.strerror}", hint="Check --socket.") from None
    finally:
        os.umask(mask)
    server.signer = signer
    try:
        if group_id is not None:
            _open_to(socket_path, group_id)
        yield server
    finally:
        server.server_close()
        with suppress(FileNotFoundError):
            socket_path.unlink()


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigurationError("The machine has no group of that name", hint="Check --group.") from None


def _open_to(socket_path: Path, group_id: int) -> None:
    """Give the socket to a group before its members may use it."""
    try:
        os.chown(socket_path, -1, group_id)
        socket_path.chmod(0o660)
    except OSError as err:
        raise ConfigurationError(
            f"The socket cannot be given to that group: {err.strerror}",
            hint="Make the signer's account a member of it.",
        ) from None


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    signer: TreeSigner


class _Handler(socketserver.StreamRequestHandler):
    timeout = _IDLE_SECONDS
    server: _Server

    def handle(self) -> None:
        """Answer one connection's requests until it ends, or says something that is none."""
        try:
            while (asked := read_line(self.rfile)) is not None:
                write_line(self.wfile, answer(self.server.signer, asked))
        except BadInput as err:
            write_line(self.wfile, {"error": "BadInput", "message": err.message})
        except OSError as err:
            structlog.get_logger().info("signer.connection_lost", cause=err.strerror)


def _key(signer: TreeSigner, _asked: Mapping[str, JsonValue]) -> _Answer:
    return {"name": signer.name, "public_key": encoded(signer.public_key)}


def _head(signer: TreeSigner, _asked: Mapping[str, JsonValue]) -> _Answer:
    state = signer.head()
    if state is None:
        return {"note": None, "peaks": None}
    return {"note": encoded(state.checkpoint.note), "peaks": encoded(b"".join(state.peaks))}


def _extend(signer: TreeSigner, asked: Mapping[str, JsonValue]) -> _Answer:
    hashes = split_hashes(decoded(asked, "hashes", at_most=HASHES_MAX * HASH_BYTES))
    return {"note": encoded(signer.extend(number(asked, "size"), hashes).note)}


def _sign(signer: TreeSigner, asked: Mapping[str, JsonValue]) -> _Answer:
    return {"signature": encoded(signer.sign(decoded(asked, "message", at_most=MESSAGE_MAX_BYTES)))}


def _handovers(signer: TreeSigner, _asked: Mapping[str, JsonValue]) -> _Answer:
    return {"notes": [encoded(note) for note in signer.handovers()]}


_DO: Final[Mapping[str, Callable[[TreeSigner, Mapping[str, JsonValue]], _Answer]]] = {
    "key": _key,
    "head": _head,
    "extend": _extend,
    "sign": _sign,
    "handovers": _handovers,
}


def _clear(socket_path: Path) -> None:
    """Take away the socket of a signer that is gone; a live one, or anything else, stays."""
    try:
        is_socket = stat.S_ISSOCK(socket_path.lstat().st_mode)
    except FileNotFoundError:
        return
    except OSError as err:
        raise ConfigurationError(f"The signer cannot listen there: {err.strerror}", hint="Check --socket.") from None
    if not is_socket:
        raise ConfigurationError("Something else lies where the signer should listen", hint="Name a new --socket.")
    if _is_live(socket_path):
        raise Conflict("Another signer listens there", hint="Stop it first.")
    socket_path.unlink()


def _is_live(socket_path: Path) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(socket_path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, TimeoutError):
            return True  # so busy that it takes nobody else now
        except OSError as err:
            raise ConfigurationError(
                f"Whether a signer listens there cannot be found out: {err.strerror}", hint="Check --socket."
            ) from None
        return True
