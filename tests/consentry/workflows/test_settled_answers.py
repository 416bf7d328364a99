"""Whoever is told something about people is told once the entry of it stands under a signed checkpoint."""

import pytest
from sqlalchemy import func, select

from audit.tables import inbox
from consentry.workflows.due import find_due
from consentry.workflows.find_subject import find_subject
from consentry.workflows.register import transfers
from consentry.workflows.representation import Acting
from consentry.workflows.statistics import read_statistics
from consentry.workflows.tend import list_tasks
from consentry.workflows.webhooks import name_for_recipient
from kernel.errors import Unavailable

ANSWERS = {
    "find_subject": lambda it, _: find_subject(it.platform, it.caller, source="app", source_id="u-1"),
    "find_due": lambda it, subject: find_due(it.platform, it.caller, Acting(subject), channel="app", locale="zh-CN"),
    "list_tasks": lambda it, _: list_tasks(it.platform, it.caller),
    "transfers": lambda it, _: transfers(it.platform, it.caller),
    "read_statistics": lambda it, _: read_statistics(it.platform, it.caller, start=None, end=None),
    "name_for_recipient": lambda it, subject: name_for_recipient(
        it.platform, it.caller, subject=subject, recipient="insurer"
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_comes_after_its_entry_is_signed_for(captured, platform, name):
    """Nothing waits in the inbox, and the newest signed head covers every entry."""
    subject = captured.person("u-1")
    platform.log.settle()
    before = platform.log.settle().size
    ANSWERS[name](captured, subject)
    with platform.data.read() as connection:
        assert connection.scalar(select(func.count()).select_from(inbox)) == 0
    assert platform.log.newest.size > before


@pytest.mark.parametrize("name", ANSWERS)
def test_nothing_is_told_while_the_log_cannot_be_signed(captured, platform, monkeypatch, name):
    """The signer refuses: no answer."""
    subject = captured.person("u-1")
    platform.log.settle()

    def refuse(*_args, **_more):
        raise Unavailable("The signer does not answer", hint="Start it.")

    monkeypatch.setattr(platform.log.checkpointer, "sign_head", refuse)
    with pytest.raises(Unavailable, match="signer"):
        ANSWERS[name](captured, subject)
