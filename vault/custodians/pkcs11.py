"""A PKCS#11 token as the custodian: each epoch has a key object of its own, which never leaves the token."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kernel.errors import ConfigurationError, IntegrityFailed
from vault.custodian import (
    KEY_BYTES,
    CustodianRefused,
    CustodianUnavailable,
    RootKeyMissing,
    WrapKind,
    changed,
    root_id_of,
    split_blob,
)
from vault.custodians.patience import NOTHING_DONE, Patience, TryAgain
from vault.custodians.secret_files import read_secret

if TYPE_CHECKING:
    from pkcs11 import Key, SecretKey, Session

_T = TypeVar("_T")

_EPOCH_BYTES: Final = 12
_MAKING_BYTES: Final = 4
_ID_BYTES: Final = _EPOCH_BYTES + _MAKING_BYTES
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_TAG_BITS: Final = 128
_REST_BYTES: Final = _ID_BYTES + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES


@dataclass(frozen=True, slots=True)
class Pkcs11Token:
    """Which token, and how it is reached.

    Attributes:
        module: the vendor's library, for example ``/usr/lib/softhsm/libsofthsm2.so``.
        token: label of the token.
        key: label of the key objects.
        pin_file: holds the user's PIN.
    """

    module: Path
    token: str
    key: str
    pin_file: Path


class Pkcs11Custodian:
    """AES-256-GCM in the token, under a key object for each epoch; implements ``Custodian``.

    A wrapped key is kind ``04`` (1 byte) | root id (8), derived from the labels of token and key | id of the key object
    (16) | nonce (12) | ciphertext and tag (48). The head, id and context are authenticated. The object's id is the
    first 12 bytes of SHA-256 over deployment and context, then 4 random bytes; it is not extractable, and is destroyed
    at the end of its epoch, so that no older copy of the key store opens any more.
    Source: PKCS #11 v3.1, CKM_AES_GCM with a nonce of the caller's; one key encrypts once.
    """

    def __init__(self, token: Pkcs11Token, *, deployment: str, timeout_ms: int) -> None:
        self._token = token
        self._deployment = deployment
        self._root_id = root_id_of("pkcs11", token.token, token.key)
        self._patience = Patience("pkcs11", timeout_ms)
        self._turn = threading.Lock()
        self._opened: Session | None = None
        self._pin_refused = False

    @property
    def name(self) -> str:
        """``pkcs11`` and the labels of token and key."""
        return f"pkcs11:{self._token.token}/{self._token.key}"

    @property
    def is_remote(self) -> bool:
        """It is asked over a wire."""
        return True

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Make a key object, and return kind | root id | object id | nonce | ciphertext and tag under it."""
        nonce = os.urandom(_NONCE_BYTES)
        made = self._ids_of(context) + os.urandom(_MAKING_BYTES)
        head = WrapKind.PKCS11.head(self._root_id) + made

        def wrapped(session: "Session") -> bytes:
            return _encrypted(_new_key(session, self._token.key, made), nonce, key, head + context)

        sealed = self._ask(wrapped)
        if len(sealed) != KEY_BYTES + _TAG_BYTES:
            raise IntegrityFailed("The token's AES-GCM has another tag", hint="Use a token with CKM_AES_GCM.")
        return head + nonce + sealed

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the wrapped key."""
        head, rest = split_blob(blob, WrapKind.PKCS11, self._root_id, rest_bytes=_REST_BYTES)
        made, nonce, sealed = (
            rest[:_ID_BYTES],
            rest[_ID_BYTES : _ID_BYTES + _NONCE_BYTES],
            rest[-KEY_BYTES - _TAG_BYTES :],
        )
        key = self._ask(
            lambda session: _decrypted(_get_key(session, self._token.key, made), nonce, sealed, head + made + context)
        )
        if len(key) != KEY_BYTES:
            raise changed()
        return key

    def destroy(self, context: bytes, *, keep: bytes | None = None) -> None:
        """Destroy the epoch's key objects in the token, but for the one of ``keep``."""
        head = WrapKind.PKCS11.head(self._root_id)
        kept = keep[len(head) :][:_ID_BYTES] if keep is not None and keep.startswith(head) else None
        own = self._ids_of(context)

        def destroyed(session: "Session") -> None:
            for found in _keys_of(session, self._token.key):
                made = _id_of(found)
                if made[:_EPOCH_BYTES] == own and made != kept:
                    found.destroy()

        self._ask(destroyed)

    def close(self) -> None:
        """Log out of the token."""
        with self._turn:
            self._drop()

    def _ids_of(self, context: bytes) -> bytes:
        return hashlib.sha256(self._deployment.encode() + b"\0" + context).digest()[:_EPOCH_BYTES]

    def _ask(self, question: Callable[["Session"], _T]) -> _T:
        load_library()
        return self._patience.ask(lambda: self._asked(question))

    def _asked(self, question: Callable[["Session"], _T]) -> _T:
        if self._pin_refused:  # a token is locked after a few wrong ones
            raise CustodianRefused("The token has refused the PIN", hint="Check pkcs11_pin_file, and restart.")
        if not self._turn.acquire(timeout=self._patience.seconds):
            raise CustodianUnavailable("An earlier question to the token has not come back", hint=NOTHING_DONE)
        try:
            with _translated():
                if self._opened is None:
                    self._opened = self._open()
                return question(self._opened)
        except (TryAgain, RootKeyMissing):
            self._drop()
            raise
        finally:
            self._turn.release()

    def _open(self) -> "Session":
        import pkcs11

        pin = read_secret(self._token.pin_file, "PIN").decode("utf-8", "replace")
        module = self._token.module.resolve()  # loaded under two paths, a library would be initialised twice
        token = pkcs11.lib(str(module)).get_token(token_label=self._token.token)
        try:
            return token.open(rw=True, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # by another session of this process; the token keeps one login for all
            return token.open(rw=True)
        except pkcs11.PinIncorrect:
            self._pin_refused = True
            raise

    def _drop(self) -> None:
        import pkcs11

        if self._opened is not None:
            opened, self._opened = self._opened, None
            with suppress(pkcs11.PKCS11Error):  # it is gone already, which is why it is dropped
                opened.close()


def load_library() -> None:
    """Raise ``ConfigurationError`` unless the binding to PKCS#11 libraries is installed."""
    try:
        import pkcs11  # noqa: F401 - looked for
    except ImportError:
        raise ConfigurationError(
            "The custodian pkcs11 needs python-pkcs11", hint="Install consentry with its extra `pkcs11`."
        ) from None


def _new_key(session: "Session", label: str, made: bytes) -> "SecretKey":
    from pkcs11 import Attribute, KeyType

    hidden = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.WRAP: False, Attribute.UNWRAP: False}
    return session.generate_key(KeyType.AES, KEY_BYTES * 8, id=made, label=label, store=True, template=hidden)


