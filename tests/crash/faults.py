"""Faults of the machine, put into one child process: it dies, or a call fails, at a numbered point.

A point is a call by which a process changes a file or answers: SQLite's own writes, truncations and deletions, which
are reached through the system call table that its Unix VFS offers to tests (sqlite3_vfs.xSetSystemCall), and those of
Python, with its flushes and what it sends. Of a database server a process sees statements and commits: those points
lie in SQLAlchemy's dialect and in the driver. Nothing of the project's code is replaced.
"""

import ctypes
import errno
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NoReturn

import psycopg
from sqlalchemy.engine.default import DefaultDialect

_SYMBOL: Final = "libsqlite3.so.0"
_libc: Final = ctypes.CDLL(None, use_errno=True)
_PWRITE: Final = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
_TRUNCATE: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64, use_errno=True)
_UNLINK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, use_errno=True)
_OFFSET: Final = ctypes.c_int64


class Fault(StrEnum):
    """What happens at the point."""

    KILLED = "killed before the call"
    TORN = "half of the bytes are written, then killed"
    REFUSED = "the call fails, and does nothing"
    LOST = "the call does its work, and says that it failed"
    FULL = "no call that makes a file grow works any more"
    READ_ONLY = "no call works any more"


class _Vfs(ctypes.Structure):
    """The head of ``sqlite3_vfs``, version 3 (sqlite.org/c3ref/vfs.html)."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_bytes", ctypes.c_int),
        ("path_max", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("app_data", ctypes.c_void_p),
        *((f"method_{number}", ctypes.c_void_p) for number in range(13)),
        ("set_system_call", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)),
    )


@dataclass
class Injector:
    """Counts the points of this process, and does its fault at one of them; the process is not used afterwards.

    Attributes:
        number: of the point, counted from 1 once it is armed; 0 for none.
        error: what a call that fails says.
    """

    fault: Fault
    number: int
    error: int = errno.ENOSPC
    seen: int = 0
    is_armed: bool = False
    _kept: list[object] = field(default_factory=list, repr=False)

    def install(self) -> None:
        """Stand between this process and its files."""
        pwrite, truncate, unlink, replace = os.pwrite, os.ftruncate, os.unlink, os.replace
        sync, send = os.fsync, socket.socket.sendall
        os.pwrite = lambda file, data, at: self._python(pwrite, file, data, at)
        os.fsync = lambda file: self._python(sync, file)
        socket.socket.sendall = lambda link, data, *flags: self._python(send, link, data, *flags)  # type: ignore[method-assign]
        os.ftruncate = lambda file, size: self._python(truncate, file, size)
        os.unlink = lambda *args, **named: self._python(unlink, *args, **named)
        os.replace = lambda *args, **named: self._python(replace, *args, **named)
        self._install_store()

    def arm(self) -> None:
        """Count from here."""
        self.seen, self.is_armed = 0, True

    def mend(self) -> None:
        """Let every call work from here on."""
        self.is_armed = False

    def _install_store(self) -> None:
        sqlite = ctypes.CDLL(_SYMBOL)
        sqlite.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        vfs = sqlite.sqlite3_vfs_find(None)
        calls = {b"pwrite": _PWRITE(self._pwrite), b"pwrite64": _PWRITE(self._pwrite), b"unlink": _UNLINK(self._unlink),
                 b"ftruncate": _TRUNCATE(self._truncate)}  # fmt: skip
        for name, call in calls.items():
            status = vfs.contents.set_system_call(vfs, name, ctypes.cast(call, ctypes.c_void_p))
            assert status == 0 or name.startswith(b"pwrite"), name
        self._kept.append((sqlite, vfs, calls))

    def _pwrite(self, file: int, data: int, size: int, at: int) -> int:
        def half() -> None:
            _libc.pwrite64(file, ctypes.c_void_p(data), ctypes.c_size_t(size // 2), _OFFSET(at))

        is_growing = at + size > os.fstat(file).st_size
        return self._sqlite(
            lambda: _libc.pwrite64(file, ctypes.c_void_p(data), ctypes.c_size_t(size), _OFFSET(at)), half, is_growing
        )

    def _truncate(self, file: int, size: int) -> int:
        return self._sqlite(lambda: _libc.ftruncate64(file, _OFFSET(size)))

    def _unlink(self, path: bytes) -> int:
        return self._sqlite(lambda: _libc.unlink(path))

    def _sqlite(self, call: Callable[[], int], half: Callable[[], None] | None = None, is_growing: bool = False) -> int:
        if not self._is_due(is_growing):
            return call()
        if self.fault is Fault.TORN and half is not None:
            half()
        if self.fault in (Fault.KILLED, Fault.TORN):
            die()
        if self.fault is Fault.LOST:
            call()
        ctypes.set_errno(self.error)
        return -1

    def _python(self, call: Callable, *args: object, **named: object) -> object:
        if not self._is_due(is_growing=bool(data_of(args))):
            return call(*args, **named)
        if self.fault is Fault.TORN and (data := data_of(args)):
            call(args[0], data[: len(data) // 2], *args[2:])
        if self.fault in (Fault.KILLED, Fault.TORN):
            die()
        if self.fault is Fault.LOST:
            call(*args, **named)
        raise OSError(self.error, os.strerror(self.error))

    def _is_due(self, is_growing: bool) -> bool:
        if not self.is_armed:
            return False
        self.seen += 1
        if self.fault is Fault.FULL:
            return self.seen >= self.number and is_growing
        if self.fault is Fault.READ_ONLY:
            return self.seen >= self.number
        return self.seen == self.number


_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "COPY")


@dataclass
class ServerInjector(Injector):
    """The same where the stores are a database server's: a point is a writing statement, or a side of its commit.

    A call that fails takes its connection along, as when the server was stopped, unless the disk is full: then the
    server says so and goes on.
    """

    _writing: set[int] = field(default_factory=set, repr=False)

    def _install_store(self) -> None:
        commit, copy = DefaultDialect.do_commit, psycopg.Cursor.copy
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            call = getattr(DefaultDialect, name)
            setattr(DefaultDialect, name, self._statement(call))
        DefaultDialect.do_commit = lambda dialect, link: self._commit(commit, dialect, link)  # type: ignore[method-assign]
        psycopg.Cursor.copy = lambda cursor, *args, **named: self._copy(copy, cursor, *args, **named)  # type: ignore[method-assign]

    def _statement(self, call: Callable[..., None]) -> Callable[..., None]:
        def run(dialect: object, cursor: psycopg.Cursor, statement: str, *args: object) -> None:
            if statement.lstrip()[:6].rstrip().upper() in _WRITES:
                self._before_write(cursor)
            call(dialect, cursor, statement, *args)

        return run

    def _copy(self, call: Callable[..., object], cursor: psycopg.Cursor, *args: object, **named: object) -> object:
        self._before_write(cursor)
        return call(cursor, *args, **named)

    def _before_write(self, cursor: psycopg.Cursor) -> None:
        self._writing.add(id(cursor.connection))
        if self._is_due(is_growing=True):
            self._end(cursor.connection)

    def _commit(self, call: Callable[..., None], dialect: object, link: psycopg.Connection) -> None:
        driver = getattr(link, "driver_connection", link)
        is_writing = id(driver) in self._writing
        self._writing.discard(id(driver))
        if is_writing and self._is_due(is_growing=False):
            if self.fault is Fault.LOST:
                call(dialect, link)
            self._end(driver)
        call(dialect, link)
        if is_writing and self.fault in (Fault.KILLED, Fault.TORN) and self._is_due(is_growing=False):
            die()

    def _end(self, driver: psycopg.Connection) -> None:
        """Do what the fault does before the call."""
        if self.fault in (Fault.KILLED, Fault.TORN):
            die()
        if self.fault is Fault.FULL:
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        if self.fault is Fault.READ_ONLY:
            raise psycopg.errors.ReadOnlySqlTransaction("cannot execute this in a read-only transaction")
        driver.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")


def data_of(args: tuple) -> bytes:
    """The bytes that a call is to write or send; none where it does neither."""
    return args[1] if len(args) > 1 and isinstance(args[1], bytes) else b""


def die() -> NoReturn:
    """End this process without warning."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")
