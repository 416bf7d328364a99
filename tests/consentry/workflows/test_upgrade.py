"""A deployment of an older version is brought to this one."""

import json

from sqlalchemy import text

from audit.aliases import aliases_of, read_names
from consentry.migrations import Store, downgrade
from consentry.platform import open_platform, open_stores
from consentry.workflows.reconcile import reconcile
from consentry.workflows.upgrade import upgrade_stores
from tests.consentry.conftest import ADMIN


def _older(settings, *statements):
    with open_platform(settings) as platform:
        platform.log.settle()
        downgrade(platform.data, Store.DATA, revision="0004")
        with platform.data.write() as connection:
            for statement in statements:
                connection.execute(text(statement))


def test_names_of_an_older_version_bear_marks_after_the_upgrade(deployment, clock, capturing):
    """People stand under the names they had, and an entry counts these; nothing differs."""
    with open_platform(deployment.settings, clock=clock) as platform:
        subject = capturing(platform).person("u-1", "P07")
    _older(deployment.settings)
    upgrade_stores(deployment.settings)
    with open_platform(deployment.settings, clock=clock) as platform:
        assert reconcile(platform, ADMIN).mismatches == []
        with platform.data.read() as connection:
            (name,) = aliases_of(connection, subject)
            assert platform.log.find_subject(connection, name) == subject
            bodies = connection.scalars(text("SELECT body FROM audit_leaf WHERE act = 'log.configured'"))
            told = [json.loads(body) for body in bodies]
    assert [entry["counts"] for entry in told if entry.get("refs") == {"what": "names"}] == [{"names": 1}]


def test_names_that_an_older_version_destroyed_are_known_as_destroyed(deployment, clock, capturing):
    """Entries mention them for ever; they are no names that somebody deleted. Bytes that are no entry stop nothing."""
    with open_platform(deployment.settings, clock=clock) as platform:
        captured = capturing(platform)
        people = [captured.person(name, "P07") for name in ("u-1", "u-2")]
        with platform.data.read() as connection:
            names = [aliases_of(connection, subject)[0] for subject in people]
    _older(
        deployment.settings,
        f"DELETE FROM audit_alias WHERE alias = '{names[0]}'",
        "INSERT INTO audit_leaf (leaf_index, entry_id, body, leaf_hash, at, act, outcome, actor, role, request_id) "
        "VALUES (9999, 'ent_broken', 'no entry', 'hash', 1, '', '', '', '', '')",
    )
    upgrade_stores(deployment.settings)
    data, keys = open_stores(deployment.settings, must_exist=True)
    with data.read() as connection:
        assert [name.is_forgotten for name in read_names(connection, names[:1])] == [True]
        assert [name.is_forgotten for name in read_names(connection, names[1:])] == [False]
    data.dispose()
    keys.dispose()


def test_marks_are_set_once(deployment, clock, capturing):
    """A mark that was taken away since is not made again by another upgrade; the comparison tells of it."""
    with open_platform(deployment.settings, clock=clock) as platform:
        capturing(platform).person("u-1", "P07")
        with platform.data.write() as connection:
            connection.execute(text("DROP TRIGGER audit_alias_no_update"))
            connection.execute(text("UPDATE audit_alias SET mark = NULL"))
    upgrade_stores(deployment.settings)
    with open_platform(deployment.settings, clock=clock) as platform:
        assert "name" in {one.part for one in reconcile(platform, ADMIN).mismatches}
