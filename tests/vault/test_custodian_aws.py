"""AWS KMS as custodian, against moto's server on loopback and against peers that misbehave."""

import logging
import sys
import time

import pytest

from kernel.errors import ConfigurationError, IntegrityFailed
from tests.vault.custodian_services import answering, kms_error, misbehaving
from vault.custodian import CustodianRefused, CustodianUnavailable, KeyfileCustodian, RootKeyMissing, RootKeyWrong
from vault.custodians.aws_kms import AwsKey, AwsKmsCustodian

pytest.importorskip("boto3", reason="aws-kms: boto3 is not installed")

KEY = bytes(range(32))
CONTEXT = b"epoch 1"
REGION = "cn-north-1"


@pytest.fixture(scope="module")
def scripted():
    """One custodian whose service answers as it is told: making a client takes longer than all else here."""
    told = []

    def answer(path, headers, body):
        return told[-1](path, headers, body)

    with answering(answer) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        custodian = AwsKmsCustodian(AwsKey("k", REGION, url), deployment="dep", timeout_ms=700)
        told.append(kms_error(400, "ValidationException"))
        custodian._client_of(custodian._session)
        yield custodian, told.append
        custodian.close()


@pytest.fixture(scope="module")
def moto():
    """Moto's server; yields its address."""
    server = pytest.importorskip("moto.server", reason="aws-kms: moto is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """Those of the environment, and nothing of the machine's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def kms(moto):
    """The administrator's hands on the service."""
    import boto3

    client = boto3.client("kms", region_name=REGION, endpoint_url=moto)
    yield client
    client.close()


@pytest.fixture
def key_id(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


@pytest.fixture
def reached(request):
    """Makes custodians that are closed again."""

    def made(url, key="k", *, timeout_ms=5_000, deployment="dep", **more):
        custodian = AwsKmsCustodian(AwsKey(key, REGION, url, **more), deployment=deployment, timeout_ms=timeout_ms)
        request.addfinalizer(custodian.close)
        return custodian

    return made


def test_what_was_wrapped_unwraps_and_is_bound(reached, moto, key_id):
    """To its epoch and to its deployment; another context does not open it."""
    custodian = reached(moto, key_id)
    blob = custodian.wrap(KEY, CONTEXT)
    assert custodian.unwrap(blob, CONTEXT) == KEY
    assert KEY not in blob
    with pytest.raises(IntegrityFailed, match="changed"):
        custodian.unwrap(blob, b"epoch 2")
    with pytest.raises(IntegrityFailed, match="changed"):
        reached(moto, key_id, deployment="other").unwrap(blob, CONTEXT)
    assert custodian.name == f"aws-kms:{key_id}"


def test_an_alias_names_the_key(reached, moto, kms, key_id):
    """As operators do, so that settings stay when the key changes."""
    kms.create_alias(AliasName=f"alias/{key_id}", TargetKeyId=key_id)
    custodian = reached(moto, f"alias/{key_id}")
    assert custodian.unwrap(custodian.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_a_rotated_key_opens_what_it_wrapped_before(reached, moto, kms, key_id):
    """KMS keeps the older material."""
    custodian = reached(moto, key_id)
    blob = custodian.wrap(KEY, CONTEXT)
    kms.enable_key_rotation(KeyId=key_id)
    assert custodian.unwrap(blob, CONTEXT) == KEY


@pytest.mark.parametrize("position", [0, 3, -1])
def test_a_changed_blob_does_not_unwrap(reached, moto, key_id, position):
    """Kind, head and ciphertext are all looked at."""
    custodian = reached(moto, key_id)
    blob = bytearray(custodian.wrap(KEY, CONTEXT))
    blob[position] ^= 1
    with pytest.raises((IntegrityFailed, RootKeyWrong)):
        custodian.unwrap(bytes(blob), CONTEXT)


def test_a_blob_of_another_custodian_is_told_without_asking(reached, tmp_path):
    """The kind in the blob decides."""
    foreign = KeyfileCustodian.create(tmp_path / "root.key").wrap(KEY, CONTEXT)
    with pytest.raises(RootKeyWrong, match="'keyfile'"):
        reached("http://127.0.0.1:9").unwrap(foreign, CONTEXT)


def test_a_key_that_is_not_there_is_told(reached, moto):
    """With the settings to check."""
    with pytest.raises(RootKeyMissing, match="knows no such key"):
        reached(moto, "alias/none").wrap(KEY, CONTEXT)


@pytest.mark.parametrize("how", ["accepts and never answers", "sends its answer byte by byte", "closes the connection"])
def test_a_service_that_misbehaves_is_given_up_in_time(reached, how):
    """However it misbehaves, the caller is told within the bound."""
    with misbehaving(how) as url:
        begun = time.monotonic()
        with pytest.raises(CustodianUnavailable, match="custodian aws-kms"):
            reached(url, timeout_ms=300).wrap(KEY, CONTEXT)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, "AccessDeniedException", (CustodianRefused, "refuses: AccessDenied")),
        (400, "ExpiredTokenException", (CustodianRefused, "refuses: ExpiredToken")),
        (403, "UnrecognizedClientException", (CustodianRefused, "refuses: Unrecognized")),
        (400, "IncorrectKeyException", (RootKeyWrong, "Another KMS key")),
        (400, "InvalidCiphertextException", (IntegrityFailed, "changed")),
        (400, "DisabledException", (CustodianUnavailable, "cannot be used: Disabled")),
        (400, "KMSInvalidStateException", (CustodianUnavailable, "cannot be used: KMSInvalidState")),
        (400, "ThrottlingException", (CustodianUnavailable, "fails: ThrottlingException")),
        (500, "KMSInternalException", (CustodianUnavailable, "fails: KMSInternalException")),
        (503, "x <b>", (CustodianUnavailable, "fails: status 503")),
        (400, "ValidationException", (CustodianUnavailable, "answers ValidationException")),
        (418, "x <b>", (CustodianUnavailable, "answers status 418")),
    ],
)
def test_each_refusal_is_told_as_what_it_is(scripted, status, code, told):
    """The code decides; what passes by itself was tried until the time was over."""
    custodian, answer = scripted
    answer(kms_error(status, code))
    error, said = told
    with pytest.raises(error, match=said):
        custodian.wrap(KEY, CONTEXT)


