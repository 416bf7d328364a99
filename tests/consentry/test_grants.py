"""The service's own roles on PostgreSQL can do the service's work and cannot change the past."""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from consentry.cli import main
from consentry.migrations import Store, metadata_of
from consentry.migrations.grants import append_only_tables, grant_statements
from consentry.platform import open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.settings import Settings, load_settings
from consentry.workflows.decide import decide
from consentry.workflows.erase import erase_subject
from consentry.workflows.initialise import initialise
from consentry.workflows.prune_log import prune_log
from consentry.workflows.reconcile import reconcile
from kernel.clock import FixedClock
from kernel.errors import BadInput
from kernel.ids import PrincipalId

ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
SECOND = Principal(PrincipalId("prn_second"), "second", PrincipalKind.PERSON, "administrator")
OFFICER = Principal(PrincipalId("prn_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")


@dataclass(frozen=True)
class Roles:
    """A migrated deployment, and its settings under each role."""

    owner: Settings
    service: Settings
    pruner: Settings
    reader: Settings


@pytest.fixture
def roles(tmp_path: Path, pg_database, pg_server_uri, clock: FixedClock) -> Iterator[Roles]:
    """Both stores made by their owner, granted to a service role and a pruner with passwords of their own."""
    settings = load_settings(home=tmp_path / "home", data_store=pg_database(), key_store=pg_database())
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    owner = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    mark = secrets.token_hex(4)
    service, pruner, reader = f"service_{mark}", f"pruner_{mark}", f"reader_{mark}"
    urls = {"data_store": sa.make_url(owner.data_store), "key_store": sa.make_url(owner.key_store)}
    stores = {"data_store": Store.DATA, "key_store": Store.KEYS}
    for name in (service, pruner, reader):
        _run(urls["data_store"], f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    for name, url in urls.items():
        _run(url, *grant_statements(stores[name], service, pruner=pruner, reader=reader))

    def under(role: str) -> Settings:
        given = {name: url.set(username=role, password="x") for name, url in urls.items()}
        shown = {name: url.render_as_string(hide_password=False) for name, url in given.items()}
        return load_settings(**{**owner.model_dump(), **shown})

    yield Roles(owner, under(service), under(pruner), under(reader))
    for url in urls.values():
        _run(url, *(f"DROP OWNED BY {name}" for name in (reader, pruner, service)))
    _run(urls["data_store"], *(f"DROP ROLE {name}" for name in (reader, pruner, service)))


def _run(url: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def _refused(settings: Settings, statement: str, *, store: Store = Store.DATA) -> str:
    """Why the store refuses a statement; fails where it does not."""
    url = settings.data_store if store is Store.DATA else settings.key_store
    with pytest.raises(DBAPIError) as caught:
        _run(sa.make_url(url), statement)
    assert caught.value.orig is not None
    return str(caught.value.orig)


def test_the_service_works_under_its_role(roles, clock, capturing):
    """Capture, decide, erase, settle and reconcile need no right that the role lacks."""
    with open_platform(roles.service, clock=clock) as platform:
        captured = capturing(platform)
        subject = captured.person("u-1", "P07")
        captured.grant("u-1", "P06", max_uses=3)
        captured.store([captured.posted("u-1", diagnosis=["icd10:I10"])])
        decide(platform, ADMIN, subject=subject, purpose="P07", fields=["diagnosis"])
        captured.record(captured.act("withdraw", captured.known("u-1"), "P07"))
        erase_subject(platform, ADMIN, subject=captured.person("u-2"), reason="request")
        assert platform.log.settle().size > 10
        assert reconcile(platform, ADMIN).is_clean


def test_nothing_append_only_is_changed_by_right(roles):
    """UPDATE, DELETE and TRUNCATE are refused for want of a right, before any trigger is asked."""
    columns = {
        table.name: next(iter(table.columns)).name for part in metadata_of(Store.DATA) for table in part.tables.values()
    }
    for table in append_only_tables():
        name, denied = columns[table], f"permission denied for table {table}"
        for statement in (f"UPDATE {table} SET {name} = {name}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            assert denied in _refused(roles.service, statement)


def test_whoever_makes_or_reads_views_opens_neither_data_nor_keys(roles):
    """It sees which builds there are; of every other table in either store it may not read a row (R56)."""
    _run(sa.make_url(roles.reader.data_store), "SELECT view FROM view_build")
    for store in (Store.DATA, Store.KEYS):
        for part in metadata_of(store):
            for table in part.tables:
                if table != "view_build":
                    said = _refused(roles.reader, f"SELECT * FROM {table}", store=store)
                    assert "permission denied" in said, table
    assert "permission denied" in _refused(roles.reader, "DELETE FROM view_build")


BYPASSES = (
    "ALTER TABLE audit_leaf DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_leaf_no_change ON audit_leaf",
    "CREATE TRIGGER spy BEFORE INSERT ON audit_leaf FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()",
    "CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP TABLE audit_leaf",
    "ALTER TABLE audit_leaf ADD COLUMN x integer",
    "DELETE FROM audit_head",
    "UPDATE audit_inbox SET body = ''",
    "DELETE FROM audit_detail",
    "DELETE FROM audit_alias",
    "INSERT INTO audit_prune (below, entry_id, at) VALUES (99, 'ent', 0)",
    "SET session_replication_role = replica",
    "UPDATE alembic_version SET version_num = '0000'",
)


def test_the_service_cannot_step_around_the_guards(roles):
    """Neither by the triggers, nor by the tables, nor by what pruning is allowed."""
    for statement in BYPASSES:
        said = _refused(roles.service, statement)
        assert "permission denied" in said or "must be owner" in said, statement


def test_only_the_pruner_prunes(roles, clock, capturing):
    """Under its role the log loses what is old; hash and place are out of its reach as well."""
    with open_platform(roles.service, clock=clock) as platform:
        subject = capturing(platform).person("u-1", "P07")
        decide(platform, ADMIN, subject=subject, purpose="P07", fields=["diagnosis"])
        clock.advance(timedelta(days=2193))
        platform.log.settle()
        with pytest.raises(DBAPIError, match="permission denied"):
            prune_log(platform, ADMIN, accepted_by=(OFFICER, SECOND), reason="six years")
    with open_platform(roles.pruner, clock=clock) as platform:
        assert prune_log(platform, ADMIN, accepted_by=(OFFICER, SECOND), reason="six years").emptied > 0
    with open_platform(roles.service, clock=clock) as platform:
        assert reconcile(platform, ADMIN).is_clean
    for column in ("leaf_index", "entry_id", "leaf_hash", "at"):
        assert "permission denied" in _refused(roles.pruner, f"UPDATE audit_leaf SET {column} = {column}")
    assert "append-only" in _refused(roles.pruner, "UPDATE audit_leaf SET body = '' WHERE act = 'log.pruned'")


def test_the_command_prints_what_the_owner_runs(capsys):
    """Statements of both stores or of one, each ended by a semicolon."""
    for given, lines in (
        (["--pruner", "keeper"], ["-- data store", "-- key store"]),
        (["--store", "keys"], ["-- key store"]),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["audit", "grants", "service", *given])
        assert ended.value.code == 0
        said = capsys.readouterr().out.splitlines()
        assert [line for line in said if line.startswith("--")] == lines
        assert all(re.fullmatch(r"(GRANT|REVOKE) .*;", line) for line in said if not line.startswith("--"))
        assert ("GRANT service TO keeper;" in said) is ("--pruner" in given)


@pytest.mark.parametrize(("role", "pruner"), [("Service", None), ("a; DROP TABLE x", None), ("a", 'b"'), ("a", "a")])
def test_a_role_has_a_plain_name(role, pruner):
    """Nothing but a name reaches the statements."""
    with pytest.raises(BadInput):
        grant_statements(Store.DATA, role, pruner=pruner)
    with pytest.raises(BadInput):
        grant_statements(Store.DATA, "a", pruner="b", reader=pruner or role)


def test_there_are_two_stores(capsys):
    """Another store is told apart from a wrong name."""
    with pytest.raises(SystemExit) as ended:
        main(["audit", "grants", "service", "--store", "other"])
    assert ended.value.code == 2
    assert "two stores" in capsys.readouterr().err


def test_a_preview_changes_nothing_and_half_a_command_is_refused(deployment, capsys):
    """Without a second person `audit prune` only tells; one of the two options alone is a mistake."""
    home = str(deployment.settings.home)
    with pytest.raises(SystemExit) as ended:
        main(["audit", "prune", "--home", home, "--json"])
    assert (ended.value.code, json.loads(capsys.readouterr().out)["entry"]) == (0, None)
    with pytest.raises(SystemExit) as ended:
        main(["audit", "prune", "--home", home])
    assert "nothing was changed" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["audit", "prune", "--home", home, "--reason", "x"])
    assert ended.value.code == 2
