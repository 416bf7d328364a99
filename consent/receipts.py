"""Consent receipts: what the person keeps, signed so that anybody can check it later without asking us.

A receipt is a JWS in compact form (RFC 7515) over the canonical JSON of its claims. The algorithm is Ed25519 under its
own name (RFC 9864, which deprecates the name EdDSA), and no other is accepted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from audit.verifier import VerificationError, VerifierKey, open_checkpoint
from consent.records import SCHEMA_VERSION
from consent.shapes import RECEIPT, check_shape
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput, ConfigurationError, IntegrityFailed
from kernel.ids import DecisionId, EntryId

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

TYPE: Final = "consent-receipt+jwt"
ALGORITHM: Final = "Ed25519"
MAX_RECEIPT_BYTES: Final = 512 * 1024
"""Bounds what is parsed; a record of the medical pack with ten events has about 30 KiB."""

_CURVE: Final = {"kty": "OKP", "crv": "Ed25519"}
_PRIVATE_MEMBERS: Final = frozenset({"kty", "crv", "x", "d"})


class ReceiptInvalid(IntegrityFailed):
    """A receipt was not issued under this key, or was changed since."""


@dataclass(frozen=True, slots=True)
class Logged:
    """Where the log holds what a receipt tells of.

    Attributes:
        entry_id: of the decision. issued_entry_id: of the issuing.
        checkpoint: the signed note (C2SP tlog-checkpoint) that both entries lie under.
    """

    entry_id: EntryId
    issued_entry_id: EntryId
    checkpoint: str


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt whose signature and shape hold.

    Attributes:
        is_checkpoint_verified: whether the checkpoint in it was checked, too, under the log's key.
    """

    receipt_id: str
    issued_at: datetime
    key_id: str
    claims: Mapping[str, JsonValue] = field(repr=False)
    is_checkpoint_verified: bool


