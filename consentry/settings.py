"""Settings: from the environment (``CONSENTRY_*``), then ``consentry.toml``, then the embedded defaults."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from kernel.errors import ConfigurationError

CONFIG_NAME: Final = "consentry.toml"

CONFIG_VARIABLE: Final = "CONSENTRY_CONFIG"
"""Names a settings file that is read before the one in the data folder."""

HOME_VARIABLE: Final = "CONSENTRY_HOME"

_PREFIX: Final = "CONSENTRY_"
_OTHER_VARIABLES: Final = frozenset({
    CONFIG_VARIABLE,
    "CONSENTRY_TOKEN",
    "CONSENTRY_NIGHTLY",
    "CONSENTRY_OUTSIDE_DATA",
    "CONSENTRY_TEST_POSTGRES",
    "CONSENTRY_VECTORS",
})  # fmt: skip
"""No settings: the settings file, a person's token for the command line, and what tests and benchmarks are told."""

DEFAULT_HOME: Final = Path("consentry-data")

_PATHS: Final = (
    "home",
    "root_key_file",
    "signing_key_file",
    "token_key_file",
    "receipt_key_file",
    "views_folder",
    "exports_folder",
    "subject_token_jwks_file",
    "signer_socket",
    "witness_policy_file",
    "timestamp_roots_file",
    "custodian_also_file",
    "root_key_passphrase_file",
    "transit_token_file",
    "transit_role_id_file",
    "transit_secret_id_file",
    "transit_ca_file",
    "pkcs11_module",
    "pkcs11_pin_file",
    "backup_folder",
)
_STORES: Final = ("data_store", "key_store")
_SQLITE: Final = "sqlite:///"

CUSTODY: Final = (
    "custodian", "custodian_timeout_ms", "custodian_hold_seconds", "root_key_file", "root_key_credential",
    "root_key_passphrase_file", "root_key_passphrase_credential", "aws_kms_key", "aws_kms_region", "aws_kms_endpoint",
    "aws_kms_instance_role", "transit_address", "transit_mount", "transit_key", "transit_namespace",
    "transit_token_file", "transit_role_id_file", "transit_secret_id_file", "transit_ca_file", "pkcs11_module",
    "pkcs11_token", "pkcs11_key", "pkcs11_pin_file",
)  # fmt: skip
"""Settings that say who holds the root key; a file that names another custodian has these and no others."""

_SERVICE: Final = re.compile(r"(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?/?")
"""Where a key service listens; without TLS only one on the machine itself."""

_BACKUP_RECIPIENT: Final = re.compile(r"consentry-backup-1:(data|keys):[A-Za-z0-9+/]{43}=")
"""Text of a public half as `consentry backup keygen` prints it; docs/reference/backup-format.md."""

_ORIGIN: Final = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?")
"""An origin as browsers send it (RFC 6454 section 6.2); without TLS only one on the machine itself."""


