"""Subject tokens: short-lived JWTs of the operator's own login, by which a page or an app calls for its user.

Checked against a file of public keys (RFC 7517); nothing is fetched. The kind of a key decides the one family of
algorithms that it may be used with, so that no token chooses how it is verified (RFC 8725 section 3.1).
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from consentry.principals import NotAuthenticated
from consentry.settings import Settings
from consentry.sources.cleaning import clean_key
from consentry.sources.records import RowRefused
from consentry.token_headers import read_header
from kernel.errors import ConfigurationError
from kernel.ports import Clock

MAX_LIFE_SECONDS: Final = 15 * 60
"""The longest that a token may be good for; one that claims more is refused as a whole."""

CLOCK_SKEW_SECONDS: Final = 30
"""How far ahead of ours the clock of the login may run."""

MIN_RSA_BITS: Final = 2048
"""NIST SP 800-131A revision 2."""

_Key = OKPKey | ECKey | RSAKey

_ALGORITHMS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),  # RFC 8037 and RFC 9864: two names of one algorithm
    ("EC", "P-256"): ("ES256",),
    ("RSA", None): ("RS256",),
}
SIGNED: Final = frozenset(name for names in _ALGORITHMS.values() for name in names)
"""Algorithms of subject tokens; ours, for staff, are signed with HS256."""

_KINDS: Final[Mapping[str, Callable[[dict[str, Any]], _Key]]] = {
    "OKP": OKPKey.import_key,
    "EC": ECKey.import_key,
    "RSA": RSAKey.import_key,
}
_SECRET_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class SubjectTokens:
    """Checks tokens; made once a deployment.

    Args:
        keys: by key id, each with the algorithms that it may verify.
        issuer: the one value of `iss`. audience: a value that `aud` must hold.
        source: the source whose ids `sub` holds.
        clock: should never fall behind the log, so that a clock that is set back revives no token.
    """

    def __init__(
        self,
        keys: Mapping[str, tuple[_Key, Collection[str]]],
        *,
        issuer: str,
        audience: str,
        source: str,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self.source = source

    @classmethod
    def load(cls, settings: Settings, clock: Clock) -> "SubjectTokens | None":
        """Return the checker that the settings describe, or None where no issuer is set.

        Raises:
            ConfigurationError: a setting is missing, or the file holds something else than sound public keys.
        """
        if not settings.subject_token_issuer:
            return None
        file, source = settings.subject_token_jwks_file, settings.subject_token_source
        if file is None or not settings.subject_token_audience or not source:
            raise ConfigurationError(
                "Subject tokens are half configured",
                hint="Set subject_token_audience, subject_token_source and subject_token_jwks_file.",
            )
        return cls(
            read_public_keys(file),
            issuer=settings.subject_token_issuer,
            audience=settings.subject_token_audience,
            source=source,
            clock=clock,
        )

    def verify(self, token: str) -> str:
        """Return whom the token is for, as its source calls them.

        `sub` must be written as records are after cleaning, and is not cleaned itself: two users whom the login tells
        apart by a full-width letter or an invisible character would become one person.

        Raises:
            NotAuthenticated: anything but a live token of the issuer, for this audience, under one of its keys.
        """
        try:
            claims = self._verified(token)
            self._check_times(claims)
            audience = claims.get("aud")
            named = audience if isinstance(audience, list) else [audience]
            subject = claims.get("sub")
            if claims.get("iss") != self._issuer or self._audience not in named or not isinstance(subject, str):
                raise _refused()
            if not subject or clean_key(subject) != subject:
                raise _refused()
        except (JoseError, RowRefused, ValueError, RecursionError):
            raise _refused() from None
        return subject

    def _verified(self, token: str) -> Mapping[str, Any]:
        kid = read_header(token).get("kid")
        signed = jws.extract_compact(token.encode("ascii"))
        if kid is None and len(self._keys) == 1:
            kid = next(iter(self._keys))
        if not isinstance(kid, str) or kid not in self._keys:
            raise _refused()
        key, algorithms = self._keys[kid]
        if not jws.validate_compact(signed, key, registry=_Exactly(algorithms)):
            raise _refused()
        claims = json.loads(signed.payload)
        if not isinstance(claims, dict):
            raise _refused()
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """Check `exp`, `iat` and, where it is given, `nbf` (RFC 7519 section 4.1)."""
        now = self._clock.now().timestamp()
        ends, issued = _number(claims.get("exp")), _number(claims.get("iat"))
        begins = _number(claims["nbf"]) if "nbf" in claims else issued
        latest = now + CLOCK_SKEW_SECONDS
        if not now < ends <= issued + MAX_LIFE_SECONDS or issued > latest or begins > latest:
            raise _refused()


def is_subject_token(bearer: str) -> bool:
    """Say whether a bearer claims to be signed as subject tokens are; ``verify`` then decides."""
    try:
        return read_header(bearer).get("alg") in SIGNED
    except ValueError:
        return False


def read_public_keys(file: Path) -> dict[str, tuple[_Key, Collection[str]]]:
    """Return the keys of a JWKS file by their ids, each with the algorithms that it may verify.

    Raises:
        ConfigurationError: the file cannot be read, or a key is secret, weak, of another kind, or without an id of its
            own.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["keys"]
        found = [_read_key(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError):
        raise ConfigurationError(
            f"{file} is no set of public keys", hint='Write {"keys": [{"kty": …, "kid": …}]} (RFC 7517).'
        ) from None
    keys = {kid: (key, algorithms) for kid, key, algorithms in found}
    if not keys or len(keys) != len(found):
        raise ConfigurationError(f"{file} needs keys with different ids", hint="Give every key a kid of its own.")
    return keys


def _read_key(entry: Mapping[str, Any]) -> tuple[str, _Key, Collection[str]]:
    """Return id, key and algorithms of one entry; raises ``ConfigurationError`` for one that must not be there."""
    if any(name in entry for name in _SECRET_MEMBERS):
        raise ConfigurationError(
            "The file of subject_token_jwks_file holds a secret key", hint="Give the login's public keys only."
        )
    kid, curve = str(entry["kid"]), entry.get("crv")
    algorithms = _ALGORITHMS.get((str(entry["kty"]), curve), ())
    if entry.get("alg", *algorithms[:1]) not in algorithms or entry.get("use", "sig") != "sig":
        raise ConfigurationError(
            "A key of subject_token_jwks_file is of a kind that is not used",
            hint="Use Ed25519 (EdDSA), P-256 (ES256) or RSA (RS256) keys for signatures.",
        )
    if entry["kty"] == "RSA" and _bits(entry["n"]) < MIN_RSA_BITS:
        raise ConfigurationError(
            "An RSA key of subject_token_jwks_file is weak", hint=f"Use {MIN_RSA_BITS} bits or more."
        )
    key = _KINDS[entry["kty"]](dict(entry))
    return kid, key, algorithms


def _bits(modulus: str) -> int:
    """Return the length of an RSA modulus as JWK writes it: base64url without padding (RFC 7518 section 6.3.1.1)."""
    return int.from_bytes(urlsafe_b64decode(modulus + "==")).bit_length()


class _Exactly(jws.JWSRegistry):
    """Allows the algorithms of one key; header members that we do not know mean nothing, `crit` ones are refused."""

    def __init__(self, algorithms: Collection[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - the library's own type is not exported
        """Return an allowed algorithm, also under its older name EdDSA, of which the library warns."""
        if self.allowed is None or name not in self.allowed:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


def _number(value: object) -> float:
    """Return a NumericDate (RFC 7519 section 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused()
    return value


def _refused() -> NotAuthenticated:
    return NotAuthenticated("The token is not valid", hint="Sign in again.")
