"""``consentry-verify``: the command line of the verifier."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from audit.verifier.exports import Report, verify_export
from audit.verifier.merkle import VerificationError
from audit.verifier.notes import KeyTextError, VerifierKey

_SHOWN_ID: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``consentry-verify``; returns 0 for a whole log, 1 for any failure, and exits 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="consentry-verify", description="Verify an exported audit log offline.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder written by `consentry audit export`")
    parser.add_argument(
        "--key", required=True, metavar="PUBKEY", help="verifier key name+hash+base64, or a file with it"
    )
    parser.add_argument("--checkpoint", action="append", default=[], metavar="LATER", type=Path, help=_LATER_HELP)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error("DIR is not a folder")
    try:
        key = _load_key(given.key)
        report = verify_export(given.folder, key, [path.read_bytes() for path in given.checkpoint])
    except VerificationError as failure:
        _print(_failure_json(failure) if given.json else _failure_line(failure))
        return 1
    except (KeyTextError, UnicodeDecodeError, OSError) as err:
        parser.error(str(err))
    _print(json.dumps({"whole": True, **asdict(report)}) if given.json else _report_line(report))
    return 0


_LATER_HELP: Final = "file with a signed checkpoint that was kept elsewhere; may be given more than once"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def _load_key(text: str) -> VerifierKey:
    return VerifierKey.parse(
        text if text.count("+") > 1 and not Path(text).is_file() else Path(text).read_text("utf-8")
    )


def _report_line(report: Report) -> str:
    return (
        f"Whole: {report.size} entries of {report.origin} under {report.checkpoints} checkpoint(s), root {report.root}"
    )


def _failure_line(failure: VerificationError) -> str:
    where = "" if failure.index is None else f" at entry {failure.index}"
    named = "" if failure.entry_id is None else f" ({_shown(failure.entry_id)})"
    within = "" if failure.within is None else f" [first bad entry within {failure.within[0]} to {failure.within[1]}]"
    return f"NOT WHOLE{where}{named}: {failure.kind}: {failure.message}{within}"


def _failure_json(failure: VerificationError) -> str:
    members = ("kind", "message", "index", "entry_id", "within")
    return json.dumps({"whole": False, "failure": {name: getattr(failure, name) for name in members}})


def _shown(text: str) -> str:
    """Return text from an unproven file so that it cannot steer a terminal."""
    return text if _SHOWN_ID.fullmatch(text) else ascii(text)[:80]
