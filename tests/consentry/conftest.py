"""A deployment on SQLite, opened under a standing clock, and short forms of what people do with it."""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consentry.acts import ConsentAct
from consentry.platform import Platform, open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.settings import Settings, load_settings
from consentry.workflows.accounts import add_key, add_person
from consentry.workflows.capture import ActAnswer, capture_act, capture_acts
from consentry.workflows.ingest_http import ingest_posted
from consentry.workflows.initialise import Account, initialise
from kernel.clock import FixedClock
from kernel.encoding import JsonValue
from kernel.ids import PrincipalId, SubjectId

ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
SECOND = Principal(PrincipalId("prn_second"), "second", PrincipalKind.PERSON, "compliance_officer")
"""Who accepts what two people must stand for."""
"""Whoever runs the command line of the embedded profile."""

STARTED = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Deployed:
    """Settings of an initialised deployment and the passwords that were shown once."""

    settings: Settings
    accounts: tuple[Account, ...]

    def password(self, name: str) -> str:
        return next(account.password for account in self.accounts if account.name == name)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A deployment that nobody has used yet; tests work on copies."""
    settings = load_settings(home=tmp_path_factory.mktemp("pristine") / "home", busy_timeout_ms=5_000)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=FixedClock(STARTED))
    return Deployed(load_settings(**{**settings.model_dump(), "deployment": made.deployment}), made.accounts)


@pytest.fixture(scope="session")
def copied(pristine: Deployed) -> Callable[[Path], Deployed]:
    """Makes a copy of the pristine deployment in an empty folder."""

    def copy(home: Path) -> Deployed:
        shutil.copytree(pristine.settings.home, home)
        return Deployed(load_settings(**{**pristine.settings.model_dump(), "home": home}), pristine.accounts)

    return copy


@pytest.fixture(scope="session")
def pristine_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, lasting_pg_database: Callable[..., str]
) -> Deployed:
    """A deployment on PostgreSQL that nobody has used yet; tests work on copies of its databases."""
    stores = {"data_store": lasting_pg_database(), "key_store": lasting_pg_database()}
    settings = load_settings(home=tmp_path_factory.mktemp("pristine-pg") / "home", **stores)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=FixedClock(STARTED))
    return Deployed(load_settings(**{**settings.model_dump(), "deployment": made.deployment}), made.accounts)


@pytest.fixture
def copied_to(request: pytest.FixtureRequest, copied: Callable[[Path], Deployed]) -> Callable[[str, Path], Deployed]:
    """Makes a copy of the pristine deployment on an engine, with its files in an empty folder."""

    def copy(engine: str, home: Path) -> Deployed:
        if engine == "sqlite":
            return copied(home)
        pristine = request.getfixturevalue("pristine_on_postgresql")
        make, given = request.getfixturevalue("pg_database"), pristine.settings.model_dump()
        stores = {store: make(given[store]) for store in ("data_store", "key_store")}
        shutil.copytree(pristine.settings.home, home)
        return Deployed(load_settings(**{**given, **stores, "home": home}), pristine.accounts)

    return copy


@pytest.fixture
def deployment(copied: Callable[[Path], Deployed], tmp_path: Path) -> Deployed:
    """An initialised deployment in the test's own folder."""
    return copied(tmp_path / "home")


@pytest.fixture
def platform(deployment: Deployed, clock: FixedClock) -> Iterator[Platform]:
    """Every part of the deployment, under a clock that stands at 2026-11-21T02:00Z until it is moved."""
    with open_platform(deployment.settings, clock=clock) as opened:
        yield opened


