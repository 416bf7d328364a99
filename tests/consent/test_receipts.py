"""A receipt verifies offline under its issuer's key, and under nothing else."""

import base64
import json
from datetime import UTC, datetime

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from audit.notes import sign_checkpoint
from audit.signing import create_signing_key, load_signing_key
from audit.verifier import VerifierKey
from consent.receipts import ALGORITHM, MAX_RECEIPT_BYTES, TYPE, Logged, ReceiptInvalid, ReceiptKey, receipt_claims
from consent.receipts import verify_receipt as verify
from consent.shapes import RECEIPT, RECORD, ShapeBroken, check_shape, schema_of
from kernel.encoding import canonical_json
from kernel.errors import BadInput, ConfigurationError

KEY = ReceiptKey.generate()
OTHER = ReceiptKey.generate()
AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
DECISION = "dec_" + "a" * 24
RECORDED = {
    "schema_version": "consentry/iso-27560/1",
    "record_id": "rec_" + "a" * 24,
    "pii_principal_id": "sub_" + "b" * 24,
    "processing": {
        "privacy_notice": {"reference": "care/1/en", "sha256": "ab" * 32},
        "language": "en",
        "purposes": [
            {
                "purpose": "P06",
                "lawful_basis": "dpv:Consent",
                "pii_information": [{"pii_type": "sensitive", "pii_attribute_id": "reading"}],
                "pii_controllers": ["controller"],
                "storage_locations": ["CN"],
                "retention_period": "One year.",
                "jurisdiction": "CN",
                "recipient_third_parties": [],
                "withdrawal_method": "In the app.",
            }
        ],
    },
    "parties": [
        {
            "party_id": "controller",
            "party_name": "Hospital",
            "party_address": "Beijing",
            "party_contact": "mail",
            "party_role": "dpv:DataController",
            "party_type": "controller",
        }
    ],
    "events": [
        {
            "event_time": "2026-11-21T10:00:00+08:00",
            "validity_duration": "2026-11-21T02:00:00+00:00/..",
            "entity_id": "sub_" + "b" * 24,
            "event_type": "dpv:ExpressedConsent",
            "event_state": "dpv:ConsentGiven",
            "decision_id": DECISION,
            "act": "grant",
            "actor_kind": "self",
            "recorded_time": "2026-11-21T02:00:00+00:00",
            "entry_id": "ent_" + "c" * 24,
        }
    ],
}


def claims(checkpoint: str = "a note") -> dict:
    logged = Logged("ent_" + "c" * 24, "ent_" + "d" * 24, checkpoint)
    return receipt_claims(
        RECORDED, logged, receipt_id="rcp_" + "e" * 24, decision_id=DECISION, issuer="dep_x", issued_at=AT
    )


def test_a_receipt_verifies_under_the_public_key():
    """R05: what was signed comes back, with its key's id and its time; the record in it validates."""
    found = verify(KEY.sign(claims()), KEY.public_jwk)
    assert (found.claims, found.issued_at, found.key_id) == (claims(), AT, KEY.key_id)
    assert not found.is_checkpoint_verified
    check_shape(found.claims["consent_record"], RECORD)


def test_a_receipt_says_what_it_is():
    """R05: algorithm and type stand in the protected header, and no more."""
    head = KEY.sign(claims()).split(".")[0]
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    assert header == {"alg": "Ed25519", "kid": KEY.key_id, "typ": "consent-receipt+jwt"}


def test_a_receipt_of_another_key_is_refused():
    """Anybody can sign; only the issuer's signature counts."""
    with pytest.raises(ReceiptInvalid):
        verify(OTHER.sign(claims()), KEY.public_jwk)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_receipt_is_refused(part):
    """One character of header, claims or signature."""
    parts = KEY.sign(claims()).split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    with pytest.raises(ReceiptInvalid):
        verify(".".join(parts), KEY.public_jwk)


