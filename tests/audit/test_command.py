"""``consentry-verify`` from the outside."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from audit.cosignatures import cosign, with_signatures
from audit.notes import sign_checkpoint
from audit.origins import current_origin
from audit.proofs import prove_entry
from audit.signing import create_signing_key
from audit.tree import StoredTree
from audit.verifier import main
from audit.verifier.notes import COSIGNATURE

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
    """Change one number in the seventh entry; returns the entry's id."""
    path = folder / "tile/entries/000.p/10"
    whole = path.read_bytes()
    before, mark, after = whole.partition(b'"number":6}')
    path.write_bytes(before + b'"number":7}' + after)
    return re.search(rb'"id":"(\w+)"', whole[len(before) + len(mark) :])[1].decode()


def refusal(arguments, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_whole_log_exits_with_zero(exported, key, capsys):
    """The key may be given as text, the command left out."""
    for words in ([], ["log"]):
        assert main([*words, str(exported), "--key", key]) == 0
        assert capsys.readouterr().out.startswith("Whole: 10 entries of audit.example/log")


def test_key_may_be_a_file(exported, capsys):
    """The exported key file will do when it came by a trusted way."""
    assert main(["log", str(exported), "--key", str(exported / "log.pub")]) == 0
    assert capsys.readouterr().err == ""


def test_key_file_may_begin_with_a_mark(exported, capsys):
    """As some editors save it."""
    marked = exported.parent / "marked.pub"
    marked.write_bytes(b"\xef\xbb\xbf" + (exported / "log.pub").read_bytes())
    assert main(["log", str(exported), "--key", str(marked)]) == 0


def test_checkpoint_may_be_given_as_the_header_holds_it(exported, key, capsys):
    """In base64, with or without a line end; bytes that are neither are no note."""
    kept = exported.parent / "kept"
    for end in (b"", b"\n"):
        kept.write_bytes(base64.b64encode((exported / "checkpoint").read_bytes()) + end)
        assert main(["log", str(exported), "--key", key, "--checkpoint", str(kept)]) == 0
        assert main(["consistency", str(kept), str(exported / "checkpoint"), "--key", key]) == 0
    kept.write_bytes(b"bm90aGluZw==")
    assert main(["log", str(exported), "--key", key, "--checkpoint", str(kept)]) == 1


def test_another_key_is_told_as_that(exported, tmp_path, capsys):
    """A retired key, or a wrong one, is no sign that anything was altered."""
    other = create_signing_key(tmp_path / "other.key", "audit.example/log").verifier_key
    signing = (exported / "log.pub").read_text().split("+")[1]
    assert main(["log", str(exported), "--key", str(other)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("NOT VERIFIED with this key: key: ")
    assert f"signed by another key (id {signing}), not by" in said


def test_folder_log_is_the_default(exported, key, monkeypatch):
    """As the export is named in the tutorial."""
    exported.rename(exported.parent / "log")
    monkeypatch.chdir(exported.parent)
    assert main(["log", "--key", key]) == 0


def test_tampered_log_exits_with_one_and_names_the_entry(exported, key, capsys):
    """Index and id stand in the one line."""
    entry_id = edit(exported)
    assert main([str(exported), "--key", key]) == 1
    assert f"NOT WHOLE at entry 6 ({entry_id}): changed" in capsys.readouterr().out


def test_results_are_said_in_chinese(exported, key, capsys):
    """Whole, not whole, and wrong usage."""
    assert main(["log", str(exported), "--key", key, "--lang", "zh"]) == 0
    assert capsys.readouterr().out.startswith("完整:audit.example/log 共 10 条")
    edit(exported)
    assert main(["log", str(exported), "--key", key, "--lang", "zh"]) == 1
    said = capsys.readouterr().out
    assert "不完整,条目 6" in said
    assert "条目被改动或替换" in said
    assert "DIR 不是文件夹" in refusal(["log", exported / "none", "--key", key, "--lang", "zh"], capsys)


def test_results_come_as_json(exported, key, capsys):
    """For machines; these members stay."""
    assert main([str(exported), "--key", key, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    entry_id = edit(exported)
    assert main([str(exported), "--key", key, "--json"]) == 1
    broken = json.loads(capsys.readouterr().out)
    root = whole.pop("root")
    assert len(root) == 44
    assert whole == {
        "whole": True,
        "command": "log",
        "origin": "audit.example/log",
        "size": 10,
        "checkpoints": 1,
        "pruned": 0,
        "handovers": 0,
        "witnesses": [],
    }
    assert broken == {
        "whole": False,
        "failure": {
            "kind": "changed",
            "message": "an entry was changed or replaced",
            "index": 6,
            "entry_id": entry_id,
            "within": None,
        },
    }


def test_later_checkpoint_shows_the_cut(desk, exported, key, capsys):
    """A checkpoint that was kept elsewhere, from after the export."""
    desk.fill(2)
    later = desk.folder / "later"
    later.write_bytes(desk.log.settle().note)
    assert main([str(exported), "--key", key, "--checkpoint", str(exported / "checkpoint")]) == 0
    assert main([str(exported), "--key", key, "--checkpoint", str(later)]) == 1
    assert "at entry 10: truncated" in capsys.readouterr().out


def test_range_is_shown_when_the_tile_was_altered_too(exported, key, capsys):
    """What is known of the place is said."""
    edit(exported)
    tile = exported / "tile/0/000.p/10"
    hashes = tile.read_bytes()
    tile.write_bytes(hashes[:-1] + bytes([hashes[-1] ^ 1]))
    assert main([str(exported), "--key", key]) == 1
    assert "[first bad entry within 0 to 9]" in capsys.readouterr().out


def test_entries_are_read_when_asked(exported, key):
    """An honest log has canonical entries."""
    assert main(["log", str(exported), "--key", key, "--entries"]) == 0


def test_forged_id_cannot_steer_the_terminal(exported, key, capsys):
    """Control sequences in an unproven id are shown, not sent."""
    path = exported / "tile/entries/000.p/10"
    forged = re.sub(rb'"id":"ent_.{12}', lambda _: b'"id":"\\u001b[2Jxxxxxxx', path.read_bytes(), count=1)
    path.write_bytes(forged)
    assert main([str(exported), "--key", key]) == 1
    said = capsys.readouterr().out
    assert "[2J" in said
    assert "\x1b" not in said


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
        ["{folder}", "--key", "{key}", "--policy", "{folder}/log.pub"],
        ["{folder}", "--key", "{key}", "--unknown"],
        ["{folder}", "--key", "{key}", "--lang", "fr"],
        ["entry", "--key", "{key}"],
        ["consistency", "{folder}/checkpoint", "--key", "{key}"],
        ["witnesses", "{folder}/checkpoint", "{folder}/checkpoint", "--key", "{key}"],
    ],
)
def test_wrong_usage_exits_with_two(exported, key, capsys, arguments):
    """A wrong call is no verdict about the log."""
    refusal([argument.format(folder=exported, key=key) for argument in arguments], capsys)


def test_unreadable_bytes_in_a_key_file_exit_with_two(exported, capsys):
    """Binary rubbish is no key, and a huge file none either."""
    rubbish = exported / "rubbish"
    for content in (b"\xff\xfe", b"x" * 100_000):
        rubbish.write_bytes(content)
        refusal([exported, "--key", rubbish], capsys)


@pytest.fixture
def grown(desk):
    """Files: two checkpoints, the export of the new one, one entry and its proof, a policy and cosigned notes."""
    folder = desk.folder / "given"
    folder.mkdir()
    desk.fill(5)
    old = desk.log.settle()
    ids = desk.fill(4)
    new = desk.log.settle()
    (folder / "old").write_bytes(old.note)
    (folder / "new").write_bytes(new.note)
    with desk.database.read() as connection:
        proven = prove_entry(connection, ids[1], new)
        size = new.size
        hashes = StoredTree(connection, current_origin(connection)).consistency_proof(old.size, size)
    (folder / "entry").write_bytes(proven.entry)
    (folder / "proof").write_text(proven.proof)
    (folder / "hashes").write_text("".join(f"{base64.b64encode(each).decode()}\n" for each in hashes))
    witnesses = [
        create_signing_key(desk.folder / name, f"{name}.example", algorithm=COSIGNATURE) for name in ("w1", "w2")
    ]
    lines = [f"witness {witness.name} {witness.verifier_key}\n" for witness in witnesses]
    (folder / "policy").write_text("".join(lines) + f"quorum {witnesses[0].name}\n")
    forked = sign_checkpoint(new.size, bytes(32), desk.signer)
    for name, signed, witness in (("w1", new, 0), ("w2", new, 1), ("w1-old", old, 0), ("fork", forked, 1)):
        text = signed.note.decode().partition("\n\n")[0] + "\n"
        cosigned = with_signatures(signed.note, [cosign(text, witnesses[witness], desk.clock.now())])
        (folder / name).write_bytes(cosigned)
    desk.log.export(folder / "export")
    return folder


def test_one_entry_is_proven(grown, key, capsys):
    """The bytes of one event, without the rest of the log."""
    words = ["entry", "--proof", str(grown / "proof"), "--entry", str(grown / "entry"), "--key", key]
    assert main(words) == 0
    assert capsys.readouterr().out == "In the log: entry 6 of 9 of audit.example/log\n"
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["whole"], told["command"], told["index"], told["size"]) == (True, "entry", 6, 9)
    assert main([*words, "--policy", str(grown / "policy")]) == 1
    assert "quorum" in capsys.readouterr().out
    (grown / "entry").write_bytes((grown / "entry").read_bytes() + b"\n")
    assert main(words) == 1
    assert "NOT WHOLE: proof" in capsys.readouterr().out


def test_proof_under_a_cosigned_checkpoint_meets_the_policy(grown, key, capsys):
    """A proof carries the cosignatures with it."""
    path = grown / "proof"
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n\n" + (grown / "w1").read_bytes())
    words = ["entry", "--proof", str(path), "--entry", str(grown / "entry"), "--key", key]
    assert main([*words, "--policy", str(grown / "policy")]) == 0
    assert "cosigned by w1.example" in capsys.readouterr().out


@pytest.mark.parametrize("means", [["--proof", "{}/hashes"], ["--export", "{}/export"]])
def test_new_checkpoint_extends_the_old_one(grown, key, capsys, means):
    """By a proof, or by the tiles of an export."""
    shown = [word.format(grown) for word in means]
    assert main(["consistency", str(grown / "old"), str(grown / "new"), "--key", key, *shown]) == 0
    assert "Consistent: 9 entries" in capsys.readouterr().out
    assert main(["consistency", str(grown / "old"), str(grown / "new"), "--key", key, *shown, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [head["size"] for head in told["checkpoints"]] == [5, 9]


def test_checkpoint_that_does_not_extend_the_other_is_refused(grown, key, capsys):
    """A forged proof, a proof in another form, a forked head, and the wrong order."""
    words = [str(grown / "old"), str(grown / "new"), "--key", key]
    hashes = (grown / "hashes").read_text()
    for text in (hashes[:-1], hashes + hashes, "", "x\n", hashes.replace("\n", "\r\n")):
        (grown / "hashes").write_text(text)
        assert main(["consistency", *words, "--proof", str(grown / "hashes")]) == 1
        assert "proof" in capsys.readouterr().out
    assert main(["consistency", str(grown / "fork"), str(grown / "new"), "--key", key]) == 1
    assert "forked" in capsys.readouterr().out
    assert main(["consistency", str(grown / "new"), str(grown / "new"), "--key", key]) == 0
    assert "--proof or --export" in refusal(["consistency", *words], capsys)
    assert "OLD covers more" in refusal(["consistency", words[1], words[0], "--key", key], capsys)


def test_export_that_ends_before_a_checkpoint_proves_nothing_of_it(grown, desk, key, capsys):
    """It is too short."""
    desk.fill(1)
    (grown / "newest").write_bytes(desk.log.settle().note)
    words = [str(grown / "old"), str(grown / "newest"), "--key", key, "--export", str(grown / "export")]
    assert main(["consistency", *words]) == 1
    assert "truncated" in capsys.readouterr().out


def test_witnesses_that_saw_one_log_agree(grown, key, capsys):
    """Of one size, or of two with a proof."""
    words = ["--key", key, "--policy", str(grown / "policy")]
    assert main(["witnesses", str(grown / "w1"), str(grown / "w2"), *words]) == 0
    assert "Agree: w1.example on 9 entries, w2.example on 9" in capsys.readouterr().out
    pair = ["witnesses", str(grown / "w2"), str(grown / "w1-old"), *words]
    assert main([*pair, "--export", str(grown / "export")]) == 0
    assert main([*pair, "--proof", str(grown / "hashes")]) == 0
    assert "--proof or --export" in refusal(pair, capsys)


def test_witnesses_that_saw_two_logs_prove_the_fork(grown, key, capsys):
    """Both notes are the evidence."""
    words = ["witnesses", str(grown / "w1"), str(grown / "fork"), "--key", key, "--policy", str(grown / "policy")]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert "FORK" in said
    assert str(grown / "w1") in said
    assert main([*words, "--json"]) == 1
    failure = json.loads(capsys.readouterr().out)["failure"]
    assert failure["kind"] == "forked"
    assert failure["evidence"][str(grown / "fork")].encode() == (grown / "fork").read_bytes()


def test_note_that_no_witness_cosigned_is_no_witness(grown, key, capsys):
    """Nothing is said about what nobody saw."""
    words = ["witnesses", str(grown / "w1"), str(grown / "new"), "--key", key, "--policy", str(grown / "policy")]
    assert main(words) == 1
    assert "no witness of the policy" in capsys.readouterr().out


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


def test_terminal_without_chinese_gets_escapes_and_no_traceback(exported, key):
    """An encoding that cannot show a word does not hide the verdict."""
    words = [sys.executable, "-m", "audit.verifier", str(exported), "--key", key, "--lang", "zh"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
