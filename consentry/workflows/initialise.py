"""Make a new deployment: folder, keys, both stores, notices, first administrator and a first person."""

from dataclasses import dataclass
from pathlib import Path

from audit.events import Act, Event, Outcome
from audit.signing import create_signing_key
from consent.asking import Asking
from consent.notices import publish
from consentry.migrations import Store, upgrade
from consentry.packs import load_configured_pack
from consentry.platform import Platform, open_platform, open_stores
from consentry.principals import create_person
from consentry.settings import Settings, load_settings
from consentry.tokens import create_token_key
from consentry.workflows.accounts import record_principal
from kernel.catalogue import Catalogue
from kernel.clock import SystemClock
from kernel.errors import BadInput, Conflict
from kernel.ids import PrincipalId, RequestId, new_id
from kernel.ports import Clock
from vault.custodian import KeyfileCustodian
from vault.keystore import KeyStore

SYSTEM = PrincipalId("system")


@dataclass(frozen=True, slots=True)
class Account:
    """A new account with its password, which is shown once."""

    name: str
    role: str
    password: str


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was made."""

    home: Path
    deployment: str
    config: Path
    accounts: tuple[Account, ...]
    verifier_key: str


def initialise(
    settings: Settings, *, admin: str, person: str, person_role: str, clock: Clock | None = None
) -> Initialised:
    """Make a deployment in an empty place.

    Raises:
        Conflict: something of a deployment is there already; nothing was changed.
        BadInput: the two accounts share a name, or the role is none of the pack's.
    """
    catalogue = load_configured_pack(settings)
    _check_request(settings, catalogue, admin, person, person_role)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    named = load_settings(**{**settings.model_dump(), "deployment": settings.deployment or new_id("dep")})
    _make_keys(named)
    _make_stores(named, clock or SystemClock())
    with open_platform(named, clock=clock) as platform:
        accounts = _first_entries(platform, [(admin, "administrator"), (person, person_role)])
        platform.log.settle()
        verifier_key = platform.signer.verifier_key
    config = _write_config(named)
    return Initialised(named.home, named.deployment, config, accounts, verifier_key)


def _check_request(settings: Settings, catalogue: Catalogue, admin: str, person: str, person_role: str) -> None:
    if admin == person:
        raise BadInput("The administrator and the person need two names", hint="Give --admin and --person.")
    catalogue.get_role(person_role)
    taken = [
        path
        for path in (
            settings.home / "consentry.toml",
            settings.home / "data.db",
            settings.home / "keys.db",
            settings.root_key_path,
            settings.signing_key_path,
            settings.token_key_path,
        )
        if path.exists()
    ]
    if taken:
        raise Conflict(f"{taken[0]} exists already; nothing was changed", hint="Choose another home with --home.")


def _make_keys(settings: Settings) -> None:
    KeyfileCustodian.create(settings.root_key_path)
    create_signing_key(settings.signing_key_path, f"consentry.local/{settings.deployment}")
    create_token_key(settings.token_key_path)


def _make_stores(settings: Settings, clock: Clock) -> None:
    data, keys = open_stores(settings, must_exist=False)
    upgrade(keys, Store.KEYS)
    KeyStore(keys, KeyfileCustodian.load(settings.root_key_path), clock).initialise()
    upgrade(data, Store.DATA)
    data.dispose()
    keys.dispose()
    for store in (settings.home / "data.db", settings.home / "keys.db"):
        if store.exists():
            store.chmod(0o600)


def _first_entries(platform: Platform, wanted: list[tuple[str, str]]) -> tuple[Account, ...]:
    asking = Asking(SYSTEM, "administrator", RequestId(new_id("req")))
    with platform.data.write() as connection:
        platform.log.record(connection, _event(asking, Act.SYSTEM_INIT, {"deployment": platform.settings.deployment}))
        pack = {"pack": platform.catalogue.pack, "version": platform.catalogue.version, "hash": platform.catalogue.hash}
        platform.log.record(connection, _event(asking, Act.PACK_LOADED, pack))
        for text in platform.catalogue.notices:
            publish(connection, text, platform.catalogue, asking=asking, log=platform.log)
        accounts = []
        for name, role in wanted:
            made, password = create_person(connection, name=name, role=role, clock=platform.clock)
            record_principal(platform, connection, made, asking)
            accounts.append(Account(name, role, password))
    return tuple(accounts)


def _event(asking: Asking, act: Act, refs: dict[str, str]) -> Event:
    return Event(act, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=refs)


def _write_config(settings: Settings) -> Path:
    path = settings.home / "consentry.toml"
    lines = [
        "# Settings of this deployment; docs/reference/settings.md explains each.",
        f'deployment = "{settings.deployment}"',
    ]
    lines += [f'pack = "{settings.pack}"', f'home = "{settings.home.resolve()}"']
    for name in ("data_store", "key_store"):
        if value := getattr(settings, name):
            lines.append(f'{name} = "{value}"')
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path
