"""Keeps the memory of a process that may hold keys or plaintext out of files, and from others of the same account."""

import ctypes
import os
import sys
from typing import Final

from kernel.errors import ConfigurationError

_PR_SET_DUMPABLE: Final = 4
"""linux/prctl.h."""


def forbid_core_dumps() -> None:
    """Let a crash of this process leave no copy of its memory; every process that may hold a key calls it first.

    The limit alone does not hold where cores are piped to a program, as systemd-coredump has them (core(5)); there it
    takes that the process is not dumpable. Then no process of the same account can attach to it or read its memory
    either, nor some of its files below /proc (PR_SET_DUMPABLE in prctl(2)). Both are inherited by fork, and the second
    is lost at exec.

    Raises:
        ConfigurationError: the system does not let it be done.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            raise ConfigurationError(
                f"Core dumps cannot be switched off: {os.strerror(ctypes.get_errno())}",
                hint="Let the process use prctl; without it a crash could write keys to disk.",
            )
