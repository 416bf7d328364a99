"""Who outside the house is asked about the log, as the settings name them, and how bytes reach them."""

import hashlib
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from audit.timestamps import TimestampRoots
from audit.verifier.policy import Policy, PolicyError
from audit.witnessing import Reply
from consentry.settings import Settings
from consentry.wake.posting import Bounds, NotAnswered, Poster
from kernel.errors import ConfigurationError, Unavailable

_BOUNDS: Final = Bounds(connect=5.0, read=10.0, total=15.0)
_HINT: Final = "See docs/how-to/witness.md."


@dataclass(frozen=True, slots=True)
class Outsiders:
    """Witnesses with their quorum, and an authority for timestamps; each may be missing.

    Attributes:
        policy_hash: SHA-256 of the policy file in hexadecimal; empty without one.
        timestamp_url: empty without an authority.
    """

    policy: Policy | None = None
    policy_hash: str = ""
    timestamp_url: str = ""
    roots: TimestampRoots | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Outsiders":
        """Read what the settings name.

        Raises:
            ConfigurationError: a file is no policy or holds no certificates, a URL is none, or roots are missing.
            Unavailable: a file cannot be read.
        """
        policy, policy_hash = _read_policy(settings)
        roots = None if settings.timestamp_roots_file is None else TimestampRoots.load(settings.timestamp_roots_file)
        if settings.timestamp_url and roots is None:
            raise ConfigurationError("Setting 'timestamp_roots_file' is missing beside 'timestamp_url'", hint=_HINT)
        for url in (settings.timestamp_url, *(one.url for one in (policy.witnesses if policy else ()))):
            _check_url(url)
        return cls(policy, policy_hash, settings.timestamp_url, roots)

    @property
    def are_there(self) -> bool:
        """Whether anybody is to be asked."""
        return self.policy is not None or bool(self.timestamp_url)

    @property
    def authority(self) -> str:
        """The name under which timestamps are kept: host and port of the authority."""
        return urlsplit(self.timestamp_url).netloc.rpartition("@")[2]


def post_outside(url: str, content: bytes, content_type: str) -> Reply:
    """Post to a configured address: no redirect, no proxy of the environment, within 15 seconds and 64 KiB.

    Raises:
        Unavailable: there is no answer in time.
    """
    try:
        answer = Poster(_BOUNDS).post(url, {"content-type": content_type}, content)
    except NotAnswered as err:
        raise Unavailable(f"did not answer ({err.message.rpartition(': ')[2]})") from None
    return Reply(answer.status, answer.content)


def _read_policy(settings: Settings) -> tuple[Policy | None, str]:
    if settings.witness_policy_file is None:
        return None, ""
    try:
        content = settings.witness_policy_file.read_bytes()
        return Policy.parse(content), hashlib.sha256(content).hexdigest()
    except OSError as err:
        raise Unavailable(f"The witness policy cannot be read: {err.strerror}", hint=_HINT) from None
    except PolicyError as err:
        raise ConfigurationError(f"The witness policy is wrong: {err}", hint=_HINT) from None


def _check_url(url: str | None) -> None:
    if not url:
        return
    parts = urlsplit(url) if url.isascii() and url.isprintable() else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("The URL of a witness or timestamp authority is none", hint="Use https://….")