def test_throttling_that_passes_is_ridden_out(scripted):
    """Asked again within the bound, a little later."""
    asked = []

    def answer(path, headers, body):
        asked.append(path)
        if len(asked) < 3:
            return kms_error(400, "ThrottlingException")(path, headers, body)
        return 200, b'{"CiphertextBlob": "AAAA", "KeyId": "k"}'

    custodian, tell = scripted
    tell(answer)
    assert custodian.wrap(KEY, CONTEXT).endswith(bytes(3))
    assert len(asked) == 3


@pytest.mark.parametrize("content", [b"{}", b'{"Plaintext": "AAAA"}', b'{"CiphertextBlob": ""}'])
def test_a_wrong_answer_is_not_used(scripted, content):
    """A key has its length; a ciphertext is not empty."""
    custodian, answer = scripted
    answer(lambda *_asked: (200, content))
    with pytest.raises(IntegrityFailed, match="no key"):
        custodian.wrap(KEY, CONTEXT)
    with pytest.raises(IntegrityFailed, match="no key"):
        custodian.unwrap(b"\x02" + bytes(8) + b"sealed", CONTEXT)


def test_without_credentials_nothing_is_asked(reached, monkeypatch):
    """Least of all the machine's metadata service, unless the operator has said so."""
    from botocore.utils import InstanceMetadataFetcher

    asked = []
    monkeypatch.setattr(InstanceMetadataFetcher, "retrieve_iam_role_credentials", lambda _self: asked.append(1) or {})
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CustodianRefused, match="no credentials"):
        reached("http://127.0.0.1:9").wrap(KEY, CONTEXT)
    assert asked == []
    with pytest.raises(CustodianRefused, match="no credentials"):
        reached("http://127.0.0.1:9", instance_role=True).wrap(KEY, CONTEXT)
    assert asked


def test_no_proxy_or_endpoint_of_the_surroundings_is_used(reached, moto, key_id, monkeypatch):
    """Only what is configured here is connected to."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    custodian = reached(moto, key_id)
    assert custodian.unwrap(custodian.wrap(KEY, CONTEXT), CONTEXT) == KEY
    plain = reached("")
    assert plain._client_of(plain._session).meta.endpoint_url == f"https://kms.{REGION}.amazonaws.com.cn"


def test_the_missing_library_is_said_with_its_extra(reached, monkeypatch):
    """One line, and what to install."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigurationError, match="needs boto3") as told:
        reached("http://127.0.0.1:9").wrap(KEY, CONTEXT)
    assert "extra `aws`" in told.value.hint


def test_destroying_leaves_the_shared_key_alone(reached):
    """One KMS key wraps every epoch; nothing is asked."""
    reached("http://127.0.0.1:9").destroy(CONTEXT)
