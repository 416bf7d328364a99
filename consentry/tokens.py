"""Person tokens: short-lived JWTs, signed by this deployment, bound to its audience."""

import os
import secrets
from pathlib import Path
from typing import Final

from consentry.principals import NotAuthenticated
from consentry.token_headers import read_header
from kernel.errors import ConfigurationError, Conflict
from kernel.ids import new_id
from kernel.ports import Clock

AUDIENCE: Final = "consentry"
_ALGORITHM: Final = "HS256"
_KEY_BYTES: Final = 32


def create_token_key(path: Path) -> None:
    """Write a fresh signing key, readable by its owner only; raises ``Conflict`` when the file exists."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} exists already", hint="Remove it first if it is really not needed.") from None
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())


class TokenIssuer:
    """Issues and checks person tokens (RFC 7519, HS256).

    Args:
        secret: at least 32 bytes.
        deployment: the issuer name.
        minutes: how long a token lives.
        clock: should never fall behind the log, so that a clock that is set back revives no token.
    """

    def __init__(self, secret: bytes, *, deployment: str, minutes: int, clock: Clock) -> None:
        if len(secret) < _KEY_BYTES:
            raise ConfigurationError("The token key is too short", hint="Restore it from its backup.")
        self._secret = secret
        self._deployment = deployment
        self._minutes = minutes
        self._clock = clock

    @classmethod
    def load(cls, path: Path, *, deployment: str, minutes: int, clock: Clock) -> "TokenIssuer":
        """Read the key file; raises ``ConfigurationError`` when it is missing, damaged or open to others."""
        try:
            mode, secret = path.stat().st_mode, bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError):
            raise ConfigurationError(
                f"The token key {path} is missing or damaged", hint="Restore it from its backup."
            ) from None
        if mode & 0o077:
            raise ConfigurationError(f"The token key {path} can be read by others", hint="Run chmod 600 on it.")
        return cls(secret, deployment=deployment, minutes=minutes, clock=clock)

    def issue(self, principal_id: str) -> str:
        """Return a token for this person."""
        from joserfc import jwt
        from joserfc.jwk import OctKey

        now = int(self._clock.now().timestamp())
        claims = {
            "iss": self._deployment,
            "aud": AUDIENCE,
            "sub": principal_id,
            "iat": now,
            "exp": now + self._minutes * 60,
            "jti": new_id("tok"),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, OctKey.import_key(self._secret))

    def verify(self, token: str) -> str:
        """Return the principal id; raises ``NotAuthenticated`` for anything but a live token of ours."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import OctKey

        try:
            read_header(token)
            decoded = jwt.decode(token, OctKey.import_key(self._secret), algorithms=[_ALGORITHM])
            registry = jwt.JWTClaimsRegistry(
                now=int(self._clock.now().timestamp()),
                leeway=0,
                iss={"essential": True, "value": self._deployment},
                aud={"essential": True, "value": AUDIENCE},
                sub={"essential": True},
                exp={"essential": True},
            )
            registry.validate(decoded.claims)
        except (JoseError, ValueError):
            raise NotAuthenticated("The token is not valid", hint="Sign in again.") from None
        return str(decoded.claims["sub"])