class Settings(BaseSettings):
    """Where things live and how the service listens; every setting is documented in docs/reference/settings.md."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    home: Path = Field(default=DEFAULT_HOME, description="Data folder of the embedded profile.")
    deployment: str = Field(default="", description="Name of this deployment; bound into every ciphertext.")
    pack: str = Field(default="medical", description="Name of a built-in pack, or the folder of an own one.")
    data_store: str = Field(default="", description="SQLAlchemy URL of the data store; empty: SQLite in home.")
    key_store: str = Field(default="", description="SQLAlchemy URL of the key store; empty: SQLite in home.")
    root_key_file: Path | None = Field(
        default=None, description="Root key of the key file custodian; default home/root.key."
    )
    custodian: Literal["keyfile", "aws-kms", "transit", "pkcs11"] = Field(
        default="keyfile", description="Who holds the root key: keyfile, aws-kms, transit or pkcs11."
    )
    custodian_timeout_ms: int = Field(
        default=5_000,
        ge=100,
        le=60_000,
        description="How long one question to a remote custodian may take, with all tries.",
    )
    custodian_hold_seconds: int = Field(
        default=60, ge=0, le=600, description="How long an epoch key of a remote custodian is held in memory."
    )
    custodian_also_file: Path | None = Field(
        default=None, description="Settings file of a second custodian whose epoch keys are read, too, while they move."
    )
    root_key_credential: str = Field(
        default="", description="Name of the systemd credential that holds the root key, in the place of root_key_file."
    )
    root_key_passphrase_file: Path | None = Field(
        default=None, description="File with the passphrase that the root key file is sealed under."
    )
    root_key_passphrase_credential: str = Field(
        default="", description="Name of the systemd credential that holds that passphrase."
    )
    aws_kms_key: str = Field(default="", description="KMS key: id, ARN, or alias/NAME of a symmetric key.")
    aws_kms_region: str = Field(default="", description="Region of the KMS key.")
    aws_kms_endpoint: str = Field(default="", description="URL of a VPC endpoint of KMS; empty: the region's own.")
    aws_kms_instance_role: bool = Field(
        default=False, description="Whether credentials may be asked of the machine's metadata service."
    )
    transit_address: str = Field(default="", description="URL of the Vault server with the transit engine.")
    transit_mount: str = Field(default="transit", description="Where the transit engine is mounted.")
    transit_key: str = Field(default="", description="Name of the transit key.")
    transit_namespace: str = Field(default="", description="Namespace of Vault Enterprise; empty: none.")
    transit_token_file: Path | None = Field(
        default=None, description="File with a Vault token; read for each question, so that an agent can renew it."
    )
    transit_role_id_file: Path | None = Field(
        default=None, description="File with an AppRole's role id, in the place of a token."
    )
    transit_secret_id_file: Path | None = Field(default=None, description="File with the AppRole's secret id.")
    transit_ca_file: Path | None = Field(
        default=None, description="Authorities in PEM that the Vault server is believed under; empty: the system's."
    )
    pkcs11_module: Path | None = Field(default=None, description="Library of the PKCS#11 token's vendor.")
    pkcs11_token: str = Field(default="", description="Label of the token.")
    pkcs11_key: str = Field(default="consentry", description="Label of the key objects in the token.")
    pkcs11_pin_file: Path | None = Field(default=None, description="File with the token user's PIN.")
    vault_suite: Literal["aes", "sm"] = Field(
        default="aes", description="Algorithms of keys that are made from now on: aes, or sm for SM4 and SM3."
    )
    signing_key_file: Path | None = Field(default=None, description="Log signing key; default home/signing.key.")
    signer_socket: Path | None = Field(
        default=None, description="Socket of `consentry audit signer`; empty: this process signs with signing_key_file."
    )
    token_key_file: Path | None = Field(
        default=None, description="Key that signs person tokens; default home/token.key."
    )
    receipt_key_file: Path | None = Field(
        default=None, description="Key that signs consent receipts; default home/receipt.key."
    )
    storage_location: str = Field(
        default="", description="Where the stores are, as consent records state it; empty: the pack's jurisdiction."
    )
    views_folder: Path | None = Field(default=None, description="Folder for view files; default home/views.")
    exports_folder: Path | None = Field(default=None, description="Folder for export files; default home/exports.")
    host: str = Field(default="127.0.0.1", description="Address that `consentry serve` listens on.")
    port: int = Field(default=8080, ge=1, le=65535, description="Port that `consentry serve` listens on.")
    token_minutes: int = Field(default=15, ge=1, le=720, description="Life of a person's token.")
    busy_timeout_ms: int = Field(default=10_000, ge=0, description="How long a writer waits for a locked SQLite store.")
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, description="Largest HTTP request body.")
    max_attachment_bytes: int = Field(
        default=50 * 1024 * 1024, ge=1024, le=1024**3, description="Largest attachment; max_body_bytes does not count."
    )
    opening_processes: int | None = Field(
        default=None, ge=0, le=256, description="Processes that open large cohorts; one a core unless set, 0 for none."
    )
    sweep_hours: int = Field(
        default=24, ge=1, le=168, description="How often a server deletes what has expired; its cycle."
    )
    audit_retention_days: int = Field(
        default=2192,
        ge=183,
        le=36_525,
        description="How long entries of the log are kept; six years, never below six months nor above 100 years.",
    )
    witness_policy_file: Path | None = Field(
        default=None, description="Policy that names the log's witnesses and their quorum (c2sp.org/tlog-policy)."
    )
    timestamp_url: str = Field(default="", description="RFC 3161 authority that timestamps checkpoints; empty: none.")
    timestamp_roots_file: Path | None = Field(
        default=None, description="Root certificates that timestamps are believed under; PEM."
    )
    anchor_seconds: int = Field(
        default=300, ge=5, le=86_400, description="How often a server has a grown log cosigned and timestamped."
    )
    subject_token_issuer: str = Field(default="", description="`iss` of subject tokens; empty: there are none.")
    subject_token_audience: str = Field(default="", description="`aud` that a subject token must name.")
    subject_token_jwks_file: Path | None = Field(
        default=None, description="Public keys of the login that issues subject tokens; a JWKS file."
    )
    subject_token_source: str = Field(default="", description="Source whose ids `sub` of subject tokens holds.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins of pages that may call the capture routes; exact ones."
    )
    epoch_days: int = Field(
        default=1, ge=1, le=7, description="Longest life of a key epoch in days, and of its backups."
    )
    archive_days: int = Field(
        default=0,
        ge=0,
        le=3_650,
        description="Days that archives are kept which the database itself writes; erasures are final only after it.",
    )
    backup_folder: Path | None = Field(default=None, description="Folder for backups; default home/backups.")
    backup_data_recipient: str = Field(
        default="", description="Public half of the key of data store backups; `consentry backup keygen` makes it."
    )
    backup_keys_recipient: str = Field(
        default="", description="Public half of the key of key store backups, of another pair."
    )
    backup_days: int = Field(default=30, ge=1, le=36_525, description="Days that backups of the data store are kept.")
    backup_keys_minutes: int = Field(
        default=0, ge=0, le=1_440, description="Minutes between backups of a changed key store by a server; 0: none."
    )
    requests_per_minute: int = Field(
        default=600,
        ge=1,
        le=1_000_000,
        description="Requests of one subject token's person or capture key; calls of /v1/deid of anybody.",
    )

    @field_validator("transit_address", "aws_kms_endpoint")
    @classmethod
    def _is_service(cls, given: str) -> str:
        if given and not _SERVICE.fullmatch(given):
            raise ValueError("give https://host:port, or http:// on the machine itself, without path")
        return given

    @field_validator("backup_data_recipient", "backup_keys_recipient")
    @classmethod
    def _is_recipient(cls, given: str) -> str:
        if given and not _BACKUP_RECIPIENT.fullmatch(given):
            raise ValueError("give what `consentry backup keygen` prints")
        return given

    @field_validator("backup_keys_minutes")
    @classmethod
    def _has_recipient(cls, given: int, known: ValidationInfo) -> int:
        """Stop a server that is to back up keys and cannot: nobody would notice until a backup is needed."""
        if given and not known.data.get("backup_keys_recipient"):
            raise ValueError("it needs backup_keys_recipient")
        return given

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        """Read origins from a list, or from a text with commas, as an environment variable holds them."""
        return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in given):
            raise ValueError("give exact origins such as https://app.example, without path or wildcard")
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's; no .env is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then environment, then the files."""
        files = [InitSettingsSource(settings_cls, read) for read in _read_files(init_settings()) if read]
        return init_settings, env_settings, *files

    @property
    def data_store_url(self) -> str:
        """The data store's URL with the embedded default filled in."""
        return self.data_store or f"{_SQLITE}{self.home / 'data.db'}"

    @property
    def key_store_url(self) -> str:
        """The key store's URL with the embedded default filled in."""
        return self.key_store or f"{_SQLITE}{self.home / 'keys.db'}"

    @property
    def config_path(self) -> Path:
        """The settings file that `consentry init` writes."""
        return self.home / CONFIG_NAME

    @property
    def root_key_path(self) -> Path:
        """The root key file."""
        return self.root_key_file or self.home / "root.key"

    @property
    def signing_key_path(self) -> Path:
        """The log's signing key file."""
        return self.signing_key_file or self.home / "signing.key"

    @property
    def token_key_path(self) -> Path:
        """The key file for person tokens."""
        return self.token_key_file or self.home / "token.key"

    @property
    def receipt_key_path(self) -> Path:
        """The key file for consent receipts."""
        return self.receipt_key_file or self.home / "receipt.key"

    @property
    def signer_state_path(self) -> Path:
        """The signer's own memory of the last head that it signed."""
        return self.signing_key_path.with_suffix(".state")

    @property
    def views_path(self) -> Path:
        """The folder of view files."""
        return self.views_folder or self.home / "views"

    @property
    def backups_path(self) -> Path:
        """The folder of backups."""
        return self.backup_folder or self.home / "backups"

    @property
    def exports_path(self) -> Path:
        """The folder of export files."""
        return self.exports_folder or self.home / "exports"


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    The data folder's own ``consentry.toml`` is always read. Before it stand, in this order, the overrides, the
    environment, and the file that ``CONSENTRY_CONFIG`` names or, unless a data folder is named, the one in the working
    folder.

    Raises:
        ConfigurationError: a setting or a variable is unknown, a setting is out of range, or a file cannot be read; the
            message names it, never its value.
    """
    _check_environment()
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks what it is given
    except ValidationError as err:
        raise _wrong(err, "Setting") from None


def _wrong(err: ValidationError, what: str) -> ConfigurationError:
    first = err.errors(include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    return ConfigurationError(f"{what} {name!r} is wrong: {first['msg']}", hint="See docs/reference/settings.md.")


def load_custody(path: Path, settings: Settings) -> Settings:
    """Return the settings with another custodian: the one that a settings file of its own names.

    Args:
        path: a file with settings of custodians only; relative paths in it start at its folder.
        settings: of the deployment.

    Raises:
        ConfigurationError: the file cannot be read, or has another setting or a wrong one.
    """
    read = _read_file(path, named_by="the place of the custodian's file")
    others = sorted(read.keys() - set(CUSTODY))
    if others:
        raise ConfigurationError(
            f"{path} has the setting {others[0]!a}, which is none of a custodian",
            hint="See docs/reference/settings.md.",
        )
    plain = {name: field.default for name, field in Settings.model_fields.items() if name in CUSTODY}
    try:
        checked = Settings.model_validate(settings.model_dump() | plain | read | {"custodian_also_file": None})
    except ValidationError as err:
        raise _wrong(err, f"{path}: setting") from None
    return checked


def config_text(settings: Settings) -> str:
    """Return the text of the data folder's settings file: the name, and where the things lie.

    Paths inside the data folder are written relative to it, so that the folder can be moved.
    """
    home = settings.home.resolve()
    chosen = settings.model_dump(include={*_PATHS, *_STORES, *CUSTODY}, exclude={"home"}, exclude_defaults=True)
    written: dict[str, str | int] = {"deployment": settings.deployment, "pack": settings.pack, "home": "."}
    if settings.vault_suite != Settings.model_fields["vault_suite"].default:
        written["vault_suite"] = settings.vault_suite
    if _is_path(settings.pack):
        written["pack"] = str(Path(settings.pack).resolve())
    for name, value in chosen.items():
        if isinstance(value, Path):
            full = value.resolve()
            written[name] = str(full.relative_to(home) if full.is_relative_to(home) else full)
        elif name in _STORES:
            written[name] = _from_folder(str(value), Path.cwd())
        elif isinstance(value, str | int):
            written[name] = value
    lines = [f"{name} = {_toml(value)}" for name, value in written.items()]
    return "\n".join(["# Settings of this deployment; docs/reference/settings.md explains each.", *lines, ""])


def _check_environment() -> None:
    """Refuse a variable that looks like a setting and is none: who misspells one must not believe that it holds."""
    known = _OTHER_VARIABLES | {_PREFIX + name.upper() for name in Settings.model_fields}
    named = (name for name, value in os.environ.items() if value and name.upper().startswith(_PREFIX))
    unknown = sorted(name for name in named if name.upper() not in known)
    if unknown:
        raise ConfigurationError(
            f"Environment variable {unknown[0]!a} names no setting", hint="See docs/reference/settings.md; unset it."
        )


def _read_files(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the contents of the settings files, the first before the second."""
    stated = arguments.get("home") or os.environ.get(HOME_VARIABLE)
    named = os.environ.get(CONFIG_VARIABLE)
    first: dict[str, Any] = {}
    if named:
        first = _read_file(Path(named))
    elif not stated and Path(CONFIG_NAME).is_file():
        first = _read_file(Path(CONFIG_NAME))
    home = stated or first.get("home")
    own = Path(home if isinstance(home, str | Path) else DEFAULT_HOME) / CONFIG_NAME
    return [first, _read_file(own) if own.is_file() else {}]


