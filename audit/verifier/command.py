"""``consentry-verify``: the command line of the verifier."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from audit.verifier.failures import InputError, Phrase, VerificationError
from audit.verifier.notes import VerifierKey
from audit.verifier.verdicts import (
    ForkError,
    Means,
    Verdict,
    judge_certificate,
    judge_consistency,
    judge_entry,
    judge_log,
    judge_witnesses,
    read_given,
)
from audit.verifier.words import WORDS

_SHOWN_ID: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
_KEY_MAX_BYTES: Final = 4_096
_COMMANDS: Final = ("log", "entry", "consistency", "witnesses", "certificate")

_FOLDER_HELP: Final = "folder written by `consentry audit export`; default: log"
_LATER_HELP: Final = "file with a signed checkpoint that was kept elsewhere, a note or its base64; more than once"
_KEY_HELP: Final = "verifier key name+hash+base64, or a file with it"
_KEYS_HELP: Final = "verifier key or a file with it; more than once where the log changed its key"
_POLICY_HELP: Final = "trust policy (c2sp.org/tlog-policy): which witnesses must have cosigned"
_PROOF_HELP: Final = "consistency proof: one base64 hash a line"
_EXPORT_HELP: Final = "export that covers both checkpoints: the proof is made from its tiles"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``consentry-verify``; returns 0 when everything holds, 1 for any failure, and exits 2 on wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] not in (*_COMMANDS, "-h", "--help"):
        words.insert(0, "log")
    parser = _parser()
    given = parser.parse_args(words)
    spoken = WORDS[given.lang]
    try:
        verdict = _JUDGES[given.command](given)
    except VerificationError as failure:
        _print(_failure_json(failure, spoken) if given.json else _failure_line(failure).said(spoken))
        return 1
    except InputError as err:
        _refuse(parser, err.phrase.said(spoken))
    except OSError as err:
        unreadable = Phrase("{} cannot be read: {}", (ascii(str(err.filename)), err.strerror))
        _refuse(parser, unreadable.said(spoken))
    _print(json.dumps({"whole": True, **verdict.members}) if given.json else verdict.phrase.said(spoken))
    return 0


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    parser.error(_plain(message))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="consentry-verify",
        description="Verify an audit log offline. Without a command: log.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print the result as JSON")
    shared.add_argument("--lang", choices=sorted(WORDS), default="en", help="language of the result")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    log = commands.add_parser("log", parents=[shared], help="a whole exported log")
    log.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=Path("log"), help=_FOLDER_HELP)
    log.add_argument("--key", required=True, metavar="PUBKEY", help=_KEY_HELP)
    log.add_argument("--checkpoint", action="append", default=[], metavar="LATER", type=Path, help=_LATER_HELP)
    log.add_argument("--policy", metavar="FILE", type=Path, help=_POLICY_HELP)
    log.add_argument("--entries", action="store_true", help="also parse every entry: canonical, no id used twice")
    entry = commands.add_parser("entry", parents=[shared], help="one entry with its proof")
    entry.add_argument("--proof", required=True, metavar="FILE", type=Path, help="proof (c2sp.org/tlog-proof)")
    entry.add_argument("--entry", required=True, metavar="FILE", type=Path, help="exactly the bytes of the entry")
    entry.add_argument("--key", required=True, action="append", metavar="PUBKEY", help=_KEYS_HELP)
    entry.add_argument("--policy", metavar="FILE", type=Path, help=_POLICY_HELP)
    consistency = commands.add_parser("consistency", parents=[shared], help="two checkpoints of one log")
    _add_pair(consistency, "OLD", "NEW")
    witnesses = commands.add_parser("witnesses", parents=[shared], help="what two witnesses cosigned")
    _add_pair(witnesses, "A", "B")
    witnesses.add_argument("--policy", required=True, metavar="FILE", type=Path, help=_POLICY_HELP)
    certificate = commands.add_parser("certificate", parents=[shared], help="a certificate of an erasure or a sweep")
    certificate.add_argument(
        "file", metavar="FILE", type=Path, help="written by `consentry erasure show --certificate`"
    )
    certificate.add_argument("--key", required=True, action="append", metavar="PUBKEY", help=_KEYS_HELP)
    shown = (log, entry, consistency, witnesses, certificate)
    parser.epilog = "\n".join(sub.format_usage().strip() for sub in shown)
    return parser


def _add_pair(parser: argparse.ArgumentParser, first: str, second: str) -> None:
    parser.add_argument("one", metavar=first, type=Path, help="file with a signed checkpoint")
    parser.add_argument("other", metavar=second, type=Path, help="file with another one")
    parser.add_argument("--key", required=True, action="append", metavar="PUBKEY", help=_KEYS_HELP)
    means = parser.add_mutually_exclusive_group()
    means.add_argument("--proof", metavar="FILE", type=Path, help=_PROOF_HELP)
    means.add_argument("--export", metavar="DIR", type=Path, help=_EXPORT_HELP)


def _judge_log(given: argparse.Namespace) -> Verdict:
    if not given.folder.is_dir():
        raise InputError("DIR is not a folder")
    return judge_log(given.folder, _load_key(given.key), given.checkpoint, given.policy, check_entries=given.entries)


def _judge_entry(given: argparse.Namespace) -> Verdict:
    return judge_entry(given.proof, given.entry, _load_keys(given.key), given.policy)


def _judge_consistency(given: argparse.Namespace) -> Verdict:
    return judge_consistency(given.one, given.other, _load_keys(given.key), Means(given.proof, given.export))


def _judge_witnesses(given: argparse.Namespace) -> Verdict:
    means = Means(given.proof, given.export)
    return judge_witnesses(given.one, given.other, _load_keys(given.key), given.policy, means)


def _judge_certificate(given: argparse.Namespace) -> Verdict:
    return judge_certificate(given.file, _load_keys(given.key))


_JUDGES: Final[Mapping[str, Callable[[argparse.Namespace], Verdict]]] = {
    "log": _judge_log,
    "entry": _judge_entry,
    "consistency": _judge_consistency,
    "witnesses": _judge_witnesses,
    "certificate": _judge_certificate,
}


def _load_keys(texts: Sequence[str]) -> list[VerifierKey]:
    return [_load_key(text) for text in texts]


def _load_key(text: str) -> VerifierKey:
    if text.count("+") > 1 and not Path(text).is_file():
        return VerifierKey.parse(text)
    try:
        return VerifierKey.parse(read_given(Path(text), _KEY_MAX_BYTES).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("the key file is not UTF-8") from None


def _failure_line(failure: VerificationError) -> Phrase:
    if failure.kind == "key":
        return Phrase("NOT VERIFIED with this key: {}: {}", (Phrase(failure.kind), failure.phrase))
    where = "" if failure.index is None else Phrase(" at entry {}", (failure.index,))
    named = "" if failure.entry_id is None else f" ({_shown(failure.entry_id)})"
    within = "" if failure.within is None else Phrase(" [first bad entry within {} to {}]", failure.within)
    return Phrase("NOT WHOLE{}{}: {}: {}{}", (where, named, Phrase(failure.kind), failure.phrase, within))


def _failure_json(failure: VerificationError, words: Mapping[str, str]) -> str:
    told: dict[str, object] = {"kind": failure.kind, "message": failure.phrase.said(words)}
    told |= {name: getattr(failure, name) for name in ("index", "entry_id", "within")}
    if isinstance(failure, ForkError):
        told["evidence"] = failure.evidence
    return json.dumps({"whole": False, "failure": told})


def _print(line: str) -> None:
    sys.stdout.write(_plain(line) + "\n")


def _plain(line: str) -> str:
    """Return a line without anything that could steer a terminal, or that its encoding cannot show."""
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)
    encoding = sys.stdout.encoding or "ascii"
    return shown.encode(encoding, errors="backslashreplace").decode(encoding)


def _shown(text: str) -> str:
    """Return text from an unproven file so that it cannot be mistaken for something else."""
    return text if _SHOWN_ID.fullmatch(text) else ascii(text)[:80]
