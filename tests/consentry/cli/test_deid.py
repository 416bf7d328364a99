"""Commands on free text: files of JSON lines in and out, and the measuring of detection."""

import io
import json
import os
import sys

import pytest

from consentry.workflows.deidentify_file import process_count
from deid.text.lines import TextLine
from kernel.errors import Unavailable

TEXTS = ["我叫王小明，电话13800138000", "血压120/80，正常", "邮箱 abc@example.com", "头痛三天"]
MASKED = ["我叫〔姓名〕，电话〔手机〕", "血压120/80，正常", "邮箱 〔邮箱〕", "头痛三天"]


def lines(texts: list[str]) -> str:
    """A file of texts."""
    return "".join(json.dumps({"id": f"t{number}", "text": text}) + "\n" for number, text in enumerate(texts))


@pytest.fixture
def source(tmp_path):
    """A file of four texts."""
    path = tmp_path / "in.jsonl"
    path.write_text(lines(TEXTS), encoding="utf-8")
    return path


def read(path) -> list[dict]:
    """What was written."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_texts_come_out_in_order_with_spans_of_the_original(run, source, tmp_path):
    """Marks in the text; offsets that select the identifier in the text that went in."""
    ended = run("deid", "text", "--in", source, "--out", tmp_path / "out.jsonl")
    assert ended.status == 0, ended.err
    written = read(tmp_path / "out.jsonl")
    assert [(line["id"], line["text"]) for line in written] == [(f"t{n}", text) for n, text in enumerate(MASKED)]
    found = {TEXTS[n][span["start"] : span["end"]] for n, line in enumerate(written) for span in line["spans"]}
    assert found == {"王小明", "13800138000", "abc@example.com"}
    assert "MOBILE 1" in ended.err
    assert "13800138000" not in ended.err + ended.out


def test_only_the_owner_may_read_what_comes_out(run, source, tmp_path):
    """Redacted words are still a person's words."""
    run("deid", "text", "--in", source, "--out", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}


def test_bad_lines_are_told_by_number_and_written_nowhere(run, tmp_path):
    """The good ones come out, and the exit status says that some were bad."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": 1, "text": "x"}\nsecret-13800138000\n{"id": 2}\n{"id": 3, "text": "y"}\n')
    ended = run("deid", "text", "--in", path, "--out", tmp_path / "out.jsonl")
    assert ended.status == 1
    assert "line 2: not JSON" in ended.err
    assert "line 3: no text" in ended.err
    assert "secret" not in ended.err
    assert [line["id"] for line in read(tmp_path / "out.jsonl")] == [1, 3]


def test_an_output_that_is_there_is_kept_without_force(run, source, tmp_path):
    """And with it replaced, even by the file that is read."""
    before = source.read_bytes()
    ended = run("deid", "text", "--in", source, "--out", source)
    assert ended.status == 2
    assert "--force" in ended.line
    assert source.read_bytes() == before
    assert run("deid", "text", "--in", source, "--out", source, "--force").status == 0
    assert [line["text"] for line in read(source)] == MASKED


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--in", "absent.jsonl", "--out", "out.jsonl"], "cannot be read"),
        (["--in", "in.jsonl", "--out", "absent/out.jsonl"], "no folder"),
        (["--in", "in.jsonl", "--out", "."], "is there already"),
        (["--in", ".", "--out", "out.jsonl"], "cannot be read"),
        (["--in", "in.jsonl", "--out", "out.jsonl", "--profile", "none"], "no profile 'none'"),
        (["--in", "in.jsonl", "--out", "out.jsonl", "--lang", "fr"], "--lang"),
        (["--in", "in.jsonl", "--out", "out.jsonl", "--workers", "0"], "--workers"),
    ],
)
@pytest.mark.usefixtures("source")
def test_wrong_input_is_told_in_one_line_and_leaves_nothing(run, tmp_path, monkeypatch, words, said):
    """Exit 2, no output and no draft."""
    monkeypatch.chdir(tmp_path)
    ended = run("deid", "text", *words)
    assert ended.status == 2
    assert said in ended.line
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl"}


class Streams:
    """Standard input and output as pipes have them."""

    def __init__(self, monkeypatch, given: str) -> None:
        self.out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        monkeypatch.setattr(sys, "stdout", self.out)


def test_standard_input_goes_to_standard_output(run, monkeypatch):
    """So that the command stands in a pipe; nothing but the lines is written there."""
    streams = Streams(monkeypatch, lines(TEXTS))
    assert run("deid", "text", "--in", "-", "--out", "-").status == 0
    written = streams.out.buffer.getvalue().decode().splitlines()
    assert [json.loads(line)["text"] for line in written] == MASKED


def test_processes_answer_in_the_order_of_the_lines(run, source, tmp_path):
    """Two processes find what this one finds."""
    path = tmp_path / "in.jsonl"
    path.write_text(lines(TEXTS * 3), encoding="utf-8")
    assert run("deid", "text", "--in", path, "--out", tmp_path / "two.jsonl", "--workers", "2").status == 0
    assert run("deid", "text", "--in", path, "--out", tmp_path / "one.jsonl").status == 0
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert [line["text"] for line in read(tmp_path / "two.jsonl")] == MASKED * 3


def test_profiles_with_tokens_take_the_keys_of_a_deployment(run, home, source, tmp_path):
    """The same value has one token in a scope and another in every other; the entry names profile and scope."""
    made = []
    for scope in ("study-a", "study-a", "study-b"):
        out = tmp_path / f"{len(made)}.jsonl"
        words = ["--profile", "pseudonymise", "--scope", scope, "--home", home]
        assert run("deid", "text", "--in", source, "--out", out, *words).status == 0
        made.append([line["text"] for line in read(out)])
    assert made[0] == made[1] != made[2]
    assert "〔姓名·" in made[0][0]
    assert "王小明" not in made[0][0]
    told = run("audit", "query", "--act", "text.deidentified", "--home", home, "--json").out
    assert "study-b" in told
    assert "13800138000" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "pseudonymise"], "needs a scope"),
        (["--profile", "redact", "--scope", "王小明"], "no name of a scope"),
        (["--profile", "analyst", "--scope", "a"], "moves days"),
    ],
)
def test_what_a_profile_needs_is_asked_for(run, source, tmp_path, words, said):
    """Before anything is read, written or opened; a scope is a plain name, for it stands in the log."""
    out = source.with_name("out.jsonl")
    ended = run("deid", "text", "--in", source, "--out", out, *words, "--home", tmp_path / "none")
    assert ended.status == 2
    assert said in ended.line
    assert not out.exists()


def test_a_failure_leaves_no_half_written_file(run, source, tmp_path, monkeypatch):
    """The target is as it was, and the draft is gone."""

    def fail(_stream: object):
        yield TextLine(1, 1, "x")
        raise Unavailable("A process that scrubs has ended")

    monkeypatch.setattr("consentry.workflows.deidentify_file.read_lines", fail)
    assert run("deid", "text", "--in", source, "--out", tmp_path / "out.jsonl").status == 1
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl"}


def test_large_files_get_a_process_for_each_core():
    """Small ones and pipes get none but this one; what was asked for is done."""
    cores = len(os.sched_getaffinity(0))
    assert process_count(None, 4 * 1024 * 1024) == cores
    assert [process_count(None, 100), process_count(None, None), process_count(3, 100)] == [1, 1, 3]


@pytest.fixture
def gold(tmp_path):
    """Two texts with known spans, one of a type that is none of ours."""
    spans = [{"start": 8, "end": 19, "type": "TEL"}, {"start": 2, "end": 5, "type": "PERSON"}]
    said = [
        {"id": 1, "text": TEXTS[0], "spans": spans},
        {"id": 2, "text": TEXTS[3], "spans": [{"start": 0, "end": 2, "type": "SYMPTOM"}]},
    ]
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in said), encoding="utf-8")
    return path


def test_evaluate_tells_recall_and_precision_by_type(run, gold, tmp_path):
    """With the operator's own types, and what was not scored said."""
    types = tmp_path / "types.json"
    types.write_text('{"TEL": ["MOBILE", "LANDLINE"]}')
    said = json.loads(run("deid", "evaluate", gold, "--map", types, "--json").out)
    by_type = {score["type"]: score for score in said["types"]}
    assert by_type["TEL"]["recall"]["exact"] == by_type["TEL"]["precision"]["cover"] == 1
    assert said["unscored"] == {"SYMPTOM": 1}
    assert said["false_hits_per_1000_characters"] == 0
    table = run("deid", "evaluate", gold, "--map", types, "--lang", "zh").out
    assert "| TEL | 1 | 1 | 1.000 |" in table
    assert "SYMPTOM" in table