def _get_key(session: "Session", label: str, made: bytes) -> "Key":
    from pkcs11 import KeyType, ObjectClass

    return session.get_key(object_class=ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=label, id=made)


def _keys_of(session: "Session", label: str) -> list[Any]:
    from pkcs11 import Attribute, ObjectClass

    return list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label}))


def _id_of(found: Any) -> bytes:  # noqa: ANN401 - objects of the binding have their attributes by index
    from pkcs11 import Attribute

    return bytes(found[Attribute.ID])


def _encrypted(key: Any, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:  # noqa: ANN401 - as above
    from pkcs11 import GCMParams, Mechanism

    return bytes(
        key.encrypt(plaintext, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, bound, _TAG_BITS))
    )


def _decrypted(key: Any, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:  # noqa: ANN401 - as above
    """Return the plaintext; raises ``IntegrityFailed`` for what does not verify.

    Tokens tell that with errors of their own choice, also with the general one; where the same key still encrypts, it
    was not the token that failed.
    """
    import pkcs11

    try:
        params = pkcs11.GCMParams(nonce, bound, _TAG_BITS)
        return bytes(key.decrypt(sealed, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=params))
    except pkcs11.PKCS11Error:
        _encrypted(key, os.urandom(_NONCE_BYTES), bytes(KEY_BYTES), bound)
        raise changed() from None


@contextmanager
def _translated() -> Iterator[None]:
    import pkcs11

    try:
        yield
    except (
        pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked, pkcs11.PinExpired,
        pkcs11.UserPinNotInitialized,
    ) as err:  # fmt: skip
        raise CustodianRefused(
            f"The token refuses the PIN: {type(err).__name__}", hint="Check pkcs11_pin_file before it is tried again."
        ) from None
    except pkcs11.NoSuchToken:
        raise RootKeyMissing("There is no such token", hint="Check pkcs11_token, and that it is plugged in.") from None
    except pkcs11.NoSuchKey:
        raise RootKeyMissing(
            "The token has no key for this epoch", hint="Its key is destroyed with the epoch; use today's key store."
        ) from None
    except (pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid, pkcs11.FunctionNotSupported) as err:
        raise ConfigurationError(
            f"The token cannot be used: {type(err).__name__}", hint="It needs CKM_AES_KEY_GEN and CKM_AES_GCM."
        ) from None
    except pkcs11.PKCS11Error as err:
        if type(err) is pkcs11.PKCS11Error:
            raise ConfigurationError("The library of the token cannot be loaded", hint="Check pkcs11_module.") from None
        raise TryAgain(type(err).__name__) from None
