"""Trust policies: which logs are believed, and which witnesses must have cosigned a checkpoint.

Source: c2sp.org/tlog-policy.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.verifier.failures import InputError, VerificationError
from audit.verifier.notes import (
    COSIGNATURE,
    ED25519,
    KeyTextError,
    VerifierKey,
    open_checkpoint,
    open_cosignatures,
    parse_note,
)

NO_QUORUM: Final = "none"
"""The quorum that asks for no cosignature."""

_FILE_MAX_BYTES: Final = 1 << 16
_DEFINED_MAX: Final = 64
"""Logs, witnesses and groups at most, each; the specification asks for 32."""

_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK: Final = re.compile(r"[ \t]+")
_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,2}")
_LOG_WORDS: Final = (1, 2)
_WITNESS_WORDS: Final = (2, 3)


class PolicyError(InputError):
    """A file is no trust policy."""


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log whose checkpoints are believed; the key's name is its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness, under the name that quorum and groups call it by."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """Witnesses and groups of which ``threshold`` must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Logs, witnesses, groups and the quorum; ``quorum`` names a witness or group, or is ``NO_QUORUM``."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    @classmethod
    def parse(cls, data: bytes) -> "Policy":
        """Parse a policy file of at most 64 KiB.

        Raises:
            PolicyError: the file breaks a rule of the format; the line is named.
        """
        if len(data) > _FILE_MAX_BYTES:
            raise PolicyError("the policy is larger than {} bytes", _FILE_MAX_BYTES)
        draft = _Draft()
        for number, line in enumerate(data.split(b"\n"), start=1):
            try:
                draft.read_line(line)
            except (PolicyError, KeyTextError) as err:
                raise PolicyError("line {} of the policy: {}", number, err.phrase) from None
        if draft.quorum is None:
            raise PolicyError("the policy names no quorum")
        return cls(tuple(draft.logs), tuple(draft.witnesses), tuple(draft.groups.values()), draft.quorum)

    def check(self, note: bytes, vouched: Collection[VerifierKey] = ()) -> dict[VerifierKey, int]:
        """Return the witnesses that cosigned a checkpoint, each with its time in seconds since 1970.

        A policy that lists logs takes checkpoints of these only; one that lists none leaves the log's signature to the
        caller.

        Args:
            note: of the checkpoint.
            vouched: the keys of a chain of hand-overs that the caller has verified. Where one of them is listed, it
                vouches for the others, since both keys sign a hand-over.
        Raises:
            VerificationError: ``signature``, ``checkpoint`` or, where too few witnesses cosigned, ``quorum``.
        """
        self._check_log(note, vouched)
        cosigned = open_cosignatures(note, [witness.key for witness in self.witnesses])
        if not self.is_met(cosigned):
            message = "{} known witness(es) cosigned, which is no quorum {}"
            raise VerificationError("quorum", message, len(cosigned), ascii(self.quorum))
        return cosigned

    def watch_digest(self) -> str:
        """Return a SHA-256 in hexadecimal over who watches: witnesses, groups and quorum, in no order.

        Comments and the lines of logs do not count.
        """
        lines = [" ".join(("witness", one.name, str(one.key), *filter(None, [one.url]))) for one in self.witnesses]
        groups = [(one.name, str(one.threshold), *sorted(one.members)) for one in self.groups]
        lines += [" ".join(("group", *group)) for group in groups]
        text = "\n".join(("consentry witness policy v1", *sorted(lines), f"quorum {self.quorum}", ""))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def is_met(self, cosigned: Mapping[VerifierKey, int]) -> bool:
        """Say whether these witnesses' cosignatures make the quorum."""
        met = {witness.name for witness in self.witnesses if witness.key in cosigned}
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum == NO_QUORUM or self.quorum in met

    def believes(self, key: VerifierKey, vouched: Collection[VerifierKey] = ()) -> bool:
        """Say whether a log's key is listed, or belongs to a chain in which one is; true where no log is listed."""
        listed = {log.key for log in self.logs}
        return not listed or key in listed or (key in vouched and not listed.isdisjoint(vouched))

    def _check_log(self, note: bytes, vouched: Collection[VerifierKey]) -> None:
        parsed = parse_note(note)
        known = dict.fromkeys([*(log.key for log in self.logs), *vouched]) if self.logs else {}
        signed = [key for key in known if parsed.by(key) and self.believes(key, vouched)]
        for key in signed:
            open_checkpoint(note, key)
        if self.logs and not signed:
            raise VerificationError("signature", "no log of the policy signed the checkpoint")


