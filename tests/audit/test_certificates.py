"""``consentry-verify certificate``: what the log's key has signed, and nothing else."""

import base64
import json

import pytest

from audit.signing import create_signing_key
from audit.verifier import main
from audit.verifier.certificates import PREFIXES

CONTENT = {"v": 2, "erasure": "era_a", "keys": ["0123456789abcdef"], "final": {"at": "2026-11-22T02:00:00.000000Z"}}


@pytest.fixture
def signer(tmp_path):
    return create_signing_key(tmp_path / "signing.key", "audit.example/log")


@pytest.fixture
def key(signer) -> str:
    return str(signer.verifier_key)


def written(tmp_path, signer, content, *, what: str = "erasure"):
    text = json.dumps(content)
    signature = base64.b64encode(signer.sign(PREFIXES[what] + text.encode())).decode()
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps({"certificate": text, "signature": signature}), encoding="utf-8")
    return path


def test_signed_certificates_are_told_with_their_end(tmp_path, signer, key, capsys):
    """Of an erasure and of a sweep, in both languages and as JSON."""
    path = written(tmp_path, signer, CONTENT)
    assert main(["certificate", str(path), "--key", key]) == 0
    assert "era_a; final at the latest at 2026-11-22T02" in capsys.readouterr().out
    assert main(["certificate", str(path), "--key", key, "--lang", "zh"]) == 0
    assert "最迟于" in capsys.readouterr().out
    assert main(["certificate", str(path), "--key", key, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["certificate"] == CONTENT
    path = written(tmp_path, signer, {"v": 1, "sweep": "swp_a"}, what="sweep")
    assert main(["certificate", str(path), "--key", key]) == 0
    assert "swp_a" in capsys.readouterr().out


def test_changed_certificates_and_other_keys_are_refused(tmp_path, signer, key, capsys):
    """A word less, another key, a signature over something else."""
    path = written(tmp_path, signer, CONTENT)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("0123456789abcdef", "0123456789abcdee"), encoding="utf-8")
    assert main(["certificate", str(path), "--key", key]) == 1
    path.write_text(whole, encoding="utf-8")
    other = create_signing_key(tmp_path / "other.key", "audit.example/log").verifier_key
    assert main(["certificate", str(path), "--key", str(other)]) == 1
    assert main(["certificate", str(path), "--key", str(other), "--key", key]) == 0
    path = written(tmp_path, signer, CONTENT, what="sweep")
    assert main(["certificate", str(path), "--key", key]) == 1
    assert "signature" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"certificate": "{}", "signature": ""}', '{"certificate": 1}'])
def test_what_is_no_certificate_is_said(tmp_path, key, content, capsys):
    """Whatever is in the file."""
    path = tmp_path / "certificate.json"
    path.write_text(content, encoding="utf-8")
    assert main(["certificate", str(path), "--key", key]) == 1
    assert "no certificate" in capsys.readouterr().out
