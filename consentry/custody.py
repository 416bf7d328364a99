"""Custody: from the settings to the custodian that wraps the epoch keys. Worker processes open their own."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from consentry.settings import Settings, load_custody
from kernel.errors import ConfigurationError
from kernel.ports import Clock
from vault.custodian import Custodian, KeyfileCustodian
from vault.custodians.aws_kms import AwsKey, AwsKmsCustodian
from vault.custodians.either import EitherCustodian
from vault.custodians.held import HeldKeys
from vault.custodians.pkcs11 import Pkcs11Custodian, Pkcs11Token
from vault.custodians.secret_files import credential_path, read_secret
from vault.custodians.transit import TransitCustodian, TransitKey

_CREDENTIAL_MODE = 0o770
"""systemd shows a credential as readable by its group where an access control list lets the service in."""


def open_custodian(settings: Settings, clock: Clock) -> Custodian:
    """Return the configured custodian; with ``custodian_also_file`` one that also reads what another has wrapped.

    A remote one is not asked yet, and what it unwraps is held for ``custodian_hold_seconds``.

    Raises:
        ConfigurationError: a setting is missing, a library is not installed, or a secret's file is open to others.
        Unavailable: a secret's file is missing.
    """
    first = _custodian(settings, clock)
    if settings.custodian_also_file is None:
        return first
    return EitherCustodian(first, _custodian(load_custody(settings.custodian_also_file, settings), clock))


def root_file_to_make(settings: Settings) -> Path | None:
    """Return where a new deployment's root key is written; None where another custodian has it."""
    has_file = settings.custodian == "keyfile" and not settings.root_key_credential
    return settings.root_key_path if has_file else None


def create_root_file(settings: Settings, path: Path) -> None:
    """Write a fresh root key, sealed where a passphrase is configured.

    Raises:
        ConfigurationError: the file exists.
        BadInput: the passphrase is too short.
        Unavailable: the passphrase's file is missing.
    """
    passphrase = _passphrase(settings)
    KeyfileCustodian.create(path, passphrase=passphrase() if passphrase is not None else None).close()


def _custodian(settings: Settings, clock: Clock) -> Custodian:
    if settings.custodian == "keyfile":
        return _keyfile(settings)
    opened = {"aws-kms": _aws_kms, "transit": _transit, "pkcs11": _pkcs11}[settings.custodian](settings)
    return HeldKeys(opened, clock, seconds=settings.custodian_hold_seconds)


def _keyfile(settings: Settings) -> Custodian:
    passphrase = _passphrase(settings)
    if not settings.root_key_credential:
        return KeyfileCustodian.load(settings.root_key_path, passphrase=passphrase)
    path = credential_path(settings.root_key_credential)
    return KeyfileCustodian.load(path, passphrase=passphrase, may_read=_CREDENTIAL_MODE)


def _passphrase(settings: Settings) -> Callable[[], bytes] | None:
    """Return what reads the passphrase, which is never an argument or a variable's value; None without one."""
    what = "root key's passphrase"
    if settings.root_key_passphrase_credential:
        path = credential_path(settings.root_key_passphrase_credential)
        return partial(read_secret, path, what, is_credential=True)
    if settings.root_key_passphrase_file is not None:
        return partial(read_secret, settings.root_key_passphrase_file, what)
    return None


def _aws_kms(settings: Settings) -> Custodian:
    _require(settings, "aws_kms_key", "aws_kms_region")
    key = AwsKey(
        settings.aws_kms_key, settings.aws_kms_region, settings.aws_kms_endpoint, settings.aws_kms_instance_role
    )
    return AwsKmsCustodian(key, deployment=settings.deployment, timeout_ms=settings.custodian_timeout_ms)


def _transit(settings: Settings) -> Custodian:
    _require(settings, "transit_address", "transit_key")
    if settings.transit_token_file is None:
        _require(settings, "transit_role_id_file", "transit_secret_id_file")
    key = TransitKey(
        address=settings.transit_address,
        key=settings.transit_key,
        mount=settings.transit_mount,
        namespace=settings.transit_namespace,
        token_file=settings.transit_token_file,
        role_id_file=settings.transit_role_id_file,
        secret_id_file=settings.transit_secret_id_file,
        ca_file=settings.transit_ca_file,
    )
    return TransitCustodian(key, deployment=settings.deployment, timeout_ms=settings.custodian_timeout_ms)


def _pkcs11(settings: Settings) -> Custodian:
    _require(settings, "pkcs11_module", "pkcs11_token", "pkcs11_pin_file")
    if settings.pkcs11_module is None or settings.pkcs11_pin_file is None:
        raise AssertionError("required above")
    token = Pkcs11Token(settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_key, settings.pkcs11_pin_file)
    return Pkcs11Custodian(token, deployment=settings.deployment, timeout_ms=settings.custodian_timeout_ms)


def _require(settings: Settings, *names: str) -> None:
    missing = [name for name in names if not getattr(settings, name)]
    if missing:
        raise ConfigurationError(
            f"The custodian {settings.custodian} needs the setting {missing[0]!r}",
            hint="See docs/how-to/keep-the-vault.md.",
        )