@dataclass
class Captured:
    """What people do: open an account, decide, send records; each in one line."""

    platform: Platform
    caller: Principal = ADMIN
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def act(self, act: str, subject: Mapping[str, str], *purposes: str, **more: object) -> dict[str, object]:
        """An act as JSON, made now."""
        made: dict[str, object] = {
            "act_id": f"act-{next(self.numbers)}",
            "act": act,
            "subject": subject,
            "purposes": list(purposes),
            "at": self.platform.clock.now().isoformat(),
            "evidence": {"mechanism": "tapped_button"},
        }
        if act in ("contract", "duty"):
            made["actor"] = {"kind": "operator"}
        if act in ("grant", "refuse"):
            made["notice"] = self.notice(purposes[0])
        return made | more

    def notice(self, purpose: str) -> dict[str, str]:
        """The adults' notice of a purpose."""
        texts = [n for n in self.platform.catalogue.notices if purpose in n.purposes and n.code != "child"]
        return {"code": texts[0].code, "version": texts[0].version, "locale": texts[0].locale}

    def record(self, act: Mapping[str, object]) -> ActAnswer:
        return capture_act(self.platform, self.caller, ConsentAct.model_validate(act))

    def person(self, name: str = "u-1", *grants: str, birth_date: str = "1990-05-20") -> SubjectId:
        """Register a person of the app under contract for account and care, with some grants."""
        who = {"source": "app", "id": name, "birth_date": birth_date, "sex": "female"}
        subject = self.record(self.act("contract", who, "P01", "P02", "P04")).subject
        for purpose in grants:
            self.grant(name, purpose)
        return subject

    def people(
        self,
        names: Iterable[str],
        *grants: str,
        birth_date: str = "1990-05-20",
        sharing: Mapping[str, str] | None = None,
    ) -> list[SubjectId]:
        """Register people in one go, each as ``person`` does it, and grant a purpose to a recipient as well."""
        acts, opened = [], []
        for name in names:
            who = {"source": "app", "id": name, "birth_date": birth_date, "sex": "female"}
            opened.append(len(acts))
            acts.append(self.act("contract", who, "P01", "P02", "P04"))
            acts += [self.act("grant", self.known(name), purpose) for purpose in grants]
            for purpose, recipient in (sharing or {}).items():
                acts.append(self.act("grant", self.known(name), purpose, recipient=recipient))
        said = capture_acts(self.platform, self.caller, [ConsentAct.model_validate(act) for act in acts])
        assert all(isinstance(one, ActAnswer) for one in said), said
        return [said[place].subject for place in opened]

    def grant(self, name: str, purpose: str, **more: object) -> str:
        """Grant one purpose; returns the decision's id."""
        return self.record(self.act("grant", self.known(name), purpose, **more)).decisions[0][0]

    def known(self, name: str) -> dict[str, str]:
        return {"source": "app", "id": name}

    def posted(self, name: str = "u-1", kind: str = "condition", number: str = "r-1", **values: JsonValue) -> dict:
        """A record of a person as JSON, observed an hour ago."""
        return {
            "source_subject": name,
            "kind": kind,
            "source_record": number,
            "observed_at": "2026-11-21T01:00:00Z",
            "values": values,
        }

    def store(self, records: Sequence[Mapping[str, object]], *, key: str | None = None) -> Mapping[str, JsonValue]:
        return ingest_posted(self.platform, self.caller, "app", records, key=key)[0]

    def person_account(self, name: str, role: str) -> tuple[Principal, str]:
        return add_person(self.platform, ADMIN, name=name, role=role)

    def machine_key(
        self,
        role: str,
        *,
        days: int = 90,
        cap: int | None = None,
        name: str = "",
        sources: Collection[str] | None = None,
    ) -> str:
        """The bearer secret of a new key; one for ingestion sends as the app where nothing else is said."""
        name = name or f"{role}-{next(self.numbers)}"
        sources = ["app"] if role == "ingest" and sources is None else sources
        return add_key(self.platform, ADMIN, name=name, role=role, days=days, subjects_per_day=cap, sources=sources)[1]

    def token(self, role: str) -> str:
        """The token of a new person with this role."""
        made, _ = self.person_account(f"{role}-{next(self.numbers)}", role)
        return self.platform.tokens.issue(made.principal_id)


@pytest.fixture
def captured(platform: Platform) -> Captured:
    """Short forms over the platform."""
    return Captured(platform)


@pytest.fixture(scope="session")
def capturing() -> Callable[[Platform], Captured]:
    """Gives short forms over a platform that a test opened itself."""
    return Captured
