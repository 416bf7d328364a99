"""HashiCorp Vault's transit engine as the custodian: the root key is a named key, which never leaves the engine."""

import hashlib
import hmac
import json
import re
import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from kernel.errors import ConfigurationError, IntegrityFailed
from vault.custodian import (
    KEY_BYTES,
    CustodianRefused,
    CustodianUnavailable,
    RootKeyMissing,
    RootKeyWrong,
    WrapKind,
    changed,
    root_id_of,
    split_blob,
)
from vault.custodians.patience import NOTHING_DONE, Patience, TryAgain
from vault.custodians.secret_files import read_secret

if TYPE_CHECKING:
    import httpx

_MAX_ANSWER_BYTES: Final = 64 * 1024
_CIPHERTEXT: Final = re.compile(r"vault:v[1-9][0-9]{0,8}:[0-9A-Za-z+/]{16,2048}={0,2}")
_DIGEST_BYTES: Final = 32
_OK: Final = (200, 204)
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_REDIRECTS: Final = range(300, 400)
_PASSING: Final = frozenset({412, 429, 472, 473, 500, 502, 503, 504})
"""developer.hashicorp.com/vault/api-docs#http-status-codes; 412 and 47x are replicas that are behind or no leaders."""


@dataclass(frozen=True, slots=True)
class TransitKey:
    """Which transit key, and how it is reached.

    Attributes:
        address: for example ``https://vault.internal:8200``.
        key: its name.
        mount: where the engine is mounted.
        namespace: of Vault Enterprise; empty for none.
        token_file: holds a token, kept fresh by an agent; read for each question.
        role_id_file: with ``secret_id_file`` an AppRole, in the place of ``token_file``.
        ca_file: authorities in PEM that the server's certificate is believed under; None for the system's.
    """

    address: str
    key: str
    mount: str = "transit"
    namespace: str = ""
    token_file: Path | None = None
    role_id_file: Path | None = None
    secret_id_file: Path | None = None
    ca_file: Path | None = None


class TransitCustodian:
    """``encrypt`` and ``decrypt`` of the transit engine; implements ``Custodian``.

    A wrapped key is kind ``03`` (1 byte) | root id (8), derived from namespace, mount and name of the key | the
    engine's text, ``vault:vN:…``. What is encrypted is the key (32) and SHA-256 of the bound context (32), so that the
    binding holds with every version of the server; the same context is also given as ``associated_data`` (since Vault
    1.13) and, for keys with ``derived``, as ``context``, which makes the engine derive a key for each epoch.
    Rewrapping asks for the key and wraps it again: the engine's own ``rewrap`` takes no associated data.
    Source: developer.hashicorp.com/vault/api-docs/secret/transit.
    """

    def __init__(self, key: TransitKey, *, deployment: str, timeout_ms: int) -> None:
        self._key = key
        self._deployment = deployment
        self._root_id = root_id_of("transit", key.namespace, key.mount, key.key)
        self._patience = Patience("transit", timeout_ms)
        self._token = ""

    @property
    def name(self) -> str:
        """``transit`` and the key's mount and name."""
        return f"transit:{self._key.mount}/{self._key.key}"

    @property
    def is_remote(self) -> bool:
        """It is asked over a wire."""
        return True

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return kind | root id | the engine's text, under the newest version of the key."""
        bound = self._bound(context)
        plaintext = key + hashlib.sha256(bound).digest()
        answer = self._ask("encrypt", {"plaintext": _base64(plaintext), **_binding(bound)})
        sealed = answer.get("ciphertext")
        if not isinstance(sealed, str) or not _CIPHERTEXT.fullmatch(sealed):
            raise _senseless()
        return WrapKind.TRANSIT.head(self._root_id) + sealed.encode()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the wrapped key."""
        _, sealed = split_blob(blob, WrapKind.TRANSIT, self._root_id)
        text = sealed.decode("ascii", "replace")
        if not _CIPHERTEXT.fullmatch(text):
            raise changed()
        bound = self._bound(context)
        answer = self._ask("decrypt", {"ciphertext": text, **_binding(bound)})
        plaintext = _decoded(answer.get("plaintext"))
        if len(plaintext) != KEY_BYTES + _DIGEST_BYTES:
            raise _senseless()
        if not hmac.compare_digest(plaintext[KEY_BYTES:], hashlib.sha256(bound).digest()):
            raise changed()
        return plaintext[:KEY_BYTES]

    def destroy(self, context: bytes, *, keep: bytes | None = None) -> None:
        """Do nothing: one transit key wraps every epoch; the operator trims its versions."""

    def close(self) -> None:
        """Forget the token; each question has a connection of its own."""
        self._token = ""

    def _bound(self, context: bytes) -> bytes:
        return self._deployment.encode() + b"\0" + context

    def _ask(self, act: str, body: Mapping[str, str]) -> Mapping[str, object]:
        path = f"{quote(self._key.mount)}/{act}/{quote(self._key.key, safe='')}"
        return self._patience.ask(lambda: self._asked(path, body))

    def _asked(self, path: str, body: Mapping[str, str]) -> Mapping[str, object]:
        status, answer = self._post(path, body, self._fresh_token())
        if status == _FORBIDDEN and self._token:  # an AppRole's token has an end
            self._token = ""
            status, answer = self._post(path, body, self._fresh_token())
        if status not in _OK:
            raise _refusal(status, answer)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise _senseless()
        return data

    def _fresh_token(self) -> str:
        if self._key.token_file is not None:
            return read_secret(self._key.token_file, "transit token").decode("ascii", "replace")
        if not self._token:
            self._token = self._login()
        return self._token

    def _login(self) -> str:
        """Log in as the AppRole (developer.hashicorp.com/vault/api-docs/auth/approle)."""
        if self._key.role_id_file is None or self._key.secret_id_file is None:
            raise ConfigurationError(
                "The custodian transit has neither a token nor an AppRole",
                hint="Set transit_token_file, or transit_role_id_file and transit_secret_id_file.",
            )
        body = {
            "role_id": read_secret(self._key.role_id_file, "role id").decode("ascii", "replace"),
            "secret_id": read_secret(self._key.secret_id_file, "secret id").decode("ascii", "replace"),
        }
        status, answer = self._post("auth/approle/login", body, "")
        if status in (_BAD_REQUEST, _FORBIDDEN):
            raise CustodianRefused("Vault refuses the AppRole", hint="Check role id and secret id; issue a new one.")
        if status not in _OK:
            raise _refusal(status, answer)
        auth = answer.get("auth")
        token = auth.get("client_token") if isinstance(auth, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise _senseless()
        return token

    def _post(self, path: str, body: Mapping[str, str], token: str) -> tuple[int, Mapping[str, object]]:
        import httpx

        headers = {"X-Vault-Request": "true"}
        if token:
            headers["X-Vault-Token"] = token
        if self._key.namespace:
            headers["X-Vault-Namespace"] = self._key.namespace
        url = f"{self._key.address.rstrip('/')}/v1/{path}"
        try:
            with (
                httpx.Client(
                    timeout=self._patience.seconds,
                    follow_redirects=False,
                    trust_env=False,  # a proxy of the surroundings is an address that nobody configured
                    verify=self._trusted,
                ) as client,
                client.stream("POST", url, json=body, headers=headers) as response,
            ):
                return response.status_code, _parsed(response)
        except (httpx.HTTPError, ssl.SSLError, OSError) as err:
            raise _not_believed(err) or TryAgain(type(err).__name__) from None
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise ConfigurationError(
                "The address or the token of transit cannot be used", hint="Check transit_address and the token file."
            ) from None

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._key.ca_file)
        except (OSError, ssl.SSLError):
            raise ConfigurationError(
                "The authorities of transit_ca_file cannot be read", hint="Give certificates in PEM."
            ) from None


def _not_believed(err: BaseException) -> CustodianUnavailable | None:
    """Return the error for a server whose certificate does not verify, which passes by nobody's waiting."""
    cause: BaseException | None = err
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    return CustodianUnavailable(
        f"The certificate of the transit server is not believed: {cause.verify_message.rstrip('.')}",
        hint="Renew it, or check transit_address and transit_ca_file. Nothing was opened or changed.",
    )


