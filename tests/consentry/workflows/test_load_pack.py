"""A changed pack is refused until it is taken into use, and then its notices, assessments and recipients count."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from audit.queries import decode_entry
from audit.tables import leaf
from consent.assessments import find_assessment, revoke_assessment
from consent.notices import list_notices
from consent.recipients import end_recipient, get_recipient, list_recipients
from consentry.cli.app import app
from consentry.packs import check_pack_loaded, find_loaded_hash
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.load_pack import in_order, load_changed_pack
from kernel.errors import ConfigurationError, Conflict, Denied
from kernel.pack import builtin_pack_path
from tests.consentry.conftest import ADMIN


@pytest.fixture
def own_pack(deployment, tmp_path):
    """The deployment's settings with a pack of its own, a copy of the built-in one, and the pack's folder."""
    folder = shutil.copytree(builtin_pack_path("medical"), tmp_path / "clinic")
    settings = load_settings(**{**deployment.settings.model_dump(), "pack": str(folder)})
    return settings, folder


def rewrite(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def load(settings, clock, caller=ADMIN):
    with open_platform(settings, clock=clock, check_pack=False) as platform:
        return load_changed_pack(platform, caller)


def test_new_deployment_holds_what_its_pack_brings(platform):
    """Assessments, recipients and notices are recorded with the first entries (R35, R08)."""
    with platform.data.read() as connection:
        notices, recipients = list_notices(connection), list_recipients(connection)
        assert find_assessment(connection, "PIA-2026-07").version == 1
        assert find_loaded_hash(connection) == platform.catalogue.hash
    assert len(notices) == len(platform.catalogue.notices)
    assert {one.code for one in recipients} == {text.code for text in platform.catalogue.recipients}
    assert {one.audience for one in notices if one.ref.code == "child"} == {"child"}


def test_pack_that_was_changed_opens_nothing_until_it_is_loaded(own_pack, clock):
    """The hash in the log decides; the hint says what to do."""
    settings, folder = own_pack
    with open_platform(settings, clock=clock):
        pass
    rewrite(folder / "roles.yaml", "max_level: 3", "max_level: 2")
    with pytest.raises(ConfigurationError, match="is not the one in use") as refused, open_platform(settings):
        pass
    assert "consentry pack load" in refused.value.hint
    assert load(settings, clock).is_new is True
    with open_platform(settings, clock=clock) as platform:
        platform.log.settle()
    with open_platform(settings, clock=clock) as platform, platform.data.read() as connection:
        check_pack_loaded(connection, platform.catalogue)
        rows = connection.execute(leaf.select().where(leaf.c.act == "pack.loaded").order_by(leaf.c.leaf_index)).all()
    assert [decode_entry(row.body)["refs"]["hash"] for row in rows][-1] == platform.catalogue.hash


def test_store_without_any_loaded_pack_is_refused(platform):
    """Nothing in the log is no permission."""
    other = replace(platform.catalogue, hash="00" * 32)
    with platform.data.read() as connection, pytest.raises(ConfigurationError):
        check_pack_loaded(connection, other)


def test_same_pack_again_changes_nothing(own_pack, clock):
    """Neither entry nor version."""
    again = load(own_pack[0], clock)
    assert (again.is_new, again.notices, again.assessments, again.recipients) == (False, (), (), ())


def test_changed_pack_publishes_and_records_what_is_new(own_pack, clock):
    """A new version of a notice, a changed assessment, a changed recipient, and nothing else."""
    settings, folder = own_pack
    for locale in ("zh-CN", "en"):
        path = folder / "notices" / f"marketing.2026-11.{locale}.yaml"
        rewrite(path, "version: 2026-11", "version: 2026-12")
    rewrite(folder / "recipients.yaml", "claims@insurer.example", "desk@insurer.example")
    rewrite(folder / "assessments" / "PIA-2026-09.yaml", "expires_on: 2029-10-01", "expires_on: 2028-10-01")
    loaded = load(settings, clock)
    assert loaded.notices == ("marketing/2026-12/en", "marketing/2026-12/zh-CN")
    assert (loaded.assessments, loaded.recipients) == (("PIA-2026-09/2",), ("insurer/2",))


def test_other_text_under_a_published_version_loads_nothing(own_pack, clock):
    """The whole load is refused, and the old pack stays in use."""
    settings, folder = own_pack
    rewrite(folder / "notices" / "marketing.2026-11.en.yaml", "title: ", "title: 'New' #")
    with pytest.raises(Conflict, match="published with another text"):
        load(settings, clock)
    with pytest.raises(ConfigurationError), open_platform(settings, clock=clock):
        pass


def test_what_an_officer_ended_is_not_begun_again_by_a_pack(own_pack, clock):
    """A pack that still holds it leaves it ended and says so (R35, R38)."""
    settings, folder = own_pack
    clock.advance(timedelta(days=1))
    with open_platform(settings, clock=clock) as platform, platform.data.write() as connection:
        asking = platform.asking(ADMIN)
        end_recipient(connection, "insurer", certificate="destroyed", asking=asking, log=platform.log)
        revoke_assessment(connection, "PIA-2026-11", asking=asking, log=platform.log)
    rewrite(folder / "roles.yaml", "max_level: 3", "max_level: 2")
    assert load(settings, clock).left_ended == ("PIA-2026-11", "insurer")
    with open_platform(settings, clock=clock) as platform, platform.data.read() as connection:
        assert get_recipient(connection, "insurer").is_ended is True


def test_loading_needs_the_act(own_pack, clock):
    """Not everybody decides by which rules everybody is asked (R47)."""
    with pytest.raises(Denied, match=r"register\.manage"):
        load(own_pack[0], clock, replace(ADMIN, role="analyst"))


def test_processors_come_before_those_whom_they_engage(platform):
    """A chain is recorded from its head, whatever the codes are."""
    text = platform.catalogue.recipients[0]
    first, second = replace(text, code="z"), replace(text, code="b", engaged_by="z")
    third, circle = replace(text, code="a", engaged_by="b"), replace(text, code="c", engaged_by="c")
    assert [one.code for one in in_order((third, second, circle, first))] == ["z", "b", "c", "a"]


def test_command_loads_the_pack(own_pack, runner, monkeypatch):
    """`consentry pack load` says what became of it, for people and for programs."""
    settings, folder = own_pack
    monkeypatch.setenv("CONSENTRY_PACK", str(folder))
    rewrite(folder / "roles.yaml", "max_level: 3", "max_level: 2")
    home = ["--home", str(settings.home)]
    told = runner.invoke(app, ["pack", "load", *home])
    assert (told.exit_code, "is in use; it is new." in told.output) == (0, True)
    again = json.loads(runner.invoke(app, ["pack", "load", "--json", *home]).output)
    assert (again["is_new"], again["notices"]) == (False, [])


@pytest.fixture
def runner():
    """Runs commands."""
    from typer.testing import CliRunner

    return CliRunner()
