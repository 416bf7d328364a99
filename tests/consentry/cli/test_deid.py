"""Commands on free text: files of JSON lines in and out, and the measuring of detection."""

import io
import json
import os
import sys

import pytest

from consentry import text_processes
from consentry.text_processes import TextTask, process_count, work_through
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


def test_processes_answer_in_the_order_of_the_lines(monkeypatch):
    """Small batches on two processes give what this process gives."""
    monkeypatch.setattr(text_processes, "_BATCH_LINES", 2)
    given = [TextLine(number, number, TEXTS[number % 4]) for number in range(9)]
    task = TextTask("redact", "auto")
    here = b"".join(done.lines for done in work_through(given, task, processes=1))
    assert b"".join(done.lines for done in work_through(given, task, processes=2)) == here


class Ending(TextTask):
    """A task whose process ends."""

    def done(self, batch):
        """End."""
        os._exit(1)


def test_a_process_that_ends_is_an_error():
    """What it had was not done: nobody takes the rest for the whole."""
    with pytest.raises(Unavailable, match="ended before"):
        list(work_through([TextLine(1, 1, "x")], Ending("redact", "auto"), processes=2))


def test_a_failure_leaves_no_half_written_file(run, source, tmp_path, monkeypatch):
    """The target is as it was, and the draft is gone."""

    def fail(*_given: object, **_more: object):
        raise Unavailable("A process ended before its texts were done")
        yield

    monkeypatch.setattr("consentry.workflows.deidentify_file.work_through", fail)
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
    [("[]", "does not say kinds"), ('{"A": "MOBILE"}', "does not say kinds"), ("{", "cannot be read"),
     ('{"TEL": ["NONE"]}', "'NONE' is not a valid Kind")],
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
