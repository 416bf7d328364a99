"""A timestamp authority of the test's own: certificates made here, answers by `openssl ts`."""

import datetime as dt
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@dataclass
class Authority:
    """Answers requests; `roots` is the PEM file that vouches for it."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *, days: tuple[int, int] = (-1, 365), usage=ExtendedKeyUsageOID.TIME_STAMPING):
        """Make a root and an authority whose certificate is valid from one day to another, counted from now."""
        if shutil.which("openssl") is None:
            pytest.skip("timestamps: there is no openssl")
        folder.mkdir()
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _certificate("root", root_key, root_key, (-2000, 2000), x509.BasicConstraints(True, None))
        purpose = x509.ExtendedKeyUsage([usage])
        authority = _certificate("authority", key, root_key, days, purpose)
        (folder / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (folder / "tsa.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "tsa.key").write_bytes(secret)
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(CONFIG.format(folder=folder))
        return cls(folder)

    @property
    def roots(self) -> Path:
        return self.folder / "root.pem"

    def answer(self, request: bytes) -> bytes:
        query, reply = self.folder / "query.tsq", self.folder / "reply.tsr"
        query.write_bytes(request)
        command = ["openssl", "ts", "-reply", "-queryfile", query, "-config", self.folder / "ts.cnf", "-out", reply]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return reply.read_bytes()


def _certificate(name, key, issuer_key, days, extension):
    now = dt.datetime.now(dt.UTC)
    first, last = (now + dt.timedelta(days=day) for day in days)
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(extension, critical=True)
    )
    return built.sign(issuer_key, hashes.SHA256())