def signed(payload: bytes, **header: object) -> str:
    """Signed by the right key, but with another header or content."""
    key = OKPKey.import_key(json.loads(KEY.private_jwk()))
    protected = {"alg": ALGORITHM, "kid": KEY.key_id, "typ": TYPE} | header
    return jws.serialize_compact(protected, payload, key, algorithms=[ALGORITHM])


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"kid": "another"}, {"cty": "json"}])
def test_another_kind_of_token_is_no_receipt(header):
    """A key that signs other things, too, must not make receipts of them."""
    with pytest.raises(ReceiptInvalid):
        verify(signed(canonical_json(claims()), **header), KEY.public_jwk)


@pytest.mark.parametrize("payload", [b"[]", b"no json", b"\xff"])
def test_other_content_is_no_receipt(payload):
    """Signed bytes that are no claims."""
    with pytest.raises(ReceiptInvalid):
        verify(signed(payload), KEY.public_jwk)


def test_the_public_key_as_a_secret_signs_nothing():
    """The confusion of algorithms: an HMAC under the public key's bytes is no signature."""
    secret = OctKey.import_key(json.dumps(KEY.public_jwk).encode())
    token = jws.serialize_compact({"alg": "HS256", "kid": KEY.key_id, "typ": TYPE}, canonical_json(claims()), secret)
    with pytest.raises(ReceiptInvalid):
        verify(token, KEY.public_jwk)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "é.b.c", "a" * (MAX_RECEIPT_BYTES + 1)])
def test_what_is_no_token_is_refused(token):
    """Any file can be given."""
    with pytest.raises(ReceiptInvalid):
        verify(token, KEY.public_jwk)


def test_claims_of_another_version_are_refused():
    """Signed, but not of this schema: said so, with the place."""
    with pytest.raises(ShapeBroken, match=r"schema_version \(const\)"):
        verify(signed(canonical_json(claims() | {"schema_version": "2"})), KEY.public_jwk)


def test_what_does_not_fit_the_schema_is_not_signed():
    """R05: no receipt leaves that would not validate, nor one with a record that would not."""
    for change in ({"sub": "张三"}, {"consent_record": {}}):
        with pytest.raises(ShapeBroken):
            KEY.sign(claims() | change)


def test_the_checkpoint_is_verified_under_the_log_key(tmp_path):
    """R05: the person holds a checkpoint of the log, and can check that it is the log's."""
    for name in ("own", "other"):
        create_signing_key(tmp_path / name, f"consentry.local/{name}")
    own, other = (load_signing_key(tmp_path / name) for name in ("own", "other"))
    note = sign_checkpoint(7, b"\x01" * 32, own).note.decode()
    token = KEY.sign(claims(note))
    assert verify(token, KEY.public_jwk, log_key=VerifierKey.parse(own.verifier_key)).is_checkpoint_verified
    with pytest.raises(ReceiptInvalid):
        verify(token, KEY.public_jwk, log_key=VerifierKey.parse(other.verifier_key))


@pytest.mark.parametrize(
    "jwk",
    [{}, {"kty": "OKP", "crv": "Ed25519"}, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, {"kty": "oct", "k": "AA"}],
)
def test_another_key_than_ed25519_is_bad_input(jwk):
    """A wrong key file is told apart from a wrong receipt."""
    with pytest.raises(BadInput, match="Ed25519"):
        verify(KEY.sign(claims()), jwk)


def test_a_key_survives_its_file():
    """What is written is what is read; the public half holds no secret."""
    again = ReceiptKey.from_jwk(KEY.private_jwk())
    assert again.public_jwk == KEY.public_jwk
    assert "d" not in KEY.public_jwk
    assert verify(again.sign(claims()), KEY.public_jwk).receipt_id == claims()["receipt_id"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps(KEY.public_jwk), '{"kty": "OKP", "crv": "X25519", "x": "A", "d": "A"}',
     '{"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}'],
)  # fmt: skip
def test_a_damaged_key_file_is_refused_without_its_content(text):
    """The message says what to do and shows nothing of the key."""
    with pytest.raises(ConfigurationError, match="no Ed25519 JWK"):
        ReceiptKey.from_jwk(text)


def test_the_schemas_are_packaged_and_sound():
    """R05: both are JSON Schemas of draft 2020-12, and can be handed out."""
    from jsonschema import Draft202012Validator

    for name in (RECORD, RECEIPT):
        Draft202012Validator.check_schema(schema_of(name))
