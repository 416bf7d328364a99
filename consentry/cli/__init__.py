"""The command line: one module a group of commands; heavy parts are imported by the command that needs them."""

import io
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from typer import Abort, TyperException

from consentry.cli.app import app
from kernel.core_dumps import forbid_core_dumps
from kernel.errors import BadInput, ConsentryError

FAILED: Final = 1
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells report it."""

MAX_LINE: Final = 2000
"""Characters of an error's line; a command line can echo itself in it."""

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What would move the cursor, colour the terminal or turn the direction of the text."""

_HELP_INSTEAD: Final = "NoArgsIsHelpError"
"""The framework's private name for a group that was called without a command."""

_HERE: Final = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process: exit 0 when done, 2 for bad input, 1 for what failed.

    An expected error is one line on standard error, without values and without a traceback.

    Args:
        arguments: without the program's name; those of the process when left out.
    """
    _open_closed_streams()
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: Sequence[str]) -> int:
    try:
        forbid_core_dumps()
        _check_text(arguments)
        status = app(args=list(arguments), prog_name="consentry", standalone_mode=False)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as err:  # noqa: BLE001 - every way to fail ends the process here
        return _ended(err)
    return status if isinstance(status, int) else 0


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text here: they would come back in lists and logs, which are UTF-8."""
    for number, argument in enumerate(arguments, start=1):
        if _SURROGATE.search(argument):
            raise BadInput(f"Argument {number} is not valid UTF-8", hint="Rename the file, or correct the argument.")


def _ended(err: BaseException) -> int:
    """Say in one line why a command failed, and return its exit status."""
    match err:
        case ConsentryError():
            return _tell(err.diagnostics(), err.exit_code)
        case TyperException():
            return _tell_usage(err)
        case BrokenPipeError():
            _drop_output()
            return FAILED
        case OSError():
            return _tell(f"{err.strerror or type(err).__name__}{f': {err.filename}' if err.filename else ''}", FAILED)
        case Abort() | KeyboardInterrupt():
            return _tell("Interrupted", INTERRUPTED)
    return _tell(_defect(err), FAILED)


def _tell(line: str, status: int) -> int:
    told = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], " ".join(line.split()))
    with suppress(OSError):
        sys.stderr.write(f"consentry: {told if len(told) <= MAX_LINE else told[:MAX_LINE] + '…'}\n")
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    return status


def _tell_usage(err: TyperException) -> int:
    """Say what is wrong with the command line; a group that is called alone shows its help instead."""
    said = err.format_message()
    if type(err).__name__ == _HELP_INSTEAD:
        sys.stderr.write(f"{said}\n")
        return err.exit_code
    place = getattr(getattr(err, "ctx", None), "command_path", "consentry")
    return _tell(f"{said.rstrip('.')}. See `{place} --help`.", err.exit_code)


def _drop_output() -> None:
    """Let what is still buffered go nowhere: its reader went away, or its disk is full."""
    sys.stdout = io.StringIO()


def _defect(err: BaseException) -> str:
    """Return one line about an error that nobody foresaw: its type and our own place.

    Its message is left out, because a library may have put values into it.
    """
    frames = [frame for frame in traceback.extract_tb(err.__traceback__) if Path(frame.filename).is_relative_to(_HERE)]
    place = f" at {Path(frames[-1].filename).relative_to(_HERE.parent)}:{frames[-1].lineno}" if frames else ""
    return f"A defect: {type(err).__name__}{place}. Please report this line; it holds no values."


def _open_closed_streams() -> None:
    """Give a closed standard stream somewhere to go, and let no character that the terminal lacks end a command.

    The number of a closed stream is taken by the null device, so that no file of ours gets it: whatever a library
    writes to standard output would end up in that file.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, io.StringIO())
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
