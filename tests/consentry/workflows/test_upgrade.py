"""A deployment of an older version is brought to this one."""

import json

from sqlalchemy import text

from audit.aliases import aliases_of
from consentry.migrations import Store, downgrade
from consentry.platform import open_platform
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
