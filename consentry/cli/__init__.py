"""The command line: one module a group of commands; heavy parts are imported by the command that needs them."""

import sys

from consentry.cli.app import app
from kernel.errors import ConsentryError


def main() -> None:
    """Run the command line; one line for an expected error, exit 2 for bad input, 1 for a failed check."""
    try:
        app()
    except ConsentryError as err:
        sys.stderr.write(f"consentry: {err.diagnostics()}\n")
        sys.exit(err.exit_code)
    except OSError as err:
        sys.stderr.write(f"consentry: {err.strerror or err}{f': {err.filename}' if err.filename else ''}\n")
        sys.exit(1)