@pytest.mark.parametrize(
    ("types", "said"),
    [("[]", "does not map"), ('{"A": "MOBILE"}', "does not map"), ("{", "cannot be read"),
     ('{"TEL": ["NONE"]}', "'NONE' is no kind")],
)  # fmt: skip
def test_a_wrong_map_is_told(run, gold, tmp_path, types, said):
    """Exit 2 with the reason."""
    path = tmp_path / "types.json"
    path.write_text(types)
    ended = run("deid", "evaluate", gold, "--map", path)
    assert ended.status == 2
    assert said in ended.line


def test_content_is_checked_line_by_line(run, tmp_path):
    """A verdict for each text in order, without its words; what is blocked or no text makes the status 1."""
    path = tmp_path / "posts.jsonl"
    path.write_text(lines(["包治百病", "不能保证治愈"]), encoding="utf-8")
    ended = run("deid", "check", path)
    assert ended.status == 0, ended.err
    verdicts = [json.loads(line) for line in ended.out.splitlines()]
    assert [(one["id"], one["action"], len(one["hits"]), len(one["excused"])) for one in verdicts] == [
        ("t0", "hold", 1, 0),
        ("t1", "allow", 0, 1),
    ]
    assert "包治百病" not in ended.out
    assert "cure_claim 1" in ended.err
    path.write_text(lines(["【广告】二甲双胍限时特价，点击下单"]) + "no text\n", encoding="utf-8")
    ended = run("deid", "check", path, "--kind", "campaign", "--author", "operator", "--explain")
    assert ended.status == 1
    assert ended.out.startswith("t0: block\n")
    assert "line 2: not JSON" in ended.err
    assert "1 texts are blocked, 1 lines are no texts" in ended.err


def test_content_of_standard_input_is_checked(run, monkeypatch):
    """As files are; where nothing is blocked, the hint says what lines are."""
    streams = Streams(monkeypatch, "none\n" + lines(["不能保证治愈"]))
    ended = run("deid", "check", "-")
    assert ended.status == 1
    assert json.loads(streams.out.buffer.getvalue())["action"] == "allow"
    assert "1 lines are no texts. Lines are" in ended.err
