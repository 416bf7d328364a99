"""Key services on loopback: a transit engine that follows the documented API, and peers that misbehave as told."""

import hashlib
import json
import os
import socket
import ssl
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.loopback import start_serving

Answer = tuple[int, bytes]
Asked = Callable[[str, Mapping[str, str], dict], Answer]


@contextmanager
def answering(answer: Asked, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve POST with a JSON body on loopback; ``answer`` is given path, headers and body. Yields the address."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, content = answer(self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    start_serving(server)
    try:
        yield f"http://127.0.0.1:{server.server_port}" if tls is None else f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def own_certificate(folder: Path, *, days: int) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate of 127.0.0.1 that ends in so many days; returns a server's context and the file to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    ends = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(ends - timedelta(days=60)).not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )  # fmt: skip
    certificate, secret = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return context, certificate


def _silent(peer: socket.socket, ended: threading.Event) -> None:
    ended.wait()


def _dripping_head(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not ended.wait(0.02):
        peer.sendall(b"x")


def _dripping_body(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n")
    while not ended.wait(0.02):
        peer.sendall(b" ")


def _closing(peer: socket.socket, ended: threading.Event) -> None:
    pass


def _cutting(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{")


def _no_http(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(b"220 mail.example ESMTP\r\n")


MISBEHAVIOURS = {
    "accepts and never answers": _silent,
    "sends its headers byte by byte": _dripping_head,
    "sends its answer byte by byte": _dripping_body,
    "closes the connection": _closing,
    "cuts its answer": _cutting,
    "speaks another protocol": _no_http,
}


@contextmanager
def misbehaving(how: str) -> Iterator[str]:
    """Serve on loopback as a peer that misbehaves; yields its address."""
    ended = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.recv(65536)
            MISBEHAVIOURS[how](peer, ended)

    def accept() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


@dataclass
class TransitEngine:
    """What the transit engine does with one key, after developer.hashicorp.com/vault/api-docs/secret/transit.

    Attributes:
        derived: a key of its own for each context.
        versions: key material, the newest last.
        min_decryption_version: older ones decrypt nothing.
        knows_associated_data: servers before 1.13 ignore it.
        tokens: that are let in; ``roles`` are let in by ``auth/approle/login`` and get one.
        fault: in the place of an answer; called with the path.
    """

    derived: bool = False
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])
    min_decryption_version: int = 1
    knows_associated_data: bool = True
    tokens: set[str] = field(default_factory=lambda: {"s.root"})
    roles: dict[str, str] = field(default_factory=dict)
    fault: Callable[[str], Answer | None] = lambda _path: None
    asked: list[str] = field(default_factory=list)
    namespaces: list[str | None] = field(default_factory=list)

    def rotate(self) -> None:
        """``POST transit/keys/consentry/rotate``."""
        self.versions.append(os.urandom(32))

    def answer(self, path: str, headers: Mapping[str, str], body: dict) -> Answer:
        self.asked.append(path)
        self.namespaces.append(headers.get("X-Vault-Namespace"))
        if (wrong := self.fault(path)) is not None:
            return wrong
        if path == "/v1/auth/approle/login":
            return self._login(body)
        if headers.get("X-Vault-Token") not in self.tokens:
            return _error(403, "permission denied")
        if path == "/v1/transit/encrypt/consentry":
            return self._encrypt(body)
        if path == "/v1/transit/decrypt/consentry":
            return self._decrypt(body)
        return _error(400, "encryption key not found") if "/decrypt/" in path else _error(404)

    def _login(self, body: dict) -> Answer:
        if self.roles.get(body["role_id"]) != body["secret_id"]:
            return _error(400, "invalid role or secret ID")
        token = f"s.{len(self.asked)}"
        self.tokens.add(token)
        return _given(auth={"client_token": token, "lease_duration": 60, "renewable": True})

    def _encrypt(self, body: dict) -> Answer:
        if self.derived and not body.get("context"):
            return _error(400, "missing 'context' for key derivation")
        version, nonce = len(self.versions), os.urandom(12)
        sealed = self._aead(version, body).encrypt(nonce, b64decode(body["plaintext"]), self._associated(body))
        return _given(
            data={"ciphertext": f"vault:v{version}:{b64encode(nonce + sealed).decode()}", "key_version": version}
        )

    def _decrypt(self, body: dict) -> Answer:
        _, named, sealed = body["ciphertext"].split(":")
        version, content = int(named[1:]), b64decode(sealed)
        if version < self.min_decryption_version:
            return _error(400, "ciphertext or signature version is disallowed by policy (too old)")
        if version > len(self.versions):
            return _error(400, "invalid ciphertext: no such version")
        try:
            plaintext = self._aead(version, body).decrypt(content[:12], content[12:], self._associated(body))
        except InvalidTag:
            return _error(400, "cipher: message authentication failed")
        return _given(data={"plaintext": b64encode(plaintext).decode()})

    def _aead(self, version: int, body: dict) -> AESGCM:
        key = self.versions[version - 1]
        if self.derived:
            key = HKDF(SHA256(), 32, salt=None, info=b64decode(body["context"])).derive(key)
        return AESGCM(key)

    def _associated(self, body: dict) -> bytes | None:
        return b64decode(body.get("associated_data", "")) if self.knows_associated_data else None


def _given(**parts: object) -> Answer:
    return 200, json.dumps({"request_id": "r", "data": None, "auth": None, **parts}).encode()


def _error(status: int, *words: str) -> Answer:
    return status, json.dumps({"errors": list(words)}).encode()


def kms_error(status: int, code: str) -> Asked:
    """A KMS that answers every question with one error."""
    return lambda _path, _headers, _body: (status, json.dumps({"__type": code, "message": "no"}).encode())


def within(seconds: float, act: Callable[[], object]) -> None:
    """Fail when something takes longer."""
    begun = time.monotonic()
    try:
        act()
    finally:
        assert time.monotonic() - begun < seconds


def digest(content: bytes) -> str:
    """What is compared in the place of long contents."""
    return hashlib.sha256(content).hexdigest()