@dataclass(slots=True)
class _Draft:
    """A policy while its lines are read; names are opaque bytes, kept as surrogates where they are not UTF-8."""

    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: list[PolicyWitness] = field(default_factory=list)
    groups: dict[str, PolicyGroup] = field(default_factory=dict)
    quorum: str | None = None
    used: set[str] = field(default_factory=set)

    def read_line(self, line: bytes) -> None:
        if _FORBIDDEN.search(line):
            raise PolicyError("a control character")
        words = _BLANK.split(line.decode(errors="surrogateescape").strip(" \t"))
        if not words[0] or words[0].startswith("#"):
            return
        readers: Mapping[str, Callable[[Sequence[str]], None]] = {
            "log": self._read_log,
            "witness": self._read_witness,
            "group": self._read_group,
            "quorum": self._read_quorum,
        }
        if words[0] not in readers:
            raise PolicyError("not one of log, witness, group, quorum")
        readers[words[0]](words[1:])

    def _read_log(self, words: Sequence[str]) -> None:
        if len(words) not in _LOG_WORDS:
            raise PolicyError("a log has a key and at most a URL")
        key = _parse_key(words[0], ED25519)
        _check_new(key, [log.key for log in self.logs])
        self.logs.append(PolicyLog(key, *words[1:]))

    def _read_witness(self, words: Sequence[str]) -> None:
        if len(words) not in _WITNESS_WORDS:
            raise PolicyError("a witness has a name, a key and at most a URL")
        self._check_name(words[0])
        key = _parse_key(words[1], COSIGNATURE)
        _check_new(key, [witness.key for witness in self.witnesses])
        self.witnesses.append(PolicyWitness(words[0], key, *words[2:]))

    def _read_group(self, words: Sequence[str]) -> None:
        if len(words) < 3:  # noqa: PLR2004 - name, threshold, one member
            raise PolicyError("a group has a name, a threshold and members")
        name, threshold, *members = words
        self._check_name(name)
        if len(self.groups) == _DEFINED_MAX:
            raise PolicyError("more than {} groups", _DEFINED_MAX)
        for member in members:
            self._check_defined(member)
            if member in self.used:
                raise PolicyError("a member is listed twice")
            self.used.add(member)
        self.groups[name] = PolicyGroup(name, _parse_threshold(threshold, len(members)), tuple(members))

    def _read_quorum(self, words: Sequence[str]) -> None:
        if len(words) != 1 or self.quorum is not None:
            raise PolicyError("one quorum with one name is needed")
        if words[0] != NO_QUORUM:
            self._check_defined(words[0])
        self.quorum = words[0]

    def _check_name(self, name: str) -> None:
        if name == NO_QUORUM or self._is_defined(name):
            raise PolicyError("the name is taken")

    def _check_defined(self, name: str) -> None:
        if not self._is_defined(name):
            raise PolicyError("a name is not defined on a line before")

    def _is_defined(self, name: str) -> bool:
        return name in self.groups or any(witness.name == name for witness in self.witnesses)


def _parse_key(text: str, algorithm: int) -> VerifierKey:
    if not text.isprintable():
        raise PolicyError("a key is not printable")
    return VerifierKey.parse(text, algorithm=algorithm)


def _check_new(key: VerifierKey, known: Sequence[VerifierKey]) -> None:
    if any(key.public_key == other.public_key for other in known):
        raise PolicyError("the key stands there already")
    if len(known) == _DEFINED_MAX:
        raise PolicyError("more than {} keys of a kind", _DEFINED_MAX)


def _parse_threshold(text: str, members: int) -> int:
    if text in ("all", "any"):
        return members if text == "all" else 1
    if not _THRESHOLD.fullmatch(text) or int(text) > members:
        raise PolicyError("a threshold is all, any, or a number from 1 to that of the members")
    return int(text)
