"""AWS KMS as the custodian: the root key is a symmetric KMS key, which never leaves the service."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kernel.errors import ConfigurationError, IntegrityFailed
from vault.custodian import (
    KEY_BYTES,
    CustodianRefused,
    CustodianUnavailable,
    RootKeyMissing,
    RootKeyWrong,
    WrapKind,
    changed,
    split_blob,
)
from vault.custodians.patience import NOTHING_DONE, Patience, TryAgain

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.exceptions import BotoCoreError, ClientError
    from mypy_boto3_kms import KMSClient

_T = TypeVar("_T")

_ROOT_ID: Final = bytes(8)
"""KMS ciphertext names its key by itself, and the service refuses one of another key than the one that is asked for."""

_MAX_CIPHERTEXT_BYTES: Final = 6_144
"""docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html."""

_REFUSED: Final = frozenset({
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId",
    "InvalidGrantTokenException", "InvalidSignatureException", "MissingAuthenticationTokenException", "OptInRequired",
    "UnrecognizedClientException",
})  # fmt: skip
_UNUSABLE: Final = frozenset({"DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException"})
_PASSING: Final = frozenset({
    "DependencyTimeoutException", "KeyUnavailableException", "KMSInternalException", "LimitExceededException",
    "RequestLimitExceeded", "ServiceUnavailable", "Throttling", "ThrottlingException", "TooManyRequestsException",
})  # fmt: skip
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class AwsKey:
    """Which KMS key, and how it is reached.

    Attributes:
        key: id, ARN, or ``alias/NAME`` of a symmetric key.
        region: for example ``cn-north-1``.
        endpoint: URL of a VPC endpoint; empty for the region's own.
        instance_role: ask the machine's metadata service for credentials; without it no such connection is made, and
            they come from the environment or AWS's own files.
    """

    key: str
    region: str
    endpoint: str = ""
    instance_role: bool = False


class AwsKmsCustodian:
    """Encrypt and Decrypt of KMS; implements ``Custodian``.

    A wrapped key is kind ``02`` (1 byte) | eight zero bytes | KMS ciphertext. The encryption context, which KMS
    authenticates and CloudTrail shows, is ``consentry-deployment`` and ``consentry-epoch``, the base64 of the context.
    Source: docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html.
    """

    def __init__(self, key: AwsKey, *, deployment: str, timeout_ms: int) -> None:
        self._key = key
        self._deployment = deployment
        self._patience = Patience("aws-kms", timeout_ms)
        self._client: KMSClient | None = None

    @property
    def name(self) -> str:
        """``aws-kms`` and the key as it is configured."""
        return f"aws-kms:{self._key.key}"

    @property
    def is_remote(self) -> bool:
        """It is asked over a wire."""
        return True

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return kind | root id | KMS ciphertext under the key's newest material."""
        bound = self._bound(context)
        answer = self._ask(lambda kms: kms.encrypt(KeyId=self._key.key, Plaintext=key, EncryptionContext=bound))
        sealed = answer.get("CiphertextBlob")
        if not isinstance(sealed, bytes) or not 0 < len(sealed) <= _MAX_CIPHERTEXT_BYTES:
            raise _senseless()
        return WrapKind.AWS_KMS.head(_ROOT_ID) + sealed

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the wrapped key; KMS is told which key must have wrapped it."""
        _, sealed = split_blob(blob, WrapKind.AWS_KMS, _ROOT_ID)
        bound = self._bound(context)
        answer = self._ask(lambda kms: kms.decrypt(KeyId=self._key.key, CiphertextBlob=sealed, EncryptionContext=bound))
        key = answer.get("Plaintext")
        if not isinstance(key, bytes) or len(key) != KEY_BYTES:
            raise _senseless()
        return key

    def destroy(self, context: bytes, *, keep: bytes | None = None) -> None:
        """Do nothing: one KMS key wraps every epoch."""

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    def _bound(self, context: bytes) -> dict[str, str]:
        return {"consentry-deployment": self._deployment, "consentry-epoch": b64encode(context).decode()}

    def _ask(self, question: Callable[["KMSClient"], _T]) -> Any:  # noqa: ANN401 - answers are looked at, not believed
        session = self._session
        from botocore.exceptions import BotoCoreError, ClientError

        def asked() -> _T:
            try:
                return question(self._client_of(session))
            except ClientError as err:
                raise _refusal(err) from None
            except BotoCoreError as err:
                raise _failure(err) from None

        return self._patience.ask(asked)

    @cached_property
    def _session(self) -> "Session":
        try:
            import boto3
            import botocore.session
        except ImportError:
            raise ConfigurationError(
                "The custodian aws-kms needs boto3", hint="Install consentry with its extra `aws`."
            ) from None
        session = botocore.session.Session()
        if not self._key.instance_role:  # or the metadata service would be asked, which nobody configured
            session.get_component("credential_provider").remove("iam-role")
        return boto3.Session(botocore_session=session)

    def _client_of(self, session: "Session") -> "KMSClient":
        """Return the client, made within the bound: looking for credentials may ask others."""
        from botocore.config import Config

        if self._client is None:
            bounds = Config(
                connect_timeout=self._patience.seconds,
                read_timeout=self._patience.seconds,
                retries={"total_max_attempts": 1},
                proxies={},
                ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs do not know it yet
            )
            self._client = session.client(
                "kms", region_name=self._key.region, endpoint_url=self._key.endpoint or None, config=bounds
            )
        return self._client


def _refusal(err: "ClientError") -> Exception:  # noqa: PLR0911 - one line for each kind
    """Return what an answer of KMS means; its message is left out, it may hold what was sent."""
    code = err.response.get("Error", {}).get("Code", "")
    status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "InvalidCiphertextException":
        return changed()
    if code == "IncorrectKeyException":
        return RootKeyWrong("Another KMS key wrapped the epoch key", hint="Configure the key that wrapped it.")
    if code == "NotFoundException":
        return RootKeyMissing("KMS knows no such key", hint="Check aws_kms_key and aws_kms_region.")
    if code in _REFUSED:
        return CustodianRefused(
            f"KMS refuses: {code}", hint="Check the credentials, and that the key's policy allows Encrypt and Decrypt."
        )
    if code in _UNUSABLE:
        return CustodianUnavailable(f"The KMS key cannot be used: {code}", hint="Look at the key's state in AWS.")
    if code in _PASSING or status >= _SERVER_ERROR:
        return TryAgain(code if code.isalnum() else f"status {status}")
    return CustodianUnavailable(f"KMS answers {code if code.isalnum() else f'status {status}'}", hint=NOTHING_DONE)


def _failure(err: "BotoCoreError") -> Exception:
    """Return what a failure before or beside an answer means."""
    from botocore.exceptions import CredentialRetrievalError, NoCredentialsError, PartialCredentialsError

    if isinstance(err, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return CustodianRefused(
            "There are no credentials for KMS", hint="Give them by AWS's environment variables or files."
        )
    return TryAgain(type(err).__name__)


def _senseless() -> IntegrityFailed:
    return IntegrityFailed("KMS answered what is no key", hint="Check aws_kms_endpoint.")
