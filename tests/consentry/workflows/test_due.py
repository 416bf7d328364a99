"""What is due: the rule over what stands, cool-downs, children, guardians and changed notices."""

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.decisions import CoolDown
from consent.notices import publish
from consent.tables import consent_current
from consentry.workflows.due import RENEWAL_WINDOW, find_due
from consentry.workflows.representation import Acting
from kernel.errors import NotFound
from kernel.ids import SubjectId


@pytest.fixture
def due(captured, platform):
    """What is due for a subject, by purpose."""

    def find(subject, **more):
        found = find_due(platform, captured.caller, Acting(subject), channel="app", **{"locale": "zh-CN", **more})
        return {item.purpose.code: item for item in found.items if item.recipient is None}

    return find


def renoticed(platform, captured, code, **sections):
    """Publish a next version of a notice in both languages, with some sections changed."""
    asking = platform.asking(captured.caller)
    for text in (n for n in platform.catalogue.notices if n.code == code):
        changed = replace(text, version=f"{text.version}.9", sections={**text.sections, **sections})
        with platform.data.write() as connection:
            publish(connection, changed, platform.catalogue, asking=asking, log=platform.log)


def test_refusal_is_left_alone_for_the_cool_down(captured, clock, due) -> None:
    """R18: inside the cool-down neither is the notice due nor a prompted grant recorded; afterwards both are."""
    subject = captured.person("u-1")
    captured.record(captured.act("refuse", captured.known("u-1"), "P07"))
    clock.advance(timedelta(hours=48) - timedelta(seconds=1))
    assert "P07" not in due(subject)
    with pytest.raises(CoolDown):
        captured.grant("u-1", "P07")
    clock.advance(timedelta(seconds=1))
    assert due(subject)["P07"].kind == "ask"
    assert captured.grant("u-1", "P07")


def test_own_wish_does_not_wait(captured, due) -> None:
    """Whoever changes their mind unasked is heard at once (R18)."""
    captured.person("u-1")
    captured.record(captured.act("refuse", captured.known("u-1"), "P07"))
    own = {"mechanism": "settings_page", "occasion": "own"}
    captured.platform.clock.advance(timedelta(minutes=1))
    assert captured.grant("u-1", "P07", evidence=own)


def test_withdrawal_is_never_followed_by_asking(captured, clock, due) -> None:
    """Who has withdrawn knows where the switch is."""
    subject = captured.person("u-1", "P07")
    captured.record(captured.act("withdraw", captured.known("u-1"), "P07"))
    clock.advance(timedelta(days=400))
    assert "P07" not in due(subject)


def test_grant_is_due_again_before_and_after_its_end(captured, clock, due) -> None:
    """From thirty days before the end, and after it, with the decision that a renewal follows."""
    subject = captured.person("u-1")
    ends = clock.now() + RENEWAL_WINDOW + timedelta(days=1)
    granted = captured.grant("u-1", "P07", valid_until=ends.isoformat())
    assert "P07" not in due(subject)
    for days in (1, 31):
        clock.advance(timedelta(days=days))
        item = due(subject)["P07"]
        assert (item.kind, item.renews, item.until) == ("ask_again", granted, ends)


def test_spent_uses_are_due_again(captured, platform, due) -> None:
    """A grant for one use is over with the use."""
    subject = captured.person("u-1")
    captured.grant("u-1", "P07", max_uses=1)
    assert "P07" not in due(subject)
    with platform.data.write() as connection:
        platform.gate.check(
            connection, asking=platform.asking(captured.caller), purpose="P07", subject=subject, fields=["diagnosis"]
        )
    assert due(subject)["P07"].kind == "ask_again"


def test_changed_notice_is_due_again_where_its_change_matters(captured, platform, due) -> None:
    """R06: a new method asks again; R40: a new controller or contact is told, and ends nothing."""
    subject = captured.person("u-1", "P07", "P08")
    renoticed(platform, captured, "profiling", method="另一种方法。")
    renoticed(platform, captured, "recommendation", controller="新的医院有限公司，北京。")
    found = due(subject)
    assert (found["P07"].kind, found["P08"].kind) == ("ask_again", "inform")
    assert found["P07"].notice.ref.version.endswith(".9")
    assert found["P08"].renews is not None
    for purpose in ("P07", "P08"):
        ref = found[purpose].notice.ref
        notice = {"code": ref.code, "version": ref.version, "locale": ref.locale}
        captured.record(captured.act("renew", captured.known("u-1"), purpose, notice=notice))
    assert not {"P07", "P08"} & due(subject).keys()


