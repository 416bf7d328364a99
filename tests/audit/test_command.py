"""``consentry-verify`` from the outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audit.verifier import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def exported(desk):
    """An export of ten entries."""
    desk.fill(10)
    return desk.log.export(desk.folder / "export").folder


@pytest.fixture
def key(desk):
    """The log's public key as text."""
    return desk.signer.verifier_key


def edit(folder):
    path = folder / "entries.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:6], lines[6].replace(b"P06", b"P07"), *lines[7:]]))
    return json.loads(lines[6])["id"]


def test_whole_log_exits_with_zero(exported, key, capsys):
    """The key may be given as text."""
    assert main([str(exported), "--key", key]) == 0
    assert capsys.readouterr().out.startswith("Whole: 10 entries of audit.example/log")


def test_key_may_be_a_file(exported, capsys):
    """The exported key file will do when it came by a trusted way."""
    assert main([str(exported), "--key", str(exported / "log.pub")]) == 0
    assert capsys.readouterr().err == ""


def test_tampered_log_exits_with_one_and_names_the_entry(exported, key, capsys):
    """Index and id stand in the one line."""
    entry_id = edit(exported)
    assert main([str(exported), "--key", key]) == 1
    assert f"NOT WHOLE at entry 6 ({entry_id}): changed" in capsys.readouterr().out


def test_results_come_as_json(exported, key, capsys):
    """For machines."""
    assert main([str(exported), "--key", key, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    entry_id = edit(exported)
    assert main([str(exported), "--key", key, "--json"]) == 1
    broken = json.loads(capsys.readouterr().out)
    assert (whole["whole"], whole["size"]) == (True, 10)
    assert broken["whole"] is False
    assert {name: broken["failure"][name] for name in ("kind", "index", "entry_id")} == {
        "kind": "changed",
        "index": 6,
        "entry_id": entry_id,
    }


def test_later_checkpoint_shows_the_cut(desk, exported, key, capsys):
    """A checkpoint that was kept elsewhere, from after the export."""
    desk.fill(2)
    later = desk.folder / "later"
    later.write_bytes(desk.log.settle().note)
    assert main([str(exported), "--key", key, "--checkpoint", str(exported / "checkpoint")]) == 0
    assert main([str(exported), "--key", key, "--checkpoint", str(later)]) == 1
    assert "at entry 10: truncated" in capsys.readouterr().out


def test_range_is_shown_when_the_leaf_list_was_altered_too(exported, key, capsys):
    """What is known of the place is said."""
    edit(exported)
    (exported / "leaves.txt").write_bytes(b"")
    assert main([str(exported), "--key", key]) == 1
    assert "[first bad entry within 0 to 9]" in capsys.readouterr().out


def test_forged_id_cannot_steer_the_terminal(desk, tmp_path, exported, key, capsys):
    """Control sequences in an unproven id are shown, not sent."""
    lines = (exported / "entries.ndjson").read_bytes().splitlines(keepends=True)
    (exported / "entries.ndjson").write_bytes(b"".join([*lines, b'{"id":"\\u001b[2Jall is well"}\n']))
    assert main([str(exported), "--key", key]) == 1
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["{folder}"],
        ["{folder}/none", "--key", "{key}"],
        ["{folder}", "--key", "no-such-file"],
        ["{folder}", "--key", "a+b+c"],
        ["{folder}", "--key", "{folder}/checkpoint"],
        ["{folder}", "--key", "{folder}"],
        ["{folder}", "--key", "{key}", "--checkpoint", "no-such-file"],
        ["{folder}", "--key", "{key}", "--unknown"],
    ],
)
def test_wrong_usage_exits_with_two(exported, key, capsys, arguments):
    """A wrong call is no verdict about the log."""
    with pytest.raises(SystemExit) as caught:
        main([argument.format(folder=exported, key=key) for argument in arguments])
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_unreadable_bytes_in_a_key_file_exit_with_two(exported, capsys):
    """Binary rubbish is no key."""
    (exported / "rubbish").write_bytes(b"\xff\xfe")
    with pytest.raises(SystemExit) as caught:
        main([str(exported), "--key", str(exported / "rubbish")])
    assert caught.value.code == 2


def test_verifier_runs_without_the_rest(exported, key):
    """As a process of its own it loads neither the project's other packages nor its stores."""
    code = (
        "import sys; from audit.verifier import main; status = main(sys.argv[1:]); "
        "others = [m for m in sys.modules if m.split('.')[0] in ('kernel', 'sqlalchemy', 'consentry', 'vault')]; "
        "assert not others, others; sys.exit(status)"
    )
    arguments = [str(exported), "--key", key]
    for command in (["-c", code], ["-m", "audit.verifier"]):
        done = subprocess.run(
            [sys.executable, *command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
