"""Webhook targets: who is told of what closes, where, and signed with which secret.

A target is registered by the operator for one recipient's code. Signatures follow Standard Webhooks 1.0: HMAC-SHA256
over ``id.timestamp.body``. A secret is shown once, when it is made, and lies sealed beside its target.
"""

import hmac
import os
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import Connection

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consentry.stores.webhooks import WebhookTarget, add_target, change_target, get_target
from kernel.errors import BadInput, Conflict
from kernel.ids import new_id
from kernel.ports import Sealer

JOINT: Final = "*joint"
"""Stands for the other controllers of every purpose that has joint ones (PIPL 20)."""

GONE: Final = "gone"
"""Why a target is disabled that its receiver has given up; otherwise it was the operator."""

SECRET_BYTES: Final = 32
"""Standard Webhooks 1.0 asks for 24 to 64 bytes."""

OVERLAP: Final = timedelta(hours=24)
"""How long a secret that was replaced signs beside its successor."""

MAX_URL_CHARS: Final = 1_000
MAX_CODE_CHARS: Final = 118
"""So that ``recipient:CODE`` can be a pseudonym scope."""

_PREFIX: Final = "whsec_"
_PRINTED: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """The bytes that sign what one target is told; never printed."""

    value: bytes = field(repr=False)

    def reveal(self) -> str:
        """Return it as its receiver writes it into its settings."""
        return _PREFIX + b64encode(self.value).decode()

    def signature(self, message_id: str, timestamp: str, body: bytes) -> str:
        """Return one signature of a message.

        Source: Standard Webhooks 1.0, section "Signature scheme".
        """
        content = b".".join((message_id.encode(), timestamp.encode(), body))
        return "v1," + b64encode(hmac.digest(self.value, content, "sha256")).decode()


def signed_headers(secrets: list[SigningSecret], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that go with a message; one signature for each secret, separated by a space."""
    timestamp = str(int(at.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(secret.signature(message_id, timestamp, body) for secret in secrets),
    }


ADDRESS_MARK: Final = "url_mark"
"""The reference of a new target's entry that binds its address."""

_MARK_BYTES: Final = 16


class Webhooks:
    """The targets of one deployment."""

    def __init__(self, sealer: Sealer, log: EntryLog) -> None:
        self._sealer = sealer
        self._log = log

    def add(
        self, connection: Connection, *, recipient: str, url: str, asking: Asking
    ) -> tuple[WebhookTarget, SigningSecret]:
        """Register a target, in the caller's transaction; returns it with its secret.

        Raises:
            BadInput: the URL is neither https nor http on this machine, or the code is too long.
        """
        check_url(url)
        if not 0 < len(recipient) <= MAX_CODE_CHARS:
            raise BadInput(f"A webhook's recipient has 1 to {MAX_CODE_CHARS} characters", hint="Give its code.")
        target_id, secret = new_id("wht"), _new_secret()
        target = WebhookTarget(target_id, recipient, url, self._log.now(connection), self._sealed(target_id, secret))
        add_target(connection, target)
        self._record(connection, target, asking, "added")
        return target, secret

    def renew(self, connection: Connection, target_id: str, *, asking: Asking) -> tuple[WebhookTarget, SigningSecret]:
        """Give a target a new secret; the one before signs beside it for ``OVERLAP``.

        Raises:
            NotFound: there is no such target.
            Conflict: it is disabled.
        """
        before = _enabled(connection, target_id)
        secret = _new_secret()
        until = self._log.now(connection) + OVERLAP
        target = replace(before, secret=self._sealed(target_id, secret), former=before.secret, former_until=until)
        change_target(connection, target_id, secret=target.secret, former=target.former, former_until=until)
        self._record(connection, target, asking, "renewed")
        return target, secret

    def disable(self, connection: Connection, target_id: str, *, asking: Asking, why: str = "operator") -> None:
        """Tell a target nothing more; its secrets are deleted.

        Raises:
            NotFound: there is no such target.
            Conflict: it is disabled already.
        """
        target = _enabled(connection, target_id)
        ended = {"disabled_at": self._log.now(connection), "disabled_why": why}
        change_target(connection, target_id, secret=b"", former=None, former_until=None, **ended)
        self._record(connection, target, asking, "disabled", why)

    def secrets_of(self, target: WebhookTarget, at: datetime) -> list[SigningSecret]:
        """Return the secrets that sign at an instant, the newest first."""
        sealed = [target.secret]
        if target.former is not None and target.former_until is not None and at < target.former_until:
            sealed.append(target.former)
        return [self._opened(target.target_id, one) for one in sealed]

    def _sealed(self, target_id: str, secret: SigningSecret) -> bytes:
        return self._sealer.seal_details({"secret": b64encode(secret.value).decode()}, context=target_id)

    def _opened(self, target_id: str, sealed: bytes) -> SigningSecret:
        return SigningSecret(b64decode(str(self._sealer.open_details(sealed, context=target_id)["secret"])))

    def _record(
        self, connection: Connection, target: WebhookTarget, asking: Asking, change: str, why: str | None = None
    ) -> None:
        event: Event = event_of(asking, Act.WEBHOOK_RECORDED)
        refs = {"webhook": target.target_id, "change": change}
        if change == "added":
            refs[ADDRESS_MARK] = address_mark(target, self._sealer)
        self._log.record(connection, replace(event, recipient=target.recipient, refs=refs, reason=why))


def address_mark(target: WebhookTarget, sealer: Sealer) -> str:
    """Return what binds a target's address to its id in the log, where the address itself does not stand."""
    (mark,) = sealer.mark_texts([f"webhook {target.target_id} {target.recipient} {target.url}"])
    return mark[:_MARK_BYTES].hex()


def check_url(url: str) -> None:
    """Raise ``BadInput`` unless a URL can be a target: https, or http on this machine, without credentials in it."""
    parts = _parts(url)
    if parts is None or not _can_be_reached(parts.scheme, parts.hostname or ""):
        raise BadInput("This is no address for a webhook", hint="Use https://…; http:// only on this machine.")
    if "@" in parts.netloc or parts.fragment:
        raise BadInput(
            "A webhook's address has neither user nor fragment", hint="The signature says who sends; leave them out."
        )


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None where it is none."""
    if len(url) > MAX_URL_CHARS or not _PRINTED.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts


def _can_be_reached(scheme: str, host: str) -> bool:
    if scheme == "https":
        return host != ""
    return scheme == "http" and (host == "localhost" or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _enabled(connection: Connection, target_id: str) -> WebhookTarget:
    target = get_target(connection, target_id)
    if not target.is_enabled:
        raise Conflict(f"Webhook {target_id} is disabled", hint="Add another one with `consentry webhook add`.")
    return target


def _new_secret() -> SigningSecret:
    return SigningSecret(os.urandom(SECRET_BYTES))
