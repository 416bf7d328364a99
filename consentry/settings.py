"""Settings: from the environment (``CONSENTRY_*``), then ``consentry.toml``, then the embedded defaults."""

import os
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from kernel.errors import ConfigurationError

CONFIG_VARIABLE: Final = "CONSENTRY_CONFIG"
"""Names another settings file than ``consentry.toml`` in the working folder."""


class Settings(BaseSettings):
    """Where things live and how the service listens; every setting is documented in docs/reference/settings.md."""

    model_config = SettingsConfigDict(env_prefix="CONSENTRY_", extra="forbid", frozen=True)

    home: Path = Field(default=Path("consentry-data"), description="Data folder of the embedded profile.")
    deployment: str = Field(default="", description="Name of this deployment; bound into every ciphertext.")
    pack: str = Field(default="medical", description="Name of a built-in pack, or the folder of an own one.")
    data_store: str = Field(default="", description="SQLAlchemy URL of the data store; empty: SQLite in home.")
    key_store: str = Field(default="", description="SQLAlchemy URL of the key store; empty: SQLite in home.")
    root_key_file: Path | None = Field(
        default=None, description="Root key of the key file custodian; default home/root.key."
    )
    signing_key_file: Path | None = Field(default=None, description="Log signing key; default home/signing.key.")
    token_key_file: Path | None = Field(
        default=None, description="Key that signs person tokens; default home/token.key."
    )
    views_folder: Path | None = Field(default=None, description="Folder for view files; default home/views.")
    exports_folder: Path | None = Field(default=None, description="Folder for export files; default home/exports.")
    host: str = Field(default="127.0.0.1", description="Address that `consentry serve` listens on.")
    port: int = Field(default=8080, ge=1, le=65535, description="Port that `consentry serve` listens on.")
    token_minutes: int = Field(default=15, ge=1, le=720, description="Life of a person's token.")
    busy_timeout_ms: int = Field(default=10_000, ge=0, description="How long a writer waits for a locked SQLite store.")
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, description="Largest HTTP request body.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's; no .env is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())

    @property
    def data_store_url(self) -> str:
        """The data store's URL with the embedded default filled in."""
        return self.data_store or f"sqlite:///{self.home / 'data.db'}"

    @property
    def key_store_url(self) -> str:
        """The key store's URL with the embedded default filled in."""
        return self.key_store or f"sqlite:///{self.home / 'keys.db'}"

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
    def signer_state_path(self) -> Path:
        """The signer's own memory of the last head that it signed."""
        return self.signing_key_path.with_suffix(".state")

    @property
    def views_path(self) -> Path:
        """The folder of view files."""
        return self.views_folder or self.home / "views"

    @property
    def exports_path(self) -> Path:
        """The folder of export files."""
        return self.exports_folder or self.home / "exports"


def config_file() -> Path:
    """Return the settings file: CONSENTRY_CONFIG, or consentry.toml in the home or working folder."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    home = Path(os.environ.get("CONSENTRY_HOME", "consentry-data"))
    return next((p for p in (Path("consentry.toml"), home / "consentry.toml") if p.is_file()), Path("consentry.toml"))


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a setting is unknown or out of range; the message names it, never its value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks what it is given
    except ValidationError as err:
        first = err.errors(include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"Setting {name!r} is wrong: {first['msg']}", hint="See docs/reference/settings.md."
        ) from None
    except ValueError as err:
        raise ConfigurationError(f"{config_file()} cannot be read: {err}", hint="Check the TOML syntax.") from None
