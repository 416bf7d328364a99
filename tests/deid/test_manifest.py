"""Manifests: signed, canonical, and refused after any change."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha512

import pyarrow as pa
import pytest

from deid.manifest import Manifest, Product, columns_of, parse_manifest, read_manifest, signed_manifest
from kernel.errors import BadInput, IntegrityFailed


class HashSigner:
    """A signer for tests: the signature is a hash of secret and message."""

    name = "example.org/release"
    public_key = bytes(32)

    def sign(self, message):
        """Return 64 bytes that depend on every byte of the message."""
        return sha512(b"secret" + message).digest()


def _verify(message, signature):
    return signature == sha512(b"secret" + message).digest()


MANIFEST = Manifest(
    product=Product.EXPORT,
    code="research_partner",
    version="1",
    definition_hash="d" * 64,
    catalogue_hash="c" * 64,
    checkpoint="example.org/log\n7\nAAAA\n",
    purpose="P12",
    scope="export_research_partner",
    as_of=date(2026, 11, 21),
    built_at=datetime(2026, 11, 21, 2, tzinfo=UTC),
    level=4,
    grade=3,
    columns=(("pseudonym", "string"), ("diagnosis_groups", "list<item: string>")),
    files={"export.csv": "a" * 64, "export.parquet": "b" * 64},
    counts={"persons_in": 24, "persons_out": 23},
    left_out={"suppressed": 1, "WITHDRAWN": 2},
    recipient="research_partner",
    report={"k": 5},
)


@pytest.fixture
def path(tmp_path):
    """A written manifest."""
    path = tmp_path / "manifest.json"
    path.write_bytes(signed_manifest(MANIFEST, HashSigner()))
    return path


def test_manifest_reads_back_as_it_was_signed(path):
    """Everything that it was made of is there."""
    content = read_manifest(path, _verify)
    assert content == MANIFEST.to_json()
    assert content["as_of"] == "2026-11-21"
    assert content["built_at"] == "2026-11-21T02:00:00.000000Z"
    assert content["columns"][1] == {"name": "diagnosis_groups", "type": "list<item: string>"}
    assert content["left_out"] == {"suppressed": 1, "WITHDRAWN": 2}


def test_view_manifest_has_no_recipient(tmp_path):
    """A view stays inside."""
    path = tmp_path / "manifest.json"
    path.write_bytes(signed_manifest(replace(MANIFEST, product=Product.VIEW, recipient=None), HashSigner()))
    assert read_manifest(path, _verify)["recipient"] is None


@pytest.mark.parametrize(
    ("old", "new"), [(b'"persons_out":23', b'"persons_out":24'), (b'"k":5', b'"k":9'), (b"export.csv", b"export.csx")]
)
def test_changed_manifest_is_refused(path, old, new):
    """Counts, measurements and files are signed."""
    stored = path.read_bytes()
    assert old in stored
    path.write_bytes(stored.replace(old, new))
    with pytest.raises(IntegrityFailed, match="is not signed by the expected key"):
        read_manifest(path, _verify)


def test_manifest_of_another_key_is_refused(path):
    """Whoever signs has to be the expected one."""
    with pytest.raises(IntegrityFailed, match="is not signed by the expected key"):
        read_manifest(path, lambda message, signature: False)


def test_signature_is_for_manifests_only(path):
    """The signed bytes begin with the format's name: no other document of that key passes."""
    seen = []
    read_manifest(path, lambda message, signature: seen.append((message, signature)) is None)
    assert seen[0][0].startswith(b"consentry-manifest/1\n{")
    assert len(seen[0][1]) == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: json.dumps(d).encode(), "is not canonical"),
        (lambda d: json.dumps(d | {"manifest": 7}).encode(), "cannot be read"),
        (lambda d: json.dumps(d | {"manifest": d["manifest"] | {"level": 1.5}}).encode(), "cannot be read"),
        (lambda d: json.dumps(d | {"signature": {"ed25519": "%%"}}).encode(), "cannot be read"),
        (lambda d: json.dumps({"manifest": d["manifest"]}).encode(), "cannot be read"),
        (lambda d: b"[]", "cannot be read"),
        (lambda d: b"{", "cannot be read"),
        (lambda d: b"\xff", "cannot be read"),
    ],
)
def test_what_is_no_manifest_is_refused(path, change, message):
    """Truncated, of another form, not canonical."""
    path.write_bytes(change(json.loads(path.read_bytes())))
    with pytest.raises(IntegrityFailed, match=message):
        read_manifest(path, _verify)


def test_manifest_of_another_format_is_refused(path):
    """A later format is not read as this one."""
    path.write_bytes(path.read_bytes().replace(b"consentry-manifest/1", b"consentry-manifest/9"))
    with pytest.raises(IntegrityFailed, match="is not canonical consentry-manifest/1"):
        read_manifest(path, _verify)


def test_missing_manifest_is_refused(tmp_path):
    """A data set without one is not used."""
    with pytest.raises(IntegrityFailed, match="cannot be read"):
        read_manifest(tmp_path / "manifest.json", _verify)


def test_columns_of_a_schema_have_names_and_types():
    """Arrow's names of types."""
    schema = pa.schema([("pseudonym", pa.string()), ("day", pa.date32())])
    assert columns_of(schema) == (("pseudonym", "string"), ("day", "date32[day]"))


def test_manifest_survives_its_own_json(path):
    """A manifest that is changed and signed anew begins as what it was."""
    assert parse_manifest(read_manifest(path, _verify)) == MANIFEST


@pytest.mark.parametrize(
    "change", [{"product": "toy"}, {"as_of": "yesterday"}, {"built_at": "now"}, {"colour": "red"}, {"columns": [{}]}]
)
def test_json_that_is_no_manifest_is_refused(change):
    """An unknown product, a date that is none, a key too many, a column without a name."""
    with pytest.raises(BadInput):
        parse_manifest(MANIFEST.to_json() | change)