def test_child_gets_its_own_notice_and_the_guardian_acts(captured, due, platform) -> None:
    """R21: the children's notice, its purposes only, decided by the guardian."""
    subject = captured.person("kid", birth_date="2018-05-05")
    found = due(subject)
    codes = {item.notice.ref.code for item in found.values()}
    assert codes == {"child"}
    assert {item.decided_by for item in found.values()} == {"guardian"}
    assert not {"P07", "P08", "P09", "P10"} & found.keys()


def test_person_takes_over_at_the_digital_age(captured, clock, due, platform) -> None:
    """R21: what the guardian granted is asked again when the child has grown, under the notice for everybody."""
    captured.person("parent")
    subject = captured.person("kid", birth_date="2012-12-05")
    actor = {"kind": "guardian", "subject": captured.known("parent")}
    proof = {"mechanism": "document_check", "document": "household_register"}
    captured.record(captured.act("guardian", captured.known("kid"), actor=actor, evidence=proof))
    text = next(n for n in platform.catalogue.notices if n.audience == "child")
    notice = {"code": text.code, "version": text.version, "locale": text.locale}
    captured.record(captured.act("grant", captured.known("kid"), "P06", actor=actor, notice=notice))
    assert "P06" not in due(subject)
    clock.advance(timedelta(days=60))
    item = due(subject)["P06"]
    assert (item.kind, item.decided_by, item.notice.ref.code) == ("ask_again", "self", "follow_up")


def test_recipients_are_asked_for_one_by_one(captured, platform) -> None:
    """A purpose towards two recipients makes two items; each is answered by itself."""
    subject = captured.person("u-1")

    def recipients() -> list[str | None]:
        found = find_due(platform, captured.caller, Acting(subject), channel="app", locale="zh-CN")
        return [item.recipient for item in found.items if item.purpose.code == "P03"]

    assert recipients() == ["sunrise-pharmacy", "sunrise-courier"]
    captured.grant("u-1", "P03", recipient="sunrise-pharmacy")
    assert recipients() == ["sunrise-courier"]
    captured.record(captured.act("refuse", captured.known("u-1"), "P03"))
    assert recipients() == []


def test_nobody_is_asked_about_a_recipient_that_the_notice_does_not_name(captured, platform) -> None:
    """R08: a recipient that stands from before is offered again only under a notice that tells of it."""
    subject = captured.person("u-1")
    captured.grant("u-1", "P03", recipient="sunrise-courier")
    shown = {"notice_edition": 0}
    with platform.data.write() as connection:
        connection.execute(consent_current.update().where(consent_current.c.recipient != "").values(shown))

    def recipients() -> list[str | None]:
        found = find_due(platform, captured.caller, Acting(subject), channel="app", locale="zh-CN")
        return [item.recipient for item in found.items if item.purpose.code == "P03"]

    assert recipients() == ["sunrise-pharmacy", "sunrise-courier"]
    known = platform.catalogue
    narrowed = replace(known.purposes["P03"], recipients=("sunrise-courier",))
    told = replace(
        known,
        purposes={**known.purposes, "P03": narrowed},
        recipients=tuple(one for one in known.recipients if one.code != "sunrise-pharmacy"),
    )
    platform.clock.advance(timedelta(minutes=1))
    asking = platform.asking(captured.caller)
    with platform.data.write() as connection:
        for text in (notice for notice in known.notices if "P03" in notice.purposes and notice.audience == "general"):
            publish(connection, replace(text, version=f"{text.version}.9"), told, asking=asking, log=platform.log)
    assert recipients() == ["sunrise-courier"]


def test_restricted_person_is_asked_nothing(captured, platform, due) -> None:
    """While only storage is allowed, there is nothing to agree to."""
    from consent.standing import Standing, set_standing

    subject = captured.person("u-1")
    with platform.data.write() as connection:
        set_standing(connection, subject, Standing.RESTRICTED, now=platform.clock.now())
    assert due(subject) == {}


def test_text_in_another_language_stands_in(captured, due) -> None:
    """A notice that is not translated is shown in a language that it has."""
    subject = captured.person("u-1")
    assert due(subject, locale="fr")["P07"].notice.ref.locale in ("zh-CN", "en")
    assert due(subject, locale="en")["P07"].notice.ref.locale == "en"


def test_somebody_unknown_has_nothing_due(due) -> None:
    """An id that nobody has is not found."""
    with pytest.raises(NotFound):
        due(SubjectId("sub_" + "a" * 24))