class ReceiptKey:
    """The private key that signs receipts; its id is the RFC 7638 thumbprint of the public key."""

    def __init__(self, key: "OKPKey") -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "ReceiptKey":
        """Return a fresh key."""
        from joserfc.jwk import OKPKey

        return cls(OKPKey.generate_key("Ed25519"))

    @classmethod
    def from_jwk(cls, text: str) -> "ReceiptKey":
        """Read a private JWK (RFC 8037); raises ``ConfigurationError`` for anything else, without saying what it is."""
        from joserfc.errors import JoseError
        from joserfc.jwk import OKPKey

        wrong = ConfigurationError("The receipt key is no Ed25519 JWK", hint="Restore it from its backup.")
        try:
            given = json.loads(text)
        except ValueError:
            raise wrong from None
        if not isinstance(given, dict) or given.keys() != _PRIVATE_MEMBERS or not _CURVE.items() <= given.items():
            raise wrong
        try:
            key = OKPKey.import_key(given)
            key.get_op_key("sign")
        except (JoseError, ValueError, TypeError):
            raise wrong from None
        return cls(key)

    @property
    def key_id(self) -> str:
        """The thumbprint that receipts name the key by."""
        return self._key.thumbprint()

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public key to hand out."""
        return {**_CURVE, "x": str(self._key.as_dict(private=False)["x"]), "alg": ALGORITHM, "kid": self.key_id}

    def private_jwk(self) -> str:
        """Return the whole key as it is kept in its file."""
        members = self._key.as_dict(private=True)
        return json.dumps({name: members[name] for name in sorted(_PRIVATE_MEMBERS)})

    def sign(self, claims: Mapping[str, JsonValue]) -> str:
        """Return the signed receipt in compact form.

        Raises:
            ShapeBroken: the claims do not fit the receipt's schema; nothing is signed that cannot be verified.
        """
        from joserfc import jws

        check_shape(claims, RECEIPT)
        header = {"alg": ALGORITHM, "kid": self.key_id, "typ": TYPE}
        return jws.serialize_compact(header, canonical_json(claims), self._key, algorithms=[ALGORITHM])


def receipt_claims(
    record: Mapping[str, JsonValue],
    logged: Logged,
    *,
    receipt_id: str,
    decision_id: DecisionId,
    issuer: str,
    issued_at: datetime,
) -> dict[str, JsonValue]:
    """Return the claims of a receipt for one decision.

    Args:
        record: the record of the decision's chain, up to the decision.
        logged: where the log holds it.
        receipt_id: ``rcp_…``.
        decision_id: what the receipt is for.
        issuer: the deployment's name.
        issued_at: counted in whole seconds (RFC 7519 ``iat``).
    Source: ISO/IEC TS 27560:2023 clause 6.4: schema version and receipt id, with a copy of the record.
    """
    return {
        "iss": issuer,
        "sub": record["pii_principal_id"],
        "iat": int(issued_at.timestamp()),
        "jti": receipt_id,
        "schema_version": SCHEMA_VERSION,
        "receipt_id": receipt_id,
        "decision_id": decision_id,
        "consent_record": record,
        "log": {
            "entry_id": logged.entry_id,
            "issued_entry_id": logged.issued_entry_id,
            "checkpoint": logged.checkpoint,
        },
    }


def verify_receipt(
    token: str, public_jwk: Mapping[str, object], *, log_key: VerifierKey | None = None
) -> VerifiedReceipt:
    """Verify a receipt offline.

    Args:
        token: the JWS in compact form.
        public_jwk: the issuer's public key, got by another way than the receipt.
        log_key: the log's public key; with it the checkpoint in the receipt is verified, too.
    Raises:
        BadInput: the key is no Ed25519 key.
        ReceiptInvalid: not signed under this key, of another type, or its checkpoint does not verify.
        ShapeBroken: signed, but no receipt of this version.
    """
    key = _public_key(public_jwk)
    claims = _signed_claims(token.strip(), key)
    check_shape(claims, RECEIPT)
    issued_at = datetime.fromtimestamp(int(str(claims["iat"])), UTC)
    if log_key is not None:
        _check_checkpoint(claims["log"], log_key)
    return VerifiedReceipt(str(claims["receipt_id"]), issued_at, key.thumbprint(), claims, log_key is not None)


def _public_key(given: Mapping[str, object]) -> "OKPKey":
    from joserfc.errors import JoseError
    from joserfc.jwk import OKPKey

    x = given.get("x")
    if not _CURVE.items() <= given.items() or not isinstance(x, str):
        raise BadInput("The key is no Ed25519 JWK", hint="Give what `consentry consent receipt-key` prints.")
    try:
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
        key.get_op_key("verify")
    except (JoseError, ValueError, TypeError):
        raise BadInput("The key is no Ed25519 JWK", hint="Give what `consentry consent receipt-key` prints.") from None
    return key


def _signed_claims(token: str, key: "OKPKey") -> Mapping[str, JsonValue]:
    from joserfc import jws
    from joserfc.errors import JoseError

    if len(token) > MAX_RECEIPT_BYTES or not token.isascii():
        raise ReceiptInvalid("The file holds no receipt", hint="Give the file as it was issued.")
    try:
        opened = jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
        header = opened.headers()
        claims = json.loads(opened.payload)
    except (JoseError, ValueError, RecursionError, TypeError):
        raise ReceiptInvalid(
            "The receipt was not signed under this key", hint="Give the issuer's key; a changed receipt never verifies."
        ) from None
    if header != {"alg": ALGORITHM, "kid": key.thumbprint(), "typ": TYPE} or not isinstance(claims, dict):
        raise ReceiptInvalid("What was signed is no consent receipt", hint="Give the file as it was issued.")
    return claims


def _check_checkpoint(logged: JsonValue, log_key: VerifierKey) -> None:
    note = logged["checkpoint"] if isinstance(logged, Mapping) else ""
    try:
        open_checkpoint(str(note).encode(), log_key)
    except VerificationError:
        raise ReceiptInvalid(
            "The checkpoint in the receipt is not signed by this log's key", hint="Give the key of the issuer's log."
        ) from None
