"""Readers of texts with known spans."""

import json

import pytest

from deid.text.gold import GoldSpan, kinds_of, read_gold, read_types
from deid.text.kinds import Kind
from kernel.errors import BadInput


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, "utf-8")
    return path


def test_lines_of_json(tmp_path):
    """Empty lines and a byte order mark are no texts."""
    line = json.dumps({"id": "a", "text": "电话13800138000", "spans": [{"start": 2, "end": 13, "type": "MOBILE"}]})
    (text,) = read_gold(written(tmp_path, "gold.jsonl", f"\ufeff{line}\n\n"))
    assert (text.id, text.text, text.spans) == ("a", "电话13800138000", (GoldSpan(2, 13, "MOBILE"),))
    assert "13800138000" not in repr(text)


def test_json_of_presidio_research(tmp_path):
    """Positions are characters, end-exclusive."""
    span = {"entity_type": "PERSON", "entity_value": "Ann", "start_position": 0, "end_position": 3}
    (text,) = read_gold(written(tmp_path, "gold.json", json.dumps([{"full_text": "Ann left", "spans": [span]}])))
    assert text.spans == (GoldSpan(0, 3, "PERSON"),)


def test_conll_with_a_digit_behind_each_character(tmp_path):
    """Spans end where the label ends, changes or begins anew, and at the end of the text."""
    rows = ["张0", "B-PER.NAM", "三12", "I-PER.NAM", "李0", "B-PER.NAM", "在0", "O", "京0", "I-GPE.NAM"]
    rows = [f"{token}\t{label}" for token, label in zip(rows[::2], rows[1::2], strict=True)]
    more = "\n\n好0\tO\n\n110\tO\n\ufffd\ufffd0\tO\n好0\tO\n\n"
    first, second, third = read_gold(written(tmp_path, "gold.conll", "\n".join(rows) + more))
    assert first.text == "张三李在京"
    assert third.text == "1\ufffd\ufffd好"
    assert first.spans == (GoldSpan(0, 2, "PER.NAM"), GoldSpan(2, 3, "PER.NAM"), GoldSpan(4, 5, "GPE.NAM"))
    assert (second.text, second.spans) == ("好", ())


def test_conll_of_words(tmp_path):
    """Columns between the word and its label are passed over; words are joined by spaces."""
    rows = ["John NNP B-PER", "Smith NNP I-PER", "left VBD O", "U.S. NNP B-LOC"]
    (text,) = read_gold(written(tmp_path, "gold.conll", "\n".join(rows)))
    assert text.text == "John Smith left U.S."
    assert [(text.text[span.start : span.end], span.type) for span in text.spans] == [
        ("John Smith", "PER"),
        ("U.S.", "LOC"),
    ]


def test_a_text_may_hold_signs_that_end_lines_elsewhere(tmp_path):
    """A line ends with a line feed and nothing else."""
    line = json.dumps({"id": "a", "text": "一\u2028二\x85三", "spans": []}, ensure_ascii=False)
    texts = read_gold(written(tmp_path, "gold.jsonl", f"{line}\r\n{line}"))
    assert [text.text for text in texts] == ["一\u2028二\x85三"] * 2


def test_types_of_ones_own_come_from_a_file(tmp_path):
    """What they stand for is checked, with a message that names the file or the type."""
    assert read_types(written(tmp_path, "map.json", '{"TITLE": ["PERSON"], "AGE": []}')) == {
        "TITLE": ["PERSON"],
        "AGE": [],
    }
    for content, told in (("[]", "map gold types"), ('{"A": "PERSON"}', "map gold types"), ('{"A": ["B"]}', "'A'")):
        with pytest.raises(BadInput, match=told):
            read_types(written(tmp_path, "map.json", content))
    with pytest.raises(BadInput, match=r"map\.json cannot be read"):
        read_types(written(tmp_path, "map.json", "{"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gold.csv", "", "no known ending"),
        ("gold.jsonl", '{"id": 1, "text": "a", "spans": []}\n{"id": 2}', "line 2"),
        ("gold.jsonl", '{"id": 1, "text": "a", "spans": [{"start": 0, "end": 2, "type": "X"}]}', "line 1"),
        ("gold.jsonl", '{"id": 1, "text": "ab", "spans": [{"start": 0.5, "end": 2, "type": "X"}]}', "line 1"),
        ("gold.jsonl", '{"id": 1, "text": "ab", "spans": [{"start": 0, "end": true, "type": "X"}]}', "line 1"),
        ("gold.jsonl", "[]", "line 1"),
        ("gold.json", '[{"full_text": 5, "spans": []}]', "no gold texts"),
        ("gold.json", "{", "no gold texts"),
        ("gold.conll", "张\tO\n\n张", "block 2"),
        ("gold.conll", "张\tO\n\n\tO", "block 2"),
    ],
)
def test_what_is_no_gold_is_refused_with_its_place(tmp_path, name, content, told):
    """The message holds no text."""
    with pytest.raises(BadInput, match=told) as refused:
        read_gold(written(tmp_path, name, content))
    assert refused.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """With its name."""
    with pytest.raises(BadInput, match=r"gold\.json cannot be read"):
        read_gold(tmp_path / "gold.json")


def test_gold_types_stand_for_kinds():
    """Ours by their names, presidio's and the Weibo corpus's by the usual ones, one's own by a map."""
    assert kinds_of("PHONE_NUMBER") >= {Kind.MOBILE, Kind.LANDLINE}
    assert kinds_of("PER.NAM") == kinds_of("PERSON") == {Kind.PERSON}
    assert kinds_of("TITLE") == frozenset()
    assert kinds_of("TITLE", {"TITLE": ["PERSON"]}) == {Kind.PERSON}
    with pytest.raises(BadInput, match="'TITLE'"):
        kinds_of("TITLE", {"TITLE": ["NOBODY"]})
    with pytest.raises(BadInput, match="'WITHHELD' is no kind"):
        kinds_of("TITLE", {"TITLE": ["PERSON", "WITHHELD"]})
