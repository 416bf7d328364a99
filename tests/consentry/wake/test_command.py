"""`consentry consent wake`, and what `consent withdraw` says of it."""

import json

import pytest

from consent.wake import MAX_ATTEMPTS
from consentry.cli import main
from consentry.platform import open_platform
from consentry.workflows.capture import withdraw_purpose


@pytest.fixture
def home(deployment, shelving, capturing):
    """A deployment with two people in a view and with tags, closed again; its folder and the first person."""
    with open_platform(deployment.settings) as platform:
        captured = capturing(platform)
        shelf = shelving(platform, captured)
        shelf.fill(2, builds=1)
        withdrawn = shelf.people[1]
        withdraw_purpose(platform, captured.caller, withdrawn, "P07", recipient=None)
    return deployment.settings, shelf.people[0], withdrawn


@pytest.fixture
def say(capsys, home):
    """Runs a command on the deployment; returns its status and what it printed."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*words, "--home", str(home[0].home)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def rows(said: str) -> list[dict]:
    return [json.loads(line) for line in said.splitlines()]


def test_withdraw_says_what_was_done(say, home) -> None:
    """R14: one command withdraws, and shows at once what it has cleared away."""
    status, out, _ = say("consent", "withdraw", home[1], "P07")
    assert status == 0
    assert "P07 is withdrawn" in out
    assert "subject_profile" in out
    assert "done, builds 1, rows 1" in out
    assert "open" not in out


def test_wake_shows_done_and_open_items(say, home) -> None:
    """R15: for each target whether it is done, with the closing act's entry and counts."""
    status, out, _ = say("consent", "wake", home[2], "--json")
    assert status == 0
    items = rows(out)
    assert {item["state"] for item in items} == {"open"}
    assert {item["cause"] for item in items} == {"withdraw"}
    _, out, _ = say("consent", "wake", home[2], "--run", "--json")
    done = {(item["handler"], item["target"]): item for item in rows(out)}
    assert {item["state"] for item in done.values()} == {"done"}
    assert done["views", "subject_profile"]["outcome"]["counts"] == {"builds": 1, "rows": 1}
    assert all(item["entry"] and item["finished"] for item in done.values())


def test_wake_without_subject_counts_all(say, home) -> None:
    """The whole outbox in numbers, and how long the oldest item waits; --run empties it."""
    _, out, _ = say("consent", "wake", "--json")
    (before,) = rows(out)
    assert before["open"] >= 3
    assert before["oldest_seconds"] >= 0
    _, out, _ = say("consent", "wake")
    assert "the oldest item that is not finished waits for" in out
    _, out, _ = say("consent", "wake", "--run", "--json")
    assert rows(out) == [{"open": 0, "sending": 0, "done": before["open"], "dead": 0, "oldest_seconds": None}]


def test_dead_item_is_shown_and_tried_again(say, home) -> None:
    """--retry gives a dead item its attempts back; a done one is refused."""
    with open_platform(home[0]) as platform, platform.data.write() as connection:
        from consent.outbox import change_item

        item = platform.wake.of_subject(connection, home[2])[0]
        change_item(connection, item.item_id, state="dead", attempts=MAX_ATTEMPTS, problem="Unavailable")
    _, out, _ = say("consent", "wake", home[2])
    assert "dead" in out
    assert "Unavailable" in out
    status, out, _ = say("consent", "wake", home[2], "--retry", item.item_id, "--run", "--json")
    assert status == 0
    assert {row["state"] for row in rows(out)} == {"done"}
    status, _, err = say("consent", "wake", "--retry", item.item_id)
    assert status == 2
    assert "is done" in err
    status, _, err = say("consent", "wake", "sub_aaaaaaaaaaaaaaaaaaaaaaaa")
    assert status == 2


def test_waiting_item_says_when_it_is_tried_again(say, home) -> None:
    """A failed attempt shows its error's name and the next time."""
    with open_platform(home[0]) as platform, platform.data.write() as connection:
        from consent.outbox import change_item

        item = platform.wake.of_subject(connection, home[2])[0]
        change_item(connection, item.item_id, problem="NotAcknowledged")
    _, out, _ = say("consent", "wake", home[2])
    assert "NotAcknowledged next 20" in out


def test_restricting_clears_at_once(say, home, shelving) -> None:
    """The command does what follows a restriction before it returns."""
    assert say("subject", "restrict", home[1], "--reason", "request 1")[0] == 0
    with open_platform(home[0]) as platform:
        shelf = shelving(platform, None)
        assert shelf.rows_of(home[1]) == shelf.tags_of(home[1]) == 0


def test_sweep_works_on_what_is_due(say, home, shelving) -> None:
    """The command that may have set something in motion does our own part of it before it returns."""
    assert say("records", "sweep")[0] == 0
    with open_platform(home[0]) as platform:
        shelf = shelving(platform, None)
        assert shelf.rows_of(home[2]) == shelf.tags_of(home[2]) == 0