def _binding(bound: bytes) -> dict[str, str]:
    return {"associated_data": _base64(bound), "context": _base64(bound)}


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def _decoded(text: object) -> bytes:
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _parsed(response: "httpx.Response") -> Mapping[str, object]:
    """Return the answer's object; an empty one for what is none, and nothing is read beyond 64 KiB."""
    content = b""
    for piece in response.iter_raw():
        content += piece
        if len(content) > _MAX_ANSWER_BYTES:
            return {}
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(status: int, answer: Mapping[str, object]) -> Exception:  # noqa: PLR0911 - one line for each kind
    """Return what a status means; the server's words decide and are not repeated, they may hold what was sent."""
    words = " ".join(str(one) for one in errors) if isinstance(errors := answer.get("errors"), list) else ""
    if status == _BAD_REQUEST and ("authentication failed" in words or "invalid ciphertext" in words):
        return changed()
    if status == _NOT_FOUND or (status == _BAD_REQUEST and "key not found" in words):
        return RootKeyMissing("Vault knows no such transit key", hint="Check transit_mount and transit_key.")
    if status == _BAD_REQUEST and "disallowed by policy" in words:
        return RootKeyWrong(
            "The version of the transit key that wrapped the epoch key is no longer allowed",
            hint="Lower min_decryption_version, rewrap the root, and raise it again.",
        )
    if status == _FORBIDDEN:
        return CustodianRefused(
            "Vault refuses the token", hint="Renew it, and check that its policy allows encrypt and decrypt."
        )
    if status in _REDIRECTS:
        return CustodianUnavailable(
            "Vault sends elsewhere, where nobody is asked",
            hint="Name the active node, or a balancer, in transit_address.",
        )
    if status in _PASSING:
        return TryAgain(f"status {status}")
    return CustodianUnavailable(f"Vault answers status {status}", hint=NOTHING_DONE)


def _senseless() -> IntegrityFailed:
    return IntegrityFailed("The server answered what is no answer of the transit engine", hint="Check transit_address.")