def _read_file(path: Path, *, named_by: str = f"{CONFIG_VARIABLE} and --home") -> dict[str, Any]:
    """Return what a settings file says; relative paths in it start at its own folder."""
    try:
        with path.open("rb") as file:
            read = tomllib.load(file)
    except OSError as err:
        raise ConfigurationError(
            f"The settings file {path} cannot be read: {err.strerror}", hint=f"Check {named_by}."
        ) from None
    except ValueError as err:
        raise ConfigurationError(f"{path} is no TOML: {err}", hint="See docs/reference/settings.md.") from None
    folder = path.parent
    for name in _PATHS:
        if isinstance(read.get(name), str):
            read[name] = folder / read[name]
    if isinstance(read.get("pack"), str) and _is_path(read["pack"]):
        read["pack"] = str(folder / read["pack"])
    for name in _STORES:
        if isinstance(read.get(name), str):
            read[name] = _from_folder(read[name], folder)
    return read


def _is_path(pack: str) -> bool:
    """Say whether a pack is named by its folder; a bare name is a built-in one."""
    return Path(pack).name != pack


def _from_folder(url: str, folder: Path) -> str:
    """Return the URL of a store; the file of a relative SQLite URL lies under this folder."""
    if not url.startswith(_SQLITE) or url.startswith(f"{_SQLITE}/"):
        return url
    return f"{_SQLITE}{folder.absolute() / url.removeprefix(_SQLITE)}"


def _toml(value: str | int) -> str:
    """Return a TOML value."""
    return _quoted(value) if isinstance(value, str) else str(value).lower()


def _quoted(text: str) -> str:
    """Return a TOML basic string (toml.io/en/v1.0.0#string)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(c):04X}" if ord(c) < ord(" ") or c == "\x7f" else c for c in escaped) + '"'
